"""Upstream's own table tests of the workload controllers, through the functions that decide in a cluster."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from seatrial.sim.config import MS, S
from seatrial.sim.controllers import (
    cronjob_plan,
    daemonset_plan,
    disruption,
    job_plan,
    nodelifecycle,
    nodelifecycle_plan,
    podstate,
    statefulset,
    tainteviction,
)
from seatrial.sim.controllers import deployment_plan as plan
from seatrial.sim.controllers.actions import Create, Delete, Patch, Record
from seatrial.sim.controllers.cronschedule import parse
from seatrial.sim.controllers.nodelifecycle_plan import FULL, states
from seatrial.sim.kernel.clock import parse_stamp, stamp_of
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.kinds import builtin
from tests.conformance.cases import Runner, judged, parametrize, plain
from tests.sim.controllers.world import World

NOW = parse_stamp("2026-01-01T00:00:00Z")
AGES = {"now": 0, "1 month ago": 30 * 24 * 3600}
Object = Mapping[str, Any]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize(metafunc, "*workload_cases*.yaml", "area")


def test_case(case: Object) -> None:
    judged(RUNNERS[case["area"]], case)


# --- deployments


def deployment(replicas: int, surge: Any = None, unavailable: Any = None, kind: str = "RollingUpdate") -> Any:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    strategy = {"type": kind, "rollingUpdate": {key: value for key, value in rolling.items() if value is not None}}
    spec = {"replicas": replicas, "strategy": strategy, "template": {"metadata": {"labels": {"template": "same"}}}}
    return {"metadata": {"name": "d", "uid": "d"}, "spec": spec, "status": {}}


def replica_set(name: str, size: int, created_s: int = 0, template: str = "", **status: Any) -> Any:
    labels = {"template": template or name, plan.HASH_LABEL: f"hash-{name}"}
    metadata = {"name": name, "uid": name, "creationTimestamp": stamp_of(NOW + created_s * S), "annotations": {}}
    return {
        "metadata": metadata,
        "spec": {"replicas": size, "template": {"metadata": {"labels": labels}}},
        "status": status,
    }


def fenceposts(given: Object, expect: Object) -> None:
    if expect.get("error"):
        with pytest.raises(ValueError):
            plan.fenceposts(given["max_surge"], given["max_unavailable"], given["replicas"])
        return
    found = plan.fenceposts(given["max_surge"], given["max_unavailable"], given["replicas"])
    assert found == (expect["surge"], expect["unavailable"])


def new_rs_replicas(given: Object, expect: Object) -> None:
    owner = deployment(given["deployment_replicas"], given["max_surge"], kind=given["strategy"])
    sets = [replica_set("other", given["other_rs_replicas"])]
    assert plan.new_replicas(owner, sets, given["new_rs_replicas"]) == expect["new_rs_replicas"]


def replica_counts(given: Object, expect: Object) -> None:
    sets = []
    for index, each in enumerate(given["replicasets"]):
        status: dict[str, Any] = {"replicas": each["status"]}
        if each["terminating"] is not None:
            status |= {"terminatingReplicas": each["terminating"], "observedGeneration": 1}
        sets.append(replica_set(f"rs-{index}", each["spec"], **status))
    assert plan.count(sets) == expect["spec_total"]
    assert plan.status_count(sets, "replicas") == expect["status_total"]
    assert plan.terminating_count(sets) == expect["terminating_total"]


def _sets(given: Object, replicas: Callable[[Object], int] = lambda each: 1) -> list[Any]:
    return [
        replica_set(each["name"], replicas(each), each["created_seconds"], each["template"])
        for each in given["replicasets"]
    ]


def find_new(given: Object, expect: Object) -> None:
    found = plan.find_new(deployment(1), _sets(given))
    assert (found and found["metadata"]["name"]) == expect["new_replicaset"]


def find_old(given: Object, expect: Object) -> None:
    sets = _sets(given, lambda each: 0 if each["name"] == "old" else 1)
    old = plan.find_old(deployment(1), sets)
    assert [each["metadata"]["name"] for each in old] == expect["all_old"]
    assert [each["metadata"]["name"] for each in plan.active(old)] == expect["old_with_replicas"]


def proportional_scale(given: Object, expect: Object) -> None:
    owner = deployment(given["replicas_after"], given["max_surge_after"], 1)
    before = given["replicas_before"] + given["max_surge_before"]
    sizes = given["old_rs_newest_first"]
    old = [replica_set(f"old-{index}", size, -index) for index, size in enumerate(sizes)]
    new = None if given["new_rs"] is None else replica_set("new", given["new_rs"], 10)
    for each in (*old, *([new] if new else [])):
        each["metadata"]["annotations"] = {plan.MAX: str(before), plan.DESIRED: str(given["replicas_before"])}
    targets = {target.set["metadata"]["name"]: target.to for target in plan.scale_plan(owner, new, old)}
    after_old = [targets.get(each["metadata"]["name"], size) for each, size in zip(old, sizes, strict=True)]
    after_new = None if new is None else targets.get("new", given["new_rs"])
    assert (after_new, after_old) == (expect["new_rs"], expect["old_rs_newest_first"])


def history_cleanup(given: Object, expect: Object) -> None:
    old = [
        replica_set(f"rs-{index}", each["spec"], replicas=each["status"])
        for index, each in enumerate(given["old_replicasets"])
    ]
    for made, each in zip(old, given["old_replicasets"], strict=True):
        if each.get("deleting"):
            made["metadata"]["deletionTimestamp"] = stamp_of(NOW)
    assert len(plan.to_delete(old, given["revision_history_limit"])) == expect["deleted"]


def reconcile_new(given: Object, expect: Object) -> None:
    owner = deployment(given["replicas"], given["max_surge"], given["max_unavailable"])
    new = replica_set("new", given["new_rs"])
    assert plan.new_target(owner, [replica_set("old", given["old_rs"]), new], new) == expect["new_rs_scaled_to"]


def reconcile_old(given: Object, expect: Object) -> None:
    owner = deployment(given["replicas"], given["max_surge"], given["max_unavailable"])
    old = replica_set("old", given["old_rs"], availableReplicas=given["old_available"])
    new = replica_set("new", given["new_rs"], availableReplicas=given["new_available"])
    budget = plan.cleanup_budget(owner, [old, new], new)
    cleaned = plan.cleanup_unhealthy([old], budget) if budget > 0 else []
    left = {**old, "spec": {**old["spec"], "replicas": cleaned[0].to}} if cleaned else old
    scaled = plan.scale_down_old(owner, [left, new], [left]) if budget > 0 else []
    assert bool(cleaned or scaled) == expect["scaled"]
    total = [*cleaned, *scaled][-1].to if expect["scaled"] else given["old_rs"]
    assert expect.get("old_rs_total") in (None, total)


def cleanup_unhealthy(given: Object, expect: Object) -> None:
    old = replica_set("old", given["old_rs"], availableReplicas=given["available"])
    found = plan.cleanup_unhealthy([old], given["max_cleanup"])
    assert sum(given["old_rs"] - target.to for target in found) == expect["cleaned"]


def scale_down_old(given: Object, expect: Object) -> None:
    owner = deployment(given["replicas"], given["max_surge"], given["max_unavailable"])
    old = replica_set("old", given["old_rs"], availableReplicas=given["available"])
    found = plan.scale_down_old(owner, [old], [old])
    assert (found[0].to if found else None) == expect["old_rs_scaled_to"]


# --- pods


def _ago(text: str) -> int:
    if text in AGES:
        return AGES[text]
    match = re.fullmatch(r"(\d+)h ago", text)
    assert match is not None, text
    return int(match[1]) * 3600


def _pod(given: Object) -> Any:
    ready: dict[str, Any] = {"type": "Ready", "status": "True" if given["ready"] else "False"}
    if "ready_since" in given:
        ready["lastTransitionTime"] = stamp_of(NOW - _ago(given["ready_since"]) * S)
    status: dict[str, Any] = {"phase": given["phase"], "conditions": [ready]}
    status["containerStatuses"] = [{"restartCount": given.get("restarts", 0)}]
    beside = [{"name": "s", "restartCount": given.get("sidecar_restarts", 0)}]
    metadata: dict[str, Any] = {"name": given["name"], "annotations": {}}
    if "created" in given:
        metadata["creationTimestamp"] = stamp_of(NOW - _ago(given["created"]) * S)
    if "deletion_cost" in given:
        metadata["annotations"][podstate.DELETION_COST] = given["deletion_cost"]
    spec = {"nodeName": given["node"], "initContainers": [{"name": "s", "restartPolicy": "Always"}]}
    return {"metadata": metadata, "spec": spec, "status": {**status, "initContainerStatuses": beside}}


def deletion_order(given: Object, expect: Object) -> None:
    first, second = given["first"], given["second"]
    order = podstate.compare_for_deletion(_pod(first), _pod(second), first["rank"], second["rank"], NOW)
    back = podstate.compare_for_deletion(_pod(second), _pod(first), second["rank"], first["rank"], NOW)
    if expect.get("equal"):
        assert (order, back) == (0, 0)
        return
    assert (order < 0) == (expect["deleted_first"] == first["name"])
    assert (order < 0) != (back < 0)


# --- jobs


def job_backoff(given: Object, expect: Object) -> None:
    failures = given.get("failures_since_last_success", 0)
    if "index_failure_count" in given:
        failures = given["index_failure_count"] + 1
    since = given["seconds_since_last_failure"] * S
    left = job_plan.remaining(failures, since, given["base_seconds"] * S, given["max_seconds"] * S)
    assert left == expect["remaining_seconds"] * S


def job_backoff_record(given: Object, expect: Object) -> None:
    before = job_plan.Backoff(given["failures_before"])
    done, failed = ([each * MS for each in given[field]] for field in ("succeeded_ms", "failed_ms"))
    after = before.after(done, failed)
    last = None if after.last_us is None else after.last_us // MS
    assert (after.failures, last) == (expect["failures"], expect["last_failure_ms"])


def _containers_ended(ends: Any, stamps: Callable[[int], str]) -> list[Any]:
    """A container each, by when it ended."""
    states = [{"running": {}} if end is None else {"terminated": {"finishedAt": stamps(end)}} for end in ends]
    return [{"name": f"c-{index}", "state": state} for index, state in enumerate(states)]


def job_finished_time(given: Object, expect: Object) -> None:
    base, pod = parse_stamp(given["base_time"]), given["pod"]

    def stamp(offset_s: int) -> str:
        return stamp_of(base + offset_s * S)

    metadata: dict[str, Any] = {"name": "p", "creationTimestamp": stamp(pod.get("created_offset_s", -3600))}
    if "deletion_offset_s" in pod:
        metadata["deletionTimestamp"] = stamp(pod["deletion_offset_s"])
        metadata["deletionGracePeriodSeconds"] = pod.get("grace_s", 0)
    sidecars = pod.get("sidecars", [])
    status: dict[str, Any] = {"containerStatuses": _containers_ended(pod["containers"], stamp), "conditions": []}
    status["initContainerStatuses"] = _containers_ended(sidecars, stamp)
    for field, value in (("ready_offset_s", "True"), ("not_ready_offset_s", "False")):
        if field in pod:
            changed = {"lastTransitionTime": stamp(pod[field])}
            status["conditions"].append({"type": "Ready", "status": value, **changed})
    beside = [{"name": f"c-{index}", "restartPolicy": "Always"} for index in range(len(sidecars))]
    made = {"metadata": metadata, "spec": {"initContainers": beside}, "status": status}
    assert job_plan.finished_at(made) == base + expect["finished_offset_s"] * S


def job_success_policy(given: Object, expect: Object) -> None:
    done = job_plan.parse_indexes(given["succeeded_indexes"], given["completions"])
    found = job_plan.match_success_policy(plain(given["rules"]), given["completions"], done)
    assert found == expect["message"]


def _failed_pod(given: Object) -> Any:
    status: dict[str, Any] = {"phase": given["phase"], "conditions": plain(given.get("conditions") or [])}
    for each in given["containers"]:
        ended = {"terminated": {"exitCode": each["exitCode"]}} if "exitCode" in each else {"running": {}}
        key = "initContainerStatuses" if each.get("init") else "containerStatuses"
        status.setdefault(key, []).append({"name": each["name"], "state": ended})
    return {"metadata": {"namespace": given["namespace"], "name": given["name"]}, "status": status}


def pod_failure_policy(given: Object, expect: Object) -> None:
    match = job_plan.match_failure_policy(plain(given["rules"]), _failed_pod(given["pod"]))
    assert (match.counts, match.action) == (expect["counts_towards_backoff"], expect["action"])
    assert match.message == expect.get("job_failure_message", "")


# --- cron jobs


def _cronjob(given: Object) -> tuple[Any, int, int]:
    base = parse_stamp(given["base_time"])
    created = stamp_of(base + given["created_offset_s"] * S)
    status = {}
    if given.get("last_schedule_offset_s") is not None:
        status["lastScheduleTime"] = stamp_of(base + given["last_schedule_offset_s"] * S)
    spec = {"schedule": given["schedule"], "startingDeadlineSeconds": given.get("starting_deadline_s")}
    cronjob = {"metadata": {"name": "c", "creationTimestamp": created}, "spec": spec, "status": status}
    return cronjob, base, base + given["now_offset_s"] * S


def most_recent_time(given: Object, expect: Object) -> None:
    cronjob, base, now = _cronjob(given)
    schedule = parse(given["schedule"])
    if expect.get("error"):
        with pytest.raises(cronjob_plan.InvalidSchedule):
            cronjob_plan.most_recent(cronjob, now, schedule, given["clip_to_starting_deadline"])
        return
    found = cronjob_plan.most_recent(cronjob, now, schedule, given["clip_to_starting_deadline"])
    at = None if found.at is None else (found.at - base) // S
    assert at == expect["most_recent_offset_s"]
    assert (found.earliest - base) // S == expect["earliest_offset_s"]
    assert found.missed == expect["missed"]


def next_requeue(given: Object, expect: Object) -> None:
    cronjob, _, now = _cronjob(given)
    wait = cronjob_plan.next_run_in(cronjob, now, parse(given["schedule"])) - cronjob_plan.DELTA_US
    assert wait == expect["requeue_after_s_excluding_100ms_delta"] * S


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


# --- stateful sets

SETS = "statefulsets.apps"
KEY = ("default", "s")
OLD, NEW = "old", "new"


def stateful_world(replicas: int, policy: str = "OrderedReady", **rolling: Any) -> World:
    world = World(statefulset.reconcile, NOW)
    template = {"metadata": {"labels": {"app": "s"}}, "spec": {"containers": [{"name": "c", "image": OLD}]}}
    spec = {
        "replicas": replicas,
        "podManagementPolicy": policy,
        "serviceName": "s",
        "selector": {"matchLabels": {"app": "s"}},
        "template": template,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, **rolling}},
    }
    world.put(SETS, {"kind": "StatefulSet", "metadata": {"name": "s", "generation": 1}, "spec": spec, "status": {}})
    return world


def change(world: World, **spec: Any) -> None:
    owner = world.get(SETS, "s")
    world.put(SETS, {**owner, "spec": {**owner["spec"], **spec}})


def set_image(world: World, image: str) -> None:
    template = world.get(SETS, "s")["spec"]["template"]
    containers = [{"name": "c", "image": image}]
    change(world, template={**template, "spec": {"containers": containers}})


def ready(world: World, *ordinals: int) -> None:
    for pod in world.view("pods").list():
        ordinal = int(pod["metadata"]["name"].rpartition("-")[2])
        if not ordinals or ordinal in ordinals:
            conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": stamp_of(world.now)}]
            world.put("pods", {**pod, "status": {"phase": "Running", "conditions": conditions}})


def settle_ready(world: World) -> None:
    """Until every pod is there and ready."""
    for _ in range(40):
        before = len(world.log)
        world.settle(KEY)
        ready(world)
        world.settle(KEY)
        if len(world.log) == before:
            return


def stateful(given: Object, expect: Object) -> None:
    if "pod0_phase" in given:
        _ended_pod(given, expect)
        return
    world = stateful_world(given.get("replicas_before", given.get("replicas", 0)))
    settle_ready(world)
    if "replicas_after" in given:
        change(world, replicas=given["replicas_after"])
    world.log.clear()
    for ordinal in given.get("lost", ()):
        world.view("pods").apply("DELETED", world.get("pods", f"s-{ordinal}"))
    settle_ready(world)
    created = [int(action.obj["metadata"]["name"].rpartition("-")[2]) for action in world.made(Create)]
    if "recreated_in_order" in expect:
        assert created == expect["recreated_in_order"]
    status = world.get(SETS, "s")["status"]
    assert {key: status[key] for key in expect["status"]} == expect["status"]


def _ended_pod(given: Object, expect: Object) -> None:
    world = stateful_world(given["replicas"], given["policy"])
    failures = [1] if given.get("first_delete_fails") else []

    def judge(action: Any) -> None:
        if type(action) is Delete and failures:
            failures.pop()
            raise ApiError(500, "InternalError", "no")

    world.judge = judge
    world.settle(KEY)
    pod = world.get("pods", "s-0")
    world.put("pods", {**pod, "status": {"phase": given["pod0_phase"]}})
    world.settle(KEY)
    assert len(world.made(Delete)) == expect["delete_requests"]
    created = [action for action in world.made(Create) if action.resource == "pods"]
    assert len(created) == expect["create_requests_total"]


def partition(given: Object, expect: Object) -> None:
    replicas = given.get("replicas_before", given.get("replicas", 0))
    world = stateful_world(replicas, given["policy"], partition=given["partition"])
    settle_ready(world)
    set_image(world, given["new_image"])
    if "replicas_after" in given:
        change(world, replicas=given["replicas_after"])
    settle_ready(world)
    pods = sorted(world.view("pods").list(), key=lambda pod: str(pod["metadata"]["name"]))
    assert [pod["spec"]["containers"][0]["image"] for pod in pods] == expect["images"]


def max_unavailable(given: Object, expect: Object) -> None:
    settings = {"partition": given["partition"], "maxUnavailable": given["max_unavailable"]}
    world = stateful_world(given["replicas"], given["policy"], **settings)
    settle_ready(world)
    set_image(world, NEW)
    for step in expect["steps"]:
        world.log.clear()
        when = step.get("when", "")
        if when == "pod 4 ready, pod 5 not":
            ready(world, 4)
        elif when:
            ready(world)
        world.run(KEY)
        kind = Delete if "deleted" in step else Create
        acted = [action for action in world.made(kind) if action.resource == "pods"]
        names = [action.name if kind is Delete else action.obj["metadata"]["name"] for action in acted]
        wanted = step.get("deleted", step.get("created"))
        assert sorted(int(name.rpartition("-")[2]) for name in names) == wanted


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


RUNNERS: Mapping[str, Runner] = {
    "deployment.fenceposts": fenceposts,
    "deployment.new_rs_replicas": new_rs_replicas,
    "deployment.replica_counts": replica_counts,
    "deployment.find_new_rs": find_new,
    "deployment.find_old_rs": find_old,
    "deployment.proportional_scale": proportional_scale,
    "deployment.history_cleanup": history_cleanup,
    "deployment.reconcile_new": reconcile_new,
    "deployment.reconcile_old": reconcile_old,
    "deployment.cleanup_unhealthy": cleanup_unhealthy,
    "deployment.scale_down_old": scale_down_old,
    "replicaset.deletion_order": deletion_order,
    "job.backoff": job_backoff,
    "job.backoff_record": job_backoff_record,
    "job.finished_time": job_finished_time,
    "job.pod_failure_policy": pod_failure_policy,
    "job.success_policy": job_success_policy,
    "cronjob.most_recent_time": most_recent_time,
    "cronjob.next_requeue": next_requeue,
    "taint_eviction": taint_eviction,
    "pdb": pdb,
    "daemonset.node_should_run": node_should_run,
    "statefulset": stateful,
    "statefulset.partition": partition,
    "statefulset.max_unavailable": max_unavailable,
    "node_lifecycle.zone_state": zone_state,
    "node_lifecycle.taint_rate": taint_rate,
}
