"""Settled: nothing is under way, and nothing is due once within a few seconds.

Rhythms and long back-offs do not count: their timers are periodic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from seatrial.sim.config import S
from seatrial.sim.kernel.clock import Clock

SETTLED_WITHIN_US: Final = 5 * S
SETTLE_MAX_US: Final = 600 * S
SETTLE_STEP_US: Final = 10_000
"""Between two looks at what is due when settling: at most this much later than the moment of rest."""


class NotSettled(Exception):
    """The cluster did not come to rest: what is busy."""

    def __init__(self, busy: tuple[str, ...]) -> None:
        super().__init__(busy)
        self.busy = busy

    def __str__(self) -> str:
        return f"after {SETTLE_MAX_US // S} simulated seconds still busy: {'; '.join(self.busy)}"


def come_to_rest(clock: Clock, busy: Callable[[], list[str]], within_us: int) -> None:
    """Runs the clock until ``busy`` names nothing and nothing is due once within ``within_us``. Raises NotSettled."""
    deadline = clock.now + SETTLE_MAX_US
    while True:
        once = clock.once_by(clock.now + within_us)
        if once is not None:
            when: int | None = max(once.due, clock.now + SETTLE_STEP_US)
        elif busy():
            when = clock.next_due
        else:
            return
        if when is None or when > deadline:
            raise NotSettled(tuple(busy()) or (repr(once),))
        clock.run_until(max(when, clock.now))
