"""NodeVolumeLimits: a node takes as many volumes of a CSI driver as it says (plugins/nodevolumelimits).

*Not modelled*: VolumeAttachments of pods that are gone; in-tree volumes that upstream migrates to CSI.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.columns import Column, Rows
from seatrial.sim.scheduler.framework import Code, Depends, Filter, Plugin, Status, unresolvable, unschedulable
from seatrial.sim.scheduler.podinfo import PodInfo, Traits
from seatrial.sim.scheduler.volumes import (
    CLAIMS,
    CSI_NODES,
    VOLUMES,
    claim_names,
    claim_reads,
    class_of,
    not_found,
    not_owned,
    owned,
    uses_claim,
)

REASON = "node(s) exceed max volume count"
LIMIT, ERROR = 1, 2
Volume = tuple[str, str]
"""(driver, handle)."""


class NodeVolumeLimits(Plugin):
    """Filters on the number of attached volumes per driver."""

    name = "NodeVolumeLimits"
    events = ("AssignedPod/Delete", "CSINode/Add", "CSINode/Update", "PersistentVolumeClaim/Add")

    def __init__(self, args: Mapping[str, Any], cache: Cache) -> None:
        super().__init__(args, cache)
        self._attached: dict[int, tuple[tuple[int, int, int], Attached]] = {}

    def reads(self, traits: Traits) -> tuple[tuple[str, str], ...]:
        return claim_reads(traits)

    def filter(self, traits: Traits) -> Filter | None:
        return _LimitsFilter(self, traits) if any(True for _ in claim_names(traits)) else None

    def hint(self, pod: PodInfo, event: str, old: object, new: object) -> bool:
        if event == "AssignedPod/Delete" and isinstance(old, PodInfo):
            return any(True for _ in claim_names(old.traits))
        return uses_claim(pod.traits, new) if event == "PersistentVolumeClaim/Add" else True

    def attached(self, row: int) -> Attached:
        """What there is on a node; looked up again only when its pods, or volumes and claims, have changed."""
        cache = self.cache
        standing = (cache.layout, cache.row_versions.item(row), cache.changes)
        known = self._attached.get(row)
        if known is None or known[0] != standing:
            info = cache.nodes[row]
            known = self._attached[row] = (standing, Attached(_limits(cache, info.name), cache, info.pods.values()))
        return known[1]


class Attached:
    """The volumes of some pods on a node, and how many of each driver the node takes."""

    def __init__(self, limits: Mapping[str, int], cache: Cache, pods: Iterable[PodInfo]) -> None:
        self.limits = limits
        self.volumes: set[Volume] = set()
        for pod in pods if limits else ():
            self.volumes |= _volumes(cache, pod.traits)
        self.used = Counter(driver for driver, _ in self.volumes)

    def takes(self, wanted: frozenset[Volume]) -> bool:
        """Whether these volumes are there already or find room."""
        fresh = Counter(driver for driver, _ in wanted - self.volumes)
        return all(
            driver not in self.limits or count + self.used[driver] <= self.limits[driver]
            for driver, count in fresh.items()
        )


class _LimitsFilter(Filter):
    depends = Depends.PODS

    def __init__(self, plugin: NodeVolumeLimits, traits: Traits) -> None:
        cache = self.cache = plugin.cache
        self._plugin = plugin
        self.problem: Status | None = None
        self.wanted: frozenset[Volume] = frozenset()
        for name, ephemeral in claim_names(traits):
            claim = cache.object(CLAIMS, traits.namespace, name)
            if claim is None:
                reason = f"looking up PVC {traits.namespace}/{name}: {_lister_says(name)}"
                self.problem = unresolvable(reason)
                return
            if ephemeral and not owned(claim, traits):
                self.problem = Status(Code.ERROR, (not_owned(claim, traits),))
                return
        self.wanted = _volumes(cache, traits)
        self.users = cache.tally("claims", lambda other, terminating: len(other.volumes))

    def column(self, rows: Rows | None = None) -> Column:
        chosen = range(len(self.cache.nodes)) if rows is None else rows.tolist()
        return np.fromiter((self.one(row) for row in chosen), dtype=np.int64, count=len(chosen))

    def one(self, row: int, added: Sequence[PodInfo] = (), removed: Sequence[PodInfo] = ()) -> int:
        if self.problem is not None:
            return ERROR
        there = self._plugin.attached(row)
        if there.limits and (added or removed):
            gone = {pod.uid for pod in removed}
            present = (pod for uid, pod in self.cache.nodes[row].pods.items() if uid not in gone)
            there = Attached(there.limits, self.cache, (*present, *added))
        return 0 if there.takes(self.wanted) else LIMIT

    def status(self, verdict: int) -> Status:
        return self.problem if verdict == ERROR and self.problem is not None else unschedulable(REASON)


def _lister_says(name: str) -> str:
    return not_found(name).replace("persistentvolumeclaim ", "persistentvolumeclaims ", 1)


def _limits(cache: Cache, node: str) -> dict[str, int]:
    csi_node = cache.object(CSI_NODES, "", node) or {}
    drivers = (csi_node.get("spec") or {}).get("drivers") or ()
    limits = {driver["name"]: (driver.get("allocatable") or {}).get("count") for driver in drivers}
    return {name: limit for name, limit in limits.items() if limit is not None}


def _volumes(cache: Cache, traits: Traits) -> frozenset[Volume]:
    """(driver, handle) of every CSI volume of the pod; claims without a volume count by their own name."""
    found: set[Volume] = set()
    for name, _ in claim_names(traits):
        claim = cache.object(CLAIMS, traits.namespace, name)
        if claim is None:
            continue
        volume = cache.object(VOLUMES, "", (claim.get("spec") or {}).get("volumeName") or "")
        if volume is not None:
            csi = (volume.get("spec") or {}).get("csi")
            if csi:
                found.add((csi.get("driver") or "", csi.get("volumeHandle") or ""))
            continue
        storage_class = class_of(cache, claim)
        if storage_class is not None and storage_class.get("provisioner"):
            found.add((storage_class["provisioner"], f"{traits.namespace}/{name}"))
    return frozenset(found)
