"""A container's CPU as a queue: nothing gets lost, and waiting is what queueing theory says."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sim.workloads.queueing import CORE, Queue

MS, S = 1_000, 1_000_000
COST_NS = 10_000_000


def queue(capacity: int = CORE, places: int = 10**9) -> Queue:
    return Queue(0, capacity, places, Random(1))


def mean_ms(waits: tuple[tuple[int, int], ...]) -> float:
    return sum(count * us for count, us in waits) / sum(count for count, _ in waits) / MS


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(0, 2 * S)), min_size=1, max_size=20))
def test_all_work_is_done_in_the_end(steps: list[tuple[int, int]]) -> None:
    held, now, taken = queue(), 0, 0
    for count, span in steps:
        given_ = held.take(now, count, COST_NS, span)
        taken += count - given_.lost
        now += span
    held.advance(now + 10_000 * S)
    assert held.backlog_ns == 0
    assert held.done_ns == pytest.approx(taken * COST_NS, abs=COST_NS)


@pytest.mark.parametrize(
    ("per_s", "wait_ms"),
    [
        pytest.param(1, 10, id="alone: the work itself"),
        pytest.param(50, 15, id="half of the capacity: M/D/1 says half the work more"),
        pytest.param(90, 55, id="nine tenths: M/D/1 says 45 ms"),
    ],
)
def test_requests_wait_for_each_other(per_s: int, wait_ms: float) -> None:
    held = queue()
    found = [held.take(at * S, per_s, COST_NS, S).waits for at in range(40)]
    mean = sum(map(mean_ms, found)) / len(found)
    assert mean == pytest.approx(wait_ms, rel=0.25)


def test_what_does_not_fit_is_waited_for() -> None:
    held = queue()
    waits = [mean_ms(held.take(at * S, 200, COST_NS, S).waits) for at in range(5)]
    assert all(900 < later - sooner < 1100 for sooner, later in pairwise(waits))
    assert held.busy(4 * S) == CORE


def test_a_limit_makes_it_slower() -> None:
    assert mean_ms(queue(CORE // 4).take(0, 1, COST_NS).waits) == pytest.approx(40, abs=1)


def test_a_full_queue_takes_no_more() -> None:
    held = queue(places=20)
    taken = held.take(0, 100, COST_NS)
    assert taken.lost == 80
    assert sum(count for count, _ in taken.waits) == 20


def test_who_waits_for_an_answer_does_not_ask_again() -> None:
    held = queue()
    taken = held.take(0, 1000, COST_NS, S, window=10)
    assert taken.held == pytest.approx(890, abs=2)
    assert max(us for _, us in taken.waits) <= 130 * MS


def test_under_way_is_what_waits_and_what_is_worked_on() -> None:
    held = queue()
    held.take(0, 50, COST_NS, S)
    assert held.under_way(S // 2) == 1
    held.take(S, 300, COST_NS, S)
    assert held.under_way(2 * S) == pytest.approx(200, abs=2)
