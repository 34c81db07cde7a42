"""TaintToleration: nodes repel pods that do not tolerate their taints (plugins/tainttoleration)."""

from __future__ import annotations

import numpy as np

from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.columns import Column, NodeInfo, Rows
from seatrial.sim.scheduler.framework import Filter, Plugin, Score, Status, stretch, unresolvable
from seatrial.sim.scheduler.labels import Object, untolerated
from seatrial.sim.scheduler.podinfo import PodInfo, Traits

REASON = "node(s) had untolerated taint(s)"
HARD = frozenset(("NoSchedule", "NoExecute"))
SOFT = frozenset(("PreferNoSchedule",))


class TaintToleration(Plugin):
    """Filters on NoSchedule and NoExecute taints, scores by PreferNoSchedule taints."""

    name = "TaintToleration"
    events = ("Node/Add", "Node/UpdateTaint", "Pod/UpdateTolerations")

    def hint(self, pod: PodInfo, event: str, old: object, new: object) -> bool:
        if not isinstance(new, NodeInfo):
            return True
        tolerations = pod.traits.tolerations
        if untolerated(new.taints, tolerations, HARD):
            return False
        return not isinstance(old, NodeInfo) or bool(untolerated(old.taints, tolerations, HARD))

    def filter(self, traits: Traits) -> Filter | None:
        return _TaintFilter(self.cache, traits.tolerations)

    def score(self, traits: Traits) -> Score | None:
        soft = tuple(t for t in traits.tolerations if not t.get("effect") or t["effect"] in SOFT)
        return _TaintScore(self.cache, soft)


class _TaintFilter(Filter):
    def __init__(self, cache: Cache, tolerations: tuple[Object, ...]) -> None:
        self.cache, self.tolerations = cache, tolerations

    def column(self, rows: Rows | None = None) -> Column:
        return _counts(self.cache.nodes, rows, self.tolerations, HARD).clip(max=1)

    def status(self, verdict: int) -> Status:
        return unresolvable(REASON)


class _TaintScore(Score):
    normalizes = True

    def __init__(self, cache: Cache, tolerations: tuple[Object, ...]) -> None:
        self.cache, self.tolerations = cache, tolerations

    def column(self, rows: Rows | None) -> Column:
        return _counts(self.cache.nodes, rows, self.tolerations, SOFT)

    def normalized(self, rows: Rows, raw: Column) -> Column:
        return stretch(raw, reverse=True)


def _counts(
    nodes: list[NodeInfo], rows: Rows | None, tolerations: tuple[Object, ...], effects: frozenset[str]
) -> Column:
    chosen = range(len(nodes)) if rows is None else rows.tolist()
    counts = np.zeros(len(chosen), dtype=np.int64)
    for position, row in enumerate(chosen):
        taints = nodes[row].taints
        if taints:
            counts[position] = len(untolerated(taints, tolerations, effects))
    return counts
