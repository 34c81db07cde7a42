"""Node health and zones: pure functions.

Source: k8s.io/kubernetes/pkg/controller/nodelifecycle/node_lifecycle_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import S
from seatrial.sim.controllers.podstate import condition
from seatrial.sim.kernel.clock import parse_stamp

MONITOR_PERIOD_US = 5 * S
"""--node-monitor-period."""
GRACE_PERIOD_US = 50 * S
"""--node-monitor-grace-period."""
STARTUP_GRACE_PERIOD_US = 60 * S
"""--node-startup-grace-period."""
EVICTION_RATE = 0.1
"""--node-eviction-rate: nodes per second that get NoExecute taints in a healthy zone."""
SECONDARY_EVICTION_RATE = 0.01
"""--secondary-node-eviction-rate, in a zone that is partly down."""
LARGE_CLUSTER = 50
"""--large-cluster-size-threshold: in smaller zones that are partly down nobody is evicted."""
UNHEALTHY_ZONE = 0.55
"""--unhealthy-zone-threshold."""

NORMAL, PARTIAL, FULL = "Normal", "PartialDisruption", "FullDisruption"
SET_UNKNOWN = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
"""Conditions that become Unknown when a kubelet falls silent."""
NEVER = ("NodeStatusNeverUpdated", "Kubelet never posted node status.")
STOPPED = ("NodeStatusUnknown", "Kubelet stopped posting node status.")


def zone_state(ready: int, not_ready: int, threshold: float = UNHEALTHY_ZONE) -> str:
    """ComputeZoneState."""
    if ready == 0 and not_ready > 0:
        return FULL
    if not_ready > 2 and not_ready / (not_ready + ready) >= threshold:
        return PARTIAL
    return NORMAL


def taint_rate(
    state: str,
    size: int,
    rate: float = EVICTION_RATE,
    secondary: float = SECONDARY_EVICTION_RATE,
    large: int = LARGE_CLUSTER,
) -> float:
    """Nodes per second that are tainted NoExecute in a zone of this state and size."""
    if state == PARTIAL:
        return secondary if size > large else 0.0
    return rate


def zone_of(node: Object) -> str:
    labels = node["metadata"].get("labels") or {}
    region = labels.get("topology.kubernetes.io/region", "")
    zone = labels.get("topology.kubernetes.io/zone", "")
    return f"{region}:\0:{zone}" if region or zone else ""


class Health(NamedTuple):
    """What is remembered of a node."""

    probed_at: int
    """When it last gave a sign of life, in µs."""
    conditions: tuple[tuple[str, str, str], ...]
    """(type, status, heartbeat)."""
    renewed: str
    """renewTime of its lease."""


def conditions_seen(node: Object) -> tuple[tuple[str, str, str], ...]:
    listed = (node.get("status") or {}).get("conditions") or ()
    return tuple((each["type"], each["status"], each.get("lastHeartbeatTime") or "") for each in listed)


def observe(
    before: Health | None, node: Object, lease: Object | None, now: int, node_us: int | None, lease_us: int | None
) -> Health:
    """With what the node's status and lease say now: news of either kind are a sign of life.

    ``node_us`` and ``lease_us`` tell of news that is older than the last look when it came; it counts from the look
    after that.
    """
    seen = conditions_seen(node)
    renewed = ((lease or {}).get("spec") or {}).get("renewTime") or ""
    if before is None:
        probed = now if condition(node, "Ready") is not None else parse_stamp(node["metadata"]["creationTimestamp"])
        return Health(probed, seen, renewed)
    probed = before.probed_at
    if [each for each in seen if each[0] == "Ready"] != [each for each in before.conditions if each[0] == "Ready"]:
        probed = max(probed, looked_at(now, node_us))
    if renewed > before.renewed:
        probed = max(probed, looked_at(now, lease_us))
    return Health(probed, seen, max(renewed, before.renewed))


def looked_at(now: int, came_us: int | None) -> int:
    """The monitor's look at or after ``came_us``, of those that come every period; one is ``now``."""
    return now if came_us is None else now - (now - came_us) // MONITOR_PERIOD_US * MONITOR_PERIOD_US


def grace_us(node: Object) -> int:
    return GRACE_PERIOD_US if condition(node, "Ready") is not None else STARTUP_GRACE_PERIOD_US


def unknown_conditions(node: Object, stamp: str) -> list[Mapping[str, Any]]:
    """The node's conditions once its kubelet counts as silent."""
    listed = list((node.get("status") or {}).get("conditions") or ())
    there = {each["type"] for each in listed}
    result: list[Mapping[str, Any]] = []
    for each in listed:
        if each["type"] in SET_UNKNOWN and each["status"] != "Unknown":
            reason, message = STOPPED
            each = {**each, "status": "Unknown", "reason": reason, "message": message, "lastTransitionTime": stamp}
        result.append(each)
    for type_ in SET_UNKNOWN:
        if type_ not in there:
            reason, message = NEVER
            fresh = {"type": type_, "status": "Unknown", "reason": reason, "message": message}
            beat = node["metadata"]["creationTimestamp"]
            result.append({**fresh, "lastHeartbeatTime": beat, "lastTransitionTime": stamp})
    return result


def states(nodes: Iterable[Object]) -> dict[str, str]:
    """The state of every zone."""
    counts: dict[str, list[int]] = {}
    for node in nodes:
        ready = condition(node, "Ready")
        count = counts.setdefault(zone_of(node), [0, 0])
        count[0 if ready is not None and ready["status"] == "True" else 1] += 1
    return {zone: zone_state(*count) for zone, count in counts.items()}
