"""What a load measured: rows of one interval each, with rates, errors by kind and quantiles of the latency.

Latencies are counted in classes 5 % wide, so that a row's size does not depend on how many requests it is for. A series
keeps a bounded number of rows: when there are more, two become one and the interval doubles.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil, exp, log
from typing import Any

WIDTH = log(1.05)
ROWS_MAX = 2_000
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
S = 1_000_000


@lru_cache(maxsize=4096)
def _class_of(us: int) -> int:
    return round(log(max(us, 1)) / WIDTH)


@dataclass(slots=True)
class Row:
    """One interval."""

    since_us: int
    span_us: int
    sent: int = 0
    ok: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    level: float = 0.0
    """Requests per second, or users, that were asked for last."""
    latencies: dict[int, int] = field(default_factory=dict)
    """Of the requests that were answered: how many by class."""
    latency_max_us: int = 0
    latency_sum_us: int = 0

    def answered(self, count: int, us: int) -> None:
        self.ok += count
        key = _class_of(us)
        self.latencies[key] = self.latencies.get(key, 0) + count
        self.latency_max_us = max(self.latency_max_us, us)
        self.latency_sum_us += count * us

    def failed(self, count: int, kind: str) -> None:
        self.errors[kind] = self.errors.get(kind, 0) + count

    def add(self, other: Row) -> None:
        """Takes in what another counted."""
        self.sent += other.sent
        self.ok += other.ok
        for kind, count in other.errors.items():
            self.failed(count, kind)
        for key, count in other.latencies.items():
            self.latencies[key] = self.latencies.get(key, 0) + count
        self.level = other.level
        self.latency_max_us = max(self.latency_max_us, other.latency_max_us)
        self.latency_sum_us += other.latency_sum_us

    def quantile_us(self, share: float) -> int | None:
        """The latency that so many of the answered requests did not exceed; None when none was answered."""
        wanted, reached = ceil(share * self.ok), 0
        for key in sorted(self.latencies):
            reached += self.latencies[key]
            if reached >= wanted:
                return min(round(exp(key * WIDTH)), self.latency_max_us)
        return None

    def value(self) -> dict[str, Any]:
        """For people and programs; times in µs since the Unix epoch, latencies in ms."""
        seconds = self.span_us / S
        failed = sum(self.errors.values())
        return {
            "since": self.since_us,
            "seconds": seconds,
            "level": round(self.level, 3),
            "sent": self.sent,
            "ok": self.ok,
            "failed": failed,
            "rate": round(self.sent / seconds, 3) if seconds else 0.0,
            "errors": dict(sorted(self.errors.items())),
            "latencyMs": {
                **{name: _ms(self.quantile_us(share)) for name, share in QUANTILES.items()},
                "max": _ms(self.latency_max_us if self.ok else None),
                "mean": _ms(self.latency_sum_us // self.ok if self.ok else None),
            },
        }


def _ms(us: int | None) -> float | None:
    return None if us is None else round(us / 1000, 3)


class Series:
    """The rows of one load, from ``since_us`` on."""

    def __init__(self, since_us: int, interval_us: int) -> None:
        self.since_us, self.interval_us = since_us, interval_us
        self.rows: list[Row] = []

    def row(self, now: int) -> Row:
        """The row of a moment."""
        index = max(0, now - self.since_us) // self.interval_us
        if index >= ROWS_MAX:
            self._halve()
            return self.row(now)
        while len(self.rows) <= index:
            self.rows.append(Row(self.since_us + len(self.rows) * self.interval_us, self.interval_us))
        return self.rows[index]

    def _halve(self) -> None:
        self.interval_us *= 2
        pairs = [self.rows[at : at + 2] for at in range(0, len(self.rows), 2)]
        self.rows = []
        for first, *rest in pairs:
            first.span_us = self.interval_us
            for other in rest:
                first.add(other)
            self.rows.append(first)

    def total(self, now: int) -> Row:
        """All rows in one."""
        whole = Row(self.since_us, max(now - self.since_us, 1))
        for row in self.rows:
            whole.add(row)
        return whole

    def values(self, now: int) -> list[dict[str, Any]]:
        """All rows; the last one may not be over yet."""
        found = []
        for row in self.rows:
            value = row.value()
            if row.since_us + row.span_us > now:
                seconds = max(now - row.since_us, 0) / S
                value["seconds"] = seconds
                value["rate"] = round(row.sent / seconds, 3) if seconds else 0.0
            found.append(value)
        return found
