"""What sends a load: steps on the simulated clock, in each of which the requests that were due go out together.

The requests of a step are one batch that walks the network's tables and parts where chance parts them
(``kernel/chance.py``); each part ends at one container, whose queue says how long it takes. A step is as long as it
takes for a request to be due, but at least a tenth of a second and, while no request goes a way that none went before,
up to a second. So the cost of a load follows the ways that its requests go, not their number.

Not modelled: connections that are kept for the next request (each one opens its own), redirects, TLS beyond its round
trip. A change is noticed at the next step, a second later at most.
"""

from __future__ import annotations

import errno
from heapq import heappop, heappush
from math import ceil
from random import Random
from typing import Any, NamedTuple

from seatrial.sim.kernel.clock import Clock, Timer
from seatrial.sim.loads.load import Load
from seatrial.sim.loads.series import Series
from seatrial.sim.network.dataplane import Arrival, Origin
from seatrial.sim.network.hosts import Rejected
from seatrial.sim.network.requests import ARP_TIMEOUT_US, Requests, origin_of, target_of
from seatrial.sim.network.resolver import is_address

MS, S = 1_000, 1_000_000
STEP_US_MIN, STEP_US_MAX = 100 * MS, 1 * S
RETRY_US_MIN = 1 * MS
"""The least time that a user of a closed loop takes for a request, answered or not."""
DNS, NO_ENDPOINTS, REFUSED, RESET, TIMEOUT = "dns", "no-endpoints", "refused", "reset", "timeout"
UNREACHABLE, NO_ORIGIN = "unreachable", "no-origin"
HELD = "held"
"""Not sent at all: the user was still waiting."""


class Outcome(NamedTuple):
    """What became of some requests."""

    requests: int
    us: int
    """How long it takes until their client knows."""
    error: str = ""
    work: Any = None
    """What the container said of them (workloads.net.Work)."""


class Generator:
    """One load that runs."""

    def __init__(self, load: Load, requests: Requests, clock: Clock, rng: Random) -> None:
        self.load, self._requests, self._clock, self._rng = load, requests, clock, rng
        self._target = target_of(load.url)
        self.since_us = self._last = clock.now
        self.series = Series(clock.now, load.interval_s * S)
        self._due = 0.0
        self._response_us = 0
        """The mean time of the last step's requests, for closed loops."""
        self._step_us = STEP_US_MIN
        self._ways: dict[Any, None] = {}
        """Those that requests have gone since the last one that was new."""
        self._sent_per_us = 0.0
        self._under_way: list[tuple[int, int, Outcome]] = []
        self._number = 0
        self._timer: Timer | None = None
        self._plan()

    def stop(self) -> None:
        """Sends what is due by now, and nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._go()

    def look(self) -> Series:
        """The figures as of now."""
        self._settle(self._clock.now)
        return self.series

    # Steps

    def _rate(self, level: float) -> float:
        """Requests per µs."""
        if self.load.loop == "open":
            return level / S
        return level / max(self._response_us + self.load.think_ms * MS, RETRY_US_MIN)

    def _level(self, now: int) -> float:
        return self.load.level_at((now - self.since_us) / S)

    def _plan(self) -> None:
        rate = self._rate(self._level(self._clock.now))
        wait = self._step_us
        if rate > 0:
            wait = max(wait, min(round((1.0 - self._due) / rate), STEP_US_MAX))
        # Rows end where a step ends, so that none counts its neighbour's requests.
        interval = self.series.interval_us
        wait = min(wait, interval - (self._clock.now - self.since_us) % interval)
        self._timer = self._clock.after(wait, self._step, periodic=True)

    def _step(self) -> None:
        self._go()
        self._plan()

    def _go(self) -> None:
        """Sends what was due since the last step."""
        now = self._clock.now
        self._settle(now)
        span = now - self._last
        if not span:
            return
        self._last = now
        level = self._level(now - span // 2)
        self._due += self._rate(level) * span
        if self.load.loop == "closed":
            # Users who had to wait cannot all have asked again before anybody knows how long answers take now.
            self._due = min(self._due, level + 2 * self._sent_per_us * span)
        count = int(self._due + 1e-9)
        self._due -= count
        self._sent_per_us = count / span
        row = self.series.row(now - 1)
        row.level = level
        ways: tuple[Any, ...] = ()
        if count:
            row.sent += count
            ways = self._send(count, span, level)
        if all(way in self._ways for way in ways):
            self._step_us = min(self._step_us * 2, STEP_US_MAX)
        else:
            self._step_us, self._ways = STEP_US_MIN, {}
        self._ways.update(dict.fromkeys(ways))

    def _settle(self, now: int) -> None:
        """Counts what its client knows by now."""
        pending = self._under_way
        while pending and pending[0][0] <= now:
            due, _, outcome = heappop(pending)
            row, error = self.series.row(due), outcome.error
            if outcome.work is not None:
                ended = outcome.work.ended_us()
                if ended is not None and ended <= due:
                    error = RESET
            if error:
                row.failed(outcome.requests, error)
            else:
                row.answered(outcome.requests, outcome.us)

    # One batch

    def _send(self, count: int, span: int, level: float) -> tuple[Any, ...]:
        """Sends requests that were due over the span before this moment; the ways that they went."""
        load, now = self.load, self._clock.now
        users = level / count if load.loop == "closed" else 0.0
        ways: dict[Any, None] = {}
        waited = answered = 0
        for part, (way, outcomes) in self._walks(count, span, users):
            ways[way] = None
            for outcome in outcomes(part):
                if outcome.error == HELD:
                    self.series.row(now - 1).sent -= outcome.requests
                    continue
                if outcome.us >= load.timeout_ms * MS:
                    outcome = outcome._replace(us=load.timeout_ms * MS, error=TIMEOUT, work=None)
                waited += outcome.us * outcome.requests
                answered += outcome.requests
                self._number += 1
                heappush(self._under_way, (now + outcome.us, self._number, outcome))
        self._response_us = waited // max(answered, 1)
        return tuple(ways)

    def _walks(self, count: int, span: int, users: float) -> list[tuple[int, Any]]:
        requests, load = self._requests, self.load
        try:
            origin = origin_of(requests.plane, load.origin)
        except ValueError:
            return [(count, _failed(NO_ORIGIN, 0))]
        try:
            addresses = requests.addresses(origin, self._target.host)
        except OSError as problem:
            wait = load.timeout_ms * MS if isinstance(problem, TimeoutError) else 0
            return [(count, _failed(DNS, wait))]
        chance = requests.plane.chance
        return list(chance.ways(count, self._rng, lambda: self._walk(origin, addresses, span, users)))

    def _walk(self, origin: Origin, addresses: list[str], span: int, users: float) -> Any:
        """One way of the batch; there are so many users per request."""
        requests, load, target = self._requests, self.load, self._target
        turn = requests.plane.chance.turn(len(addresses), 0)
        lookup_us = 0 if is_address(target.host) else requests.plane.lookup_us
        try:
            arrival = requests.reach(origin, addresses[turn], target.port)
            if target.scheme == "tcp":
                return _connected(arrival, lookup_us)
            window = ceil(users * requests.plane.chance.count)
            answer = requests.ask(arrival, target, load.method, load.headers, load.body.encode(), span, window)
        except OSError as problem:
            return _failed(*_meaning(problem, load.timeout_ms * MS))
        return _answered(arrival, answer, lookup_us + (6 if target.scheme == "https" else 4) * arrival.latency_us)


def _failed(error: str, us: int) -> Any:
    return error, lambda count: [Outcome(count, us, error)]


def _connected(arrival: Arrival, lookup_us: int) -> Any:
    return (arrival.address, arrival.port), lambda count: [Outcome(count, lookup_us + 2 * arrival.latency_us)]


def _answered(arrival: Arrival, answer: Any, link: int) -> Any:
    """How an HTTP answer is counted; ``link`` is the time in µs that names and the way take."""
    error = f"{answer.code // 100}xx" if answer.code >= 400 else ""

    def outcomes(count: int) -> list[Outcome]:
        work = answer.work
        if work is None:
            return [Outcome(count, link, error)]
        found = [Outcome(each, link + us, error, work) for each, us in work.waits]
        if work.held:
            found.append(Outcome(work.held, 0, HELD))
        # Nobody ever answers these: their client's patience ends it.
        return [*found, Outcome(work.lost, 1 << 62, TIMEOUT)] if work.lost else found

    return (arrival.address, arrival.port, error), outcomes


def _meaning(problem: OSError, timeout_us: int) -> tuple[str, int]:
    """The kind of an error, and how long its client waits for it."""
    if isinstance(problem, Rejected):
        return NO_ENDPOINTS, 0
    if isinstance(problem, ConnectionRefusedError):
        return REFUSED, 0
    if isinstance(problem, ConnectionResetError):
        return RESET, 0
    if problem.errno == errno.EHOSTUNREACH:
        return UNREACHABLE, min(ARP_TIMEOUT_US, timeout_us)
    return TIMEOUT, timeout_us
