"""NodeName: a pod that names its node goes nowhere else (pkg/scheduler/framework/plugins/nodename)."""

from __future__ import annotations

import numpy as np

from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.columns import Column, Rows
from seatrial.sim.scheduler.framework import Filter, Plugin, Status, unresolvable
from seatrial.sim.scheduler.podinfo import Traits

REASON = "node(s) didn't match the requested node name"


class NodeName(Plugin):
    """Filters on spec.nodeName."""

    name = "NodeName"
    events = ("Node/Add",)

    def filter(self, traits: Traits) -> Filter | None:
        return _NodeNameFilter(self.cache, traits.node_name) if traits.node_name else None


class _NodeNameFilter(Filter):
    def __init__(self, cache: Cache, wanted: str) -> None:
        self.cache, self.wanted = cache, wanted

    def column(self, rows: Rows | None = None) -> Column:
        verdicts = np.ones(len(self.cache.nodes), dtype=np.int64)
        row = self.cache.row_of.get(self.wanted)
        if row is not None:
            verdicts[row] = 0
        return verdicts if rows is None else verdicts[rows]

    def status(self, verdict: int) -> Status:
        return unresolvable(REASON)
