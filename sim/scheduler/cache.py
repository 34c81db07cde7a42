"""The scheduler's picture of the cluster: nodes as columns (k8s.io/kubernetes/pkg/scheduler/backend/cache).

Row *i* of every column is the same node. Rows stand in upstream's search order: nodes interleaved by zone. Resources
are integers in upstream's units (milli CPU, bytes). Whoever derives something from the columns remembers two numbers:
``layout`` (which nodes there are and what they say of themselves) and how much of ``touched`` it has seen (rows whose
pods changed since), so that after one placement one row is worked out anew and not five thousand.

*Not modelled*: expiry of assumed pods (upstream never expires them since v1.33 either).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

import numpy as np

from seatrial.sim.scheduler.columns import (
    PREFERRED_AFFINITY,
    PREFERRED_ANTI,
    REQUIRED_AFFINITY,
    REQUIRED_ANTI,
    CarriedTerm,
    Column,
    LabelColumn,
    NodeInfo,
    Rows,
    Tally,
    in_search_order,
)
from seatrial.sim.scheduler.labels import Object
from seatrial.sim.scheduler.podinfo import PodInfo, Term, Traits, amount

TOUCHED_MAX = 500_000
"""How long the list of touched rows may grow before everything is worked out anew."""
FIRST_RESOURCES = ("cpu", "memory", "ephemeral-storage")
SELECTORS_ONLY = frozenset(("services", "replicationcontrollers", "replicasets.apps", "statefulsets.apps"))
"""Kinds of which plug-ins read nothing but the selector."""


class Cache:
    """Nodes and the pods on them. Pods whose node is not known (yet) are kept aside and counted nowhere."""

    def __init__(self) -> None:
        self.nodes: list[NodeInfo] = []
        self.row_of: dict[str, int] = {}
        self.resources: dict[str, int] = {name: index for index, name in enumerate(FIRST_RESOURCES)}
        self.allocatable: Column = np.zeros((len(FIRST_RESOURCES), 0), dtype=np.int64)
        self.requested: Column = np.zeros((len(FIRST_RESOURCES), 0), dtype=np.int64)
        self.non_zero: Column = np.zeros((2, 0), dtype=np.int64)
        self.pod_count: Column = np.zeros(0, dtype=np.int64)
        self.priorities: dict[int, int] = {}
        """Priority -> pods on nodes that have it."""
        self.pods_allowed: Column = np.zeros(0, dtype=np.int64)
        self.layout = 0
        self.touched: list[int] = []
        self.row_versions: Column = np.zeros(0, dtype=np.int64)
        """Grows whenever something about the pods of a row changes."""
        self.next_start = 0
        """Where the search for feasible nodes goes on (sched.nextStartNodeIndex)."""
        self.namespace_labels: dict[str, Mapping[str, str]] = {}
        self.objects: dict[str, dict[tuple[str, str], Object]] = {}
        """Other kinds that plug-ins read: storage -> (namespace, name) -> object."""
        self.changes = 0
        """Grows with every change of an object that plug-ins read."""
        self._versions: dict[tuple[str, str], int] = {}
        self.carried: dict[tuple[int, Term], CarriedTerm] = {}
        self.where: dict[str, tuple[PodInfo, str]] = {}
        self.nominated: dict[str, dict[str, PodInfo]] = {}
        """Node -> uid -> pod that is to run there once its victims are gone."""
        self._nominations: dict[str, str] = {}
        self.images: dict[str, tuple[int, dict[str, None]]] = {}
        """Image -> (bytes, the nodes that have it)."""
        self.claim_users: dict[tuple[str, str], int] = {}
        """(namespace, claim) -> pods on nodes that use it."""
        self._listed: dict[str, Object] = {}
        self._stale = False
        self._tallies: dict[Hashable, Tally] = {}
        self._tallied: dict[tuple[Traits, bool], list[Tally]] = {}
        self._loose: list[Tally] = []
        """Tallies that may count any pod."""
        self._anchored: dict[Anchor, list[Tally]] = {}
        """Tallies that count none but pods of one namespace with one label."""
        self._bearers: dict[Anchor, int] = {}
        """How many of the pods in ``where`` have a label."""
        self._labels: dict[str, LabelColumn] = {}

    def copy(self, but: str = "") -> Cache:
        """The same picture without the pod ``but`` (a uid), to try things out on."""
        made = Cache()
        for node in self._listed.values():
            made.set_node(node)
        made.refresh()
        made.namespace_labels = dict(self.namespace_labels)
        made.objects = {storage: dict(kept) for storage, kept in self.objects.items()}
        for uid, (pod, place) in self.where.items():
            if uid != but:
                made.add_pod(pod, place)
        for place, pods in self.nominated.items():
            for pod in pods.values():
                made.nominate(pod, place)
        made.next_start = self.next_start
        return made

    # nodes

    def set_node(self, node: Object) -> None:
        """A node is there or has changed; a heartbeat changes nothing here."""
        name = node["metadata"]["name"]
        known = self._listed.get(name)
        self._listed[name] = node
        if known is None or _facts(known) != _facts(node):
            self._stale = True
            if known is not None:
                self._forget_images(known)
            self._note_images(node)

    def remove_node(self, name: str) -> None:
        """A node is gone; its pods stay known until they are deleted."""
        node = self._listed.pop(name, None)
        if node is not None:
            self._stale = True
            self._forget_images(node)

    def _note_images(self, node: Object) -> None:
        """An image counts with the size that the first node to have it reported."""
        for image in (node.get("status") or {}).get("images") or ():
            for name in image.get("names") or ():
                _, holders = self.images.setdefault(name, (image.get("sizeBytes") or 0, {}))
                holders[node["metadata"]["name"]] = None

    def _forget_images(self, node: Object) -> None:
        for image in (node.get("status") or {}).get("images") or ():
            for name in image.get("names") or ():
                holders = self.images.get(name, (0, {}))[1]
                holders.pop(node["metadata"]["name"], None)
                if not holders:
                    self.images.pop(name, None)

    def refresh(self) -> None:
        """Bring the columns up to date with the nodes; call before reading them."""
        if not self._stale:
            return
        self._stale = False
        old, old_rows = self.nodes, self.row_of
        old_infos = {info.name: info for info in old}
        nodes = [self._info(node, old_infos) for node in in_search_order(list(self._listed.values()))]
        self.nodes = nodes
        self.row_of = {info.name: row for row, info in enumerate(nodes)}
        source = np.fromiter((old_rows.get(info.name, -1) for info in nodes), dtype=np.intp, count=len(nodes))
        self._permute(source)
        self._fill_static()
        self.layout += 1
        self.touched.clear()
        self.row_versions = np.zeros(len(nodes), dtype=np.int64)
        self._labels.clear()
        self._settle_pods(old_infos)

    def _info(self, node: Object, old: Mapping[str, NodeInfo]) -> NodeInfo:
        info = NodeInfo(node)
        before = old.get(info.name)
        if before is not None:
            info.pods = before.pods
        return info

    def _permute(self, source: Rows) -> None:
        """Every counted column in the new order; rows of new nodes are zero."""
        kept, fresh = np.maximum(source, 0), source < 0

        def moved(column: Column) -> Column:
            if column.shape[-1] == 0:
                return np.zeros((*column.shape[:-1], len(source)), dtype=np.int64)
            taken = column[..., kept]
            taken[..., fresh] = 0
            return taken

        self.requested = moved(self.requested)
        self.non_zero = moved(self.non_zero)
        self.pod_count = moved(self.pod_count)
        for tally in self._tallies.values():
            tally.column = moved(tally.column)
            tally.total = int(tally.column.sum())

    def _fill_static(self) -> None:
        count = len(self.nodes)
        self.allocatable = np.zeros((len(self.resources), count), dtype=np.int64)
        self.pods_allowed = np.zeros(count, dtype=np.int64)
        for row, info in enumerate(self.nodes):
            status = info.node.get("status") or {}
            for name, text in (status.get("allocatable") or {}).items():
                if name == "pods":
                    self.pods_allowed[row] = amount(name, text)
                else:
                    index = self.resource(name)
                    self.allocatable[index, row] = amount(name, text)

    def _settle_pods(self, old: Mapping[str, NodeInfo]) -> None:
        """Pods that waited for their node move in; pods of nodes that are gone move out of every count."""
        present = self.row_of
        for name, info in old.items():
            if name not in present:
                for pod in info.pods.values():
                    self._forget_claims(pod)
                    self._count_priority(pod.priority, -1)
        for pod, name in list(self.where.values()):
            row = present.get(name)
            if row is not None and pod.uid not in self.nodes[row].pods:
                self._count(row, pod, 1)

    def resource(self, name: str) -> int:
        """The index of a resource in ``allocatable`` and ``requested``; new names get a row of zeros."""
        index = self.resources.get(name)
        if index is None:
            index = self.resources[name] = len(self.resources)
            self.allocatable = _with_row(self.allocatable)
            self.requested = _with_row(self.requested)
        return index

    def labels(self, key: str) -> LabelColumn:
        """The column of one label."""
        column = self._labels.get(key)
        if column is None:
            column = self._labels[key] = LabelColumn(self.nodes, key)
        return column

    # pods

    def add_pod(self, pod: PodInfo, node: str) -> None:
        """The pod occupies the node: bound, or assumed to be."""
        known = self.where.get(pod.uid)
        if known is not None:
            before, place = known
            if place == node and before.traits is pod.traits and before.terminating == pod.terminating:
                self.where[pod.uid] = (pod, node)
                row = self.row_of.get(node)
                if row is not None and pod.uid in self.nodes[row].pods:
                    self.nodes[row].pods[pod.uid] = pod
                return
            self.remove_pod(pod.uid)
        self.where[pod.uid] = (pod, node)
        self._bear(pod.traits, 1)
        row = self.row_of.get(node)
        if row is None or (self._stale and node not in self._listed):
            return
        self._count(row, pod, 1)

    def remove_pod(self, uid: str) -> None:
        """The pod is gone from wherever it was."""
        entry = self.where.pop(uid, None)
        if entry is None:
            return
        self._bear(entry[0].traits, -1)
        row = self.row_of.get(entry[1])
        if row is not None and uid in self.nodes[row].pods:
            self._count(row, entry[0], -1)

    def _bear(self, traits: Traits, sign: int) -> None:
        bearers = self._bearers
        for anchor in _anchors(traits):
            left = bearers.get(anchor, 0) + sign
            if left:
                bearers[anchor] = left
            else:
                del bearers[anchor]

    def node_of(self, uid: str) -> str | None:
        """Where the pod is counted, or None."""
        entry = self.where.get(uid)
        return entry[1] if entry else None

    def _count(self, row: int, pod: PodInfo, sign: int) -> None:
        traits = pod.traits
        info = self.nodes[row]
        if sign > 0:
            info.pods[pod.uid] = pod
        else:
            del info.pods[pod.uid]
        requested = self.requested
        for name, units in traits.requests.items():
            index = self.resources.get(name)
            if index is None:
                index = self.resource(name)
                requested = self.requested
            requested[index, row] += sign * units
        self.non_zero[0, row] += sign * traits.non_zero[0]
        self.non_zero[1, row] += sign * traits.non_zero[1]
        self.pod_count[row] += sign
        self._count_priority(pod.priority, sign)
        for tally in self._tallies_of(traits, pod.terminating):
            amount_here = sign * tally.counts(traits, pod.terminating)
            tally.column[row] += amount_here
            tally.total += amount_here
        for volume in traits.volumes:
            self._use_claim(traits, volume, sign)
        self._touch(row)

    def _count_priority(self, priority: int, sign: int) -> None:
        left = self.priorities.get(priority, 0) + sign
        if left:
            self.priorities[priority] = left
        else:
            del self.priorities[priority]

    def _touch(self, row: int) -> None:
        self.row_versions[row] += 1
        self.touched.append(row)
        if len(self.touched) > TOUCHED_MAX:
            self.touched.clear()
            self.layout += 1

    def _forget_claims(self, pod: PodInfo) -> None:
        for volume in pod.traits.volumes:
            self._use_claim(pod.traits, volume, -1)

    def _use_claim(self, traits: Traits, volume: Object, sign: int) -> None:
        source = volume.get("persistentVolumeClaim")
        if source is not None:
            key = (traits.namespace, source.get("claimName") or "")
            self.claim_users[key] = self.claim_users.get(key, 0) + sign

    def touch(self, node: str) -> None:
        """Something about the node's pods-to-be (nominations) changed."""
        row = self.row_of.get(node)
        if row is not None:
            self._touch(row)

    # nominations

    def nominate(self, pod: PodInfo, node: str) -> None:
        """The pod is to run on the node later; ``node`` empty withdraws it."""
        before = self._nominations.pop(pod.uid, None)
        if before is not None:
            del self.nominated[before][pod.uid]
            if not self.nominated[before]:
                del self.nominated[before]
            self.touch(before)
        if node:
            self._nominations[pod.uid] = node
            self.nominated.setdefault(node, {})[pod.uid] = pod
            self.touch(node)

    def nominated_on(self, row: int, priority: int, but: str) -> list[PodInfo]:
        """Pods of at least this priority that are to run on the node, without the pod ``but`` (a uid)."""
        pods = self.nominated.get(self.nodes[row].name)
        if not pods:
            return []
        return [pod for pod in pods.values() if pod.priority >= priority and pod.uid != but]

    # other objects

    def set_object(self, storage: str, obj: Object) -> None:
        """An object that plug-ins read is there or has changed."""
        meta = obj["metadata"]
        namespace: str = meta.get("namespace") or ""
        if storage == "namespaces":
            labels = meta.get("labels") or {}
            if self.namespace_labels.get(meta["name"]) == labels:
                return
            self.namespace_labels[meta["name"]] = labels
            self._recount_all()
        else:
            kept = self.objects.setdefault(storage, {})
            before = kept.get((namespace, meta["name"]))
            kept[namespace, meta["name"]] = obj
            if before is not None and storage in SELECTORS_ONLY and _selector(before) == _selector(obj):
                return
        self._bump(storage, namespace)

    def remove_object(self, storage: str, namespace: str, name: str) -> None:
        """An object that plug-ins read is gone."""
        if storage == "namespaces":
            self.namespace_labels.pop(name, None)
            self._recount_all()
        else:
            self.objects.get(storage, {}).pop((namespace, name), None)
        self._bump(storage, namespace)

    def _bump(self, storage: str, namespace: str) -> None:
        key = (storage, namespace)
        self.changes += 1
        self._versions[key] = self._versions.get(key, 0) + 1

    def version(self, storage: str, namespace: str) -> int:
        """Grows whenever an object of the kind changes in the namespace."""
        return self._versions.get((storage, namespace), 0)

    def object(self, storage: str, namespace: str, name: str) -> Object | None:
        """One of the other objects."""
        return self.objects.get(storage, {}).get((namespace, name))

    def objects_in(self, storage: str, namespace: str = "") -> Iterator[Object]:
        """All of a kind in a namespace, in the order they appeared."""
        for (where, _), obj in self.objects.get(storage, {}).items():
            if where == namespace:
                yield obj

    # tallies

    def tally(self, key: Hashable, counts: Callable[[Traits, bool], int], anchor: Anchor | None = None) -> Tally:
        """The tally of that key; a new one counts the pods that are there once.

        ``anchor``: it counts none but pods of that namespace with that label, so that others need not be shown to it.
        """
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._add_tally(key, counts, anchor)
            if anchor is None or anchor in self._bearers:
                self._recount(tally)
        return tally

    def _add_tally(self, key: Hashable, counts: Callable[[Traits, bool], int], anchor: Anchor | None) -> Tally:
        tally = self._tallies[key] = Tally(counts, len(self.nodes))
        (self._loose if anchor is None else self._anchored.setdefault(anchor, [])).append(tally)
        self._tallied.clear()
        return tally

    def _recount(self, tally: Tally) -> None:
        counted: dict[tuple[Traits, bool], int] = {}
        tally.recounts += 1
        tally.column[:] = 0
        for row, info in enumerate(self.nodes):
            for pod in info.pods.values():
                key = (pod.traits, pod.terminating)
                if key not in counted:
                    counted[key] = tally.counts(*key)
                tally.column[row] += counted[key]
        tally.total = int(tally.column.sum())

    def _recount_all(self) -> None:
        """Namespaces got other labels: whom a selector over namespaces means has changed."""
        self._tallied.clear()
        for tally in self._tallies.values():
            self._recount(tally)

    def _tallies_of(self, traits: Traits, terminating: bool) -> list[Tally]:
        key = (traits, terminating)
        found = self._tallied.get(key)
        if found is None:
            self._register_terms(traits)
            if len(self._tallied) > 4 * len(self.nodes) + 10_000:
                self._tallied.clear()
            near = (tally for anchor in _anchors(traits) for tally in self._anchored.get(anchor, ()))
            found = [tally for tally in (*self._loose, *near) if tally.counts(traits, terminating)]
            self._tallied[key] = found
        return found

    def _register_terms(self, traits: Traits) -> None:
        """Make sure the terms that such pods carry are tallied."""
        for kind, terms in (
            (REQUIRED_ANTI, traits.required_anti_affinity),
            (REQUIRED_AFFINITY, traits.required_affinity),
            (PREFERRED_AFFINITY, traits.preferred_affinity),
            (PREFERRED_ANTI, traits.preferred_anti_affinity),
        ):
            for term in terms:
                if (kind, term) not in self.carried:
                    tally = self._add_tally(("carried", kind, term), _carries(kind, term), None)
                    self.carried[kind, term] = CarriedTerm(kind, term, tally)


Anchor = tuple[str, str, str]
"""A namespace, and a label's name and value there."""


def _anchors(traits: Traits) -> Iterator[Anchor]:
    return ((traits.namespace, name, value) for name, value in traits.labels.items())


def _facts(node: Object) -> tuple[Any, ...]:
    """What of a node a decision may depend on."""
    meta, status = node["metadata"], node.get("status") or {}
    return meta.get("labels"), node.get("spec"), status.get("allocatable"), status.get("images")


def _selector(obj: Object) -> Any:
    return (obj.get("spec") or {}).get("selector")


def _carries(kind: int, term: Term) -> Callable[[Traits, bool], int]:
    def counts(traits: Traits, terminating: bool) -> int:
        carried = (
            traits.required_anti_affinity,
            traits.required_affinity,
            traits.preferred_affinity,
            traits.preferred_anti_affinity,
        )[kind]
        return carried.count(term)

    return counts


def _with_row(columns: Column) -> Column:
    return np.vstack([columns, np.zeros((1, columns.shape[1]), dtype=np.int64)])
