"""What a PodDisruptionBudget allows: pure functions.

Source: k8s.io/kubernetes/pkg/controller/disruption/disruption.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import S
from seatrial.sim.controllers.conditions import find
from seatrial.sim.controllers.podstate import is_ready, is_terminating, phase
from seatrial.sim.controllers.shares import scaled
from seatrial.sim.kernel.clock import parse_stamp

DELETION_TIMEOUT_US = 120 * S
"""How long an evicted pod may take to show that it is being deleted."""
STALE_US = 120 * S
"""How long a pod may be the target of a disruption without being deleted (stalePodDisruptionTimeout)."""
TARGET = "DisruptionTarget"


def printed(selector: Mapping[str, Any] | None) -> str:
    """A label selector as Go prints it (LabelSelector.String)."""
    if selector is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    rows = (
        f"LabelSelectorRequirement{{Key:{each['key']},Operator:{each['operator']},"
        f"Values:[{' '.join(each.get('values') or ())}],}},"
        for each in selector.get("matchExpressions") or ()
    )
    expressions = f"[]LabelSelectorRequirement{{{''.join(rows)}}}"
    return f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:{expressions},}}"


class Expected(NamedTuple):
    pods: int
    """How many there should be."""
    healthy: int
    """How many of them have to be healthy."""


def needs_scale(budget: Object) -> bool:
    """Whether the budget is relative to what the pods' controllers ask for."""
    spec = budget["spec"]
    return "maxUnavailable" in spec or isinstance(spec.get("minAvailable"), str)


def expected(budget: Object, pods: int, scale: int) -> Expected:
    """``pods`` match the selector; their controllers ask for ``scale`` (getExpectedPodCount)."""
    spec = budget["spec"]
    if "maxUnavailable" in spec:
        return Expected(scale, max(0, scale - scaled(spec["maxUnavailable"], scale, True)))
    minimum = spec.get("minAvailable")
    if isinstance(minimum, str):
        return Expected(scale, scaled(minimum, scale, True))
    return Expected(pods, minimum or 0)


def allowed(healthy: int, wanted: Expected) -> int:
    """How many healthy pods may be disrupted now."""
    return max(0, healthy - wanted.healthy) if wanted.pods > 0 else 0


def healthy_count(pods: Iterable[Object], disrupted: Mapping[str, str], now: int) -> int:
    """Ready pods that nobody is about to evict (countHealthyPods)."""
    return sum(
        is_ready(pod) and not is_terminating(pod) and not _leaving(pod["metadata"]["name"], disrupted, now)
        for pod in pods
    )


def _leaving(name: str, disrupted: Mapping[str, str], now: int) -> bool:
    return name in disrupted and parse_stamp(disrupted[name]) + DELETION_TIMEOUT_US > now


def still_disrupted(
    pods: Sequence[Object], before: Mapping[str, str], now: int
) -> tuple[dict[str, str], list[Object], int | None]:
    """(pods whose eviction has not shown yet, pods that were to be evicted and were not, µs until the next is overdue)
    (buildDisruptedPodMap)."""
    kept: dict[str, str] = {}
    overdue: list[Object] = []
    recheck: int | None = None
    for pod in pods:
        name = pod["metadata"]["name"]
        if is_terminating(pod) or name not in before:
            continue
        left = parse_stamp(before[name]) + DELETION_TIMEOUT_US - now
        if left < 0:
            overdue.append(pod)
            continue
        kept[name] = before[name]
        recheck = left if recheck is None else min(recheck, left)
    return kept, overdue, recheck


def stale_in(pod: Object, now: int) -> int | None:
    """µs until the pod is no longer taken for one that is about to be deleted; None when nobody says that it is
    (nonTerminatingPodHasStaleDisruptionCondition). The kubelet takes its time."""
    target = find((pod.get("status") or {}).get("conditions"), TARGET)
    if target is None or target["status"] != "True" or target.get("reason") == "TerminationByKubelet":
        return None
    if is_terminating(pod) or phase(pod) in ("Succeeded", "Failed"):
        return None
    return max(0, parse_stamp(target["lastTransitionTime"]) + STALE_US - now)


def spared(pod: Object, stamp: str) -> dict[str, Any]:
    """The condition of a pod that was to be deleted and was not."""
    generation = pod["metadata"].get("generation")
    observed = {"observedGeneration": generation} if generation else {}
    return {"type": TARGET, "status": "False", **observed, "lastProbeTime": None, "lastTransitionTime": stamp}


def status(budget: Object, healthy: int, wanted: Expected, disrupted: Mapping[str, str], stamp: str) -> dict[str, Any]:
    """The status as it should be; equal to the present one when nothing has changed (updatePdbStatus)."""
    may = allowed(healthy, wanted)
    generation = budget["metadata"].get("generation", 0)
    before = budget.get("status") or {}
    fresh = {
        "type": "DisruptionAllowed",
        "status": "True" if may else "False",
        "reason": "SufficientPods" if may else "InsufficientPods",
        "message": "",
        "observedGeneration": generation,
        "lastTransitionTime": stamp,
    }
    others = []
    for each in before.get("conditions") or ():
        if each["type"] != fresh["type"]:
            others.append(each)
        elif each["status"] == fresh["status"]:
            fresh["lastTransitionTime"] = each["lastTransitionTime"]
    result: dict[str, Any] = {
        "observedGeneration": generation,
        "disruptionsAllowed": may,
        "currentHealthy": healthy,
        "desiredHealthy": wanted.healthy,
        "expectedPods": wanted.pods,
        "conditions": [*others, fresh],
    }
    if disrupted:
        result["disruptedPods"] = dict(disrupted)
    return result
