"""The timeline of a live cluster, as a user draws it."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Machine

pytestmark = pytest.mark.e2e


def test_a_timeline_is_drawn_in_the_terminal_and_as_files(machine: Machine) -> None:
    machine.must("seatrial", "up", "--nodes", "0", "--controllers", "none")
    machine.kubectl("create", "configmap", "settings", "--from-literal=a=1")
    machine.must("seatrial", "clock", "advance", "5m")
    machine.kubectl("delete", "configmap", "settings")
    said = machine.must("seatrial", "timeline")
    assert "configmap/settings" in said
    assert "clock advance" in said
    assert "removed" in machine.must("seatrial", "timeline", "configmap/settings")
    machine.must("seatrial", "timeline", "--html", "page.html", "--svg", "picture.svg")
    assert "<svg" in (machine.root / "picture.svg").read_text()
    assert "settings" in (machine.root / "page.html").read_text()
    assert "nothing is known" in machine.refused("seatrial", "timeline", "configmap/other")
    assert "no moment" in machine.refused("seatrial", "timeline", "--since", "soon")
