"""Scenarios as a learner meets them: a cluster of their own over HTTPS, solved with the real kubectl."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.conftest import Machine
from tests.e2e.keyboards import BACKSPACE, ENTER, INTERRUPT, TAB, keyboard, line, terminal

pytestmark = pytest.mark.e2e


@pytest.fixture
def learner(machine: Machine) -> Machine:
    return machine


def report(machine: Machine) -> Any:
    return json.loads(machine.type("seatrial", "scenario", "check", "-o", "json").stdout)


def stand_still(machine: Machine, name: str) -> None:
    """Time goes on by ``fly`` alone: a scenario has its limit, and the machine may be slow."""
    machine.must("seatrial", "clock", "pause", "--cluster", name)


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
    stand_still(learner, "net-01")
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


def test_node_is_mended_by_somebody_at_a_keyboard(learner: Machine) -> None:
    with keyboard(learner) as keys:
        assert "A node that does not answer" in line(keys, "seatrial scenario start node-01")
        line(keys, "seatrial clock advance 90s")
        (row,) = [each for each in line(keys, "kubectl get nodes").splitlines() if each.startswith("w1-k8s")]
        assert row.split()[1] == "NotReady"
        assert "Kubelet stopped posting node status" in line(keys, "kubectl describe node w1-k8s")
        keys.type("kubectl get pods -w" + ENTER)
        assert keys.until("1/1").count("web-")
        keys.type(INTERRUPT)
        keys.until("learner$ ")
        keys.type("seatrial ssh w1-k8s" + ENTER)
        keys.until("root@w1-k8s:~# ")
        assert "inactive (dead)" in line(keys, "systemctl status kubelet", "root@w1-k8s:~# ")
        keys.type("systemctl strt" + BACKSPACE * 2 + "art kubelet" + ENTER)
        keys.until("root@w1-k8s:~# ")
        keys.type("exit" + ENTER)
        keys.until("learner$ ")
        assert "That is right." in line(keys, "seatrial scenario answer cause kubelet")
        line(keys, "seatrial clock advance 1m")
        told = line(keys, "seatrial scenario check")
        assert "PASSED" in told
        assert "The kubelet is the node's voice and hands." in told
        told = line(keys, "seatrial scenario report --html node.html")
        assert "session ssh w1-k8s" in told
        line(keys, "seatrial destroy node-01 --yes")
    assert "<svg" in (learner.root / "node.html").read_text()


def test_shop_is_brought_back_in_seatrials_own_shell_in_korean(learner: Machine) -> None:
    learner.must("seatrial", "scenario", "start", "net-01", "--lang", "ko")
    with terminal(learner, "seatrial", "shell") as keys:
        prompt = "net-01> "
        keys.until(prompt)
        line(keys, "clock advance 15s", prompt)
        keys.type("kubectl get endpointsl" + TAB)
        keys.until("endpointslices")
        keys.type(ENTER)
        assert "<unset>" in keys.until("\n" + prompt)
        line(keys, """kubectl patch svc web -p '{"spec":{"selector":{"app":"web"}}}'""", prompt)
        line(keys, "clock advance 45s", prompt)
        assert "통과" in line(keys, "scenario check --lang ko", prompt)
        keys.type("exit" + ENTER)
        assert keys.code() == 0


def test_scenario_is_where_it_was_after_its_cluster_was_halted_or_went_back(learner: Machine) -> None:
    learner.must("seatrial", "scenario", "start", "net-01", "--name", "shop")
    stand_still(learner, "shop")
    fly(learner, "20s", "shop")
    learner.must("seatrial", "scenario", "hint")
    before = report(learner)
    assert "Both go on with: seatrial up shop" in learner.must("seatrial", "halt", "shop")
    assert "both go on with: seatrial up shop" in learner.refused("seatrial", "scenario", "check")
    assert "seatrial up shop" in learner.refused("seatrial", "scenario", "start", "net-01", "--name", "shop")
    learner.must("seatrial", "up", "shop")
    stand_still(learner, "shop")
    after = report(learner)
    assert (after["hints"], [each["met"] for each in after["goals"]]) == (1, [False, False])
    assert after["timeline"][: len(before["timeline"])] == before["timeline"]
    learner.kubectl("patch", "service", "web", "-p", '{"spec":{"selector":{"app":"web"}}}')
    fly(learner, "45s", "shop")
    assert report(learner)["passed"]
    learner.must("seatrial", "clock", "rewind", "40s", "--cluster", "shop", "--yes")
    assert not report(learner)["passed"]
    fly(learner, "45s", "shop")
    assert report(learner)["passed"]
    learner.must("seatrial", "destroy", "shop", "--yes")


def test_scenario_of_ones_own_begins_as_one_that_works(learner: Machine) -> None:
    learner.must("seatrial", "scenario", "new", "MY-01")
    assert "fine" in learner.must("seatrial", "scenario", "lint", "my-01.yaml", "--play")
    found = json.loads(learner.must("seatrial", "scenario", "solve", "my-01.yaml", "-o", "json"))
    assert found["passed"]
