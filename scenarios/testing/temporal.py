"""Temporal checks over a history: always, never, eventually, leads_to, stays.

A predicate looks at a ``World``, the state after one change, and is asked after every change. The trace is finite: what
has not come to pass by its end has not come to pass. A check that fails raises ``Broken``, which says when and after
which change; one that holds returns the moment (µs) that decided it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from seatrial.sim.cluster import duration_us
from seatrial.sim.history import History, World
from seatrial.sim.kernel.clock import micro_stamp_of
from seatrial.sim.store.log import Change

Predicate = Callable[[World], object]


class Broken(AssertionError):
    """A promise that a history breaks."""


def always(history: History, predicate: Predicate, since: int = 0) -> int:
    """The predicate holds after every change after revision ``since``."""
    at = 0
    for change, world in history.worlds(since):
        if not predicate(world):
            raise Broken(f"{_named(predicate)} does not hold {_when(change)}")
        at = change.at_us
    return at


def never(history: History, predicate: Predicate, since: int = 0) -> int:
    """The predicate holds after no change after revision ``since``."""
    at = 0
    for change, world in history.worlds(since):
        if predicate(world):
            raise Broken(f"{_named(predicate)} holds {_when(change)}")
        at = change.at_us
    return at


def eventually(history: History, predicate: Predicate, within: str | int | None = None, since: int = 0) -> int:
    """The predicate holds after some change after revision ``since``, at most ``within`` after the first of them."""
    begin: int | None = None
    for change, world in history.worlds(since):
        begin = change.at_us if begin is None else begin
        if within is not None and change.at_us > begin + duration_us(within):
            raise Broken(f"{_named(predicate)} did not hold within {within} of {micro_stamp_of(begin)}")
        if predicate(world):
            return change.at_us
    raise Broken(f"{_named(predicate)} never held")


def leads_to(history: History, cause: Predicate, effect: Predicate, within: str | int, since: int = 0) -> int:
    """Whenever ``cause`` begins to hold, ``effect`` holds then or at most ``within`` later. Returns how often it did.

    A cause whose time was not up when the history ended is not judged.
    """
    patience, count, held, last = duration_us(within), 0, False, 0
    pending: list[int] = []
    for change, world in history.worlds(since):
        last = change.at_us
        overdue = pending and pending[0] + patience < last
        holds = bool(cause(world))
        if holds and not held:
            pending.append(last)
        held = holds
        if pending and not overdue and effect(world):
            count += len(pending)
            pending.clear()
        if overdue:
            began = micro_stamp_of(pending[0])
            raise Broken(f"{_named(cause)} held at {began}, and {_named(effect)} did not follow within {within}")
    return count


def stays(history: History, predicate: Predicate, since: int = 0) -> int:
    """From some change on the predicate holds to the end. Returns when that began."""
    began: int | None = None
    broke = ""
    for change, world in history.worlds(since):
        if not predicate(world):
            began, broke = None, _when(change)
        elif began is None:
            began = change.at_us
    if began is None:
        raise Broken(f"{_named(predicate)} does not stay: it did not hold {broke or 'in an empty history'}")
    return began


def moments(history: History, predicate: Predicate, since: int = 0) -> Iterator[Change]:
    """The changes after which the predicate holds."""
    return (change for change, world in history.worlds(since) if predicate(world))


def _named(predicate: Predicate) -> str:
    return str(getattr(predicate, "__name__", predicate))


def _when(change: Change) -> str:
    metadata = change.obj["metadata"]
    where = f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else metadata["name"]
    by = f" by {change.cause[0]}" if change.cause is not None else ""
    what = f"{change.verb} {change.storage} {where}{by}"
    return f"at {micro_stamp_of(change.at_us)}, after revision {change.revision} ({what})"
