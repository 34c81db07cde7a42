"""VolumeRestrictions: volumes that one pod, or one node, has for itself (plugins/volumerestrictions)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.columns import Column, Rows
from seatrial.sim.scheduler.framework import Depends, Filter, Plugin, Rejected, Status, unresolvable, unschedulable
from seatrial.sim.scheduler.labels import Object
from seatrial.sim.scheduler.podinfo import PodInfo, Traits
from seatrial.sim.scheduler.volumes import CLAIMS, claim_names, claim_reads, not_found, uses_claim

REASON_DISK = "node(s) had no available disk"
REASON_ONE_POD = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
DISK, ONE_POD = 1, 2


def _same(key: str) -> Callable[[Object, Object], bool]:
    return lambda a, b: a.get(key) == b.get(key)


def _read_only(a: Object, b: Object) -> bool:
    return bool(a.get("readOnly")) and bool(b.get("readOnly"))


def _same_image(a: Object, b: Object) -> bool:
    shared = frozenset(a.get("monitors") or ()) & frozenset(b.get("monitors") or ())
    pools = (a.get("pool") or "rbd") == (b.get("pool") or "rbd")
    return bool(shared) and pools and a.get("image") == b.get("image")


EXCLUSIVE: dict[str, tuple[Callable[[Object, Object], bool], bool]] = {
    "gcePersistentDisk": (_same("pdName"), True),
    "awsElasticBlockStore": (_same("volumeID"), False),
    "iscsi": (_same("iqn"), True),
    "rbd": (_same_image, True),
}
"""Volume source -> (whether two are the same disk, whether two readers may share it)."""


class VolumeRestrictions(Plugin):
    """Filters on disks that cannot be shared and on ReadWriteOncePod claims."""

    name = "VolumeRestrictions"
    events = ("AssignedPod/Delete", "Node/Add", "PersistentVolumeClaim/Add", "PersistentVolumeClaim/Update")

    def reads(self, traits: Traits) -> tuple[tuple[str, str], ...]:
        return claim_reads(traits)

    def filter(self, traits: Traits) -> Filter | None:
        single: list[tuple[str, str]] = []
        for name, ephemeral in claim_names(traits):
            claim = self.cache.object(CLAIMS, traits.namespace, name)
            if claim is None and not ephemeral:
                raise Rejected(unresolvable(not_found(name)))
            if claim is not None and "ReadWriteOncePod" in ((claim.get("spec") or {}).get("accessModes") or ()):
                single.append((traits.namespace, name))
        disks = [(source, v[source]) for v in traits.volumes for source in EXCLUSIVE if source in v]
        return _RestrictionsFilter(self.cache, single, disks) if single or disks else None

    def hint(self, pod: PodInfo, event: str, old: object, new: object) -> bool:
        if event.startswith("PersistentVolumeClaim/"):
            return uses_claim(pod.traits, new)
        if event != "AssignedPod/Delete" or not isinstance(old, PodInfo):
            return True
        if old.namespace != pod.namespace:
            return False
        claims = frozenset(claim_names(pod.traits))
        disks = [(source, v[source]) for v in pod.traits.volumes for source in EXCLUSIVE if source in v]
        return _shares_disk(disks, (old,)) or not claims.isdisjoint(claim_names(old.traits))


def _shares_disk(disks: list[tuple[str, Object]], pods: Iterable[PodInfo]) -> bool:
    """Whether one of the pods has one of the disks in a way that leaves it to nobody else."""
    for source, wanted in disks:
        same, may_share = EXCLUSIVE[source]
        for pod in pods:
            for volume in pod.traits.volumes:
                used = volume.get(source)
                if used and same(wanted, used) and not (may_share and _read_only(wanted, used)):
                    return True
    return False


class _RestrictionsFilter(Filter):
    depends = Depends.CLUSTER

    def __init__(self, cache: Cache, single: list[tuple[str, str]], disks: list[tuple[str, Object]]) -> None:
        self.cache, self.single, self.disks = cache, single, disks

    def column(self, rows: Rows | None = None) -> Column:
        chosen = range(len(self.cache.nodes)) if rows is None else rows.tolist()
        if self.disks:
            return np.fromiter((self.one(row) for row in chosen), dtype=np.int64, count=len(chosen))
        return np.full(len(chosen), ONE_POD if self._in_use((), ()) else 0, dtype=np.int64)

    def one(self, row: int, added: Sequence[PodInfo] = (), removed: Sequence[PodInfo] = ()) -> int:
        gone = {pod.uid for pod in removed}
        present = [pod for pod in self.cache.nodes[row].pods.values() if pod.uid not in gone]
        if _shares_disk(self.disks, (*present, *added)):
            return DISK
        return ONE_POD if self._in_use(added, removed) else 0

    def _in_use(self, added: Sequence[PodInfo], removed: Sequence[PodInfo]) -> bool:
        def uses(pod: PodInfo, key: tuple[str, str]) -> bool:
            return any((pod.namespace, name) == key for name, _ in claim_names(pod.traits))

        for key in self.single:
            users = self.cache.claim_users.get(key, 0)
            if users + sum(uses(pod, key) for pod in added) - sum(uses(pod, key) for pod in removed) > 0:
                return True
        return False

    def status(self, verdict: int) -> Status:
        return unschedulable(REASON_DISK if verdict == DISK else REASON_ONE_POD)
