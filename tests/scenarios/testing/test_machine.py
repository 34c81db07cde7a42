"""The state machine over whole clusters: the built-in controllers keep their promises, whatever breaks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from seatrial.scenarios.testing import Broken
from seatrial.scenarios.testing.machine import ClusterMachine
from seatrial.sim.invariants import Rule


class Shortly(ClusterMachine):
    """What continuous integration has time for."""


class Long(ClusterMachine):
    """The same for as long as one likes."""


TestShortly = Shortly.TestCase
TestShortly.settings = settings(max_examples=8, stateful_step_count=12)
TestLong = pytest.mark.soak(Long.TestCase)
TestLong.settings = settings(max_examples=1500, stateful_step_count=40)


def no_pods(change: Any, world: Any) -> Iterator[str]:
    yield "there is one"


class Empty(ClusterMachine):
    safety = (Rule("no pods", no_pods, ("pods",)),)


def test_a_failure_names_the_test_and_keeps_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    machine = Empty()
    machine.create("replicaset", "a", 1)
    machine.let_time_pass("300ms")
    with pytest.raises(Broken) as broken:
        machine.keeps_its_promises()
    said = str(broken.value).splitlines()
    assert said[0].startswith("no pods, at revision ")
    here = "tests/scenarios/testing/test_machine.py::test_a_failure_names_the_test_and_keeps_the_history"
    assert said[-2] == f"replay: pytest '{here}' --seatrial-seed=0"
    assert Path(said[-1].split()[-1]).is_file()


def test_a_user_may_think_again_about_what_is_orphaned() -> None:
    machine = ClusterMachine()
    machine.create_job("a", 1, 1)
    machine.let_time_pass("10s")
    machine.faults.crash("kube-controller-manager", 0, "30s")
    machine.delete("job", "a", "Orphan")
    assert machine.cluster.get("job", "a")["metadata"]["finalizers"] == ["orphan"]
    machine.delete("job", "a", "Background")
    machine.keeps_its_promises()
    machine.teardown()
