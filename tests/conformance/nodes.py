"""Upstream's tables of what looks at nodes: taint eviction, disruption budgets, DaemonSets, node lifecycle."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from seatrial.sim.config import MS, S
from seatrial.sim.controllers import (
    daemonset_plan,
    disruption,
    nodelifecycle,
    nodelifecycle_plan,
    tainteviction,
)
from seatrial.sim.controllers.actions import Delete, Patch, Record
from seatrial.sim.controllers.nodelifecycle_plan import FULL, states
from seatrial.sim.kernel.clock import stamp_of
from seatrial.sim.machinery.kinds import builtin
from tests.conformance.cases import NOW, Object, Runner, plain
from tests.sim.controllers.world import World

# --- taint eviction


def taint_eviction(given: Object, expect: Object) -> None:
    """Steps are changes of the node's taints or, from ``tolerations_before``, of what the pod tolerates."""
    world = World(tainteviction.reconcile, NOW)
    node = given["pod"].get("nodeName", "node1")
    tolerations = plain(given["pod"].get("tolerations") or [])
    earlier = plain(given["pod"].get("tolerations_before", tolerations))
    sequence = given.get("taint_sequence")
    if sequence is None:
        sequence = [given["taints_before"]] if "taints_before" in given else []
        sequence = [*sequence, given["node_taints"]]
    steps = [(taints, earlier) for taints in sequence]
    if earlier != tolerations:
        steps.append((sequence[-1], tolerations))
    due: dict[Any, int] = {}
    planned = []
    for taints, tolerated in steps:
        world.now += MS
        world.put("nodes", {"metadata": {"name": "node1", "namespace": ""}, "spec": {"taints": plain(taints)}})
        spec = {"nodeName": node, "tolerations": tolerated, "containers": []}
        pod = world.put("pods", {"metadata": {"name": "p", "uid": "p"}, "spec": spec, "status": {"phase": "Running"}})
        for key in (("node", "node1"), ("pod", "default", "p")):
            outcome = world.run(key)
            due |= {each.key: world.now + each.delay_us for each in (outcome.also if outcome else ())}
        planned.append(("due", pod["metadata"]["uid"]) in world.memory)
    if "eviction_scheduled_after_each_step" in expect:
        assert planned == expect["eviction_scheduled_after_each_step"]
    since, after = world.now, expect.get("after_seconds", SHORTLY_S)
    for at in (after - 1, after) if expect["evicted"] else (after,):
        assert not world.made(Delete)
        world.now = since + at * S
        for key, moment in due.items():
            if moment <= world.now:
                world.run(key)
    assert bool(world.made(Delete)) == expect["evicted"]
    assert bool(world.made(Patch)) == expect.get("disruption_condition_patched", expect["evicted"])


SHORTLY_S = 2
"""How long a pod that is not evicted is looked at."""


# --- disruption budgets


def pdb(given: Object, expect: Object) -> None:
    world = World(disruption.reconcile, NOW, kinds=builtin())
    selector = {"matchLabels": {"app": "w"}}
    spec = {**plain(given["pdb"]), "selector": selector}
    world.put(disruption.BUDGETS, {"kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": spec})
    refs = []
    if given["controller"] is not None:
        kind, uid = given["controller"]["kind"], "c"
        storage = disruption.SCALED.get(kind)
        if storage is not None:
            owner = {"kind": kind, "metadata": {"name": "c"}, "spec": {"replicas": given["controller"]["replicas"]}}
            uid = world.put(storage, owner)["metadata"]["uid"]
        version = {"ReplicationController": "v1"}.get(kind, "apps/v1")
        refs = [{"apiVersion": version, "kind": kind, "name": "c", "uid": uid, "controller": True}]
    healthy = given["healthy_pods"]
    for index in range(given["pods"]):
        ready = [{"type": "Ready", "status": "True" if index < healthy else "False"}]
        metadata = {"name": f"p-{index}", "labels": {"app": "w"}, "ownerReferences": refs}
        world.put("pods", {"metadata": metadata, "spec": {}, "status": {"phase": "Running", "conditions": ready}})
    world.run(("default", "b"))
    status = world.get(disruption.BUDGETS, "b")["status"]
    for field in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"):
        if field in expect:
            assert status[field] == expect[field]
    if "event_reason" in expect:
        assert expect["event_reason"] in [record.reason for record in world.made(Record)]


# --- daemon sets

SIMPLE_LABELS = {"color": "blue", "speed": "fast"}


def _containers(given: Object) -> list[Any]:
    container: dict[str, Any] = {"name": "c", "resources": {"requests": plain(given.get("requests", {}))}}
    if "hostPort" in given:
        container["ports"] = [{"hostPort": given["hostPort"]}]
    return [container]


def node_should_run(given: Object, expect: Object) -> None:
    """Resources, ports and the pods that are there already have no say in it, upstream as here."""
    node, template = given["node"], given["pod_template"]
    labels = node["labels"] if isinstance(node["labels"], dict) else SIMPLE_LABELS
    taints = plain(node.get("taints", []))
    if node.get("unschedulable"):
        taints.append({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"})
    spec: dict[str, Any] = {"containers": _containers(template), "tolerations": plain(template.get("tolerations", []))}
    if "nodeName" in template:
        spec["nodeName"] = template["nodeName"]
    if "nodeSelector" in template:
        spec["nodeSelector"] = SIMPLE_LABELS if "has" in template["nodeSelector"] else {"color": "red"}
    if "requiredNodeAffinity" in template:
        match = re.fullmatch(r"(\w+) In \[(\w+)\]", template["requiredNodeAffinity"])
        assert match is not None
        term = {"matchExpressions": [{"key": match[1], "operator": "In", "values": [match[2]]}]}
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
        spec["affinity"] = {"nodeAffinity": required}
    owner = {"metadata": {"name": "d"}, "spec": {"template": {"spec": spec}}}
    status = {"allocatable": plain(node["allocatable"])}
    metadata = {"name": node["name"], "labels": plain(labels)}
    plain(given["pods_on_node"])
    found = daemonset_plan.should_run(owner, {"metadata": metadata, "spec": {"taints": taints}, "status": status})
    assert found == (expect["should_run"], expect["should_continue_running"])


# --- nodes


def zone_state(given: Object, expect: Object) -> None:
    found = nodelifecycle_plan.zone_state(given["ready"], given["not_ready"], given["unhealthy_zone_threshold"])
    assert found == expect["state"]


def taint_rate(given: Object, expect: Object) -> None:
    if "state" in given:
        rate = nodelifecycle_plan.taint_rate(
            given["state"],
            given["zone_size"],
            given["node_eviction_rate"],
            given["secondary_node_eviction_rate"],
            given["large_cluster_size_threshold"],
        )
        assert rate == expect["taints_per_second"]
        return
    _all_zones_down(given, expect)


def _all_zones_down(given: Object, expect: Object) -> None:
    """While every zone is down nobody is tainted and taints are taken away; afterwards all clocks start anew."""
    world = World(nodelifecycle.reconcile, NOW)

    def node(status: str) -> Any:
        conditions = [{"type": "Ready", "status": status, "lastHeartbeatTime": stamp_of(NOW)}]
        taints = [{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}] if status != "True" else []
        metadata = {"name": "n", "namespace": "", "uid": "n"}
        return {"kind": "Node", "metadata": metadata, "spec": {"taints": taints}, "status": {"conditions": conditions}}

    world.put("nodes", node("Unknown"))
    outcome = world.run(("monitor", ""))
    assert states(world.view("nodes").list()) == {"": FULL}
    assert world.memory["rate", ""] == 0
    assert ("release", "n") in outcome.also
    if "all_zones" in given:
        assert given["all_zones"] == "FullDisruption"
        assert expect["taints_per_second"] == 0
        assert "taints already set by the controller are removed" in expect["also"]
        return
    told = (given["before"], given["after"], expect["rates"])
    assert told == ("all zones FullDisruption", "at least one node ready", "set per zone by its new state")
    if expect["probe_timestamps_reset_to_now"]:
        world.now += 60 * S
        world.put("nodes", node("True"))
        world.judge = lambda action: {"metadata": {"name": "n", "resourceVersion": "1"}, "spec": {}}
        world.run(("monitor", ""))
        assert world.memory["rate", ""] == nodelifecycle_plan.EVICTION_RATE
        assert world.memory["health"]["n"].probed_at == world.now


NODES: Mapping[str, Runner] = {
    "taint_eviction": taint_eviction,
    "pdb": pdb,
    "daemonset.node_should_run": node_should_run,
    "node_lifecycle.zone_state": zone_state,
    "node_lifecycle.taint_rate": taint_rate,
}
