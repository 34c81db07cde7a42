"""VolumeZone: volumes labelled with a zone go with nodes of that zone (plugins/volumezone)."""

from __future__ import annotations

from typing import Any

import numpy as np

from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.columns import OLD_REGION, OLD_ZONE, REGION, ZONE, Column, Rows
from seatrial.sim.scheduler.framework import Filter, Plugin, Rejected, Status, unresolvable
from seatrial.sim.scheduler.podinfo import PodInfo, Traits
from seatrial.sim.scheduler.volumes import (
    CLAIMS,
    VOLUMES,
    claim_names,
    claim_reads,
    class_of,
    not_found,
    uses_claim,
    waits_for_pod,
)

REASON = "node(s) had no available volume zone"
TODAY = {ZONE: ZONE, REGION: REGION, OLD_ZONE: ZONE, OLD_REGION: REGION}
"""Topology labels of volumes -> the label of nodes they mean today."""


class VolumeZone(Plugin):
    """Filters on zone and region labels of bound volumes."""

    name = "VolumeZone"
    events = (
        "Node/Add", "Node/UpdateLabel", "PersistentVolumeClaim/Add", "PersistentVolumeClaim/Update",
        "PersistentVolume/Add", "PersistentVolume/Update", "StorageClass/Add",
    )  # fmt: skip

    def reads(self, traits: Traits) -> tuple[tuple[str, str], ...]:
        return claim_reads(traits)

    def hint(self, pod: PodInfo, event: str, old: Any, new: Any) -> bool:
        if event.startswith("PersistentVolumeClaim/"):
            return uses_claim(pod.traits, new)
        if event == "StorageClass/Add":
            return bool(new.get("volumeBindingMode") == "WaitForFirstConsumer")
        if event == "PersistentVolume/Update":
            before, after = (each["metadata"].get("labels") or {} for each in (old, new))
            return any(before.get(key) != after.get(key) for key in TODAY)
        return True

    def filter(self, traits: Traits) -> Filter | None:
        wanted: list[tuple[str, frozenset[str]]] = []
        for name, ephemeral in claim_names(traits):
            if ephemeral:
                continue
            claim = self.cache.object(CLAIMS, traits.namespace, name)
            if claim is None:
                raise Rejected(unresolvable(not_found(name)))
            volume_name = (claim.get("spec") or {}).get("volumeName") or ""
            if not volume_name:
                if class_of(self.cache, claim) is not None and waits_for_pod(self.cache, claim):
                    continue
                raise Rejected(unresolvable("PersistentVolume had no name"))
            volume = self.cache.object(VOLUMES, "", volume_name)
            if volume is None:
                raise Rejected(unresolvable(f'persistentvolume "{volume_name}" not found'))
            labels = volume["metadata"].get("labels") or {}
            wanted += [(TODAY[key], frozenset(labels[key].split("__"))) for key in TODAY if key in labels]
        return _ZoneFilter(self.cache, wanted) if wanted else None


class _ZoneFilter(Filter):
    def __init__(self, cache: Cache, wanted: list[tuple[str, frozenset[str]]]) -> None:
        self.cache, self.wanted = cache, wanted

    def column(self, rows: Rows | None = None) -> Column:
        chosen = range(len(self.cache.nodes)) if rows is None else rows.tolist()
        return np.fromiter((self._verdict(row) for row in chosen), dtype=np.int64, count=len(chosen))

    def _verdict(self, row: int) -> int:
        labels = self.cache.nodes[row].labels
        here = {TODAY[key]: labels[key] for key in reversed(TODAY) if key in labels}
        return int(bool(here) and any(here.get(key) not in values for key, values in self.wanted))

    def status(self, verdict: int) -> Status:
        return unresolvable(REASON)
