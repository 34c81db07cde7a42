"""Simulated time: timers, processes and signals on one SimPy event queue.

Time is an int of microseconds since the Unix epoch of the simulated calendar, so that histories are equal byte for
byte. SimPy keeps the queue and the order; what it lacks or does in a surprising way is here: timers that can be
cancelled (and leave the queue), runs that include their last instant, processes whose exceptions arrive as the very
object that was raised, and waits that can be given up without stealing what comes next.

Not modelled: time that a computation itself takes. Everything between two yields happens in one instant.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from functools import lru_cache, partial
from heapq import heapify, heappop, heappush
from typing import Any, Final, Protocol

import simpy

S = 1_000_000
NORMAL: Final = 1
"""SimPy's priority of all timers: among those of one instant the order of asking decides."""
CANCELLED_MIN: Final = 64
"""Cancelled timers below which the queue is not worth sweeping."""


class _TimedOut:
    def __repr__(self) -> str:
        return "TIMEOUT"

    def __bool__(self) -> bool:
        return False


TIMEOUT: Final = _TimedOut()
"""What a process gets from a wait whose time was up."""


class Timer:
    """A call at a time. ``cancel`` may be called at any moment, also more than once and from within the call."""

    __slots__ = ("call", "clock", "due", "periodic")

    def __init__(self, clock: Clock, due: int, call: Callable[[], Any] | None, periodic: bool) -> None:
        self.clock = clock
        self.due = due
        self.call = call
        self.periodic = periodic

    def __repr__(self) -> str:
        owner = getattr(self.call, "__self__", None)
        what = owner.name if isinstance(owner, Process) else repr(self.call)
        return f"timer of {what}, due at {micro_stamp_of(self.due)}"

    @property
    def active(self) -> bool:
        """Whether the call is still to come."""
        return self.call is not None

    def cancel(self) -> None:
        """Without effect when the timer has fired or was cancelled before."""
        if self.call is not None:
            self.call = None
            self.clock._count_cancelled()

    def arm(self, process: Process) -> None:
        """A process sleeps until the timer fires."""
        if self.call is None:
            self.clock.at(self.clock.now, process.wake)
        else:
            self.call = process.wake

    def disarm(self) -> None:
        self.cancel()


class Awaitable(Protocol):
    """What a process may yield: a sleep, a signal's wait, another process's join."""

    def arm(self, process: Process) -> None:
        """Arranges for ``process.wake`` (or ``process.resume``, ``process.throw``) to be called once, later."""

    def disarm(self) -> None:
        """Takes that back, because the process was killed."""


Steps = Generator[Any, Any, Any]


class Process:
    """A generator that runs on the clock; it yields what it waits for and is sent the answer.

    An exception that leaves it goes to those who joined it, as the same object; with nobody waiting it leaves
    ``Clock.run_until``, because an error that nobody sees is worse than a stopped simulation.
    """

    __slots__ = ("_done", "_killed", "_send", "_steps", "_waiting", "alive", "clock", "error", "name", "value", "wake")

    def __init__(self, clock: Clock, steps: Steps, name: str) -> None:
        self.clock = clock
        self.name = name
        self.alive = True
        self.value: Any = None
        self.error: BaseException | None = None
        self._steps: Any = steps
        self._send = steps.send
        self._done: Signal | None = None
        self._killed = False
        self.wake = self.resume
        self._waiting: Awaitable | None = clock.at(clock.now, self.wake)

    def __repr__(self) -> str:
        return f"Process({self.name}, {'alive' if self.alive else 'ended'})"

    def resume(self, value: Any = None) -> None:
        """Sends the answer that the process waits for; for those who implement ``Awaitable``."""
        try:
            waiting = self._send(value)
        except StopIteration as done:
            self.value = done.value
            self._end()
        except BaseException as error:
            self._fail(error)
        else:
            self._waiting = waiting
            if self._killed:
                self._give_up()
            elif type(waiting) is Timer and waiting.call is not None:
                waiting.call = self.wake
            else:
                waiting.arm(self)

    def throw(self, error: BaseException) -> None:
        """Raises ``error`` in the process at its yield; for those who implement ``Awaitable``."""
        try:
            waiting = self._steps.throw(error)
        except StopIteration as done:
            self.value = done.value
            self._end()
        except BaseException as raised:
            self._fail(raised)
        else:
            self._waiting = waiting
            if self._killed:
                self._give_up()
            else:
                waiting.arm(self)

    def _fail(self, error: BaseException) -> None:
        self.error = error
        if not self._end() or not isinstance(error, Exception):
            raise error

    def _end(self) -> bool:
        """Tells those who joined; returns whether there were any."""
        self.alive = False
        self._waiting = None
        done, self._done = self._done, None
        return done is not None and done.fire(self) > 0

    def kill(self) -> None:
        """Ends the process at its current yield; its ``finally`` blocks run. A process may kill itself: it then ends
        at its next yield."""
        if not self.alive:
            return
        if self._steps.gi_running:
            self._killed = True
        else:
            self._give_up()

    def _give_up(self) -> None:
        waiting = self._waiting
        if waiting is not None:
            waiting.disarm()
        # Not alive while the finally blocks run, so that a kill from within them does nothing.
        self.alive = False
        try:
            self._steps.close()
        finally:
            self._end()

    def join(self) -> Join:
        """To be yielded: gives the value that the process returns (None when killed) or raises what it raised."""
        return Join(self)


class Join:
    """Waits for the end of a process."""

    __slots__ = ("_other", "_process", "_wait")

    def __init__(self, other: Process) -> None:
        self._other = other
        self._process: Process | None = None
        self._wait: Wait | Timer | None = None

    def arm(self, process: Process) -> None:
        self._process = process
        other = self._other
        if not other.alive:
            self._wait = process.clock.at(process.clock.now, self._wake)
            return
        if other._done is None:
            other._done = Signal(other.clock)
        wait = other._done.wait()
        self._wait = wait
        wait.listen(lambda _: self._wake())

    def _wake(self) -> None:
        process, other = self._process, self._other
        if process is None:
            return
        self._process = None
        if other.error is not None:
            process.throw(other.error)
        else:
            process.resume(other.value)

    def disarm(self) -> None:
        self._process = None
        if self._wait is not None:
            self._wait.disarm()


class Wait:
    """One wait for a signal, with or without an end."""

    __slots__ = ("_give", "_periodic", "_signal", "_timeout_us", "_timer")

    def __init__(self, signal: Signal, timeout_us: int | None, periodic: bool) -> None:
        self._signal = signal
        self._timeout_us = timeout_us
        self._periodic = periodic
        self._give: Callable[[Any], None] | None = None
        self._timer: Timer | None = None

    def arm(self, process: Process) -> None:
        self.listen(process.resume)

    def listen(self, give: Callable[[Any], None]) -> None:
        """Calls ``give`` once with the signal's value or TIMEOUT."""
        self._give = give
        signal = self._signal
        signal._waits[self] = None
        if self._timeout_us is not None:
            clock = signal.clock
            self._timer = clock.at(clock.now + self._timeout_us, self._expire, self._periodic)

    def _expire(self) -> None:
        self._signal._waits.pop(self, None)
        self.deliver(TIMEOUT)

    def deliver(self, value: Any) -> None:
        give, self._give = self._give, None
        if give is not None:
            give(value)

    def disarm(self) -> None:
        self._give = None
        self._signal._waits.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()


class Signal:
    """Wakes all who wait for it; a value goes to each. Nobody waiting: nothing is kept."""

    __slots__ = ("_waits", "clock")

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        # A dict is an ordered set here: waits are woken in the order in which they began.
        self._waits: dict[Wait, None] = {}

    def wait(self, timeout_us: int | None = None, periodic: bool = False) -> Wait:
        """To be yielded: gives the value of the next ``fire``, or TIMEOUT after ``timeout_us``."""
        return Wait(self, timeout_us, periodic)

    def fire(self, value: Any = None) -> int:
        """Wakes at this instant, after what is already due; returns how many. A wait whose time is up at the same
        instant gets the value."""
        waits = self._waits
        if not waits:
            return 0
        self._waits = {}
        for wait in waits:
            if wait._timer is not None:
                wait._timer.cancel()
        clock = self.clock
        clock.at(clock.now, partial(_deliver, waits, value))
        return len(waits)


def _deliver(waits: dict[Wait, None], value: Any) -> None:
    for wait in waits:
        wait.deliver(value)


class Clock:
    """The one clock of a cluster."""

    def __init__(self, now: int = 0) -> None:
        self._calendar = simpy.Environment(initial_time=now)
        # SimPy's own queue and numbering; its ``schedule`` and ``step`` do the same with more calls in between.
        self._queue: list[Any] = self._calendar._queue
        self._number = self._calendar._eid
        self._cancelled = 0
        self._running = False
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
        self._running = True
        try:
            if not self._run(when, sys.maxsize if calls_max is None else calls_max):
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
    def next_due(self) -> int | None:
        """When the next timer is due; None when nothing ever happens again."""
        queue = self._queue
        while queue:
            timer: Timer = queue[0][3]
            if timer.call is not None:
                return timer.due
            heappop(queue)
        return None

    def next_once(self) -> Timer | None:
        """The next timer that is not periodic: what a settled cluster has none of for a while. Looks at all timers."""
        found: Timer | None = None
        for entry in self._queue:
            timer: Timer = entry[3]
            if timer.call is not None and not timer.periodic and (found is None or timer.due < found.due):
                found = timer
        return found

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


@lru_cache(maxsize=8192)
def _second_stamp(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")


def stamp_of(us: int) -> str:
    """``2026-01-01T00:00:00Z``; parts of a second are dropped."""
    return _second_stamp(us // S) + "Z"


def micro_stamp_of(us: int) -> str:
    """``2026-01-01T00:00:00.000000Z``."""
    return f"{_second_stamp(us // S)}.{us % S:06d}Z"


RFC3339: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:[.,]\d+)?(?:Z|[+-]\d{2}:\d{2})", re.ASCII)


@lru_cache(maxsize=8192)
def parse_stamp(text: str) -> int:
    """µs since the Unix epoch of an RFC 3339 time; digits below a microsecond are dropped. Raises ValueError."""
    if RFC3339.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not an RFC 3339 time")
    at = datetime.fromisoformat(text)
    seconds = at.replace(microsecond=0).timestamp()
    return int(seconds) * S + at.microsecond
