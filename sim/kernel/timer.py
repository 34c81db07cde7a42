"""Timers: calls at a time, which can be taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from seatrial.sim.kernel.stamps import micro_stamp_of

if TYPE_CHECKING:
    from seatrial.sim.kernel.clock import Clock
    from seatrial.sim.kernel.process import Process


class Timer:
    """A call at a time. ``cancel`` may be called at any moment, also more than once and from within the call."""

    __slots__ = ("call", "clock", "due", "periodic")

    def __init__(self, clock: Clock, due: int, call: Callable[[], Any] | None, periodic: bool) -> None:
        self.clock = clock
        self.due = due
        self.call = call
        self.periodic = periodic

    def __repr__(self) -> str:
        what = getattr(getattr(self.call, "__self__", None), "name", None) or repr(self.call)
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
