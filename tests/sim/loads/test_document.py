"""docs/loads.md says what kinds of loads there are."""

from __future__ import annotations

from pathlib import Path

from seatrial.sim.loads.document import markdown

PAGE = Path(__file__).resolve().parents[3] / "docs" / "loads.md"


def test_the_page_is_that_of_the_kinds() -> None:
    assert PAGE.read_text() == markdown()
