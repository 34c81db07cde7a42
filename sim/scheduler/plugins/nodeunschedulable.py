"""NodeUnschedulable: cordoned nodes take only pods that tolerate the taint that says so.

Source: pkg/scheduler/framework/plugins/nodeunschedulable.
"""

from __future__ import annotations

import numpy as np

from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.columns import Column, NodeInfo, Rows
from seatrial.sim.scheduler.framework import Filter, Plugin, Status, unresolvable
from seatrial.sim.scheduler.labels import tolerates
from seatrial.sim.scheduler.podinfo import PodInfo, Traits

REASON = "node(s) were unschedulable"
TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


class NodeUnschedulable(Plugin):
    """Filters on the node's spec.unschedulable."""

    name = "NodeUnschedulable"
    events = ("Node/Add", "Node/UpdateTaint", "Pod/UpdateTolerations")

    def hint(self, pod: PodInfo, event: str, old: object, new: object) -> bool:
        if not isinstance(new, NodeInfo):
            return True
        return not new.unschedulable and (not isinstance(old, NodeInfo) or old.unschedulable)

    def filter(self, traits: Traits) -> Filter | None:
        if any(tolerates(toleration, TAINT) for toleration in traits.tolerations):
            return None
        return _UnschedulableFilter(self.cache)


class _UnschedulableFilter(Filter):
    def __init__(self, cache: Cache) -> None:
        self.cache = cache

    def column(self, rows: Rows | None = None) -> Column:
        nodes = self.cache.nodes
        chosen = nodes if rows is None else [nodes[row] for row in rows.tolist()]
        return np.fromiter((info.unschedulable for info in chosen), dtype=np.int64, count=len(chosen))

    def status(self, verdict: int) -> Status:
        return unresolvable(REASON)
