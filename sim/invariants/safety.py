"""Safety: what holds after every change, whatever crashed, was late or was seen too late.

Source: the guarantees in kubernetes.io/docs and the comments of the API types. A controller may act on a view that is a
minute old: bounds are those of any moment of the last minute. *Not modelled*: percentages in disruption budgets and
scoped quotas, which no rule here judges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from seatrial.sim.history import World, controller_uid
from seatrial.sim.invariants.lives import LIVES
from seatrial.sim.invariants.reading import (
    ATTACHMENTS,
    BUDGETS,
    DAEMONS,
    DEPLOYMENTS,
    EVICTED,
    GARBAGE_COLLECTOR,
    JOBS,
    NODES,
    PODS,
    QUOTAS,
    REPLICASETS,
    SCALERS,
    SETS,
    VOLUMES,
    active,
    called,
    condition,
    owner_lately,
    place,
    ready,
    requests,
    stays,
)
from seatrial.sim.invariants.rules import Rule
from seatrial.sim.machinery import selectors
from seatrial.sim.machinery.quantity import parse as quantity
from seatrial.sim.store.log import Change

Object = Mapping[str, Any]
Wrong = Iterator[str]
SHARED = ("ReadWriteMany", "ReadOnlyMany")
"""Access modes of volumes that several nodes may have at a time."""
COLLECTORS = ("orphan", "foregroundDeletion")
"""The garbage collector's finalizers."""

# --- safety of objects


def finalizers_are_waited_for(change: Change, world: World) -> Wrong:
    """Users may withdraw what they asked the garbage collector for: a second deletion, with another propagation policy,
    takes its finalizers away."""
    waited = change.obj["metadata"].get("finalizers") or ()
    held = [name for name in waited if change.cause is not None or name not in COLLECTORS]
    if change.verb == "DELETED" and held and change.storage != "namespaces":
        yield f"{called(change.obj)} is gone with finalizers {held}"
    if change.verb == "MODIFIED" and change.old is not None and not stays(change.old) and stays(change.obj):
        yield f"{called(change.obj)} was on its way out and stays after all"


def one_controller(change: Change, world: World) -> Wrong:
    owners = [each for each in change.obj["metadata"].get("ownerReferences") or () if each.get("controller")]
    if len(owners) > 1:
        yield f"{called(change.obj)} has {len(owners)} controllers"


def observed_is_past(change: Change, world: World) -> Wrong:
    seen = (change.obj.get("status") or {}).get("observedGeneration", 0)
    if isinstance(seen, int) and seen > change.obj["metadata"].get("generation", seen):
        yield f"{called(change.obj)} has observed generation {seen}, which is to come"


def bound_once(change: Change, world: World) -> Wrong:
    if change.verb != "MODIFIED" or change.old is None:
        return
    old, new = change.old["spec"].get("nodeName"), change.obj["spec"].get("nodeName")
    if old and new != old:
        yield f"{called(change.obj)} moved from {old} to {new}"


def nodes_hold_what_is_bound(change: Change, world: World) -> Wrong:
    """Requests of the pods bound to a node by the scheduler stay within what it can allocate."""
    spec = change.obj["spec"]
    if change.verb != "MODIFIED" or not spec.get("nodeName") or (change.old or {"spec": {}})["spec"].get("nodeName"):
        return
    node = world.get(NODES, "", spec["nodeName"])
    if node is None:
        return
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    here = [pod for pod in world.list(PODS) if pod["spec"].get("nodeName") == spec["nodeName"]]
    here = [pod for pod in here if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]
    for resource in ("cpu", "memory"):
        asked = sum(requests(pod, resource) for pod in here)
        if resource in allocatable and asked > quantity(allocatable[resource]).milli_value():
            yield f"{spec['nodeName']} has {asked}m {resource} bound, more than {allocatable[resource]}"
    if "pods" in allocatable and len(here) > int(allocatable["pods"]):
        yield f"{spec['nodeName']} has {len(here)} pods, more than {allocatable['pods']}"


# --- safety of workloads


def replica_set_makes_no_surplus(change: Change, world: World) -> Wrong:
    """A ReplicaSet never has more pods that stay than it was asked for at any moment of late."""
    if change.verb != "ADDED":
        return
    owners = owner_lately(world, REPLICASETS, change.obj)
    if not owners or not active(change.obj):
        return
    wanted = max(each["spec"].get("replicas", 1) for each in owners)
    there = sum(map(active, world.owned(PODS, controller_uid(change.obj))))
    if there > wanted:
        yield f"{called(owners[-1])} wants {wanted} pods and has {there}"


def deployment_stays_within_surge(change: Change, world: World) -> Wrong:
    """A ReplicaSet made or grown by its Deployment does not take all of them above replicas and maxSurge."""
    if change.verb == "DELETED":
        return
    owners = [each for each in owner_lately(world, DEPLOYMENTS, change.obj) if stays(each)]
    before = (change.old or {"spec": {}})["spec"].get("replicas", 0)
    if not owners or change.obj["spec"].get("replicas", 1) <= before or change.cause is None:
        return
    most = max(each["spec"].get("replicas", 1) + surge(each) for each in owners)
    total = sum(each["spec"].get("replicas", 1) for each in world.owned(REPLICASETS, controller_uid(change.obj)))
    if total > most:
        yield f"{called(owners[-1])} asks for {total} pods, more than {most}"


def surge(deployment: Object) -> int:
    strategy = deployment["spec"].get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return 0
    return share((strategy.get("rollingUpdate") or {}).get("maxSurge", "25%"), deployment, up=True)


def unavailable(deployment: Object) -> int:
    strategy = deployment["spec"].get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return int(deployment["spec"].get("replicas", 1))
    rolling = strategy.get("rollingUpdate") or {}
    found = share(rolling.get("maxUnavailable", "25%"), deployment, up=False)
    return found if found or surge(deployment) else 1


def share(value: Any, deployment: Object, up: bool) -> int:
    if isinstance(value, int):
        return value
    part = int(str(value).rstrip("%")) * int(deployment["spec"].get("replicas", 1))
    return -(-part // 100) if up else part // 100


def set_keeps_its_order(change: Change, world: World) -> Wrong:
    """A pod of an ordered StatefulSet is made only after all with lower ordinals have been ready of late."""
    if change.verb != "ADDED":
        return
    owners = owner_lately(world, SETS, change.obj)
    if not owners or any(each["spec"].get("podManagementPolicy") == "Parallel" for each in owners):
        return
    namespace, name = place(change.obj)
    stem, _, ordinal = name.rpartition("-")
    first = min((each["spec"].get("ordinals") or {}).get("start", 0) for each in owners)
    for lower in range(first, int(ordinal)):
        if not any(map(ready, world.lately(PODS, namespace, f"{stem}-{lower}"))):
            yield f"{called(change.obj)} was made before {stem}-{lower} was ready"


def job_counts_once(change: Change, world: World) -> Wrong:
    """A Job reports no more successes than it had pods that succeeded, and none is counted before it has ended."""
    status, spec = change.obj.get("status") or {}, change.obj["spec"]
    done = status.get("succeeded", 0)
    completions = spec.get("completions")
    if change.verb != "DELETED" and completions is not None and done > completions:
        yield f"{called(change.obj)} has {done} successes of {completions}"
    if condition(change.obj, "Complete") == "True" and completions is not None and done < completions:
        if not spec.get("successPolicy"):
            yield f"{called(change.obj)} is complete with {done} successes of {completions}"


def finished_job_makes_no_pod(change: Change, world: World) -> Wrong:
    if change.verb != "ADDED":
        return
    owners = owner_lately(world, JOBS, change.obj)
    if owners and all(condition(each, kind) == "True" for kind in ("Complete",) for each in owners):
        yield f"{called(change.obj)} was made for {called(owners[-1])}, which had finished"


def job_keeps_its_parallelism(change: Change, world: World) -> Wrong:
    if change.verb != "ADDED":
        return
    owners = owner_lately(world, JOBS, change.obj)
    if not owners:
        return
    wanted = max(each["spec"].get("parallelism", 1) for each in owners)
    there = sum(map(active, world.owned(PODS, controller_uid(change.obj))))
    if there > wanted:
        yield f"{called(owners[-1])} runs {there} pods, {wanted} at most were asked for"


def one_daemon_per_node(change: Change, world: World) -> Wrong:
    """A DaemonSet without surge has at most one pod on a node that is not on its way out."""
    owners = owner_lately(world, DAEMONS, change.obj)
    if change.verb == "DELETED" or not owners:
        return
    rolling = [(each["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {} for each in owners]
    if any(each.get("maxSurge", 0) not in (0, "0%") for each in rolling):
        return
    taken: dict[str, str] = {}
    for pod in filter(active, world.owned(PODS, controller_uid(change.obj))):
        node = daemon_node(pod)
        if node in taken:
            yield f"{node} has {taken[node]} and {pod['metadata']['name']}"
        if node:
            taken[node] = pod["metadata"]["name"]


def daemon_node(pod: Object) -> str:
    """The node that a daemon is made for."""
    required = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    for term in (required or {}).get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            return str(field["values"][0])
    return str(pod["spec"].get("nodeName", ""))


# --- safety of volumes


def volumes_have_one_node(change: Change, world: World) -> Wrong:
    """A volume that one node may have at a time is attached to no second one."""
    spec = change.obj["spec"]
    name = (spec.get("source") or {}).get("persistentVolumeName", "")
    volume = world.get(VOLUMES, "", name) if name else None
    modes = volume["spec"].get("accessModes") or () if volume is not None else ()
    if change.verb == "DELETED" or not attached(change.obj) or not modes or any(mode in SHARED for mode in modes):
        return
    for each in world.list(ATTACHMENTS):
        same = (each["spec"].get("source") or {}).get("persistentVolumeName") == name
        if same and attached(each) and each["spec"]["nodeName"] != spec["nodeName"]:
            yield f"volume {name} is attached to {each['spec']['nodeName']} and {spec['nodeName']}"


def attached(attachment: Object) -> bool:
    return bool((attachment.get("status") or {}).get("attached"))


# --- safety of what guards


def evictions_keep_budgets(change: Change, world: World) -> Wrong:
    """An eviction leaves every budget's pods healthy enough, by what is true and not by what a status says."""
    if change.verb != "MODIFIED" or change.old is None or stays(change.obj) or not stays(change.old):
        return
    conditions = (change.obj.get("status") or {}).get("conditions") or ()
    if not any(each["type"] == "DisruptionTarget" and each.get("reason") == EVICTED for each in conditions):
        return
    if not ready(change.old):
        return
    namespace, labels = change.obj["metadata"]["namespace"], change.obj["metadata"].get("labels") or {}
    for budget in world.list(BUDGETS, namespace):
        matches = selectors.labels(budget["spec"].get("selector") or {})
        least = budget["spec"].get("minAvailable")
        if not isinstance(least, int) or not matches(labels):
            continue
        pods = [pod for pod in world.list(PODS, namespace) if matches(pod["metadata"].get("labels") or {})]
        healthy = sum(1 for pod in pods if ready(pod) and stays(pod))
        if healthy < least:
            yield f"after the eviction of {called(change.obj)} {called(budget)} has {healthy} of {least}"


def only_orphans_are_collected(change: Change, world: World) -> Wrong:
    """What the garbage collector takes has no owner left that stays."""
    if change.cause is None or change.cause[0] != GARBAGE_COLLECTOR:
        return
    began = change.verb == "MODIFIED" and change.old is not None and stays(change.old) and not stays(change.obj)
    if not began and not (change.verb == "DELETED" and change.old is not None and stays(change.old)):
        return
    for reference in change.obj["metadata"].get("ownerReferences") or ():
        if any(owner["metadata"]["uid"] == reference["uid"] for owner in owners_there(world, change.obj, reference)):
            yield f"{called(change.obj)} was collected while {reference['kind']} {reference['name']} is there"


def owners_there(world: World, child: Object, reference: Object) -> Iterator[Object]:
    """The objects that the reference may mean and that stay."""
    namespace = child["metadata"].get("namespace", "")
    for storage in world.storages():
        for where in dict.fromkeys((namespace, "")):
            found = world.get(storage, where, reference["name"])
            if found is not None and found.get("kind") == reference["kind"] and stays(found):
                yield found


def quota_is_kept(change: Change, world: World) -> Wrong:
    """A pod that is let in does not take its namespace above what a quota without scopes allows."""
    if change.verb != "ADDED":
        return
    namespace = change.obj["metadata"]["namespace"]
    for quota in world.list(QUOTAS, namespace):
        allowed = [each["spec"].get("hard", {}).get("pods") for each in world.lately(QUOTAS, *place(quota))]
        if quota["spec"].get("scopes") or quota["spec"].get("scopeSelector") or None in allowed:
            continue
        if (quota.get("status") or {}).get("hard", {}).get("pods") is None:
            continue
        there = world.list(PODS, namespace)
        counted = sum((pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed") for pod in there)
        if counted > max(map(int, allowed)):
            yield f"{called(quota)} allows {allowed[-1]} pods, there are {counted}"


def scaler_stays_within_bounds(change: Change, world: World) -> Wrong:
    """An autoscaler asks for no fewer and no more replicas than it may."""
    spec, status = change.obj["spec"], change.obj.get("status") or {}
    wanted = status.get("desiredReplicas", 0)
    known = [each["spec"] for each in world.lately(SCALERS, *place(change.obj))]
    if change.verb != "MODIFIED" or not wanted or change.cause is None:
        return
    least, most = min(each.get("minReplicas", 1) for each in known), max(each["maxReplicas"] for each in known)
    if not least <= wanted <= most and spec.get("minReplicas", 1) != 0:
        yield f"{called(change.obj)} wants {wanted}, outside {least} to {most}"


SAFETY: tuple[Rule, ...] = (
    Rule("finalizers are waited for", finalizers_are_waited_for),
    Rule("one controller", one_controller),
    Rule("observed generations are past", observed_is_past),
    Rule("pods are bound once", bound_once, (PODS,)),
    Rule("nodes hold what is bound", nodes_hold_what_is_bound, (PODS,)),
    Rule("replica sets make no surplus", replica_set_makes_no_surplus, (PODS,)),
    Rule("deployments stay within their surge", deployment_stays_within_surge, (REPLICASETS,)),
    Rule("stateful sets keep their order", set_keeps_its_order, (PODS,)),
    Rule("jobs count once", job_counts_once, (JOBS,)),
    Rule("finished jobs make no pod", finished_job_makes_no_pod, (PODS,)),
    Rule("jobs keep their parallelism", job_keeps_its_parallelism, (PODS,)),
    Rule("one daemon per node", one_daemon_per_node, (PODS,)),
    Rule("volumes have one node", volumes_have_one_node, (ATTACHMENTS,)),
    Rule("evictions keep budgets", evictions_keep_budgets, (PODS,)),
    Rule("only orphans are collected", only_orphans_are_collected),
    Rule("quotas are kept", quota_is_kept, (PODS,)),
    Rule("autoscalers stay within bounds", scaler_stays_within_bounds, (SCALERS,)),
    *LIVES,
)
"""What holds after every change."""
