"""Clients of a scenario: loads on the cluster, and what they got."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.scenarios.predicates import Tally
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import S

USUAL: Mapping[str, Any] = {"interval_s": 1, "timeout_ms": 1000}
"""What a scenario's load is unless it says otherwise: rows as fine as its goals' spans, clients without patience."""


class Clients:
    """The loads of one run, and their figures."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._names: dict[str, None] = {}
        self._final: dict[str, Tally] | None = None

    def start(self, name: str, load: Mapping[str, Any], lasts: str | None = None) -> None:
        """A client begins. Raises ValueError."""
        self._cluster.add_load({**USUAL, **load}, name, lasts=lasts)

    def know(self, name: str) -> None:
        """A name that may be asked for."""
        self._names[name] = None

    def tally(self, name: str, span_us: int) -> Tally:
        """What it got in the last ``span_us``. Raises KeyError."""
        if name not in self._names:
            raise KeyError(name)
        series = self._cluster.loads.series(name)
        since, served, failed = self._cluster.now - span_us, 0, 0
        for row in reversed(series.rows if series is not None else []):
            if row.since_us + row.span_us <= since:
                break
            served, failed = served + row.ok, failed + sum(row.errors.values())
        return Tally(served, failed)

    def close(self) -> None:
        """What they get from now on is nobody's doing."""
        self._final = self.totals()

    def totals(self) -> dict[str, Tally]:
        """What each has got altogether."""
        if self._final is not None:
            return self._final
        return {name: self.tally(name, self._cluster.now + S) for name in self._names}
