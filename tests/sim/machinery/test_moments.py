"""Points in time on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sim.kernel.clock import micro_stamp_of, stamp_of
from seatrial.sim.machinery import moments

SECONDS, MICROS = moments.SECONDS, moments.MICROS


@pytest.mark.parametrize(
    ("given_", "canonical"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00.999999999Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T02:30:00+02:30", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00-08:00", "2026-01-01T08:00:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_times_are_whole_seconds_in_utc(given_: str, canonical: str) -> None:
    assert moments.seconds(given_) == canonical


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", f'parsing time "" as "{SECONDS}": cannot parse "" as "2006"'),
        ("Bad", f'parsing time "Bad" as "{SECONDS}": cannot parse "Bad" as "2006"'),
        ("2026-1-01", f'parsing time "2026-1-01" as "{SECONDS}": cannot parse "1-01" as "01"'),
        ("2026-01-01", f'parsing time "2026-01-01" as "{SECONDS}": cannot parse "" as "T"'),
        ("2026-01-01T00:00:00", f'parsing time "2026-01-01T00:00:00" as "{SECONDS}": cannot parse "" as "Z07:00"'),
        ("2026-13-01T00:00:00Z", 'parsing time "2026-13-01T00:00:00Z": month out of range'),
        ("2026-02-30T00:00:00Z", 'parsing time "2026-02-30T00:00:00Z": day out of range'),
        ("2026-01-01T24:00:00Z", 'parsing time "2026-01-01T24:00:00Z": hour out of range'),
        ("2026-01-01T00:00:00Zx", 'parsing time "2026-01-01T00:00:00Zx": extra text: "x"'),
    ],
)
def test_other_texts_are_refused_in_gos_words(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        moments.seconds(text)
    assert str(caught.value) == problem


def test_micro_times_have_six_digits() -> None:
    assert moments.micros("2026-01-01T00:00:00.000001Z") == "2026-01-01T00:00:00.000001Z"
    with pytest.raises(ValueError, match=r'cannot parse "Z" as "\.000000"'):
        moments.micros("2026-01-01T00:00:00Z")


@given(st.integers(-62_135_596_800, 253_402_300_799))
def test_what_the_clock_writes_is_canonical(second: int) -> None:
    us = second * 1_000_000
    assert moments.seconds(stamp_of(us)) == stamp_of(us)
    assert moments.micros(micro_stamp_of(us + 7)) == micro_stamp_of(us + 7)
