"""docs/faults.md says what the catalogue holds."""

from __future__ import annotations

from pathlib import Path

from seatrial.sim.faults.catalogue import CATALOGUE
from seatrial.sim.faults.document import GROUPS, markdown

PAGE = Path(__file__).resolve().parents[3] / "docs" / "faults.md"


def test_the_page_is_that_of_the_catalogue() -> None:
    assert PAGE.read_text() == markdown()


def test_every_kind_is_in_a_group_and_says_what_is_seen() -> None:
    assert [kind for _, kinds in GROUPS for kind in kinds] == list(CATALOGUE.values())
    for kind in CATALOGUE.values():
        assert kind.__doc__
        assert kind.symptom.endswith(".")
