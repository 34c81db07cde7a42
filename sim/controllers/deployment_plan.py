"""What a Deployment decides about its ReplicaSets: pure functions over objects.

Source: k8s.io/kubernetes/pkg/controller/deployment/util/deployment_util.go and sync.go, rolling.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers.shares import scaled
from seatrial.sim.kernel.clock import parse_stamp

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX = "deployment.kubernetes.io/max-replicas"
HASH_LABEL = "pod-template-hash"
NOT_COPIED = (
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
)
"""Annotations of a Deployment that its ReplicaSets do not get."""
REVISION_HISTORY_MAX = 2000
"""Characters of the list of earlier revisions."""
INT32_MAX = 2**31 - 1

Objects = Sequence[Object]


def fenceposts(max_surge: Any, max_unavailable: Any, replicas: int) -> tuple[int, int]:
    """(surge, unavailable) in pods; one may be unavailable if both would be zero (ResolveFenceposts).

    Raises ValueError for a text that is no percentage.
    """
    surge, unavailable = scaled(max_surge, replicas, True), scaled(max_unavailable, replicas, False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, unavailable


def rolls(deployment: Object) -> bool:
    strategy: Mapping[str, Any] = deployment["spec"].get("strategy") or {}
    return bool(strategy.get("type", "RollingUpdate") == "RollingUpdate")


def limits(deployment: Object) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in pods of a deployment as it stands."""
    if not rolls(deployment):
        return 0, 0
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    wanted = replicas(deployment)
    surge, unavailable = fenceposts(rolling.get("maxSurge"), rolling.get("maxUnavailable"), wanted)
    return surge, 0 if wanted == 0 else min(unavailable, wanted)


def replicas(obj: Object) -> int:
    wanted: int = obj["spec"].get("replicas", 1)
    return wanted


def count(sets: Iterable[Object | None]) -> int:
    """Pods asked for by these sets."""
    return sum(replicas(each) for each in sets if each is not None)


def status_count(sets: Iterable[Object | None], field: str) -> int:
    return sum((each.get("status") or {}).get(field, 0) for each in sets if each is not None)


def terminating_count(sets: Iterable[Object | None]) -> int | None:
    """None when a set that has been observed does not say (GetTerminatingReplicaCountForReplicaSets)."""
    total = 0
    for each in sets:
        status = each.get("status") or {} if each is not None else {}
        if "terminatingReplicas" in status:
            total += status["terminatingReplicas"]
        elif status.get("observedGeneration", 0):
            return None
    return total


def same_template(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Equal but for the hash label (EqualIgnoreHash)."""
    if a.get("spec") is not b.get("spec") and a.get("spec") != b.get("spec"):
        return False
    return _bare_metadata(a) == _bare_metadata(b)


def _bare_metadata(template: Mapping[str, Any]) -> dict[str, Any]:
    metadata = dict(template.get("metadata") or {})
    labels = {key: value for key, value in (metadata.pop("labels", None) or {}).items() if key != HASH_LABEL}
    metadata.pop("creationTimestamp", None)
    return {**{key: value for key, value in metadata.items() if value}, "labels": labels}


def created(obj: Object) -> tuple[int, str]:
    """What sets are ordered by: age, then name."""
    metadata = obj["metadata"]
    stamp = metadata.get("creationTimestamp")
    return (parse_stamp(stamp) if stamp else 0, metadata["name"])


def find_new(deployment: Object, sets: Objects) -> Object | None:
    """The oldest set of the deployment's template (FindNewReplicaSet)."""
    template = deployment["spec"]["template"]
    for each in sorted(sets, key=created):
        if same_template(each["spec"]["template"], template):
            return each
    return None


def find_old(deployment: Object, sets: Objects) -> list[Object]:
    """All others."""
    new = find_new(deployment, sets)
    return [each for each in sets if new is None or each["metadata"]["uid"] != new["metadata"]["uid"]]


def active(sets: Iterable[Object | None]) -> list[Object]:
    return [each for each in sets if each is not None and replicas(each) > 0]


def new_replicas(deployment: Object, sets: Objects, new_count: int) -> int:
    """How many pods the new set should have now (NewRSNewReplicas)."""
    wanted = replicas(deployment)
    if not rolls(deployment):
        return wanted
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    room = wanted + scaled(rolling.get("maxSurge"), wanted, True) - count(sets)
    if room <= 0:
        return new_count
    return new_count + min(room, wanted - new_count)


def new_target(deployment: Object, sets: Objects, new: Object) -> int | None:
    """What the new set should be scaled to in a rolling update; None to leave it (reconcileNewReplicaSet)."""
    wanted, has = replicas(deployment), replicas(new)
    if has == wanted:
        return None
    target = wanted if has > wanted else new_replicas(deployment, sets, has)
    return None if target == has else target


class Scaling(NamedTuple):
    set: Object
    to: int


def cleanup_budget(deployment: Object, sets: Objects, new: Object) -> int:
    """Pods of old sets that may go without harm to availability."""
    _, unavailable = limits(deployment)
    new_unavailable: int = replicas(new) - (new.get("status") or {}).get("availableReplicas", 0)
    return count(sets) - (replicas(deployment) - unavailable) - new_unavailable


def cleanup_unhealthy(old: Objects, budget: int) -> list[Scaling]:
    """Old pods that are not available go first (cleanupUnhealthyReplicas)."""
    plan, done = [], 0
    for each in sorted(old, key=created):
        if done >= budget:
            break
        has, available = replicas(each), (each.get("status") or {}).get("availableReplicas", 0)
        if has == 0 or has == available:
            continue
        gone = min(budget - done, has - available)
        plan.append(Scaling(each, has - gone))
        done += gone
    return plan


def scale_down_old(deployment: Object, sets: Objects, old: Objects) -> list[Scaling]:
    """As many old pods as availability allows (scaleDownOldReplicaSetsForRollingUpdate)."""
    _, unavailable = limits(deployment)
    spare = status_count(sets, "availableReplicas") - (replicas(deployment) - unavailable)
    plan: list[Scaling] = []
    done = 0
    for each in sorted(old, key=created):
        if done >= spare:
            break
        has = replicas(each)
        if has == 0:
            continue
        gone = min(has, spare - done)
        plan.append(Scaling(each, has - gone))
        done += gone
    return plan


def annotation_int(obj: Object, name: str) -> int | None:
    try:
        return int((obj["metadata"].get("annotations") or {})[name])
    except (KeyError, ValueError):
        return None


def revision(obj: Object) -> int:
    return annotation_int(obj, REVISION) or 0


def saturated(deployment: Object, new: Object | None) -> bool:
    """The new set has everything the deployment asks for (IsSaturated)."""
    if new is None:
        return False
    wanted = replicas(deployment)
    available = (new.get("status") or {}).get("availableReplicas", 0)
    return replicas(new) == wanted and annotation_int(new, DESIRED) == wanted and available == wanted


def active_or_latest(new: Object | None, old: Objects) -> Object | None:
    """The only set that has pods, or the newest if none has; None when several have (FindActiveOrLatest)."""
    busy = active([*old, new])
    if len(busy) == 1:
        return busy[0]
    if busy or (new is None and not old):
        return None
    return new if new is not None else max(old, key=created)


def scale_plan(deployment: Object, new: Object | None, old: Objects) -> list[Scaling]:
    """How a change of the deployment's size spreads over its sets (scale)."""
    wanted = replicas(deployment)
    only = active_or_latest(new, old)
    if only is not None:
        return [] if replicas(only) == wanted else [Scaling(only, wanted)]
    if saturated(deployment, new):
        return [Scaling(each, 0) for each in active(old)]
    return proportional(deployment, active([*old, new])) if rolls(deployment) else []


def proportional(deployment: Object, sets: Objects) -> list[Scaling]:
    """Every set's share of the change, the rest to the largest, which is the newer one of equals."""
    surge, _ = limits(deployment)
    allowed = replicas(deployment) + surge if replicas(deployment) > 0 else 0
    change = allowed - count(sets)
    ordered = sorted(sets, key=created, reverse=change > 0)
    ordered.sort(key=lambda each: -replicas(each))
    plan, added = [], 0
    for each in ordered:
        share = _proportion(each, deployment, allowed, change, added) if change else 0
        plan.append(Scaling(each, replicas(each) + share))
        added += share
    if plan and change:
        first = plan[0]
        plan[0] = Scaling(first.set, max(0, first.to + change - added))
    return plan


def _proportion(each: Object, deployment: Object, allowed: int, change: int, added: int) -> int:
    has = replicas(each)
    if has == 0 or change == added:
        return 0
    if replicas(deployment) == 0:
        fraction = -has
    else:
        before = annotation_int(each, MAX) or (deployment.get("status") or {}).get("replicas", 0)
        fraction = _rounded(has * allowed / before) - has if before else 0
    left = change - added
    return min(fraction, left) if change > 0 else max(fraction, left)


def _rounded(value: float) -> int:
    return int(value - 0.5) if value < 0 else int(value + 0.5)


def to_delete(old: Objects, limit: int | None) -> list[Object]:
    """Old sets beyond the history limit that are empty and observed (cleanupDeployment)."""
    if limit is None or limit == INT32_MAX:
        return []
    alive = sorted(
        (each for each in old if "deletionTimestamp" not in each["metadata"]), key=lambda e: (revision(e), created(e))
    )
    return [each for each in alive[: max(0, len(alive) - limit)] if _empty(each)]


def _empty(each: Object) -> bool:
    status = each.get("status") or {}
    observed = status.get("observedGeneration", 0) >= each["metadata"].get("generation", 0)
    return status.get("replicas", 0) == 0 and replicas(each) == 0 and observed


def set_annotations(deployment: Object, current: Mapping[str, str], number: int, exists: bool) -> dict[str, str]:
    """The annotations of the new set at revision ``number`` (SetNewReplicaSetAnnotations)."""
    copied = deployment["metadata"].get("annotations") or {}
    result = {**current, **{key: value for key, value in copied.items() if key not in NOT_COPIED}}
    old = current.get(REVISION)
    try:
        old_number = int(old) if old else 0
    except ValueError:
        return result
    if old_number < number:
        result[REVISION] = str(number)
        if old is not None and exists:
            result[REVISION_HISTORY] = _history(current.get(REVISION_HISTORY, ""), old)
    if not exists:
        result.update(size_annotations(deployment))
    return result


def _history(before: str, old: str) -> str:
    entries = before.split(",") if before else []
    while entries and len(",".join(entries)) + len(old) + 1 > REVISION_HISTORY_MAX:
        entries.pop(0)
    return ",".join([*entries, old])


def size_annotations(deployment: Object) -> dict[str, str]:
    surge, _ = limits(deployment)
    return {DESIRED: str(replicas(deployment)), MAX: str(replicas(deployment) + surge)}
