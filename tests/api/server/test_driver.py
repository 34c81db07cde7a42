"""The live driver: simulated time follows the wall clock, and nothing leaves before it is durable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from seatrial.api.server.driver import Driver
from seatrial.sim.kernel.clock import Clock

S = 1_000_000
START = 1_767_225_600 * S


class Wall:
    """A wall clock that the test turns."""

    def __init__(self) -> None:
        self.us = START

    def __call__(self) -> int:
        return self.us


def pumped(story: Callable[[Driver, Clock, Wall], Coroutine[Any, Any, None]], **options: Any) -> None:
    """Runs a story with a driver whose wall clock stands still unless the story turns it."""

    async def run() -> None:
        clock, wall = Clock(START), Wall()
        driver = Driver(clock, steady=wall, wall=wall, **options)
        driver.start(asyncio.get_running_loop())
        await story(driver, clock, wall)
        driver.stop()

    asyncio.run(run())


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_time_passes_as_on_the_wall() -> None:
    async def story(driver: Driver, clock: Clock, wall: Wall) -> None:
        seen: list[int] = []
        clock.after(3 * S, lambda: seen.append(clock.now))
        wall.us += 2 * S
        driver.enter()
        assert (clock.now, seen) == (START + 2 * S, [])
        wall.us += 2 * S
        driver.enter()
        assert (clock.now, seen) == (START + 4 * S, [START + 3 * S])

    pumped(story)


def test_pause_resume_and_speed_change_the_future_only() -> None:
    async def story(driver: Driver, clock: Clock, wall: Wall) -> None:
        wall.us += S
        driver.pause()
        wall.us += 60 * S
        driver.enter()
        assert clock.now == START + S
        driver.resume()
        driver.set_speed(10)
        wall.us += S
        driver.enter()
        assert clock.now == START + 11 * S
        assert driver.offset_us == 51 * S

    pumped(story)


def test_advance_lets_everything_between_happen() -> None:
    async def story(driver: Driver, clock: Clock, wall: Wall) -> None:
        ticks: list[int] = []

        def tick() -> None:
            ticks.append(clock.now)
            clock.after(S, tick)

        clock.after(S, tick)
        await driver.advance(360 * S)
        assert clock.now == START + 360 * S
        assert len(ticks) == 360
        assert driver.offset_us == -360 * S

    pumped(story)


def test_skip_goes_to_the_next_thing_that_is_due() -> None:
    async def story(driver: Driver, clock: Clock, wall: Wall) -> None:
        clock.after(42 * S, lambda: None)
        assert await driver.skip() == 42 * S
        assert clock.now == START + 42 * S
        assert await driver.skip() == 0

    pumped(story)


@pytest.mark.parametrize("speed", [0.0, -1.0, 10_001.0, float("nan")])
def test_an_impossible_speed_is_refused(speed: float) -> None:
    async def story(driver: Driver, clock: Clock, wall: Wall) -> None:
        with pytest.raises(ValueError, match="between 0 and"):
            driver.set_speed(speed)
        assert driver.speed == 1

    pumped(story)


def test_a_busy_simulation_lets_others_have_their_turn() -> None:
    async def story(driver: Driver, clock: Clock, wall: Wall) -> None:
        for delay in range(20_000):
            clock.after(delay, lambda: sum(range(50)))
        wall.us += S
        driver.wake()
        rounds = 0
        while driver.lag_us:
            await asyncio.sleep(0)
            rounds += 1
        assert rounds > 3

    pumped(story)


def test_what_is_dirty_is_flushed_once_before_anything_leaves() -> None:
    happened: list[str] = []
    dirty = [True]

    def flush() -> None:
        if dirty[0]:
            happened.append("flush")
            dirty[0] = False

    async def story(driver: Driver, clock: Clock, wall: Wall) -> None:
        await turns()
        happened.clear()
        dirty[0] = True
        for name in ("a", "b", "c"):
            driver.answer(lambda name=name: happened.append(name))  # type: ignore[misc]
        assert happened == []
        await turns()
        assert happened == ["flush", "a", "b", "c"]
        driver.answer(lambda: happened.append("clean"))
        assert happened[-1] == "clean"

    pumped(story, flush=flush, dirty=lambda: dirty[0])


def test_while_the_disk_refuses_nobody_is_told_of_a_write() -> None:
    refusing = [False]
    told: list[str] = []

    def flush() -> None:
        if refusing[0]:
            raise OSError("no space left on device")

    async def story(driver: Driver, clock: Clock, wall: Wall) -> None:
        refusing[0] = True
        driver.answer(lambda: told.append("written"))
        await turns(20)
        assert told == []
        refusing[0] = False

    pumped(story, flush=flush, dirty=lambda: True)
    assert told == ["written"]


def test_an_error_of_the_simulation_stops_it_and_is_told() -> None:
    async def story(driver: Driver, clock: Clock, wall: Wall) -> None:
        told: list[BaseException] = []
        driver.on_failure = told.append

        def broken() -> None:
            raise RuntimeError("a defect")

        clock.after(S, broken)
        wall.us += 2 * S
        driver.enter()
        assert [str(problem) for problem in told] == ["a defect"]

    pumped(story)
