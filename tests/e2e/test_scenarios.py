"""Scenarios as a learner meets them: a cluster of their own over HTTPS, solved with the real kubectl."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Machine, clean

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with clean(tmp_path_factory.mktemp("learner")) as machine:
        yield machine


def report(machine: Machine) -> Any:
    return json.loads(machine.type("seatrial", "scenario", "check", "-o", "json").stdout)


def fly(machine: Machine, duration: str, name: str) -> None:
    machine.must("seatrial", "clock", "advance", duration, "--cluster", name)


def test_without_a_scenario_check_says_what_to_do(learner: Machine) -> None:
    said = learner.refused("seatrial", "scenario", "check")
    assert "none was started" in said
    assert "seatrial scenario start NET-01" in said
    said = learner.refused("seatrial", "scenario", "start", "NET-99")
    assert "did you mean" in said
    (learner.root / "bad.yaml").write_text("id: X\nlevle: 1\n")
    assert "bad.yaml:2:1: levle: there is no such field (did you mean level?)" in learner.refused(
        "seatrial", "scenario", "start", "bad.yaml"
    )


def test_shop_is_brought_back_and_the_run_is_replayed(learner: Machine) -> None:
    told = learner.must("seatrial", "scenario", "start", "net-01", "--lang", "ko")
    assert "아무도 접속할 수 없는 쇼핑몰" in told
    assert "under way" in learner.refused("seatrial", "scenario", "start", "pod-01", "--on", "net-01")
    fly(learner, "12s", "net-01")
    assert [each["met"] for each in report(learner)["goals"]] == [False, False]
    assert "kubectl get endpointslices" in learner.must("seatrial", "scenario", "hint")
    learner.kubectl("patch", "service", "web", "-p", '{"spec":{"selector":{"app":"web"}}}')
    fly(learner, "45s", "net-01")
    found = report(learner)
    assert (found["passed"], found["hints"], found["commands"]) == (True, 1, 1)
    page, record = learner.root / "page.html", learner.root / "run.jsonl"
    learner.must("seatrial", "scenario", "report", "--html", str(page), "--record", str(record))
    assert "<svg" in page.read_text()
    again = json.loads(learner.must("seatrial", "scenario", "replay", str(record), "-o", "json"))
    assert {**again, "elapsed_s": 0} == {**found, "elapsed_s": 0}
    learner.must("seatrial", "destroy", "net-01", "--yes")
    assert "does not run any more" in learner.refused("seatrial", "scenario", "check")


def test_drain_that_never_ends_is_ended_and_a_question_answered(learner: Machine) -> None:
    learner.must("seatrial", "scenario", "start", "mnt-01", "--name", "lab")
    learner.kubectl("drain", "w2-k8s", "--ignore-daemonsets", "--timeout=200s")
    fly(learner, "30s", "lab")
    assert report(learner)["stage"] == "back"
    learner.kubectl("uncordon", "w2-k8s")
    assert learner.type("seatrial", "scenario", "answer", "moved-back", "yes").returncode == 2
    learner.must("seatrial", "scenario", "answer", "moved-back", "no")
    assert "moved" in learner.refused("seatrial", "scenario", "answer", "moved", "no")
    fly(learner, "15s", "lab")
    assert report(learner)["passed"]
    learner.must("seatrial", "scenario", "check")
    learner.must("seatrial", "scenario", "stop")
    learner.must("seatrial", "destroy", "lab", "--yes")


def test_claim_is_made_to_fit_its_volume(learner: Machine) -> None:
    learner.must("seatrial", "scenario", "start", "sto-01")
    fly(learner, "6s", "sto-01")
    assert "FailedBinding" in learner.kubectl("describe", "pvc", "nfs-pvc")
    learner.kubectl("scale", "deployment", "nfs-pvc-deploy", "--replicas=0")
    learner.kubectl("delete", "pvc", "nfs-pvc")
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "100Mi"}}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "nfs-pvc"}, "spec": spec}
    learner.kubectl("apply", "-f", "-", stdin=json.dumps(claim))
    learner.kubectl("scale", "deployment", "nfs-pvc-deploy", "--replicas=2")
    fly(learner, "30s", "sto-01")
    assert report(learner)["passed"]


def test_scenario_of_ones_own_begins_as_one_that_works(learner: Machine, tmp_path: Path) -> None:
    learner.must("seatrial", "scenario", "new", "MY-01")
    assert "fine" in learner.must("seatrial", "scenario", "lint", "my-01.yaml", "--play")
    found = json.loads(learner.must("seatrial", "scenario", "solve", "my-01.yaml", "-o", "json"))
    assert found["passed"]
