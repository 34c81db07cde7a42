"""What controllers ask of a pod: is it ready, available, on its way out, and which one of several should go first.

Source: k8s.io/kubernetes/pkg/api/v1/pod/util.go, pkg/controller/controller_utils.go (ActivePodsWithRanks).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cmp_to_key
from math import log2
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import S
from seatrial.sim.kernel.clock import parse_stamp

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
PHASE_ORDER = {"Pending": 0, "Unknown": 1, "Running": 2}


def condition(obj: Object, type_: str) -> Any:
    """The condition of this type, or None."""
    for each in (obj.get("status") or {}).get("conditions") or ():
        if each["type"] == type_:
            return each
    return None


def phase(pod: Object) -> str:
    found: str = (pod.get("status") or {}).get("phase", "")
    return found


def is_terminating(obj: Object) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def is_terminal(pod: Object) -> bool:
    return phase(pod) in ("Succeeded", "Failed")


def is_active(pod: Object) -> bool:
    """Neither finished nor being deleted (controller.IsPodActive)."""
    return "deletionTimestamp" not in pod["metadata"] and phase(pod) not in ("Succeeded", "Failed")


def is_ready(pod: Object) -> bool:
    ready = condition(pod, "Ready")
    return ready is not None and ready["status"] == "True"


def ready_since(pod: Object) -> int | None:
    """µs; None for a pod that is not ready or does not say since when."""
    ready = condition(pod, "Ready")
    if ready is None or ready["status"] != "True" or not ready.get("lastTransitionTime"):
        return None
    return parse_stamp(ready["lastTransitionTime"])


def available_in(pod: Object, min_ready_s: int, now: int) -> int | None:
    """µs until a ready pod counts as available: 0 when it does, None when it is not ready."""
    if not is_ready(pod):
        return None
    if not min_ready_s:
        return 0
    since = ready_since(pod)
    return None if since is None else max(0, since + min_ready_s * S - now)


def is_available(pod: Object, min_ready_s: int, now: int) -> bool:
    """Ready for at least ``min_ready_s`` seconds (podutil.IsPodAvailable)."""
    return available_in(pod, min_ready_s, now) == 0


def next_availability(pods: Iterable[Object], min_ready_s: int, now: int) -> int | None:
    """µs until the first of the ready pods becomes available (FindMinNextPodAvailabilityCheck)."""
    waits = [wait for pod in pods if (wait := available_in(pod, min_ready_s, now))]
    return min(waits, default=None)


def sidecars(pod: Object) -> list[str]:
    """Init containers that go on beside the others."""
    return [each["name"] for each in pod["spec"].get("initContainers") or () if each.get("restartPolicy") == "Always"]


def restarts(pod: Object) -> tuple[int, int]:
    """Of the container, and of the sidecar, that restarted most (maxContainerRestarts)."""
    status, beside = pod.get("status") or {}, sidecars(pod)
    regular = [each.get("restartCount", 0) for each in status.get("containerStatuses") or ()]
    other = [
        each.get("restartCount", 0) for each in status.get("initContainerStatuses") or () if each["name"] in beside
    ]
    return max(regular, default=0), max(other, default=0)


def deletion_cost(pod: Object) -> int:
    text = (pod["metadata"].get("annotations") or {}).get(DELETION_COST, "0")
    try:
        return int(text)
    except ValueError:
        return 0


def _newer(a: int | None, b: int | None, a_uid: str, b_uid: str, now: int) -> int:
    """Negative when ``a`` is younger by a power of two; no time at all counts as youngest."""
    if a is None or b is None:
        return (a is not None) - (b is not None)
    age_a, age_b = _log_age(now - a), _log_age(now - b)
    if age_a != age_b:
        return -1 if age_a < age_b else 1
    return (a_uid > b_uid) - (a_uid < b_uid)


def _log_age(age_us: int) -> int:
    return int(log2(age_us * 1000)) if age_us > 0 else -1


def compare_for_deletion(a: Object, b: Object, rank_a: int, rank_b: int, now: int) -> int:
    """Negative when ``a`` should be deleted before ``b``; ranks are the numbers of related pods on their nodes."""
    node_a, node_b = bool(a["spec"].get("nodeName")), bool(b["spec"].get("nodeName"))
    ready_a, ready_b = is_ready(a), is_ready(b)
    for left, right in (
        (node_a, node_b),
        (PHASE_ORDER.get(phase(a), 0), PHASE_ORDER.get(phase(b), 0)),
        (ready_a, ready_b),
        (deletion_cost(a), deletion_cost(b)),
        (-rank_a, -rank_b),
    ):
        if left != right:
            return -1 if left < right else 1
    uid_a, uid_b = a["metadata"].get("uid", ""), b["metadata"].get("uid", "")
    if ready_a and ready_b:
        since_a, since_b = ready_since(a), ready_since(b)
        if since_a != since_b:
            return _newer(since_a, since_b, uid_a, uid_b, now)
    if restarts(a) != restarts(b):
        return -1 if restarts(a) > restarts(b) else 1
    created_a, created_b = a["metadata"].get("creationTimestamp"), b["metadata"].get("creationTimestamp")
    if created_a != created_b:
        times = [None if stamp is None else parse_stamp(stamp) for stamp in (created_a, created_b)]
        return _newer(times[0], times[1], uid_a, uid_b, now)
    return 0


def by_deletion_order(pods: Sequence[Object], related: Iterable[Object], now: int) -> list[Object]:
    """``pods`` with those that should go first in front; ``related`` are the pods that make a node crowded."""
    on_node: dict[str, int] = {}
    for pod in related:
        if is_active(pod):
            name = pod["spec"].get("nodeName", "")
            on_node[name] = on_node.get(name, 0) + 1

    def rank(pod: Object) -> int:
        return on_node.get(pod["spec"].get("nodeName", ""), 0)

    def compare(a: Object, b: Object) -> int:
        return compare_for_deletion(a, b, rank(a), rank(b), now)

    return sorted(pods, key=cmp_to_key(compare))


def by_activity(pods: Iterable[Object], now: int) -> list[Object]:
    """As ``by_deletion_order`` without ranks (controller.ActivePods)."""

    def compare(a: Object, b: Object) -> int:
        return compare_for_deletion(a, b, 0, 0, now)

    return sorted(pods, key=cmp_to_key(compare))


def disruption_condition(reason: str, message: str, stamp: str, pod: Object) -> dict[str, Any]:
    """The patch of a pod's status that says why it is about to be deleted."""
    added: Mapping[str, Any] = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": stamp,
        "lastProbeTime": None,
    }
    generation = pod["metadata"].get("generation")
    if generation:
        added = {**added, "observedGeneration": generation}
    return {"status": {"conditions": [added]}}
