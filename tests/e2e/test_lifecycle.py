"""A directory with a Seatrial.yaml: Vagrant's words for a cluster."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Machine

pytestmark = pytest.mark.e2e
MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: provisioned}\n"


def test_a_directory_has_its_cluster(machine: Machine) -> None:
    machine.must("seatrial", "init", "lab", "--nodes", "0")
    file = machine.root / "Seatrial.yaml"
    assert "there is one already" in machine.refused("seatrial", "init")
    (machine.root / "a.yaml").write_text(MANIFEST)
    file.write_text(file.read_text() + "controllers: none\nprovision:\n- apply: a.yaml\n")
    said = machine.must("seatrial", "up")
    assert "configmap/provisioned created" in said
    assert machine.kubectl("config", "current-context") == "seatrial-lab\n"
    assert "lab" in machine.must("seatrial", "status")
    assert "configmap/provisioned unchanged" in machine.must("seatrial", "provision")
    file.write_text(file.read_text().replace("controllers", "controlers"))
    said = machine.refused("seatrial", "reload")
    assert "Seatrial.yaml:" in said
    assert "did you mean controllers?" in said
    machine.kubectl("get", "configmap", "provisioned")
    file.write_text(file.read_text().replace("controlers", "apiserver: {event_ttl_s: 60}\ncontrollers"))
    assert "lab is halted" in machine.must("seatrial", "reload")
    machine.kubectl("get", "configmap", "provisioned")
    file.write_text(file.read_text() + "api_profile: book\n")
    assert "cannot change" in machine.refused("seatrial", "reload")
    machine.must("seatrial", "halt")
    assert "cannot change" in machine.refused("seatrial", "up")
    machine.must("seatrial", "destroy", "--yes")
    assert "no cluster yet" in machine.must("seatrial", "list")
