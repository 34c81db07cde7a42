"""The clock: order, cancellation, processes and signals; and the traps of SimPy that it closes."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sim.kernel.clock import TIMEOUT, Clock, Signal, micro_stamp_of, parse_stamp, stamp_of

Steps = Generator[Any, Any, Any]


class TwoArguments(Exception):
    """An exception whose ``args`` are not those of its constructor: SimPy cannot rebuild it."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


def test_run_includes_its_last_instant_and_what_that_sets_off() -> None:
    clock = Clock()
    seen: list[str] = []
    clock.at(10, lambda: (seen.append("at"), clock.at(10, lambda: seen.append("after")))[0])
    clock.at(11, lambda: seen.append("late"))
    clock.run_until(10)
    assert seen == ["at", "after"]
    assert clock.now == 10


def test_equal_times_keep_the_order_of_asking() -> None:
    clock = Clock()
    seen: list[int] = []
    for number in range(100):
        clock.at(5, lambda number=number: seen.append(number))
    clock.run_until(5)
    assert seen == list(range(100))


def test_cancelled_timer_never_fires_also_when_cancelled_at_its_own_instant() -> None:
    clock = Clock()
    seen: list[str] = []
    second = None

    def first() -> None:
        assert second is not None
        second.cancel()

    clock.at(5, first)
    second = clock.at(5, lambda: seen.append("second"))
    clock.run_until(9)
    assert seen == []
    second.cancel()


def test_rearming_leaves_no_heap_of_dead_timers() -> None:
    clock = Clock()
    seen: list[int] = []
    keep = [clock.at(500 + number, lambda number=number: seen.append(number)) for number in range(10)]
    timer = clock.at(1000, lambda: seen.append(-1))
    for _ in range(10_000):
        timer.cancel()
        timer = clock.at(1000, lambda: seen.append(99))
    assert clock.pending < 200
    clock.run_until(2000)
    assert seen == [*range(10), 99]
    assert not any(timer.active for timer in keep)


def test_next_due_passes_over_cancelled_timers() -> None:
    clock = Clock()
    clock.at(5, lambda: None).cancel()
    clock.at(7, lambda: None, periodic=True)
    once = clock.at(9, lambda: None)
    assert clock.next_due == 7
    assert clock.once_by(9) is once
    assert clock.once_by(8) is None
    once.cancel()
    assert clock.once_by(10**9) is None


def test_slice_ends_between_two_instants() -> None:
    clock = Clock()
    seen: list[int] = []
    for when in (1, 2, 2, 2, 3):
        clock.at(when, lambda when=when: seen.append(when))
    assert not clock.run_until(10, calls_max=2)
    assert (seen, clock.now) == ([1, 2, 2, 2], 2)
    assert clock.run_until(10, calls_max=100)
    assert (seen[-1], clock.now) == (3, 10)


def test_past_and_reentrant_runs_are_refused() -> None:
    clock = Clock(100)
    with pytest.raises(ValueError, match="is past"):
        clock.run_until(99)
    clock.at(101, lambda: clock.run_until(200))
    with pytest.raises(RuntimeError, match="yielding"):
        clock.run_until(150)


def test_timer_in_the_past_fires_now() -> None:
    clock = Clock(100)
    seen: list[int] = []
    clock.at(50, lambda: seen.append(clock.now))
    clock.run_until(100)
    assert seen == [100]


def test_exception_arrives_as_the_object_that_was_raised() -> None:
    clock = Clock()
    raised = TwoArguments(7, "seven")
    caught: list[BaseException] = []

    def fails() -> Steps:
        yield clock.sleep(1)
        raise raised

    def joins() -> Steps:
        try:
            yield clock.spawn(fails(), "fails").join()
        except TwoArguments as error:
            caught.append(error)

    clock.spawn(joins(), "joins")
    clock.run_until(5)
    assert caught == [raised]


def test_exception_that_nobody_joined_leaves_the_run_and_the_clock_goes_on() -> None:
    clock = Clock()
    seen: list[int] = []

    def fails() -> Steps:
        yield clock.sleep(1)
        raise TwoArguments(7, "seven")

    clock.spawn(fails(), "fails")
    clock.at(2, lambda: seen.append(2))
    with pytest.raises(TwoArguments):
        clock.run_until(5)
    assert clock.now == 1
    clock.run_until(5)
    assert (seen, clock.now) == ([2], 5)


@pytest.mark.parametrize("at_us", [0, 1, 2, 3])
def test_kill_runs_finally_blocks_at_any_yield(at_us: int) -> None:
    clock = Clock()
    seen: list[str] = []
    signal = Signal(clock)

    def steps() -> Steps:
        try:
            yield clock.sleep(1)
            seen.append("slept")
            yield signal.wait()
            seen.append("woken")
        finally:
            seen.append(f"closed at {clock.now}")

    process = clock.spawn(steps(), "steps")
    clock.at(2, signal.fire)
    clock.run_until(at_us)
    process.kill()
    process.kill()
    clock.run_until(10)
    assert not process.alive
    assert seen[-1] == (f"closed at {at_us}" if at_us < 2 else "closed at 2")


def test_killed_before_its_first_step_a_process_does_nothing() -> None:
    clock = Clock()
    seen: list[str] = []

    def steps() -> Steps:
        seen.append("began")
        yield clock.sleep(1)

    clock.spawn(steps(), "steps").kill()
    clock.run_until(5)
    assert seen == []


def test_process_may_kill_itself() -> None:
    clock = Clock()
    seen: list[str] = []

    def steps() -> Steps:
        try:
            process.kill()
            seen.append("still here")
            yield clock.sleep(1)
            seen.append("never")
        finally:
            seen.append("closed")

    process = clock.spawn(steps(), "steps")
    clock.run_until(5)
    assert seen == ["still here", "closed"]
    assert clock.once_by(10**9) is None


def test_killed_waiter_steals_nothing() -> None:
    clock = Clock()
    signal = Signal(clock)
    got: list[tuple[str, Any]] = []

    def waits(name: str) -> Steps:
        got.append((name, (yield signal.wait())))

    first = clock.spawn(waits("first"), "first")
    clock.spawn(waits("second"), "second")
    clock.run_until(1)
    signal.fire("value")
    first.kill()
    clock.run_until(2)
    assert got == [("second", "value")]


def test_signal_wins_over_a_timeout_of_the_same_instant() -> None:
    clock = Clock()
    signal = Signal(clock)
    got: list[Any] = []

    def waits() -> Steps:
        got.append((yield signal.wait(10)))
        got.append((yield signal.wait(10)))

    clock.at(10, lambda: signal.fire("value"))
    clock.spawn(waits(), "waits")
    clock.run_until(100)
    assert got == ["value", TIMEOUT]


def test_join_gives_the_value_also_after_the_end_and_none_of_the_killed() -> None:
    clock = Clock()
    got: list[Any] = []

    def gives() -> Steps:
        yield clock.sleep(3)
        return 42

    def sleeps() -> Steps:
        yield clock.sleep(1_000)

    def joins() -> Steps:
        giver, sleeper = clock.spawn(gives(), "gives"), clock.spawn(sleeps(), "sleeps")
        got.append((yield giver.join()))
        got.append((yield giver.join()))
        clock.after(5, sleeper.kill)
        got.append((yield sleeper.join()))

    clock.spawn(joins(), "joins")
    clock.run_until(100)
    assert got == [42, 42, None]


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=60))
def test_live_timers_fire_in_order_of_time_then_of_asking(plan: list[tuple[int, bool]]) -> None:
    clock = Clock()
    seen: list[tuple[int, int]] = []
    timers = [clock.at(when, lambda key=(when, n): seen.append(key)) for n, (when, _) in enumerate(plan)]
    for timer, (_, live) in zip(timers, plan, strict=True):
        if not live:
            timer.cancel()
    clock.run_until(60)
    assert seen == sorted((when, n) for n, (when, live) in enumerate(plan) if live)


@given(st.integers(0, 4_102_444_800_000_000))
def test_stamps_read_back(us: int) -> None:
    assert parse_stamp(micro_stamp_of(us)) == us
    assert parse_stamp(stamp_of(us)) == us // 1_000_000 * 1_000_000


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T09:00:00+09:00", 0),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1970-01-01T00:00:00.123456789Z", 123_456),
    ],
)
def test_stamps_with_fractions_and_zones(text: str, us: int) -> None:
    assert parse_stamp(text) == us


@pytest.mark.parametrize(
    "text", ["", "1970-01-01", "1970-01-01 00:00:00Z", "1970-01-01T00:00:00", "1970-13-01T00:00:00Z"]
)
def test_what_is_no_rfc3339_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_stamp(text)


def test_appointment_is_kept_after_its_instant_and_may_run_the_clock_itself() -> None:
    clock = Clock()
    seen: list[tuple[str, int]] = []

    def visit() -> None:
        seen.append(("outside", clock.now))
        clock.run_until(12)

    clock.appoint(10, visit)
    for when in (10, 12, 15):
        clock.at(when, lambda when=when: seen.append(("inside", when)))
    clock.run_until(11)
    assert seen == [("inside", 10), ("outside", 10), ("inside", 12)]
    assert clock.now == 12


def test_appointment_wakes_a_driver_unless_it_is_a_rhythm() -> None:
    clock = Clock()
    clock.appoint(7, lambda: None, periodic=True)
    assert clock.next_due is None
    clock.appoint(9, lambda: None)
    assert clock.next_due == 9
    clock.run_until(9)
    assert clock.next_due is None
