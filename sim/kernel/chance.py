"""Chance, asked once for many requests that are alike.

What a request meets on its way is decided by chance here and there: a rule that takes a third of all connections, a
packet that is lost, a canary. One request asks and gets an answer. A load of a thousand asks as one: at each such place
the batch splits by the binomial law, and each part goes its own way, so that a thousand requests cost as many walks as
there are different ways, and the figures are as if each had walked alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import sqrt
from random import Random
from typing import TypeVar

T = TypeVar("T")
EXACT_MAX = 64
"""Batches up to this size are drawn one by one; larger ones by the normal law that the binomial one comes close to."""


def binomial(rng: Random, count: int, share: float) -> int:
    """How many of ``count`` it happens to."""
    if share <= 0 or count <= 0:
        return 0
    if share >= 1:
        return count
    if count <= EXACT_MAX:
        return sum(rng.random() < share for _ in range(count))
    drawn = round(rng.gauss(count * share, sqrt(count * share * (1 - share))))
    return min(max(drawn, 0), count)


class _Way:
    """One way of a batch: the decisions that lead to it, and how many of the batch take it."""

    __slots__ = ("at", "count", "decided", "rng", "todo")

    def __init__(self, decided: list[int], count: int, rng: Random, todo: list[tuple[list[int], int]]) -> None:
        self.decided, self.count, self.rng, self.todo = decided, count, rng, todo
        self.at = 0

    def choose(self, counts: Callable[[int], list[int]]) -> int:
        """Which of several ways this one goes on; the others are put aside with their parts."""
        if self.at == len(self.decided):
            parts = counts(self.count)
            chosen = next(index for index, part in enumerate(parts) if part)
            for index, part in enumerate(parts):
                if part and index != chosen:
                    self.todo.append(([*self.decided, index], part))
            self.decided.append(chosen)
            self.count = parts[chosen]
        self.at += 1
        return self.decided[self.at - 1]


class Chance:
    """Where the network of one cluster asks. Outside of ``ways`` there is one request, and its asker's own stream."""

    def __init__(self) -> None:
        self._way: _Way | None = None

    @property
    def count(self) -> int:
        """How many requests the present one stands for."""
        return 1 if self._way is None else self._way.count

    def happens(self, rng: Random, share: float) -> bool:
        """Whether something of probability ``share`` happens."""
        way = self._way
        if way is None:
            return rng.random() < share

        def parts(count: int) -> list[int]:
            hit = binomial(way.rng, count, share)
            return [hit, count - hit]

        return way.choose(parts) == 0

    def turn(self, options: int, following: int) -> int:
        """Whose turn it is of several: ``following`` for one request, each in its turn for many."""
        way = self._way
        if way is None or options < 2:
            return following % max(options, 1)

        def parts(count: int) -> list[int]:
            each, more = divmod(count, options)
            return [each + ((index - following) % options < more) for index in range(options)]

        return way.choose(parts)

    def ways(self, count: int, rng: Random, walk: Callable[[], T]) -> Iterator[tuple[int, T]]:
        """Lets ``count`` requests do ``walk`` at this instant; yields each way's part of them and what came of it.

        ``walk`` is called once per way, and must ask the same questions in the same order each time."""
        todo: list[tuple[list[int], int]] = [([], count)]
        while todo:
            decided, part = todo.pop()
            way = self._way = _Way(decided, part, rng, todo)
            try:
                result = walk()
            finally:
                self._way = None
            yield way.count, result
