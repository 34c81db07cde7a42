"""Where things enter a cluster from outside: written down when they come, let in again at the same moment by a replay.

Whatever enters comes after all that is due by then and before all that follows, so that its place in the journal says
exactly when it came. Answers to calls out of the simulation enter the same way: whoever waits for one goes on after
everything else of that instant, whether the answer was fetched or is replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from seatrial.sim.apiserver.context import ExternalCall
from seatrial.sim.apiserver.replay import answer_of, answer_value
from seatrial.sim.apiserver.wiring import External, Steps
from seatrial.sim.kernel.clock import Clock, Signal
from seatrial.sim.kernel.journal import RUN, Entry, Journal
from seatrial.sim.signing import ENTRY as CERTIFICATE

ANSWER: Final = "answer"
CALLS_MAX: Final = 2_000
"""Calls of the clock between two reports of a replay's progress."""
Take = Callable[[Any], Any]
"""Takes in the value of an entry."""


class Moment(NamedTuple):
    """A moment of a history: a time and, where several things happened at it, the revision that is wanted."""

    at_us: int
    revision: int | None = None


class Entrance:
    """The one way in. ``perform`` makes calls out of the simulation where the journal knows no answer."""

    def __init__(self, clock: Clock, journal: Journal, perform: External, revision: Callable[[], int]) -> None:
        self._clock = clock
        self._revision = revision
        self.journal = journal
        self.perform = perform
        self._take: dict[str, Take] = {}
        self._calls = 0
        self._waiting: dict[int, Signal] | None = None
        """While a replay goes on: the calls that wait for what the journal says."""

    def on_replay(self, kind: str, take: Take) -> None:
        """Who takes in the journal's entries of a kind when they are replayed; they are written down already."""
        self._take[kind] = take

    def enter(self, kind: str, value: Any) -> None:
        """Something comes in at this moment: what is due is done first, then it is written down."""
        if not self._clock.running:
            self._clock.run_until(self._clock.now)
        self.journal.append(self._clock.now, kind, value)

    def note_time(self) -> None:
        """Writes down how far time has come."""
        entries = self.journal.entries
        if entries and entries[-1].kind == RUN:
            entries.pop()
        self.journal.append(self._clock.now, RUN, None)

    def external(self, call: ExternalCall) -> Steps:
        """A call out of the simulation: performed and written down, or answered from what was written down."""
        number, self._calls = self._calls, self._calls + 1
        value = None
        if self._waiting is not None:
            arrived = self._waiting[number] = Signal(self._clock)
            value = yield arrived.wait()
        if value is None:
            value = answer_value((yield from self.perform(call)))
            yield self._clock.late()
        self.journal.append(self._clock.now, ANSWER, {"call": number, **value})
        return answer_of(value)

    # replays

    def follow(self, journal: Journal, until: Moment | None = None) -> Iterator[float]:
        """Lets everything enter again that the journal holds, at its time; yields now and then how much of the time is
        over (0 to 1). Raises JournalError for an entry of a kind that nobody takes."""
        clock, entries = self._clock, journal.entries
        began = clock.now
        end = until.at_us if until is not None else max((entry.at for entry in entries), default=began)
        self._waiting = {}
        for entry in entries:
            if entry.at > end or self._is_reached(entry, until):
                break
            yield from self._run(entry.at, began, end)
            self._let_in(entry)
        yield from self._run(end, began, end)
        if until is not None:
            self.note_time()
        waiting, self._waiting = self._waiting, None
        for signal in waiting.values():
            signal.fire(None)

    def _is_reached(self, entry: Entry, until: Moment | None) -> bool:
        if until is None or until.revision is None or entry.at < until.at_us:
            return False
        self._clock.run_until(entry.at)
        return self._revision() >= until.revision

    def _run(self, when: int, began: int, end: int) -> Iterator[float]:
        clock = self._clock
        while not clock.run_until(when, CALLS_MAX):
            yield (clock.now - began) / (end - began)

    def _let_in(self, entry: Entry) -> None:
        if entry.kind == RUN:
            self.note_time()
        elif entry.kind == ANSWER:
            self._answer(entry.value)
        elif entry.kind != CERTIFICATE:
            take = self._take.get(entry.kind)
            if take is None:
                raise ValueError(f"the journal has an entry of the kind {entry.kind!r}, which nobody here takes in")
            self.enter(entry.kind, entry.value)
            take(entry.value)

    def _answer(self, value: Any) -> None:
        waiting = self._waiting
        signal = waiting.pop(value["call"], None) if waiting is not None else None
        if signal is not None:
            signal.fire({key: each for key, each in value.items() if key != "call"})
            self._clock.run_until(self._clock.now)
