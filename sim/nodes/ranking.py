"""Whose turn it is when a node runs short, and what is said of it.

Source: k8s.io/kubernetes/pkg/kubelet/eviction/helpers.go (rankMemoryPressure, rankDiskPressureFunc, rankPIDPressure,
evictionMessage) and eviction_manager.go (localStorageEviction). Not modelled: the
annotations of the event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from seatrial.sim.machinery.quantity import of, parse
from seatrial.sim.machinery.usage import pod_amounts
from seatrial.sim.nodes.consumption import PodUse, on_disk
from seatrial.sim.nodes.thresholds import DISK, INODES, MEMORY, PIDS, Observation, Threshold

Object = Mapping[str, Any]
BINARY, DECIMAL = "BinarySI", "DecimalSI"
EMPTY_DIR_LIMIT, POD_LIMIT, CONTAINER_LIMIT = "emptydirfs.limit", "ephemeralpodfs.limit", "ephemeralcontainerfs.limit"
"""Signals under which evictions for what a pod alone wrote are counted."""


class Standing(NamedTuple):
    """A pod with what decides its turn."""

    pod: Object
    use: PodUse

    @property
    def priority(self) -> int:
        return int(self.pod["spec"].get("priority") or 0)

    def request(self, resource: str) -> int:
        asked = pod_amounts(self.pod["spec"], "requests").get(resource)
        return asked.value() if asked is not None else 0


def turn(standing: Standing, resource: str) -> tuple[bool, bool, int, int]:
    """Sorts who goes first first: who cannot be measured, who is above its request, who is of less importance, who
    is furthest above. Processes are requested by nobody."""
    used = standing.use.used(resource)
    if resource == PIDS:
        return (False, False, standing.priority, -used)
    if not standing.use.known:
        return (False, False, 0, 0)
    # Excess of inodes is measured against the request of bytes, as upstream does.
    against = DISK if resource == INODES else resource
    within = used <= standing.request(resource)
    return (True, within, standing.priority, -(used - standing.request(against)))


def eviction_message(
    standing: Standing, resource: str, thresholds: tuple[Threshold, ...], seen: Mapping[str, Observation]
) -> str:
    """What an eviction is explained with."""
    text = f"The node was low on resource: {resource}. "
    for threshold in thresholds:
        if threshold.resource == resource:
            observed = seen[threshold.signal]
            wanted = of(threshold.amount.of(observed.capacity), BINARY)
            there = of(observed.available, BINARY if resource in (MEMORY, DISK) else DECIMAL)
            text += f"Threshold quantity: {wanted}, available: {there}. "
            break
    spec = standing.pod["spec"]
    asked = {
        each["name"]: ((each.get("resources") or {}).get("requests") or {}).get(resource, "0")
        for each in (*spec["containers"], *spec.get("initContainers", ()))
    }
    for each in standing.use.containers:
        used = each.used(resource)
        if used is None or each.name not in asked or used <= parse(asked[each.name]).value():
            continue
        # A cgroup counts whole pages.
        shown = str(of(used // 1024 * 1024, BINARY))
        text += (
            f"Container {each.name} was using {shown}, request is {parse(asked[each.name])}, has larger consumption "
            f"of {resource}. "
        )
    return text


def over_limit(standing: Standing) -> tuple[str, str] | None:
    """(signal, message) for a pod that wrote more than it may, whatever the node has."""
    spec, use = standing.pod["spec"], standing.use
    if not use.known:
        return None
    for volume in spec.get("volumes") or ():
        limit = (volume.get("emptyDir") or {}).get("sizeLimit")
        if not limit or not on_disk(volume) or volume["name"] not in use.volumes:
            continue
        if 0 < parse(str(limit)).value() < use.volumes[volume["name"]].used:
            text = f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{parse(str(limit))}". '
            return EMPTY_DIR_LIMIT, text
    total = pod_amounts(spec, "limits").get(DISK)
    if total is not None and use.used(DISK) > total.value():
        return POD_LIMIT, f"Pod ephemeral local storage usage exceeds the total limit of containers {total}. "
    limits = {
        each["name"]: parse(str(limit))
        for each in (*spec["containers"], *spec.get("initContainers", ()))
        if (limit := ((each.get("resources") or {}).get("limits") or {}).get(DISK))
    }
    for container in use.containers:
        most = limits.get(container.name)
        if most is not None and 0 < most.value() < container.root.used + container.logs:
            text = f'Container {container.name} exceeded its local ephemeral storage limit "{most}". '
            return CONTAINER_LIMIT, text
    return None
