"""Two recordings side by side: which facts both have, and which times are within a named tolerance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from seatrial.scenarios.crosscheck.facts import Facts, facts_of
from seatrial.scenarios.crosscheck.recording import Recording


class Tolerances(BaseModel):
    """What may differ without being a difference."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    seconds: float = Field(default=1.5, ge=0, description="a moment may be this much earlier or later")
    share: float = Field(default=0.1, ge=0, description="or by this share of the time since the beginning")
    count: int = Field(default=0, ge=0, description="a fact may be seen this many times more or less often")
    ignore: tuple[str, ...] = Field(default=(), description="facts that contain one of these are left out")


class Difference(NamedTuple):
    """A fact that the two do not share."""

    scenario: str
    category: str
    fact: str
    reference: str
    other: str


class Row(NamedTuple):
    """How much of one category of one scenario is the same."""

    scenario: str
    category: str
    same: int
    all: int


class Comparison(NamedTuple):
    """Rows and differences."""

    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]

    @property
    def share(self) -> float:
        """Of facts that are the same, 0 to 1; 1 when there are none."""
        total = sum(row.all for row in self.rows)
        return sum(row.same for row in self.rows) / total if total else 1.0


def compare(
    reference: Mapping[str, Recording], other: Mapping[str, Recording], tolerances: Tolerances | None = None
) -> Comparison:
    """Compares the scenarios of the reference; one that the other lacks differs in everything."""
    tolerated = tolerances or Tolerances()
    rows: list[Row] = []
    differences: list[Difference] = []
    for name, recording in reference.items():
        played = other.get(name, Recording(name, "", ()))
        found = list(_of_one(name, facts_of(recording), facts_of(played), tolerated))
        for category in dict.fromkeys(category for category, _, _ in found):
            of_category = [each for each in found if each[0] == category]
            rows.append(Row(name, category, sum(same for _, same, _ in of_category), len(of_category)))
        differences += [difference for _, same, difference in found if not same and difference is not None]
    return Comparison(tuple(rows), tuple(differences))


Judged = tuple[str, bool, Difference | None]


def _of_one(name: str, reference: Facts, other: Facts, tolerances: Tolerances) -> Iterable[Judged]:
    for key in dict.fromkeys((*reference.counted, *other.counted)):
        if _ignored(key[1], tolerances):
            continue
        one, two = reference.counted[key], other.counted[key]
        difference = Difference(name, *key, f"{one} times", f"{two} times")
        yield key[0], abs(one - two) <= tolerances.count and bool(one) == bool(two), difference
    for key in dict.fromkeys((*reference.timed, *other.timed)):
        if _ignored(key[1], tolerances):
            continue
        at, then = reference.timed.get(key), other.timed.get(key)
        difference = Difference(name, *key, _second(at), _second(then))
        yield key[0], _close(at, then, tolerances), difference


def _ignored(fact: str, tolerances: Tolerances) -> bool:
    return any(part in fact for part in tolerances.ignore)


def _close(at: float | None, then: float | None, tolerances: Tolerances) -> bool:
    if at is None or then is None:
        return False
    return abs(at - then) <= max(tolerances.seconds, tolerances.share * max(at, 0))


def _second(at: float | None) -> str:
    return "never" if at is None else f"{at:.2f} s"


def table(comparison: Comparison) -> list[str]:
    """One line for each scenario, one column for each category, and the sum."""
    categories = list(dict.fromkeys(row.category for row in comparison.rows))
    scenarios = list(dict.fromkeys(row.scenario for row in comparison.rows))
    cells = {(row.scenario, row.category): f"{row.same}/{row.all}" for row in comparison.rows}
    lines = [["SCENARIO", *(category.upper() for category in categories), "SAME"]]
    for scenario in scenarios:
        own = [row for row in comparison.rows if row.scenario == scenario]
        share = sum(row.same for row in own) / max(sum(row.all for row in own), 1)
        lines.append([scenario, *(cells.get((scenario, each), "-") for each in categories), f"{share:.1%}"])
    lines.append(["all", *([""] * len(categories)), f"{comparison.share:.1%}"])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
