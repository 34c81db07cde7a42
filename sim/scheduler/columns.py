"""Columns over the nodes: labels, and counts of pods by kind, kept up to date as pods come and go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from seatrial.sim.scheduler.labels import Object
from seatrial.sim.scheduler.podinfo import PodInfo, Term, Traits

Column = np.ndarray[Any, np.dtype[np.int64]]
Rows = np.ndarray[Any, np.dtype[np.intp]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
OLD_ZONE = "failure-domain.beta.kubernetes.io/zone"
OLD_REGION = "failure-domain.beta.kubernetes.io/region"

FEW_VALUES, PATTERNS_MAX = 64, 256
BULK_MAX = 64
"""Above so many touched rows sums are quicker made anew."""

REQUIRED_ANTI, REQUIRED_AFFINITY, PREFERRED_AFFINITY, PREFERRED_ANTI = range(4)
"""Why a pod carries a term."""


class NodeInfo:
    """One node's object and the pods on it."""

    __slots__ = ("labels", "name", "node", "pods", "taints", "unschedulable")

    def __init__(self, node: Object) -> None:
        spec = node.get("spec") or {}
        self.node = node
        self.name: str = node["metadata"]["name"]
        self.labels: Mapping[str, str] = node["metadata"].get("labels") or {}
        self.taints: tuple[Object, ...] = tuple(spec.get("taints") or ())
        self.unschedulable: bool = bool(spec.get("unschedulable"))
        self.pods: dict[str, PodInfo] = {}


class LabelColumn:
    """One label of every node: ``codes`` index ``values``; code 0 is *absent* (None)."""

    def __init__(self, nodes: list[NodeInfo], key: str) -> None:
        known: dict[str, int] = {}
        self.values: list[str | None] = [None]
        self.codes = np.zeros(len(nodes), dtype=np.intp)
        for row, node in enumerate(nodes):
            value = node.labels.get(key)
            if value is None:
                continue
            code = known.get(value)
            if code is None:
                code = known[value] = len(self.values)
                self.values.append(value)
            self.codes[row] = code
        self.present: Mask = self.codes > 0
        self.everywhere = bool(self.present.all())
        self._patterns: dict[bytes, Mask] = {}

    @property
    def size(self) -> int:
        """Values and the absent one."""
        return len(self.values)

    def where(self, match: Callable[[str | None], bool]) -> Mask:
        """The rows whose value matches."""
        table = np.fromiter((match(value) for value in self.values), dtype=np.bool_, count=self.size)
        chosen: Mask = table[self.codes]
        return chosen

    def rows(self, by_code: Mask) -> Mask:
        """By row what is so by code; to be read only. With few values there are few patterns, each worked out once."""
        if self.size > FEW_VALUES:
            return by_code[self.codes]
        key = by_code.tobytes()
        found = self._patterns.get(key)
        if found is None:
            found = by_code[self.codes]
            if len(self._patterns) < PATTERNS_MAX:
                self._patterns[key] = found
        return found

    def sums(self, column: Column) -> Column:
        """The column added up per value; index 0 (nodes without the label) is always 0."""
        totals = np.bincount(self.codes, weights=column, minlength=self.size).astype(np.int64)
        totals[0] = 0
        return totals


class Tally:
    """How many pods of a kind are on each node, kept up to date as pods come and go."""

    __slots__ = ("column", "counts", "recounts", "total")

    def __init__(self, counts: Callable[[Traits, bool], int], rows: int) -> None:
        """``counts(traits, terminating)``: how much such a pod adds."""
        self.counts = counts
        self.column: Column = np.zeros(rows, dtype=np.int64)
        self.total = 0
        self.recounts = 0
        """How often it was counted from the beginning."""


class DomainSums:
    """A tally added up per value of a label; between two looks only rows that were touched are added anew.

    It lives no longer than the order of the nodes.
    """

    __slots__ = ("_column", "_counted", "_labels", "_recounts", "_seen", "_sums", "_tally")

    def __init__(self, labels: LabelColumn, tally: Tally, counted: Mask | None = None) -> None:
        """``counted``: the rows that count; None: all."""
        self._labels, self._tally, self._counted = labels, tally, counted
        self._recounts = -1
        self._seen = 0
        self._column: Column = tally.column
        self._sums: Column = tally.column

    def now(self, touched: list[int]) -> Column:
        """The sums by code, to be read only. ``touched``: the cache's list of touched rows."""
        tally, seen = self._tally, self._seen
        self._seen = len(touched)
        if self._recounts != tally.recounts or len(touched) - seen > BULK_MAX:
            self._recounts = tally.recounts
            self._column = tally.column.copy() if self._counted is None else tally.column * self._counted
            self._sums = self._labels.sums(self._column)
            return self._sums
        column, counted = self._column, self._counted
        for row in touched[seen:]:
            change = tally.column.item(row) - column.item(row)
            if change and (counted is None or counted[row]):
                column[row] += change
                code = self._labels.codes.item(row)
                if code:
                    self._sums[code] += change
        return self._sums


class CarriedTerm:
    """A term that pods on the nodes carry: for whom to stay away from whom, or to come close."""

    __slots__ = ("kind", "tally", "term")

    def __init__(self, kind: int, term: Term, tally: Tally) -> None:
        self.kind = kind
        self.term = term
        self.tally = tally


def in_search_order(nodes: list[Object]) -> list[Object]:
    """Zones take turns (backend/cache/node_tree.go)."""
    zones: dict[tuple[str, str], list[Object]] = {}
    for node in nodes:
        labels = node["metadata"].get("labels") or {}
        region = labels.get(REGION) or labels.get(OLD_REGION) or ""
        zone = labels.get(ZONE) or labels.get(OLD_ZONE) or ""
        zones.setdefault((region, zone), []).append(node)
    if len(zones) <= 1:
        return nodes
    longest = max(map(len, zones.values()))
    return [members[turn] for turn in range(longest) for members in zones.values() if turn < len(members)]
