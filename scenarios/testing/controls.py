"""What a test has in its hands: a cluster that is up, its time, what can break, and the judgement at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from seatrial.scenarios.testing.temporal import Broken
from seatrial.sim import invariants
from seatrial.sim.cluster import Cluster, duration_us
from seatrial.sim.config import MS, ClusterSpec

BOOT = "6s"
"""From the start until leases are taken and nodes are ready."""
STEP_US = 10 * MS
DEFAULTS: Mapping[str, Any] = {"nodes": 2, "addons": False}


def booted(wanted: Mapping[str, Any] | None = None, seed: int = 0) -> Cluster:
    """A cluster that is up; ``wanted`` are fields of its ClusterSpec."""
    cluster = Cluster(ClusterSpec.model_validate({**DEFAULTS, **(wanted or {})}), seed)
    cluster.advance(BOOT)
    return cluster


def judge(cluster: Cluster) -> None:
    """Raises Broken for what breaks a rule in the cluster's whole history."""
    wrong = invariants.violations(cluster.store)
    if wrong:
        raise Broken("\n".join(map(str, wrong[:5])))


def judge_rest(cluster: Cluster) -> None:
    """Raises Broken for what a cluster at rest has not come to."""
    missing = invariants.unmet(cluster.store)
    if missing:
        raise Broken("\n".join(map(str, missing[:5])))


class Clock:
    """A cluster's time."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    @property
    def now(self) -> int:
        """Simulated µs since the Unix epoch."""
        return self._cluster.now

    def advance(self, duration: str | int) -> None:
        """Lets time pass: ``"5m"``, ``"250ms"``, or µs."""
        self._cluster.advance(duration)

    def settle(self) -> None:
        """Until nothing is under way. Raises NotSettled."""
        self._cluster.settle()

    def until(self, holds: Callable[[], object], within: str | int = "10m") -> int:
        """Until ``holds`` does; returns how long that took (µs). Raises Broken when the time is up."""
        began = self._cluster.now
        deadline = began + duration_us(within)
        while not holds():
            if self._cluster.now >= deadline:
                raise Broken(f"{getattr(holds, '__name__', holds)} did not hold within {within}")
            self._cluster.run(STEP_US)
        return self._cluster.now - began


class Faults:
    """What can break, under the names by which it heals."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def add(self, kind: str, name: str = "", lasts: str | int | None = None, **fields: Any) -> str:
        """Any fault of the catalogue. Returns its name."""
        return self._cluster.add_fault({"kind": kind, **fields}, name, 0, lasts)

    def crash(self, component: str, after_writes: int = 0, down: str | int = "1s", user: str = "") -> None:
        """Ends a process, at once or right after one of its next writes, and starts it again."""
        down_ms = duration_us(down) // MS
        if after_writes:
            self.add("component-cut", component=component, after_writes=after_writes, down_ms=down_ms, user=user)
        else:
            self.add("component-stop", lasts=down, component=component)

    def stale(self, component: str, by: str | int, resource: str = "", lasts: str | int | None = None) -> str:
        """Lets a process see changes late."""
        delay_ms = duration_us(by) // MS
        return self.add("stale-views", lasts=lasts, component=component, resource=resource, delay_ms=delay_ms)

    def errors(self, code: int, share: float = 1.0, lasts: str | int | None = "5s", **which: Any) -> str:
        """Lets the API server refuse requests; ``which``: verb, resource, namespace, user."""
        return self.add("api-fault", lasts=lasts, code=code, share=share, **which)

    def heal(self, name: str = "") -> None:
        """Takes a fault back, or all."""
        for each in [name] if name else [found["name"] for found in self._cluster.faults.list()][::-1]:
            self._cluster.remove_fault(each)
