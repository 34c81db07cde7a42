"""VolumeBinding: a pod goes where its claims have, or can get, their volumes (plugins/volumebinding).

*Not modelled*: scoring by storage capacity; like upstream without CSIStorageCapacity objects every node scores 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from seatrial.sim.machinery import selectors
from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.columns import Column, Mask, Rows
from seatrial.sim.scheduler.framework import Filter, Plugin, Rejected, Score, Status, unresolvable
from seatrial.sim.scheduler.labels import Object
from seatrial.sim.scheduler.plugins.dynamicresources import Indifferent
from seatrial.sim.scheduler.plugins.nodeaffinity import matches_term, terms_mask
from seatrial.sim.scheduler.podinfo import PodInfo, Traits, amount
from seatrial.sim.scheduler.volumes import (
    CAPACITIES,
    CSI_DRIVERS,
    NO_PROVISIONER,
    SELECTED_NODE,
    VOLUMES,
    claim_names,
    claim_reads,
    claims_of,
    class_of,
    is_bound,
    reachable,
    requested_bytes,
    uses_claim,
    volume_suits,
    waits_for_pod,
)

MIGRATED_PLUGINS = "storage.alpha.kubernetes.io/migrated-plugins"
REASON_UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
CONFLICT, NO_VOLUME, NO_SPACE, NO_PV = 1, 2, 4, 8
REASONS = {
    CONFLICT: "node(s) didn't match PersistentVolume's node affinity",
    NO_VOLUME: "node(s) didn't find available persistent volumes to bind",
    NO_SPACE: "node(s) did not have enough free storage",
    NO_PV: "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",
}
"""Bits of a verdict, in the order in which upstream lists them."""


class VolumeBinding(Plugin):
    """Filters on volumes of bound claims and on what unbound ones could get."""

    name = "VolumeBinding"
    events = (
        "Node/Add", "Node/UpdateLabel", "PersistentVolumeClaim/Add", "PersistentVolumeClaim/Update",
        "PersistentVolume/Add", "PersistentVolume/Update", "StorageClass/Add", "StorageClass/Update",
        "CSINode/Add", "CSINode/Update", "CSIDriver/Update", "CSIStorageCapacity/Add", "CSIStorageCapacity/Update",
    )  # fmt: skip

    def reads(self, traits: Traits) -> tuple[tuple[str, str], ...]:
        return claim_reads(traits)

    def hint(self, pod: PodInfo, event: str, old: Any, new: Any) -> bool:
        if event.startswith("PersistentVolumeClaim/"):
            return uses_claim(pod.traits, new)
        if event == "StorageClass/Update":
            return bool(old.get("allowedTopologies") != new.get("allowedTopologies"))
        if event == "CSINode/Update":
            return _migrated(old) != _migrated(new)
        return True

    def filter(self, traits: Traits) -> Filter | None:
        if not any(True for _ in claim_names(traits)):
            return None
        bound, unbound = sorted_claims(self.cache, traits)
        return _BindingFilter(self.cache, bound, unbound)

    def score(self, traits: Traits) -> Score | None:
        return Indifferent(self.cache)


def _migrated(csi_node: Object) -> str:
    """In-tree plug-ins whose volumes the node takes for its CSI drivers'."""
    found: str = (csi_node["metadata"].get("annotations") or {}).get(MIGRATED_PLUGINS) or ""
    return found


def sorted_claims(cache: Cache, traits: Traits) -> tuple[list[Object], list[Object]]:
    """The pod's claims that are bound, and those to bind once a node is chosen. Raises Rejected."""
    bound, unbound = [], []
    for claim in claims_of(cache, traits):
        if is_bound(claim):
            bound.append(claim)
        elif waits_for_pod(cache, claim) and not (claim.get("spec") or {}).get("volumeName"):
            unbound.append(claim)
        else:
            raise Rejected(unresolvable(REASON_UNBOUND))
    return bound, sorted(unbound, key=requested_bytes)


class _BindingFilter(Filter):
    def __init__(self, cache: Cache, bound: list[Object], unbound: list[Object]) -> None:
        self.cache, self.bound, self.unbound = cache, bound, unbound

    def column(self, rows: Rows | None = None) -> Column:
        verdicts = self._bound()
        if self.unbound:
            nodes = self.cache.nodes
            found = (find_volumes(self.cache, self.unbound, info.name, info.labels)[0] for info in nodes)
            verdicts |= np.fromiter(found, dtype=np.int64, count=len(nodes))
        return verdicts if rows is None else verdicts[rows]

    def _bound(self) -> Column:
        verdicts = np.zeros(len(self.cache.nodes), dtype=np.int64)
        for claim in self.bound:
            volume = self.cache.object(VOLUMES, "", claim["spec"]["volumeName"])
            open_rows: Mask = verdicts == 0
            if volume is None:
                verdicts[open_rows] = NO_PV
                break
            terms = reachable(volume)
            if terms is not None:
                verdicts[open_rows & ~terms_mask(self.cache, terms)] = CONFLICT
        return verdicts

    def status(self, verdict: int) -> Status:
        return unresolvable(*(reason for bit, reason in REASONS.items() if verdict & bit))


def find_volumes(
    cache: Cache, claims: Iterable[Object], node: str, labels: Mapping[str, str]
) -> tuple[int, list[tuple[Object, Object]], list[Object]]:
    """What unbound claims would get on a node: (verdict, (claim, volume) to bind, claims to provision for)."""
    matched: list[tuple[Object, Object]] = []
    provisioned: list[Object] = []
    taken: set[str] = set()
    for claim in claims:
        selected = (claim["metadata"].get("annotations") or {}).get(SELECTED_NODE)
        if selected is not None and selected != node:
            return NO_VOLUME, [], []
        volume = None if selected is not None else _smallest(cache, claim, node, labels, taken)
        if volume is not None:
            taken.add(volume["metadata"]["name"])
            matched.append((claim, volume))
            continue
        verdict = _provision(cache, claim, labels)
        if verdict:
            return verdict, [], []
        provisioned.append(claim)
    return 0, matched, provisioned


def _smallest(cache: Cache, claim: Object, node: str, labels: Mapping[str, str], taken: set[str]) -> Object | None:
    """The smallest free volume that suits the claim and that the node reaches; one reserved for it comes first."""
    best: Object | None = None
    best_size = 0
    for volume in cache.objects_in(VOLUMES):
        if volume["metadata"]["name"] in taken or not volume_suits(volume, claim) or not _reaches(volume, node, labels):
            continue
        if (volume.get("spec") or {}).get("claimRef") is not None:
            return volume
        size = amount("storage", ((volume.get("spec") or {}).get("capacity") or {}).get("storage") or "0")
        if best is None or size < best_size:
            best, best_size = volume, size
    return best


def _reaches(volume: Object, node: str, labels: Mapping[str, str]) -> bool:
    terms = reachable(volume)
    return terms is None or any(matches_term(node, labels, term) for term in terms)


def _provision(cache: Cache, claim: Object, labels: Mapping[str, str]) -> int:
    """0 when a volume could be made for the claim on a node of these labels, else why not."""
    storage_class = class_of(cache, claim)
    if storage_class is None:
        return NO_VOLUME
    provisioner = storage_class.get("provisioner") or ""
    if provisioner in ("", NO_PROVISIONER):
        return NO_VOLUME
    topologies = storage_class.get("allowedTopologies") or ()
    if topologies and not any(_in_topology(term, labels) for term in topologies):
        return NO_VOLUME
    driver = cache.object(CSI_DRIVERS, "", provisioner)
    if driver is None or not (driver.get("spec") or {}).get("storageCapacity"):
        return 0
    return 0 if _has_room(cache, claim, storage_class, labels) else NO_SPACE


def _in_topology(term: Object, labels: Mapping[str, str]) -> bool:
    expressions = term.get("matchLabelExpressions") or ()
    return all(labels.get(e["key"]) in (e.get("values") or ()) for e in expressions)


def _has_room(cache: Cache, claim: Object, storage_class: Object, labels: Mapping[str, str]) -> bool:
    wanted = requested_bytes(claim)
    for capacity in cache.objects.get(CAPACITIES, {}).values():
        if capacity.get("storageClassName") != storage_class["metadata"]["name"]:
            continue
        size = capacity.get("maximumVolumeSize") or capacity.get("capacity")
        if size is None or amount("storage", size) < wanted:
            continue
        topology = capacity.get("nodeTopology")
        if topology is not None and selectors.labels(topology)(labels):
            return True
    return False
