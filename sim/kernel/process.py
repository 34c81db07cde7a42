"""Processes, and what they wait for: sleeps, signals, each other.

A process is a generator. It yields what it waits for and is sent the answer; it can be killed at any yield, and then
waits for nothing any more and steals nothing from those who still do.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from seatrial.sim.kernel.timer import Timer

if TYPE_CHECKING:
    from seatrial.sim.kernel.clock import Clock


class _TimedOut:
    def __repr__(self) -> str:
        return "TIMEOUT"

    def __bool__(self) -> bool:
        return False


TIMEOUT: Final = _TimedOut()
"""What a process gets from a wait whose time was up."""


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
