"""Spans of time as people write them."""

from __future__ import annotations

import pytest

from seatrial.api.control import durations

S = 1_000_000


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("90s", 90 * S),
        ("6m", 360 * S),
        ("1h30m", 5400 * S),
        ("2d", 172_800 * S),
        ("1.5h", 5400 * S),
        ("250ms", 250_000),
        ("0s", 0),
    ],
)
def test_a_span_is_read(text: str, us: int) -> None:
    assert durations.parse(text) == us


@pytest.mark.parametrize("text", ["", "6", "m", "6 m", "-6m", "6m!", "soon", "6y"])
def test_what_is_no_span_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 90s, 6m"):
        durations.parse(text)


@pytest.mark.parametrize(
    ("us", "text"), [(0, "0ms"), (250_000, "250ms"), (61 * S, "1m1s"), (90_061 * S, "1d1h"), (-360 * S, "-6m")]
)
def test_a_span_is_shown_in_two_units(us: int, text: str) -> None:
    assert durations.show(us) == text
