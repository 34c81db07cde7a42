"""Simulated time: timers, processes and signals on one SimPy event queue.

Time is an int of microseconds since the Unix epoch of the simulated calendar, so that histories are equal byte for
byte. SimPy keeps the queue and the order; what it lacks or does in a surprising way is here: timers that can be
cancelled (and leave the queue), runs that include their last instant, processes whose exceptions arrive as the very
object that was raised, and waits that can be given up without stealing what comes next.

Not modelled: time that a computation itself takes. Everything between two yields happens in one instant.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any, Final

import simpy

from seatrial.sim.kernel.process import TIMEOUT, Process, Signal, Steps, Wait
from seatrial.sim.kernel.stamps import micro_stamp_of, parse_stamp, stamp_of
from seatrial.sim.kernel.timer import Timer

__all__ = [
    "TIMEOUT",
    "Clock",
    "Process",
    "Signal",
    "Steps",
    "Timer",
    "Wait",
    "micro_stamp_of",
    "parse_stamp",
    "stamp_of",
]

NORMAL: Final = 1
"""SimPy's priority of all timers: among those of one instant the order of asking decides."""
LATE: Final = 2
"""Of what comes after everything else of its instant, whatever that still sets off then."""
CANCELLED_MIN: Final = 64
"""Cancelled timers below which the queue is not worth sweeping."""


class Clock:
    """The one clock of a cluster."""

    def __init__(self, now: int = 0) -> None:
        self._calendar = simpy.Environment(initial_time=now)
        # SimPy's own queue and numbering; its ``schedule`` and ``step`` do the same with more calls in between.
        self._queue: list[Any] = self._calendar._queue
        self._number = self._calendar._eid
        self._cancelled = 0
        self._running = False
        self._appointments: list[tuple[int, int, Callable[[], Any], bool]] = []
        self.now = now
        """µs since the Unix epoch; to be read only."""

    def at(self, when: int, call: Callable[[], Any], periodic: bool = False) -> Timer:
        """Calls at ``when`` (now, if that is past), after what is already due then.

        ``periodic`` marks a rhythm: it does not keep a cluster from being settled.
        """
        if when < self.now:
            when = self.now
        timer = Timer(self, when, call, periodic)
        heappush(self._queue, (when, NORMAL, next(self._number), timer))
        return timer

    def after(self, delay: int, call: Callable[[], Any], periodic: bool = False) -> Timer:
        """``at``, ``delay`` µs from now."""
        return self.at(self.now + delay, call, periodic)

    def sleep(self, us: int, periodic: bool = False) -> Timer:
        """To be yielded by a process."""
        return self.at(self.now + us, _nothing, periodic)

    def late(self) -> Timer:
        """To be yielded by a process that has to go on at this instant, but after all that happens at it."""
        timer = Timer(self, self.now, _nothing, False)
        heappush(self._queue, (self.now, LATE, next(self._number), timer))
        return timer

    def appoint(self, when: int, call: Callable[[], Any], periodic: bool = False) -> None:
        """Calls at ``when`` from outside of the simulation: after everything of that instant, with the clock standing
        still, so that ``call`` may do what a user does between two runs. ``periodic`` ones are not worth waking up for.
        """
        heappush(self._appointments, (max(when, self.now), next(self._number), call, periodic))

    def _count_cancelled(self) -> None:
        self._cancelled += 1
        if self._cancelled > CANCELLED_MIN and self._cancelled * 2 > len(self._queue):
            # In place: the queue is SimPy's. The order of the others stays, since every entry has its number.
            self._queue[:] = [entry for entry in self._queue if entry[3].call is not None]
            heapify(self._queue)
            self._cancelled = 0

    def spawn(self, steps: Steps, name: str) -> Process:
        """Starts a process at this instant, after what is already due."""
        return Process(self, steps, name)

    def run_until(self, when: int, calls_max: int | None = None) -> bool:
        """Runs everything that is due up to and including ``when``, which is then the time.

        ``calls_max`` bounds the work of one slice, which still ends between two instants: returns False, with the time
        where it stands, when the bound was reached.
        Raises what a process or call raised; the clock can go on after it. Raises ValueError for a time that is past,
        RuntimeError when called from within the simulation.
        """
        if when < self.now:
            raise ValueError(f"{stamp_of(when)} is past: it is {stamp_of(self.now)}")
        if self._running:
            raise RuntimeError("the clock is running: a process waits by yielding, it does not run the clock")
        calls_max = sys.maxsize if calls_max is None else calls_max
        while self._appointments and self._appointments[0][0] <= when:
            if not self._run_to(max(self._appointments[0][0], self.now), calls_max):
                return False
            heappop(self._appointments)[2]()
        # A call may have let more time pass than it was asked for.
        return self._run_to(max(when, self.now), calls_max)

    def _run_to(self, when: int, calls_max: int) -> bool:
        self._running = True
        try:
            if not self._run(when, calls_max):
                return False
        finally:
            self._running = False
        self.now = self._calendar._now = when
        return True

    def _run(self, when: int, calls_max: int) -> bool:
        queue, calendar = self._queue, self._calendar
        while queue and queue[0][0] <= when:
            if calls_max <= 0 and queue[0][0] > self.now:
                return False
            due, _, _, timer = heappop(queue)
            call = timer.call
            if call is not None:
                timer.call = None
                self.now = calendar._now = due
                calls_max -= 1
                call()
        return True

    @property
    def running(self) -> bool:
        """Whether this is asked from within the simulation."""
        return self._running

    @property
    def next_due(self) -> int | None:
        """When the next timer or appointment is due; None when nothing ever happens again."""
        appointed = min((when for when, _, _, periodic in self._appointments if not periodic), default=None)
        queue = self._queue
        while queue:
            timer: Timer = queue[0][3]
            if timer.call is not None:
                return timer.due if appointed is None else min(timer.due, appointed)
            heappop(queue)
        return appointed

    def once_by(self, when: int) -> Timer | None:
        """A timer that is not periodic and due by ``when``: what a settled cluster has none of for a while.

        Any of them, so that as a rule the first few entries of the queue tell.
        """
        for entry in self._queue:
            if entry[0] <= when:
                timer: Timer = entry[3]
                if timer.call is not None and not timer.periodic:
                    return timer
        return None

    @property
    def pending(self) -> int:
        """Entries in the queue, cancelled ones included."""
        return len(self._queue)

    def stamp(self, at: int | None = None) -> str:
        """RFC 3339 with seconds, as metav1.Time."""
        return stamp_of(self.now if at is None else at)

    def micro_stamp(self, at: int | None = None) -> str:
        """RFC 3339 with microseconds, as metav1.MicroTime."""
        return micro_stamp_of(self.now if at is None else at)


def _nothing() -> None:
    return None
