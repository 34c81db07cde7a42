"""The two forms of a promise: what every change has to keep, and what a cluster has to come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from seatrial.sim.history import World
from seatrial.sim.store.log import Change


class Rule(NamedTuple):
    """Safety: judged after every change of one of ``kinds``, or of every kind if there are none."""

    name: str
    check: Callable[[Change, World], Iterable[str]]
    kinds: tuple[str, ...] = ()


class Goal(NamedTuple):
    """Liveness: judged when the cluster has come to rest."""

    name: str
    check: Callable[[World], Iterable[str]]


class Violation(NamedTuple):
    """What is wrong, and since which revision."""

    rule: str
    revision: int
    at_us: int
    what: str

    def __str__(self) -> str:
        return f"{self.rule}, at revision {self.revision}: {self.what}"
