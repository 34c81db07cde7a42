"""The live driver: simulated time follows the wall clock, in slices short enough that no client notices them.

One asyncio loop runs everything. A slice advances the simulation by what is due and ends after about 2 ms of work;
sockets are looked after between slices. When nothing is due the loop sleeps until the next timer or the next request,
so a quiet cluster costs next to no processor time. A request enters at *now*: ``enter`` first brings the simulation up
to the present.

Simulated time is ``wall × speed`` since the last change of speed, plus what was skipped by ``advance`` and ``until``. A
simulation that cannot keep up lags behind and catches up later; what it says of times stays true, since every effect
carries its simulated time.

In lock-step, time waits for clients outside: whenever one asks or is told something, nothing more happens until all
have been quiet for a while. So a controller under test reacts within the instant, however fast time passes and however
slow the machine is.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

log = logging.getLogger("seatrial")

SLICE_S = 0.002
"""How long the simulation may hold the loop at a time, in seconds."""
CALLS_MAX = 16
"""Calls of the simulation between two looks at the host's clock."""
SPEED_MAX = 10_000.0
S = 1_000_000
OFFSET_INERTIA_US = 750_000
FLUSH_RETRY_S = 1.0
"""How long to wait when the disk is full before it is tried again."""
NEVER = 2**63
TICK_US = 1_000
"""Sleep at least this long: the loop's timers are no finer."""


class Clock(Protocol):
    """What the driver needs of the simulation's clock."""

    @property
    def now(self) -> int: ...
    @property
    def next_due(self) -> int | None: ...
    def run_until(self, when: int, calls_max: int | None = None) -> bool: ...


def wall_us() -> int:
    """The host's clock in µs since the Unix epoch."""
    return time.time_ns() // 1000


def steady_us() -> int:
    """A clock of the host that nobody sets, in µs."""
    return time.monotonic_ns() // 1000


class Driver:
    """Pumps one simulation. All methods are to be called from the loop's thread.

    ``flush`` makes durable what the simulation has committed; whatever is to leave the process goes through ``release``
    and waits for it while there is something ``dirty``, so nobody hears of a change that a crash could take back.
    Everything that is ready in one turn of the loop shares one flush.
    """

    def __init__(
        self,
        clock: Clock,
        flush: Callable[[], None] | None = None,
        dirty: Callable[[], bool] | None = None,
        steady: Callable[[], int] = steady_us,
        wall: Callable[[], int] = wall_us,
    ) -> None:
        self._clock = clock
        self._flush = flush
        self._dirty = dirty
        self._steady = steady
        self._wall = wall
        self._origin_steady = steady()
        self._origin_sim = clock.now
        self._speed = 1.0
        self._paused = False
        self._offset_us = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Handle | None = None
        self._planned = NEVER
        self._leaving: list[Callable[[], None]] = []
        self._release_due = False
        self._streaming: list[Callable[[], None]] = []
        self._stream_due = False
        self._stream_not_before = 0.0
        self._arrivals: list[tuple[int, asyncio.Future[bool]]] = []
        self._jumps = asyncio.Lock()
        self._awaited: Callable[[], bool] | None = None
        """What a jump ends at, when it holds before the jump's time is up."""
        self._grace_us: int | None = None
        self._held_until: int | None = None
        """In lock-step, on the steady clock: until when time waits for clients outside."""
        self.failure: BaseException | None = None
        self.on_failure: Callable[[BaseException], None] = lambda problem: None

    # the clock as its users see it

    @property
    def target(self) -> int:
        """Where simulated time should be by now, µs; the clock itself may lag behind."""
        if self._paused or self._held_until is not None:
            return self._origin_sim
        return self._origin_sim + int((self._steady() - self._origin_steady) * self._speed)

    @property
    def lag_us(self) -> int:
        """By how much the simulation is late: 0 while nothing is overdue."""
        due, target = self._clock.next_due, self.target
        return 0 if due is None or due > target else target - self._clock.now

    @property
    def speed(self) -> float:
        return self._speed

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def offset_us(self) -> int:
        """What to add to a simulated time to get the time on the client's clock, in whole seconds.

        It follows with some inertia, so that a difference of half a second does not make times flicker.
        """
        exact = self._wall() - self.target
        if abs(exact - self._offset_us) > OFFSET_INERTIA_US:
            self._offset_us = round(exact / S) * S
        return self._offset_us

    def _rebase(self) -> None:
        """Makes this moment the origin, so that what changes from now on does not change the past."""
        self._origin_sim = self.target
        self._origin_steady = self._steady()

    def pause(self) -> None:
        """Stops simulated time; requests are still answered."""
        self._rebase()
        self._paused = True
        self.wake()

    def resume(self) -> None:
        self._rebase()
        self._paused = False
        self.wake()

    def set_speed(self, speed: float) -> None:
        """Simulated seconds per second. Raises ValueError outside 0 < speed ≤ 10,000."""
        if not 0 < speed <= SPEED_MAX:
            raise ValueError(f"speed {speed:g} is not between 0 and {SPEED_MAX:g}")
        self._rebase()
        self._speed = speed
        self.wake()

    async def advance(self, us: int) -> None:
        """Jumps forward: everything of the time between happens, as fast as it can. Returns when it has happened."""
        if us < 0:
            raise ValueError("time does not go back")
        async with self._jumps:
            await self._jump(us)

    async def until(self, holds: Callable[[], bool], limit_us: int) -> bool:
        """Jumps forward to the first instant at which ``holds``, and at most by ``limit_us``; whether it came to hold.
        It is asked after each instant, so it has to know itself whether anything has changed."""
        async with self._jumps:
            self.enter()
            if holds():
                return True
            self._awaited = holds
            try:
                return await self._jump(limit_us)
            finally:
                self._awaited = None

    async def _jump(self, us: int) -> bool:
        self._rebase()
        self._origin_sim += us
        arrival: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._arrivals.append((self._origin_sim, arrival))
        self.wake()
        return await arrival

    # lock-step

    @property
    def lockstep_us(self) -> int | None:
        """How long (µs of the wall clock) time waits for clients outside after each word with them, or None."""
        return self._grace_us

    def set_lockstep(self, grace_us: int | None) -> None:
        """Begins or ends lock-step."""
        self._let_go()
        self._grace_us = grace_us
        self.wake()

    def _hold(self) -> None:
        """Somebody outside is busy."""
        if self._grace_us is None:
            return
        if self._held_until is None:
            self._rebase()
            if self._loop is not None:
                self._loop.call_later(self._grace_us / S, self._release_time)
        self._held_until = self._steady() + self._grace_us

    def _release_time(self) -> None:
        if self._held_until is None or self._loop is None:
            return
        left = self._held_until - self._steady()
        if left > 0:
            self._loop.call_later(left / S, self._release_time)
        else:
            self._let_go()
            self.wake()

    def _let_go(self) -> None:
        if self._held_until is not None:
            self._held_until = None
            self._origin_steady = self._steady()

    # pumping

    def start(self, loop: asyncio.AbstractEventLoop, offset_us: int = 0) -> None:
        """Lets time go on, ``offset_us`` behind the wall clock (ahead when negative): what has passed while everything
        was put together is caught up with. A simulation that is further already goes on from where it is.
        """
        self._loop = loop
        self._origin_sim = max(self._clock.now, self._wall() - offset_us)
        self._origin_steady = self._steady()
        self.wake()

    def stop(self) -> None:
        """Lets time stand still for good; what is committed is made durable."""
        if self._wake is not None:
            self._wake.cancel()
        self._loop = None
        self._release()
        self._stream()

    def enter(self) -> int:
        """Brings the simulation to the present before a request is served, as far as one slice goes; the time then."""
        self._run()
        self._hold()
        return self._clock.now

    def wake(self) -> None:
        """Looks soon at what is due: to be called after anything that may have added work."""
        if self._loop is None:
            return
        if self._wake is not None:
            self._wake.cancel()
        self._wake, self._planned = self._loop.call_soon(self._slice), 0

    def look(self) -> None:
        """Wakes the driver when something is due earlier than it is going to wake up."""
        due = self._clock.next_due
        if due is not None and due < self._planned and not self._paused:
            self.wake()

    def _slice(self) -> None:
        loop = self._loop
        if loop is None:
            return
        caught_up = self._run()
        self._release()
        self._arrive()
        if self._loop is None:
            return
        if not caught_up:
            self._planned = 0
            self._wake = loop.call_soon(self._slice)
            return
        self._wake, self._planned = None, NEVER
        due = self._clock.next_due
        if due is not None and not self._paused and self._held_until is None:
            self._planned = due
            wait_us = max(TICK_US, (due - self.target) / self._speed)
            self._wake = loop.call_later(wait_us / 1_000_000, self._slice)

    def _run(self) -> bool:
        """One slice; whether the simulation has come up to the present."""
        until = time.perf_counter() + SLICE_S
        try:
            while not self._piece():
                if time.perf_counter() >= until:
                    return False
            return True
        except Exception as problem:
            log.exception("the simulation stopped")
            self.failure = problem
            self._loop = None
            self.on_failure(problem)
            return True

    def _piece(self) -> bool:
        """A few calls of the simulation; whether there is nothing more to do now."""
        clock = self._clock
        if self._held_until is not None:
            return clock.run_until(clock.now)
        target = max(self.target, clock.now)
        if self._awaited is None and self._grace_us is None:
            return clock.run_until(target, CALLS_MAX)
        # An instant at a time: what is awaited may come to hold in each, and each may have something to say outside.
        due = clock.next_due
        ended = clock.run_until(target if due is None else min(max(due, clock.now), target), CALLS_MAX)
        if ended and self._awaited is not None and self._awaited():
            self._awaited = None
            self._origin_sim, self._origin_steady = clock.now, self._steady()
            self._arrive(has_come=True)
            return True
        return ended and clock.now >= target

    def _arrive(self, has_come: bool = False) -> None:
        waiting, self._arrivals = self._arrivals, []
        for when, arrival in waiting:
            if self._clock.now < when and not has_come:
                self._arrivals.append((when, arrival))
            elif not arrival.done():
                arrival.set_result(has_come)

    # what leaves the process

    def answer(self, call: Callable[[], None]) -> None:
        """Runs ``call`` once everything committed so far is durable: at once, when it is."""
        self._hold()
        if self._leaving or (self._dirty is not None and self._dirty()):
            self.release(call)
        else:
            call()

    def release(self, call: Callable[[], None]) -> None:
        """The same, but never before the loop's next turn: for what is called in the midst of somebody's request."""
        self._hold()
        self._leaving.append(call)
        if not self._release_due and self._loop is not None:
            self._release_due = True
            self._loop.call_soon(self._release)

    def _release(self) -> None:
        self._release_due = False
        if self._made_durable(self._release_later):
            leaving, self._leaving = self._leaving, []
            for call in leaving:
                call()

    def _release_later(self) -> None:
        self._release_due = True
        if self._loop is not None:
            self._loop.call_later(FLUSH_RETRY_S, self._release)

    def stream(self, call: Callable[[], None]) -> None:
        """``release`` for those who watch: all together, and so seldom that they take half of the loop's time at most.

        After a quiet moment they hear at once; while much happens, what happens meanwhile goes in one piece.
        """
        self._hold()
        self._streaming.append(call)
        if not self._stream_due and self._loop is not None:
            self._stream_due = True
            wait_s = self._stream_not_before - time.perf_counter()
            if wait_s > 0:
                self._loop.call_later(wait_s, self._stream)
            else:
                self._loop.call_soon(self._stream)

    def _stream(self) -> None:
        self._stream_due = False
        if self._made_durable(self._stream_later):
            streaming, self._streaming = self._streaming, []
            began = time.perf_counter()
            for call in streaming:
                call()
            ended = time.perf_counter()
            self._stream_not_before = ended + (ended - began)

    def _stream_later(self) -> None:
        self._stream_due = True
        if self._loop is not None:
            self._loop.call_later(FLUSH_RETRY_S, self._stream)

    def _made_durable(self, otherwise: Callable[[], None]) -> bool:
        """Flushes; when the disk refuses, nobody is told anything and it is tried again later."""
        if self._flush is None:
            return True
        try:
            self._flush()
        except Exception:
            log.exception("what was written cannot be made durable; nobody is told of it until it is")
            otherwise()
            return False
        return True
