"""What pods use of a machine that can run short: memory, disk, inodes, processes.

Source: k8s.io/kubelet/pkg/apis/stats/v1alpha1 and k8s.io/kubernetes/pkg/kubelet/stats. A machine has one disk, on
which images, containers, logs and emptyDirs are. Not modelled: layers that images share, inodes that pods' logs take.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from seatrial.sim.machinery.usage import pod_amounts
from seatrial.sim.nodes.cri import RUNNING, PodRecord
from seatrial.sim.nodes.runtime import Runtime
from seatrial.sim.nodes.thresholds import DISK, INODES, MEMORY, PIDS

Object = Mapping[str, Any]


class Space(NamedTuple):
    """Bytes and inodes on the disk."""

    used: int = 0
    inodes: int = 0

    def and_(self, other: Space) -> Space:
        return Space(self.used + other.used, self.inodes + other.inodes)


class ContainerUse(NamedTuple):
    """A running container."""

    name: str
    memory: int
    root: Space
    """What it wrote into its own layer."""
    logs: int

    def used(self, resource: str) -> int | None:
        """What an eviction's message says that it used; None for what is not told."""
        return {MEMORY: self.memory, DISK: self.root.used + self.logs}.get(resource)


class PodUse(NamedTuple):
    """A pod; ``known`` is false while there is nothing to measure."""

    containers: tuple[ContainerUse, ...] = ()
    volumes: Mapping[str, Space] = {}
    """emptyDirs on the disk, by name."""
    processes: int = 0
    known: bool = True

    def used(self, resource: str) -> int:
        if resource == MEMORY:
            return sum(each.memory for each in self.containers)
        if resource == PIDS:
            return self.processes
        space = Space()
        for part in (*(each.root for each in self.containers), *self.volumes.values()):
            space = space.and_(part)
        if resource == INODES:
            return space.inodes
        return space.used + sum(each.logs for each in self.containers)


def on_disk(volume: Object) -> bool:
    """Whether a volume is an emptyDir that takes room on the disk."""
    source = volume.get("emptyDir")
    return source is not None and source.get("medium") != "Memory"


def is_limited(pod: Object) -> bool:
    """Whether a pod may be evicted for what it alone writes."""
    volumes = pod["spec"].get("volumes") or ()
    if any((each.get("emptyDir") or {}).get("sizeLimit") for each in volumes):
        return True
    return DISK in pod_amounts(pod["spec"], "limits")


def pod_use(runtime: Runtime, pod: Object, mounted: Mapping[str, Any]) -> PodUse:
    """What a pod uses now; ``mounted`` are its volumes by name."""
    record, found, processes = runtime.record(pod["metadata"]["uid"]), [], 0
    for each in reversed(record.containers):
        live = runtime.live.get(each.id)
        if each.state != RUNNING or live is None or live.process is None:
            continue
        process = live.process
        processes += process.count()
        found.append(ContainerUse(each.name, process.usage()[1], Space(*process.written()), process.log.size))
    volumes = {
        each["name"]: Space(*mounted[each["name"]].written())
        for each in pod["spec"].get("volumes") or ()
        if on_disk(each) and each["name"] in mounted
    }
    return PodUse(tuple(found), volumes, processes, record.sandbox is not None)


def left_behind(runtime: Runtime, record: PodRecord) -> Space:
    """What a pod's ended containers keep of the disk until they are removed."""
    space = Space()
    for each in record.containers:
        live = runtime.live.get(each.id)
        if each.state != RUNNING and live is not None and live.process is not None:
            space = space.and_(Space(*live.process.written())).and_(Space(live.process.log.size))
    return space
