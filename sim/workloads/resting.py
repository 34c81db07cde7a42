"""Requests that repeat themselves and get the same answer: not made, but accounted for when somebody looks.

A probe asks the same of a container every few seconds. While nothing can change the answer, whoever asks *rests*: what
each request leaves behind (a line in a log, work that was done) is made up for before anything reads or adds to it, at
the times of the requests. ``stir`` ends the rest of all who ask the pod: something about it may be different from now
on.

*Not modelled*: the order in which the traces of requests of one instant follow each other while some of those who ask
rest and others do not.
"""

from __future__ import annotations

from collections.abc import Callable

Trace = Callable[[int], None]
"""What a request at a time (µs) leaves behind."""


class Resting:
    """One who asks every ``period_us``, next at ``next_us``; ``trace`` is None when requests leave nothing."""

    __slots__ = ("asked", "home", "next_us", "period_us", "stirred", "trace")

    def __init__(self, next_us: int, period_us: int, trace: Trace | None, stirred: Callable[[], None]) -> None:
        self.next_us, self.period_us, self.trace = next_us, period_us, trace
        self.stirred = stirred
        """Called when the rest is over."""
        self.asked = 0
        """How many requests would have been made."""
        self.home: Rest | None = None

    def settle(self) -> None:
        """Accounts for what would have been asked by now."""
        if self.home is not None:
            self.home.settle()

    def stir(self) -> None:
        """Something about the pod may be different from now on."""
        if self.home is not None:
            self.home.stir()

    def leave(self) -> None:
        """It asks no more; what it asked is accounted for."""
        if self.home is not None:
            self.home.leave(self)

    def ask(self) -> None:
        """The next request."""
        at = self.next_us
        self.next_us, self.asked = at + self.period_us, self.asked + 1
        if self.trace is not None:
            self.trace(at)


class Rest:
    """Those who rest in one network namespace."""

    __slots__ = ("_now", "_resting", "_settling")

    def __init__(self) -> None:
        self._resting: dict[Resting, None] = {}
        self._now: Callable[[], int] = _never
        self._settling = False

    def __bool__(self) -> bool:
        return bool(self._resting)

    def add(self, resting: Resting, now: Callable[[], int]) -> None:
        self._resting[resting] = None
        resting.home, self._now = self, now

    def leave(self, resting: Resting) -> None:
        """It asks no more; what it asked is accounted for."""
        if resting in self._resting:
            self.settle()
            self._resting.pop(resting, None)

    def settle(self) -> None:
        """Accounts for all requests up to now, in their order."""
        if not self._resting or self._settling:
            return
        now = self._now()
        self._settling = True
        try:
            traced = []
            for resting in self._resting:
                if resting.trace is not None:
                    traced.append(resting)
                elif resting.next_us <= now:
                    count = (now - resting.next_us) // resting.period_us + 1
                    resting.asked += count
                    resting.next_us += count * resting.period_us
            while traced:
                first = min(traced, key=_turn)
                if first.next_us > now:
                    break
                first.ask()
        finally:
            self._settling = False

    def stir(self) -> None:
        """Something may be different from now on: all go on asking."""
        if not self._resting or self._settling:
            return
        self.settle()
        resting, self._resting = self._resting, {}
        for each in resting:
            each.stirred()


def _turn(resting: Resting) -> tuple[int, int]:
    """Of those who ask at the same instant, whoever has waited longest comes first, as on the clock."""
    return resting.next_us, -resting.period_us


def _never() -> int:
    return 0
