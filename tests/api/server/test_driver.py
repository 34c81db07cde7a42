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


def test_until_ends_at_the_very_instant() -> None:
    async def story(driver: Driver, clock: Clock, wall: Wall) -> None:
        seen: list[int] = []
        for second in range(1, 100):
            clock.after(second * S, lambda second=second: seen.append(second))  # type: ignore[misc]
        assert await driver.until(lambda: 42 in seen, 3600 * S)
        assert (clock.now, seen[-1]) == (START + 42 * S, 42)
        wall.us += S
        driver.enter()
        assert seen[-1] == 43
        assert await driver.until(lambda: 43 in seen, 3600 * S)
        assert clock.now == START + 43 * S
        assert not await driver.until(lambda: False, 10 * S)
        assert clock.now == START + 53 * S

    pumped(story)


def test_jumps_wait_for_one_another() -> None:
    async def story(driver: Driver, clock: Clock, wall: Wall) -> None:
        jumps = [driver.until(lambda: clock.now >= START + 5 * S, 60 * S), driver.advance(60 * S)]
        clock.after(5 * S, lambda: None)
        await asyncio.gather(*jumps)
        assert clock.now == START + 65 * S

    pumped(story)


def test_in_lockstep_time_waits_for_clients() -> None:
    async def story(driver: Driver, clock: Clock, wall: Wall) -> None:
        seen: list[int] = []
        told: list[int] = []

        def change(second: int) -> None:
            seen.append(second)
            driver.stream(lambda: told.append(second))

        for second in (1, 2, 3):
            clock.after(second * S, lambda second=second: change(second))  # type: ignore[misc]
        driver.set_lockstep(5_000)
        jump = asyncio.ensure_future(driver.advance(3 * S))
        for second in (1, 2, 3):
            while len(told) < second:
                await asyncio.sleep(0)
            assert seen == list(range(1, second + 1))
            assert clock.now == START + second * S
            driver.enter()
            wall.us += 6_000
        await jump
        assert driver.lockstep_us == 5_000
        driver.set_lockstep(None)
        assert clock.now == START + 3 * S

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
