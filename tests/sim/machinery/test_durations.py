"""Durations as people read them."""

from __future__ import annotations

import pytest

from seatrial.sim.kernel.clock import parse_stamp
from seatrial.sim.machinery.durations import between, human, since

DAY = 86400
READ = [
    (-2, "<invalid>"), (-1, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (125, "2m5s"), (599, "9m59s"), (600, "10m"),
    (10799, "179m"), (10800, "3h"), (11000, "3h3m"), (28800, "8h"), (172799, "47h"), (172800, "2d"), (180000, "2d2h"),
    (8 * DAY, "8d"), (729 * DAY, "729d"), (730 * DAY, "2y"), (760 * DAY, "2y30d"), (8 * 365 * DAY, "8y"),
]  # fmt: skip


@pytest.mark.parametrize(("seconds", "text"), READ)
def test_a_duration_reads(seconds: int, text: str) -> None:
    assert human(seconds) == text


def test_ages_count_from_a_time_on_the_wire() -> None:
    now = parse_stamp("2026-01-01T00:02:05Z")
    assert since("2026-01-01T00:00:00Z", now) == "2m5s"
    assert since("2026-01-01T00:02:04.500000Z", now) == "0s"
    assert since(None, now) == "<unknown>"
    assert between("2026-01-01T00:00:00Z", "2026-01-01T00:00:06Z") == "6s"
