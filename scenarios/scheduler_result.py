"""What a scheduler benchmark came to: figures of one run, and how its nodes are used in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seatrial.sim.scheduler.cache import Cache

Object = Mapping[str, Any]
QUANTILES = (0.5, 0.9, 0.99)


@dataclass(slots=True)
class Result:
    """What one run came to."""

    workload: str
    mode: str
    config: str
    seed: int
    nodes: int = 0
    pods: int = 0
    """Measured pods that were placed."""
    waiting: int = 0
    """Measured pods that were not."""
    seconds: float = 0.0
    """Processor time in which they were."""
    attempts_ms: list[float] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    """Simulated time from creation to placement."""
    utilization: dict[str, float] = field(default_factory=dict)
    fragmentation: float = 0.0
    """Share of free CPU on nodes too full, in any resource, for another pod of the last measured kind."""
    fairness: float = 1.0
    """Jain's index over the nodes' CPU use: 1 when all are equally full."""
    threshold: float | None = None
    skipped: str = ""

    @property
    def per_second(self) -> float:
        """Placed pods per second."""
        return self.pods / self.seconds if self.seconds else 0.0

    def row(self) -> dict[str, Any]:
        """One line of a table."""
        cells: dict[str, Any] = {
            "workload": self.workload, "mode": self.mode, "config": self.config, "seed": self.seed,
            "nodes": self.nodes, "pods": self.pods, "waiting": self.waiting, "seconds": round(self.seconds, 3),
            "pods_per_second": round(self.per_second, 1), "upstream_threshold": self.threshold or "",
        }  # fmt: skip
        for name, values in (("attempt_ms", self.attempts_ms), ("queue_s", self.waits_s)):
            for quantile in QUANTILES:
                value = float(np.quantile(values, quantile)) if values else 0.0
                cells[f"{name}_p{round(100 * quantile)}"] = round(value, 4)
        for resource in ("cpu", "memory"):
            cells[f"{resource}_utilization"] = round(self.utilization.get(resource, 0.0), 4)
        cells |= {"fragmentation": round(self.fragmentation, 4), "fairness": round(self.fairness, 4)}
        return {**cells, "skipped": self.skipped}


def judge(cache: Cache, result: Result) -> None:
    """Fill in how full, how fragmented and how evenly used the nodes are in the end."""
    cache.refresh()
    if not cache.nodes:
        return
    for name in ("cpu", "memory"):
        index = cache.resources[name]
        total = int(cache.allocatable[index].sum())
        result.utilization[name] = int(cache.requested[index].sum()) / total if total else 0.0
    cpu = cache.resources["cpu"]
    free = np.maximum(cache.allocatable[cpu] - cache.requested[cpu], 0)
    used = cache.requested[cpu] / np.maximum(cache.allocatable[cpu], 1)
    squares = float((used**2).sum())
    result.fairness = float(used.sum()) ** 2 / (len(used) * squares) if squares else 1.0
    last = next((pod for pod, _ in reversed(cache.where.values())), None)
    if last is not None and free.sum():
        full = cache.pod_count >= cache.pods_allowed
        for name, units in last.traits.requests.items():
            index = cache.resource(name)
            full |= cache.allocatable[index] - cache.requested[index] < units
        result.fragmentation = float(free[full].sum() / free.sum())
