"""The work queue: once queued, once worked on, back-off after failures."""

from __future__ import annotations

from seatrial.sim.config import MS, S
from seatrial.sim.controllers.workqueue import BUCKET_BURST, WorkQueue
from seatrial.sim.kernel.clock import Clock


def make() -> tuple[Clock, WorkQueue]:
    clock = Clock(1000 * S)
    return clock, WorkQueue(clock, lambda: None)


def test_a_key_that_waits_is_not_queued_twice() -> None:
    _, queue = make()
    queue.add("a")
    queue.add("b")
    queue.add("a")
    assert [queue.take(), queue.take(), queue.take()] == ["a", "b", None]


def test_a_key_that_is_worked_on_waits_until_it_is_done() -> None:
    _, queue = make()
    queue.add("a")
    assert queue.take() == "a"
    queue.add("a")
    assert queue.take() is None
    queue.done("a")
    assert queue.take() == "a"


def test_of_two_delays_the_shorter_one_counts() -> None:
    clock, queue = make()
    queue.add_after("a", 5 * S)
    queue.add_after("a", 2 * S)
    queue.add_after("a", 9 * S)
    clock.run_until(clock.now + 2 * S)
    assert queue.take() == "a"
    queue.done("a")
    clock.run_until(clock.now + 20 * S)
    assert queue.take() is None


def test_failures_double_the_wait_until_the_key_is_forgotten() -> None:
    clock, queue = make()
    waits = []
    for _ in range(4):
        began = clock.now
        queue.add_rate_limited("a")
        while queue.take() is None:
            clock.run_until(clock.now + 1 * MS)
        waits.append(clock.now - began)
        queue.done("a")
    assert waits == [5 * MS, 10 * MS, 20 * MS, 40 * MS]
    queue.forget("a")
    assert queue.failures("a") == 0
    queue.add_rate_limited("a")
    clock.run_until(clock.now + 5 * MS)
    assert queue.take() == "a"


def test_many_failing_keys_share_a_bucket() -> None:
    clock, queue = make()
    for number in range(BUCKET_BURST + 10):
        queue.add_rate_limited(number)
    clock.run_until(clock.now + 5 * MS)
    assert len(queue) == BUCKET_BURST
    clock.run_until(clock.now + 1 * S)
    assert len(queue) == BUCKET_BURST + 10


def test_clearing_cancels_what_is_behind_a_timer() -> None:
    clock, queue = make()
    queue.add("a")
    queue.add_after("b", S)
    queue.clear()
    clock.run_until(clock.now + 2 * S)
    assert queue.take() is None
