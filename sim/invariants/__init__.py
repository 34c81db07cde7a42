"""What holds at every moment, and what a cluster comes to: the promises of Kubernetes' documentation as predicates.

A ``Rule`` judges each change together with the world that it made (safety), a ``Goal`` judges a world at rest
(liveness). Both yield sentences about what is wrong; silence is good.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from seatrial.sim.history import Follower, History, World
from seatrial.sim.invariants.liveness import LIVENESS
from seatrial.sim.invariants.log import objects_carry_their_revision, revisions_are_contiguous
from seatrial.sim.invariants.rules import Goal, Rule
from seatrial.sim.invariants.safety import SAFETY
from seatrial.sim.store.log import Change
from seatrial.sim.store.store import Store

__all__ = [
    "LIVENESS",
    "SAFETY",
    "Goal",
    "Judge",
    "Rule",
    "Violation",
    "objects_carry_their_revision",
    "revisions_are_contiguous",
    "unmet",
    "violations",
]


class Violation(NamedTuple):
    """What is wrong, and since which revision."""

    name: str
    """Of the rule or goal."""
    revision: int
    at_us: int
    what: str

    def __str__(self) -> str:
        return f"{self.name}, at revision {self.revision}: {self.what}"


class Judge:
    """Applies rules to a history as it grows."""

    def __init__(self, store: Store, rules: tuple[Rule, ...] = SAFETY) -> None:
        self._follower = Follower(store)
        self._everywhere = tuple(rule for rule in rules if not rule.kinds)
        self._by_kind: dict[str, tuple[Rule, ...]] = {}
        for rule in rules:
            for kind in rule.kinds:
                self._by_kind[kind] = (*self._by_kind.get(kind, self._everywhere), rule)

    @property
    def world(self) -> World:
        """The state up to which it has judged."""
        return self._follower.world

    def news(self) -> Iterator[Violation]:
        """What went wrong since the last call."""
        for change, world in self._follower.news():
            yield from self._judge(change, world)

    def _judge(self, change: Change, world: World) -> Iterator[Violation]:
        for rule in self._by_kind.get(change.storage, self._everywhere):
            for what in rule.check(change, world):
                yield Violation(rule.name, change.revision, change.at_us, what)


def violations(store: Store, rules: Iterable[Rule] = SAFETY) -> list[Violation]:
    """Everything in a history that breaks a rule."""
    return list(Judge(store, tuple(rules)).news())


def unmet(store: Store, goals: Iterable[Goal] = LIVENESS) -> list[Violation]:
    """The goals that a cluster at rest has not come to."""
    world = History(store).world()
    return [Violation(goal.name, world.revision, world.at_us, what) for goal in goals for what in goal.check(world)]
