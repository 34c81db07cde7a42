"""Pod garbage collection: pods of nodes that are gone, deleted pods that never had one, too many finished ones.

Source: k8s.io/kubernetes/pkg/controller/podgc/gc_controller.go.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import S
from seatrial.sim.controllers import nodetaints
from seatrial.sim.controllers.actions import Action, Delete, Get, Outcome, Patch, Steps, Turn, ignoring
from seatrial.sim.controllers.controller import Controller, Tick
from seatrial.sim.controllers.nodefit import is_node_ready
from seatrial.sim.controllers.podstate import disruption_condition, is_terminal, is_terminating, phase

PERIOD_US = 20 * S
QUARANTINE_US = 40 * S
"""How long a node has to be missing before its pods are orphans."""
TERMINATED_MAX = 12_500
"""--terminated-pod-gc-threshold."""
REASON = "DeletionByPodGC"
FORCE = {"gracePeriodSeconds": 0}


def reconcile(turn: Turn) -> Steps:
    pods = turn.view("pods").list()
    turn.memory["calm"] = True
    yield from _terminated(turn, pods)
    yield from _out_of_service(turn, pods)
    yield from _orphaned(turn, pods)
    for pod in pods:
        if is_terminating(pod) and not pod["spec"].get("nodeName"):
            yield from _remove(turn, pod, "")
    if turn.memory["missing"]:
        turn.memory["calm"] = False
    return Outcome()


def _terminated(turn: Turn, pods: list[Object]) -> Generator[Action, Any, None]:
    ended = [pod for pod in pods if is_terminal(pod)]
    surplus = len(ended) - TERMINATED_MAX
    if surplus <= 0:
        return
    evicted_first = sorted(ended, key=_age)
    for pod in evicted_first[:surplus]:
        yield from _remove(turn, pod, "")


def _age(pod: Object) -> tuple[bool, str, str]:
    metadata = pod["metadata"]
    evicted = (pod.get("status") or {}).get("reason") == "Evicted"
    return (not evicted, metadata["creationTimestamp"], metadata["name"])


def _out_of_service(turn: Turn, pods: list[Object]) -> Generator[Action, Any, None]:
    nodes = turn.view("nodes")
    for pod in pods:
        node = nodes.get("", pod["spec"].get("nodeName", "")) if is_terminating(pod) else None
        if node is None or is_node_ready(node):
            continue
        if any(taint["key"] == nodetaints.OUT_OF_SERVICE for taint in nodetaints.taints_of(node)):
            yield from _remove(turn, pod, "")


def _orphaned(turn: Turn, pods: list[Object]) -> Generator[Action, Any, None]:
    """Pods of nodes that have been missing through the quarantine and that the server does not know either."""
    nodes = turn.view("nodes")
    missing: dict[str, int] = turn.memory.setdefault("missing", {})
    now = turn.now
    names = {pod["spec"].get("nodeName", "") for pod in pods if pod["spec"].get("nodeName")}
    gone = [name for name in sorted(names) if nodes.get("", name) is None]
    due = [name for name in missing if now - missing[name] >= QUARANTINE_US]
    for name in gone:
        missing.setdefault(name, now)
    lost = []
    for name in due:
        missing.pop(name, None)
        if name in gone and (yield from ignoring(Get("nodes", "", name), 404)) is None:
            lost.append(name)
    for pod in pods:
        if pod["spec"].get("nodeName") in lost:
            yield from _remove(turn, pod, "PodGC: node no longer exists")


def _remove(turn: Turn, pod: Object, why: str) -> Generator[Action, Any, None]:
    """Marks a pod as failed, if it has not ended yet, and deletes it at once (markFailedAndDeletePod)."""
    metadata = pod["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    turn.memory["calm"] = False
    if phase(pod) not in ("Succeeded", "Failed"):
        status: dict[str, Any] = {"phase": "Failed"}
        if why:
            status |= disruption_condition(REASON, why, turn.stamp, pod)["status"]
        yield from ignoring(Patch("pods", namespace, name, {"status": status}, subresource="status"), 404)
    yield from ignoring(Delete("pods", namespace, name, metadata["uid"], FORCE), 404, 409)


CONTROLLER = Controller(
    name="pod-garbage-collector-controller",
    account="pod-garbage-collector",
    reconcile=reconcile,
    watches=(),
    reads=("pods", "nodes"),
    workers=1,
    ticks=(Tick(PERIOD_US, "gc", stirred_by=("pods", "nodes")),),
)
