"""A container's CPU as a queue: how long requests wait, how much work is done, and what those under way hold in memory.

Work flows in at the rates of the loads and flows out at the container's share of the CPU (its limit, or the machine's
cores). What does not fit is a backlog that all later requests wait for. Below that, requests that happen to come
together wait for each other: Sakasegawa's approximation of M/D/m, with an exponential tail.

Not modelled: containers that compete for a machine's cores; the periods of CFS' quota; work that its client gave up.
"""

from __future__ import annotations

from math import log, sqrt
from random import Random
from typing import NamedTuple

CORE = 1_000_000_000
"""ns of CPU per second."""
S = 1_000_000
SATURATED = 0.98
"""From here on the queue's length is the backlog's to say."""
STRATA = ((0.5, 0.25), (0.4, 0.7), (0.09, 0.945), (0.01, 0.995))
"""(share, quantile) of those that stand for the many."""
FEW = 8
"""So many are looked at one by one."""


NOTABLE_US = 100_000
"""A wait that somebody may notice."""


class Taken(NamedTuple):
    """What became of requests."""

    waits: tuple[tuple[int, int], ...]
    """(how many, µs until they are answered)."""
    lost: int
    """Those for which there was no place in the queue: the kernel drops them and their clients try again in vain."""
    held: int = 0
    """Those that were never sent: their senders were still waiting for earlier answers."""


class Queue:
    """The work of one container. ``capacity`` is its share of the CPU, in ns per second; ``places`` what its listening
    socket holds."""

    def __init__(self, now: int, capacity: int, places: int, rng: Random) -> None:
        self.capacity, self.places = max(capacity, 1), places
        self.backlog_ns = 0
        self.done_ns = 0
        self._rng = rng
        self._at = now
        self._flows: list[tuple[int, int]] = []
        """(until when, ns per second)."""
        self._cost_ns = 1

    def is_idle(self, now: int) -> bool:
        """Whether one who asks now hardly waits for others."""
        return not self.rate(now) and self.is_soon_done(self.backlog_ns)

    def is_soon_done(self, work_ns: int) -> bool:
        return work_ns * S // self.capacity < NOTABLE_US

    def rate(self, now: int) -> int:
        """ns per second that flow in."""
        self.advance(now)
        return sum(rate for _, rate in self._flows)

    def busy(self, now: int) -> int:
        """ns per second that are worked off."""
        rate = self.rate(now)
        return self.capacity if self.backlog_ns else min(rate, self.capacity)

    def under_way(self, now: int) -> int:
        """Requests that are waiting or worked on."""
        rate = self.rate(now)
        waiting, worked = self.backlog_ns // self._cost_ns, min(rate, self.capacity) / CORE
        return waiting + -int(-worked // 1)

    def advance(self, now: int) -> None:
        """Works until ``now``."""
        while self._at < now:
            end = min([now, *(until for until, _ in self._flows)])
            span = end - self._at
            come = sum(rate for _, rate in self._flows) * span // S
            worked = min(self.backlog_ns + come, self.capacity * span // S)
            self.backlog_ns += come - worked
            self.done_ns += worked
            self._at = end
            self._flows = [flow for flow in self._flows if flow[0] > end]

    def take(self, now: int, count: int, cost_ns: int, over_us: int = 0, window: int = 0) -> Taken:
        """Takes in ``count`` requests that come evenly over a span of time, or at once; if there is a ``window``, their
        senders wait as soon as so many are under way."""
        self.advance(now)
        cost_ns = max(cost_ns, 1)
        self._cost_ns = cost_ns
        rate = count * cost_ns * S // over_us if over_us else 0
        others = sum(each for _, each in self._flows)
        before = self.backlog_ns
        after = before + (max(0, rate + others - self.capacity) * over_us // S if over_us else count * cost_ns)
        held = min(count, max(0, (after - max(before, window * cost_ns)) // cost_ns)) if window else 0
        after -= held * cost_ns
        lost = min(count - held, max(0, after // cost_ns - self.places))
        kept = count - held - lost
        if over_us:
            self._flows.append((now + over_us, kept * cost_ns * S // over_us))
        else:
            self.backlog_ns += kept * cost_ns
        after = max(before, min(after, (self.places + 1) * cost_ns) - (0 if over_us else cost_ns))
        load = others + (kept * cost_ns * S // over_us if over_us else 0)
        return Taken(tuple(self._waits(kept, cost_ns, before, after, load / self.capacity)), lost, held)

    def _waits(self, count: int, cost_ns: int, before: int, after: int, load: float) -> list[tuple[int, int]]:
        """The waits of ``count`` requests, with the work on them, while the work before them grows to ``after``."""
        if not count:
            return []
        service_us = cost_ns * S // min(self.capacity, CORE)

        def wait(quantile: float) -> int:
            behind = round(before + (after - before) * quantile) * S // self.capacity
            return behind + service_us + round(_tail(service_us, load, self.capacity / CORE, quantile))

        if count <= FEW:
            return [(1, wait(self._rng.random())) for _ in range(count)]
        found, given = [], 0
        reached = 0.0
        for share, quantile in STRATA:
            reached += share
            part = round(count * reached) - given
            given += part
            if part:
                found.append((part, wait(quantile)))
        return found


def _tail(service_us: int, load: float, cores: float, quantile: float) -> float:
    """µs that a request waits for others of the same moment."""
    if load >= SATURATED or quantile <= 1 - load:
        return 0.0
    servers = max(cores, 1.0)
    mean = service_us * load ** (sqrt(2 * (servers + 1)) - 1) / (2 * servers * (1 - load))
    return float(mean / load * log(load / (1 - quantile)))
