"""What a journal says of scenarios, for those who have nothing else to do with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from seatrial.sim.cluster import NOTE
from seatrial.sim.kernel.journal import Journal


def notes(journal: Journal) -> Iterator[Mapping[str, Any]]:
    """The turning points of its scenarios, in their order."""
    for entry in journal.entries:
        if entry.kind == NOTE and "scenario" in entry.value:
            yield entry.value["scenario"]


def holds_scenario(journal: Journal) -> bool:
    """Whether one has begun in it."""
    return any("begin" in note for note in notes(journal))


def is_under_way(journal: Journal) -> bool:
    """Whether one is under way at its end."""
    told = [next(iter(note)) for note in notes(journal) if "begin" in note or "end" in note]
    return told[-1:] == ["begin"]
