"""Taint eviction: pods that do not tolerate a NoExecute taint, or not any longer, are deleted.

Source: k8s.io/kubernetes/pkg/controller/tainteviction (taint_eviction.go, timed_workers.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import S
from seatrial.sim.controllers.actions import After, Get, Outcome, Patch, Record, Steps, Turn, delete_of, ignoring
from seatrial.sim.controllers.controller import Controller, Seen
from seatrial.sim.controllers.nodefit import tolerates
from seatrial.sim.controllers.podstate import disruption_condition

REASON, MESSAGE = "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint"
Taint = Mapping[str, Any]


class Due(NamedTuple):
    """An eviction that is planned."""

    since: int
    """µs: from when the tolerated time counts."""
    at: int


def eviction_delay_s(taints: Sequence[Taint], tolerations: Sequence[Mapping[str, Any]]) -> int | None:
    """Seconds a pod may stay on a node with these NoExecute taints; None for ever (getMinTolerationTime)."""
    used = []
    for taint in taints:
        found = next((each for each in tolerations if tolerates(each, taint)), None)
        if found is None:
            return 0
        used.append(found)
    limits = [max(0, each["tolerationSeconds"]) for each in used if each.get("tolerationSeconds") is not None]
    return min(limits, default=None)


def noexecute_taints(node: Object | None) -> list[Taint]:
    return [each for each in (node["spec"].get("taints") or ()) if each["effect"] == "NoExecute"] if node else []


def plan(before: Due | None, delay_s: int | None, now: int) -> Due | None:
    """The eviction that is planned after the pod's taints or tolerations were looked at (processPodOnNode).

    One that is planned already stays, even if the pod would now have to go sooner.
    """
    if delay_s is None:
        return None
    if delay_s == 0:
        return Due(now, now)
    if before is not None and before.since < now:
        return before
    return Due(now, now + delay_s * S)


def reconcile(turn: Turn) -> Steps:
    work, *rest = turn.key
    if work == "node":
        return (yield from _node(turn, rest[0]))
    if work == "evict":
        return (yield from _evict(turn, rest[0], rest[1], rest[2]))
    return (yield from _pod(turn, rest[0], rest[1]))


def _node(turn: Turn, name: str) -> Steps:
    pods = turn.view("pods").indexed("node", name)
    due: list[Any] = []
    for pod in pods:
        due += yield from _consider(turn, pod)
    return Outcome(also=tuple(due))


def _pod(turn: Turn, namespace: str, name: str) -> Steps:
    pod = turn.view("pods").get(namespace, name)
    if pod is None or not pod["spec"].get("nodeName"):
        return None
    due = yield from _consider(turn, pod)
    return Outcome(also=tuple(due))


def _consider(turn: Turn, pod: Object) -> Any:
    """Plans, leaves or cancels the eviction of one pod. Returns keys that become due."""
    metadata = pod["metadata"]
    taints = noexecute_taints(turn.view("nodes").get("", pod["spec"]["nodeName"]))
    delay = eviction_delay_s(taints, pod["spec"].get("tolerations") or ()) if taints else None
    key = ("due", metadata["uid"])
    before: Due | None = turn.memory.get(key)
    after = plan(before, delay, turn.now)
    if after == before:
        return []
    if before is not None:
        turn.memory.pop(key)
        text = f"Cancelling deletion of Pod {metadata['namespace']}/{metadata['name']}"
        yield Record(_ref(pod), "Normal", "TaintManagerEviction", text)
    if after is None:
        return []
    turn.memory[key] = after
    evict = ("evict", metadata["namespace"], metadata["name"], metadata["uid"])
    return [After(evict, after.at - turn.clock_now())]


def _ref(pod: Object) -> dict[str, Any]:
    metadata = pod["metadata"]
    named = {"name": metadata["name"], "namespace": metadata["namespace"]}
    return {"ref": {"apiVersion": "v1", "kind": "Pod", **named}}


def _evict(turn: Turn, namespace: str, name: str, uid: str) -> Steps:
    due: Due | None = turn.memory.get(("due", uid))
    if due is None:
        return None
    if due.at > turn.clock_now():
        return Outcome(due.at - turn.clock_now())
    turn.memory.pop(("due", uid))
    pod = turn.view("pods").get(namespace, name)
    if pod is None or pod["metadata"]["uid"] != uid:
        return None
    yield Record(_ref(pod), "Normal", "TaintManagerEviction", f"Marking for deletion Pod {namespace}/{name}")
    latest = yield from ignoring(Get("pods", namespace, name), 404)
    if latest is None or latest["metadata"]["uid"] != uid:
        return None
    patch = disruption_condition(REASON, MESSAGE, turn.stamp, latest)
    yield from ignoring(Patch("pods", namespace, name, patch, subresource="status"), 404)
    yield from ignoring(delete_of("pods", latest), 404)
    return None


def node_keys(seen: Seen) -> Iterable[Any]:
    """Only a change of NoExecute taints matters."""
    name = seen.obj["metadata"]["name"]
    if seen.new is None or noexecute_taints(seen.new) == noexecute_taints(seen.old):
        return ()
    return (("node", name),)


def pod_keys(seen: Seen) -> Iterable[Any]:
    new, old = seen.new, seen.old
    metadata = seen.obj["metadata"]
    if new is None:
        seen.memory.pop(("due", metadata["uid"]), None)
        return ()
    name = new["spec"].get("nodeName")
    if not name or ("deletionTimestamp" in metadata and ("due", metadata["uid"]) not in seen.memory):
        return ()
    if old is not None and all(old["spec"].get(key) == new["spec"].get(key) for key in ("nodeName", "tolerations")):
        return ()
    if not noexecute_taints(seen.view("nodes").get("", name)):
        return ()
    return (("pod", metadata["namespace"], metadata["name"]),)


CONTROLLER = Controller(
    name="taint-eviction-controller",
    account="node-controller",
    component="taint-eviction-controller",
    reconcile=reconcile,
    watches=(("nodes", node_keys), ("pods", pod_keys)),
    workers=8,
)
