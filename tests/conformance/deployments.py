"""Upstream's tables of Deployments, and of the order in which ReplicaSets delete pods."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from seatrial.sim.config import S
from seatrial.sim.controllers import deployment_plan as plan
from seatrial.sim.controllers import (
    podstate,
)
from seatrial.sim.kernel.clock import stamp_of
from tests.conformance.cases import NOW, Object, Runner

AGES = {"now": 0, "1 month ago": 30 * 24 * 3600}


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


DEPLOYMENTS: Mapping[str, Runner] = {
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
}
