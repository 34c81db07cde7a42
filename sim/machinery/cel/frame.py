"""The state of one evaluation: variables and what it has cost so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from seatrial.sim.machinery.cel.errors import COST_EXCEEDED, CostExceeded


class Frame:
    __slots__ = ("cost", "limit", "vars")

    def __init__(self, variables: dict[str, Any], limit: int) -> None:
        self.vars = variables
        self.cost = 0
        self.limit = limit

    def spend(self, cost: int) -> None:
        """Counts what a call cost. Raises CostExceeded."""
        self.cost += cost
        if self.cost > self.limit:
            raise CostExceeded(COST_EXCEEDED)

    @contextmanager
    def scope(self, *names: str) -> Iterator[None]:
        """Inside, the variables may be set; afterwards they are what they were."""
        before = {name: self.vars[name] for name in names if name in self.vars}
        try:
            yield
        finally:
            for name in names:
                if name in before:
                    self.vars[name] = before[name]
                else:
                    self.vars.pop(name, None)


Run = Callable[[Frame], Any]
"""A part of a program."""
