"""Back-off as client-go has it: doubled, bounded, forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from seatrial.sim.config import S
from seatrial.sim.nodes.backoff import Backoff, jitter


def test_delays_double_up_to_the_bound_and_begin_at_the_event() -> None:
    backoff, now, delays = Backoff(10 * S, 300 * S), 0, []
    for _ in range(8):
        backoff.next("c", now, now)
        delays.append(backoff.delay_us("c") // S)
        now += backoff.delay_us("c") + S
    assert delays == [10, 20, 40, 80, 160, 300, 300, 300]
    assert backoff.since_event("c", now - 100 * S, now) == 200 * S


def test_what_went_well_long_enough_is_forgotten() -> None:
    backoff = Backoff(10 * S, 300 * S)
    backoff.next("c", 0, 0)
    backoff.next("c", 20 * S, 20 * S)
    assert backoff.delay_us("c") == 20 * S
    backoff.next("c", 700 * S, 700 * S)
    assert backoff.delay_us("c") == 10 * S
    assert backoff.since_event("other", 0, 0) == 0


@given(st.lists(st.integers(0, 600), min_size=1, max_size=20))
def test_delays_never_shrink_while_failures_go_on(gaps: list[int]) -> None:
    backoff, now, before = Backoff(10 * S, 300 * S), 0, 0
    for gap in gaps:
        now += gap * S
        backoff.next("c", now, now)
        assert before <= backoff.delay_us("c") <= 300 * S
        before = backoff.delay_us("c")


@given(st.integers(1, 10**9), st.integers(0, 10**6))
def test_jitter_lengthens_by_up_to_its_factor_and_is_the_same_each_time(period: int, salt: int) -> None:
    assert period <= jitter(period, 0.5, "uid", salt) <= period * 1.5
    assert jitter(period, 0.5, "uid", salt) == jitter(period, 0.5, "uid", salt)
