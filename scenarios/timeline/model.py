"""A timeline as data: lanes of objects with what they were and what happened to them, bands over all of them, and what
changed on the stage of nodes, pods and services. Times are µs since the Unix epoch on the cluster's calendar."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from seatrial.sim.config import S
from seatrial.sim.kernel.clock import stamp_of

Tone = Literal["good", "busy", "bad", "gone", "plain"]
"""How a state is to be felt: well, on its way, wrong, over, or neither."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Lane(_Value):
    """One object's line."""

    key: str
    """``storage namespace/name``: what spans and marks refer to."""
    kind: str
    """Empty for a line that is no object's."""
    namespace: str
    name: str
    depth: int = 0
    """How many owners are above it."""


class Span(_Value):
    """What an object was from one moment to another."""

    lane: str
    start: int
    end: int
    state: str
    tone: Tone


class Mark(_Value):
    """Something that happened to an object."""

    lane: str
    at: int
    what: str
    by: str
    revision: int
    because: int | None = None
    """The revision that it follows from."""
    warning: bool = False


class Band(_Value):
    """Something that lay over everything: a fault, a load, a jump of the clock. ``end`` is where the timeline ends, if
    it was not over by then."""

    kind: Literal["fault", "load", "clock"]
    title: str
    start: int
    end: int


class Turn(_Value):
    """A change on the stage: a node, pod or service became this; None: it is gone."""

    at: int
    kind: Literal["node", "pod", "service"]
    key: str
    value: dict[str, Any] | None


class Timeline(_Value):
    """A stretch of a cluster's history."""

    start: int
    end: int
    lanes: tuple[Lane, ...]
    spans: tuple[Span, ...]
    marks: tuple[Mark, ...]
    bands: tuple[Band, ...]
    stage: tuple[Turn, ...]
    hidden: int = 0
    """Lanes that were left out because there are too many."""
    zero: int | None = None
    """The moment from which times are told; None: they are told as times of day."""

    def told(self, at: int) -> str:
        """A moment in words: ``14:03:20``, or how long after ``zero``."""
        return stamp_of(at)[11:19] if self.zero is None else elapsed((at - self.zero) / S)


def elapsed(seconds: float) -> str:
    """``4:05``; hours too, if there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
