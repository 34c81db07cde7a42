"""Back in time and into a second cluster, with the real kubectl on the other side."""

from __future__ import annotations

import json
import re

import pytest

from tests.e2e.conftest import Machine, beside, heard

pytestmark = pytest.mark.e2e
BARE = ("--nodes", "0", "--controllers", "none")


def configmaps(machine: Machine, context: str = "seatrial") -> list[str]:
    said = machine.kubectl("--context", context, "get", "configmaps", "-o", "name")
    return [line.removeprefix("configmap/") for line in said.split() if "kube-root" not in line]


def minutes(row: str) -> int:
    """The whole minutes of the age in a row."""
    (age,) = re.findall(r"(?:^|\s)((?:\d+[hms])+)(?=\s|$)", row)
    return sum(int(number) * {"h": 60, "m": 1, "s": 0}[unit] for number, unit in re.findall(r"(\d+)([hms])", age))


def test_back_to_an_earlier_moment_and_forth_again(machine: Machine) -> None:
    machine.must("seatrial", "up", *BARE)
    machine.kubectl("create", "configmap", "first")
    revision = machine.read("configmap", "first")["metadata"]["resourceVersion"]
    machine.must("seatrial", "clock", "advance", "1h")
    machine.kubectl("create", "configmap", "second")
    last = int(machine.read("configmap", "second")["metadata"]["resourceVersion"])
    with beside(machine, "kubectl", "get", "configmaps", "--watch") as watcher:
        heard(watcher, "second")
        said = machine.must("seatrial", "clock", "rewind", revision, "--keep", "later")
        assert "snapshot restore later" in said
        heard(watcher, "Expired")
    assert configmaps(machine) == ["first"]
    machine.kubectl("create", "configmap", "other")
    assert int(machine.read("configmap", "other")["metadata"]["resourceVersion"]) > last
    assert "later" in machine.must("seatrial", "snapshot", "list")
    machine.must("seatrial", "snapshot", "restore", "later", "--yes")
    assert configmaps(machine) == ["first", "second"]
    assert minutes(machine.kubectl("get", "configmap", "first", "--no-headers")) >= 60
    machine.must("seatrial", "halt")
    machine.must("seatrial", "up")
    assert configmaps(machine) == ["first", "second"]
    assert "before this boot" in machine.refused("seatrial", "clock", "rewind", "30m")
    assert "no moment" in machine.refused("seatrial", "clock", "rewind", "soon")


def test_a_fork_goes_its_own_way_and_a_journal_makes_it_again(machine: Machine) -> None:
    machine.must("seatrial", "up", *BARE)
    machine.kubectl("create", "configmap", "common")
    machine.must("seatrial", "clock", "fork", "what-if")
    machine.kubectl("--context", "seatrial-what-if", "create", "configmap", "there")
    machine.kubectl("--context", "seatrial", "create", "configmap", "here")
    assert configmaps(machine, "seatrial-what-if") == ["common", "there"]
    assert configmaps(machine) == ["common", "here"]
    assert "already" in machine.refused("seatrial", "clock", "fork", "what-if")
    machine.must("seatrial", "journal", "save", "there.journal", "--cluster", "what-if")
    report = json.loads(machine.must("seatrial", "replay", "there.journal", "-o", "json"))
    assert report["same"]
    assert "POST /api/v1/namespaces/default/configmaps" in machine.must("seatrial", "journal", "show", "there.journal")
    machine.must("seatrial", "replay", "there.journal", "--as", "again")
    assert configmaps(machine, "seatrial-again") == ["common", "there"]


def test_a_halted_cluster_is_saved_and_restored(machine: Machine) -> None:
    machine.must("seatrial", "up", *BARE)
    machine.kubectl("create", "configmap", "kept")
    machine.must("seatrial", "halt")
    machine.must("seatrial", "snapshot", "save", "cold")
    assert "already" in machine.refused("seatrial", "snapshot", "save", "cold")
    machine.must("seatrial", "up")
    machine.kubectl("delete", "configmap", "kept")
    machine.must("seatrial", "halt")
    machine.must("seatrial", "snapshot", "restore", "cold", "--yes")
    machine.must("seatrial", "up")
    assert configmaps(machine) == ["kept"]
    machine.must("seatrial", "snapshot", "delete", "cold")
    assert "none of that name" in machine.refused("seatrial", "snapshot", "delete", "cold")
    assert "no snapshots" in machine.must("seatrial", "snapshot", "list")
    assert "cannot be read" in machine.refused("seatrial", "snapshot", "restore", "cold")


def test_a_whole_cluster_goes_back_with_all_that_is_inside(machine: Machine) -> None:
    machine.must("seatrial", "up", "--nodes", "1")
    machine.kubectl("create", "deployment", "web", "--image=nginx")
    machine.must("seatrial", "clock", "until", "deploy/web", "--for=condition=Available", "--timeout", "5m")
    machine.kubectl("exec", "deploy/web", "--", "sh", "-c", "echo kept > /tmp/note")
    before = machine.read("pods")["items"][0]
    machine.must("seatrial", "clock", "advance", "10m")
    assert minutes(machine.kubectl("get", "pods", "--no-headers")) >= 10
    pod = before["metadata"]["name"]
    scheduled = next(line for line in machine.kubectl("describe", "pod", pod).splitlines() if " Scheduled " in line)
    assert minutes(scheduled) >= 10
    scaling = ("--field-selector", "reason=ScalingReplicaSet")
    assert minutes(machine.kubectl("get", "events", *scaling, "--no-headers")) >= 10
    machine.kubectl("delete", "deployment", "web")
    machine.must("seatrial", "clock", "until", f"pod/{pod}", "--for=delete", "--timeout", "5m")
    machine.must("seatrial", "clock", "rewind", before["metadata"]["resourceVersion"], "--yes")
    machine.must("seatrial", "clock", "until", f"pod/{pod}", "--for=condition=Ready")
    after = machine.read("pods")["items"][0]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert minutes(machine.kubectl("get", "pods", "--no-headers")) < 10
    machine.kubectl("scale", "deployment", "web", "--replicas=2")
    machine.must("seatrial", "clock", "until", "deploy/web", "--for=jsonpath={.status.readyReplicas}=2")
    machine.must("seatrial", "journal", "save", "whole.journal")
    assert json.loads(machine.must("seatrial", "replay", "whole.journal", "-o", "json"))["same"]
