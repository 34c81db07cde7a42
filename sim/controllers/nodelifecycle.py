"""Node lifecycle: who has fallen silent, what taints that earns, at what pace.

Source: k8s.io/kubernetes/pkg/controller/nodelifecycle (node_lifecycle_controller.go, scheduler/rate_limited_queue.go).
*Not modelled*: several workers for status updates; the order within one pass is that of the nodes' names.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import MS, S
from seatrial.sim.controllers import nodelifecycle_plan as plan
from seatrial.sim.controllers import nodetaints as taints
from seatrial.sim.controllers.actions import (
    Action,
    Outcome,
    Patch,
    Record,
    Steps,
    Turn,
    ignoring,
    update_status,
)
from seatrial.sim.controllers.controller import Controller, Seen, Tick
from seatrial.sim.controllers.ownership import labels_of
from seatrial.sim.controllers.podstate import condition
from seatrial.sim.machinery.errors import ApiError

LEASES, LEASE_NAMESPACE = "leases.coordination.k8s.io", "kube-node-lease"
RETRY_US = 100 * MS
"""First pause after a conflict about taints, plus as much again at random (updateTaintBackoff)."""
COPIED_LABELS = {"kubernetes.io/os": "beta.kubernetes.io/os", "kubernetes.io/arch": "beta.kubernetes.io/arch"}
MONITOR = ("monitor", "")


def reconcile(turn: Turn) -> Steps:
    work, name = turn.key
    return (yield from WORK[work](turn, name))


# --- the monitor


def _monitor(turn: Turn, _: str) -> Steps:
    """Looks at every node (monitorNodeHealth)."""
    memory = turn.memory
    nodes = sorted(turn.view("nodes").list(), key=lambda node: str(node["metadata"]["name"]))
    known: dict[str, str] = memory.setdefault("known", {})
    health: dict[str, plan.Health] = memory.setdefault("health", {})
    due: list[Any] = []
    memory.setdefault("again", {})
    names = {node["metadata"]["name"] for node in nodes}
    for node in nodes:
        name = node["metadata"]["name"]
        if name not in known:
            known[name] = node["metadata"]["uid"]
            yield _node_event(node, "RegisteredNode", f"Registered Node {name} in Controller")
        health[name] = _observed(turn, health.get(name), node)
    for name in [name for name in known if name not in names]:
        yield _removed(name, known.pop(name))
        health.pop(name, None)
    judged = []
    for node in nodes:
        now_is = yield from _judge(turn, node, health)
        judged.append(now_is)
        due += yield from _taint_by_health(turn, now_is)
    _set_rates(turn, judged, due)
    memory["calm"] = not due and not memory["again"] and all(_is_calm(turn, node, health) for node in judged)
    return Outcome(also=tuple(due))


def _observed(turn: Turn, before: plan.Health | None, node: Object) -> plan.Health:
    lease = turn.view(LEASES).get(LEASE_NAMESPACE, _name(node))
    node_us = turn.seen_us("nodes", node)
    lease_us = None if lease is None else turn.seen_us(LEASES, lease)
    return plan.observe(before, node, lease, turn.now, node_us, lease_us)


def _catch_up(turn: Turn, storage: str, name: str, period_us: int) -> None:
    """What the looks up to now have seen of a node whose kubelet rested: its writes came every ``period_us``."""
    health: dict[str, plan.Health] = turn.memory.get("health", {})
    node = turn.view("nodes").get("", name)
    beaten = node if storage == "nodes" else turn.view(storage).get(LEASE_NAMESPACE, name)
    came = turn.seen_us(storage, beaten) if beaten is not None else None
    if node is None or came is None or name not in health:
        return
    before = health[name]
    if came <= turn.now:
        health[name] = _observed(turn, before, node)
    else:  # the next look will see it; the last one saw the write before
        came += (turn.now - came) // period_us * period_us
        health[name] = before._replace(probed_at=max(before.probed_at, plan.looked_at(turn.now, came)))


def _is_calm(turn: Turn, node: Object, health: dict[str, plan.Health]) -> bool:
    """Whether nothing about a node can change unless something comes: it is ready, and its lease is kept."""
    ready = condition(node, "Ready")
    return ready is not None and ready["status"] == "True" and _is_kept(turn, _name(node), health)


def _is_kept(turn: Turn, name: str, health: dict[str, plan.Health]) -> bool:
    """Whether a node's lease is renewed though the view need not show it, and the renewals count as news."""
    return turn.is_parked(LEASES, LEASE_NAMESPACE, name) and health[name].renewed <= turn.micro_stamp


def _name(node: Object) -> str:
    return str(node["metadata"]["name"])


def _node_ref(name: str, uid: str) -> dict[str, Any]:
    return {"ref": {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}}


def _node_event(node: Object, reason: str, what: str) -> Record:
    name = node["metadata"]["name"]
    return Record(_node_ref(name, node["metadata"]["uid"]), "Normal", reason, f"Node {name} event: {what}")


def _removed(name: str, uid: str) -> Record:
    text = f"Node {name} event: Removing Node {name} from Controller"
    return Record(_node_ref(name, uid), "Normal", "RemovingNode", text)


def _judge(turn: Turn, node: Object, health: dict[str, plan.Health]) -> Generator[Action, Any, Object]:
    """The node, with unknown conditions if it has been silent for too long."""
    name = node["metadata"]["name"]
    before = condition(node, "Ready")
    if _is_kept(turn, name, health) or turn.now - health[name].probed_at < plan.grace_us(node):
        silent = node
    else:
        wanted = plan.unknown_conditions(node, turn.stamp)
        if wanted == ((node.get("status") or {}).get("conditions") or []):
            return node
        status = {**(node.get("status") or {}), "conditions": wanted}
        silent = yield update_status("nodes", node, status)
        health[name] = health[name]._replace(conditions=plan.conditions_seen(silent))
    after = condition(silent, "Ready")
    was_ready = before is not None and before["status"] == "True"
    again: dict[str, None] = turn.memory["again"]
    if after is None:
        return silent
    if after["status"] != "True" and was_ready:
        text = f"Node {name} status is now: NodeNotReady"
        yield Record(_node_ref(name, node["metadata"]["uid"]), "Normal", "NodeNotReady", text)
        again[name] = None
    healthy = was_ready and after["status"] == "True"
    if healthy or (name in again and (yield from _mark_pods(turn, name))):
        again.pop(name, None)
    return silent


def _mark_pods(turn: Turn, name: str) -> Generator[Action, Any, bool]:
    """Pods of a lost node are not ready any more (MarkPodsNotReady); whether all of them are marked."""
    all_marked = True
    for pod in turn.view("pods").indexed("node", name):
        try:
            yield from _mark_pod(turn, pod)
        except ApiError:
            all_marked = False
    return all_marked


def _mark_pod(turn: Turn, pod: Object) -> Generator[Action, Any, None]:
    ready = condition(pod, "Ready")
    if ready is None or ready["status"] != "True":
        return
    lost = {**ready, "status": "False", "lastTransitionTime": turn.stamp}
    listed = [lost if each["type"] == "Ready" else each for each in pod["status"]["conditions"]]
    yield Record(pod, "Warning", "NodeNotReady", "Node is not ready")
    yield from ignoring(update_status("pods", pod, {**pod["status"], "conditions": listed}), 404)


# --- NoExecute taints, at a limited rate


def _taint_by_health(turn: Turn, node: Object) -> Generator[Action, Any, list[Any]]:
    """Queues a node that is not ready for its NoExecute taint, or takes it away (processTaintBaseEviction)."""
    name, ready = node["metadata"]["name"], condition(node, "Ready")
    status = ready["status"] if ready is not None else "Unknown"
    zone = plan.zone_of(node)
    pending: dict[str, str] = turn.memory.setdefault(("pending", zone), {})
    here, there = taints.UNREACHABLE, taints.NOT_READY
    if status != "Unknown":
        here, there = there, here
    if status == "True":
        pending.pop(name, None)
        both = [key for key in (here, there) if taints.has_taint(node, key, "NoExecute")]
        if both:
            yield from taints.change(name, "NoExecute", [], both, turn.stamp)
        return []
    if taints.has_taint(node, there, "NoExecute"):
        yield from taints.change(name, "NoExecute", [here], [there], turn.stamp)
        return []
    if taints.has_taint(node, here, "NoExecute"):
        return []
    fresh = name not in pending
    pending[name] = status
    return [("noexecute", zone)] if fresh else []


def _noexecute(turn: Turn, zone: str) -> Steps:
    """Taints the next nodes of a zone as its rate allows (doNoExecuteTaintingPass)."""
    memory = turn.memory
    pending: dict[str, str] = memory.setdefault(("pending", zone), {})
    while pending:
        rate = memory.get(("rate", zone), plan.EVICTION_RATE)
        free_at = memory.get(("free", zone), 0)
        if rate <= 0:
            return None
        if free_at > turn.clock_now():
            return Outcome(free_at - turn.clock_now())
        memory["free", zone] = turn.clock_now() + int(S / rate)
        name, status = next(iter(pending.items()))
        add, remove = taints.UNREACHABLE, taints.NOT_READY
        if status != "Unknown":
            add, remove = remove, add
        if not (yield from taints.change(name, "NoExecute", [add], [remove], turn.stamp)):
            memory["free", zone] = 0
            return Outcome(RETRY_US)
        pending.pop(name, None)
    return None


def _set_rates(turn: Turn, nodes: list[Object], due: list[Any]) -> None:
    """Each zone's pace; none at all while every zone is down (handleDisruption)."""
    memory = turn.memory
    found = plan.states(nodes)
    sizes: dict[str, int] = {}
    for node in nodes:
        sizes[plan.zone_of(node)] = sizes.get(plan.zone_of(node), 0) + 1
    all_down = bool(found) and all(state == plan.FULL for state in found.values())
    was_down = memory.get("all_down", False)
    memory["all_down"] = all_down
    if was_down and not all_down:
        for name, health in memory["health"].items():
            memory["health"][name] = health._replace(probed_at=turn.now)
    for zone, state in found.items():
        rate = 0.0 if all_down else plan.taint_rate(state, sizes[zone])
        if memory.get(("rate", zone)) != rate:
            memory["rate", zone] = rate
            due.append(("noexecute", zone))
    if all_down and not was_down:
        for zone in found:
            memory.get(("pending", zone), {}).clear()
        due.extend(("release", node["metadata"]["name"]) for node in nodes)


def _release(turn: Turn, name: str) -> Steps:
    """When everything is down the network is to blame: nobody is evicted."""
    node = turn.view("nodes").get("", name)
    keys = [taints.UNREACHABLE, taints.NOT_READY]
    if node is not None and any(taints.has_taint(node, key, "NoExecute") for key in keys):
        yield from taints.change(name, "NoExecute", [], keys, turn.stamp)
    return None


# --- NoSchedule taints and labels


def _describe(turn: Turn, name: str) -> Steps:
    """Taints by condition, and the labels of old (doNoScheduleTaintingPass, reconcileNodeLabels)."""
    node = turn.view("nodes").get("", name)
    if node is None:
        return None
    add, remove = taints.noschedule_change(node)
    if (add or remove) and not (yield from taints.change(name, "NoSchedule", add, remove, turn.stamp)):
        return Outcome(RETRY_US + int(RETRY_US * turn.rng.random()))
    labels = labels_of(node)
    copied = {
        copy: labels[label]
        for label, copy in COPIED_LABELS.items()
        if label in labels and labels.get(copy) != labels[label]
    }
    if copied:
        yield from ignoring(Patch("nodes", "", name, {"metadata": {"labels": copied}}), 404)
    return None


def _pod(turn: Turn, key: str) -> Steps:
    """A pod that has got to a node: on one that is not ready it is not ready either (processPod)."""
    namespace, _, name = key.partition("/")
    pod = turn.view("pods").get(namespace, name)
    node = turn.view("nodes").get("", pod["spec"].get("nodeName", "")) if pod is not None else None
    ready = condition(node, "Ready") if node is not None else None
    if pod is not None and ready is not None and ready["status"] != "True":
        yield from _mark_pod(turn, pod)
    return None


WORK = {
    "monitor": _monitor,
    "describe": _describe,
    "noexecute": _noexecute,
    "release": _release,
    "pod": _pod,
}


def node_keys(seen: Seen) -> Iterable[Any]:
    new, old = seen.new, seen.old
    if new is None:
        return ()
    unchanged = old is not None and (
        old["spec"] == new["spec"]
        and labels_of(old) == labels_of(new)
        and taints.condition_taints(old) == taints.condition_taints(new)
    )
    return () if unchanged else (("describe", new["metadata"]["name"]),)


def pod_keys(seen: Seen) -> Iterable[Any]:
    """Pods that are bound for the first time, or elsewhere (podUpdated)."""
    pod, old = seen.new, seen.old
    if pod is None or not pod["spec"].get("nodeName"):
        return ()
    if old is not None and old["spec"].get("nodeName") == pod["spec"]["nodeName"]:
        return ()
    return (("pod", f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"),)


CONTROLLER = Controller(
    name="node-lifecycle-controller",
    account="node-controller",
    reconcile=reconcile,
    watches=(("nodes", node_keys), ("pods", pod_keys)),
    reads=(LEASES,),
    workers=8,
    ticks=(Tick(plan.MONITOR_PERIOD_US, MONITOR, 1, ("nodes", LEASES), _catch_up),),
)
