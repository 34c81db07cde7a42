"""Who has the last word about a pod's status."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, S
from seatrial.sim.nodes.cri import NOTHING
from seatrial.sim.nodes.status import Containers, container_status
from seatrial.sim.nodes.statuses import overwritten, patch_of

OURS = {
    "phase": "Running",
    "conditions": [
        {"type": "Ready", "status": "True", "lastProbeTime": None, "lastTransitionTime": "2026-01-01T00:00:00Z"}
    ],
    "containerStatuses": [{"name": "c", "ready": True, "lastState": {}, "state": {"running": {"startedAt": "t"}}}],
}


def theirs(ready: str = "True", **other: Any) -> dict[str, Any]:
    condition = {"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:07:00Z"}
    return {**OURS, "conditions": [{"type": "x.io/gate", "status": "True"}, condition], **other}


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        pytest.param(theirs(), False, id="conditions of others and times do not count"),
        pytest.param(theirs("False"), True, id="a condition of the kubelet's"),
        pytest.param(theirs(phase="Failed"), True, id="the phase"),
        pytest.param(theirs(nominatedNodeName="w2"), False, id="a field that the kubelet does not report"),
        pytest.param(theirs(conditions=[]), True, id="a condition is gone"),
        pytest.param(
            theirs(containerStatuses=[{"name": "c", "ready": True, "state": {"running": {"startedAt": "t"}}}]),
            False,
            id="what is empty is as good as absent",
        ),
        pytest.param(
            theirs(containerStatuses=[{"name": "c", "ready": False, "state": {"running": {"startedAt": "t"}}}]),
            True,
            id="a container's readiness",
        ),
    ],
)
def test_what_counts_as_overwritten(stored: dict[str, Any], expected: bool) -> None:
    assert overwritten(OURS, stored) == expected


def test_a_patch_leaves_the_conditions_of_others_where_they_are() -> None:
    stored = theirs("False")
    stored["conditions"].append({"type": "DisruptionTarget", "status": "True"})
    patch = patch_of(stored, OURS)
    assert patch["$setElementOrder/conditions"] == [
        {"type": "x.io/gate"},
        {"type": "DisruptionTarget"},
        {"type": "Ready"},
    ]
    assert patch["conditions"] == OURS["conditions"]


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster(ClusterSpec(nodes=1, addons=False), verify=True)
    made.run(3 * S)
    return made


def pod(**spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "busybox:1", "command": ["sleep", "100000"]}
    metadata = {"name": "a", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}


def ready(made: Cluster) -> str:
    conditions = made.get("pod", "a")["status"]["conditions"]
    return str({each["type"]: each["status"] for each in conditions}.get("Ready"))


def say(made: Cluster, kind: str, status: str) -> None:
    made.patch("pod", "a", {"status": {"conditions": [{"type": kind, "status": status}]}}, subresource="status")


def writes(made: Cluster, us: int) -> int:
    """Changes of pods within a time."""
    watch = made.store.watch("pods", made.store.revision)
    made.run(us)
    return len(watch.read(10_000))


def test_what_somebody_overwrites_is_said_again_within_ten_seconds_and_once(cluster: Cluster) -> None:
    cluster.apply(pod())
    cluster.settle()
    say(cluster, "Ready", "False")
    assert ready(cluster) == "False"
    assert writes(cluster, 11 * S) == 1
    assert ready(cluster) == "True"
    assert writes(cluster, 300 * S) == 0


def test_readiness_gates_follow_whoever_sets_them(cluster: Cluster) -> None:
    cluster.apply(pod(readinessGates=[{"conditionType": "x.io/gate"}]))
    cluster.settle()
    assert ready(cluster) == "False"
    say(cluster, "x.io/gate", "True")
    cluster.run(3 * S)
    assert ready(cluster) == "True"
    assert cluster.get("pod", "a")["status"]["conditions"][0]["type"] == "x.io/gate"
    say(cluster, "x.io/gate", "False")
    cluster.run(3 * S)
    assert ready(cluster) == "False"


def refuse(made: Cluster, verb: str, code: int, after: int = 0) -> str:
    value = {"kind": "api-fault", "user": "system:node:", "resource": "pods", "verb": verb, "code": code}
    return made.add_fault(value, after=after)


@pytest.mark.parametrize("code", [409, 429, 500])
def test_a_report_that_was_refused_is_sent_later(cluster: Cluster, code: int) -> None:
    name = refuse(cluster, "patch", code)
    cluster.apply(pod())
    cluster.run(30 * S)
    assert ready(cluster) != "True"
    cluster.remove_fault(name)
    cluster.run(20 * S)
    assert ready(cluster) == "True"


@pytest.mark.parametrize("code", [409, 500])
def test_a_pod_that_has_ended_goes_though_its_deletion_failed_at_first(cluster: Cluster, code: int) -> None:
    cluster.apply(pod(terminationGracePeriodSeconds=2))
    cluster.settle()
    name = refuse(cluster, "delete", code)
    cluster.delete("pod", "a")
    cluster.run(20 * S)
    assert cluster.get("pod", "a")["status"]["phase"] == "Failed"
    cluster.remove_fault(name)
    cluster.run(20 * S)
    assert cluster.store.get("pods", "default", "a") is None


def test_a_node_that_is_not_ready_but_reachable_does_not_argue_about_its_pods(cluster: Cluster) -> None:
    cluster.apply(pod())
    cluster.settle()
    cluster.add_fault({"kind": "cni-broken", "node": "w1-k8s"})
    cluster.run(60 * S)
    assert {c["type"]: c["status"] for c in cluster.get("node", "w1-k8s")["status"]["conditions"]}["Ready"] == "False"
    assert ready(cluster) == "True"
    assert writes(cluster, 200 * S) <= 1


def test_pods_are_ready_again_after_a_partition(cluster: Cluster) -> None:
    tolerated = [{"operator": "Exists", "effect": "NoExecute"}]
    cluster.apply(pod(tolerations=tolerated))
    cluster.settle()
    name = cluster.add_fault({"kind": "partition", "a": ["w1-k8s"]})
    cluster.run(90 * S)
    assert ready(cluster) == "False"
    cluster.remove_fault(name)
    cluster.run(60 * S)
    assert ready(cluster) == "True"


def test_a_container_that_is_nowhere_any_more_keeps_how_it_ended_until_it_runs_again() -> None:
    container = {"name": "c", "image": "i"}
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [container], "restartPolicy": "Always"}}

    def reported(old: dict[str, Any]) -> dict[str, Any]:
        facts = Containers(pod, NOTHING, {"c": old}, {}, {}, {}, True)
        return container_status(facts, container, "regular")

    first = reported({"name": "c", "state": {"running": {"startedAt": "t"}}, "lastState": {}, "restartCount": 1})
    assert first["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown"
    assert reported(first) == first
