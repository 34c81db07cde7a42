"""The loads of one cluster: which run, which will, and what they measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.kernel.clock import Timer
from seatrial.sim.loads.generator import Generator
from seatrial.sim.loads.load import Load, value_of
from seatrial.sim.loads.series import Series
from seatrial.sim.network.requests import Requests

ENDED_MAX = 20
"""Loads that are over whose figures are kept."""


@dataclass(slots=True)
class Running:
    """A load that runs, will run, or has run."""

    name: str
    load: Load
    since_us: int
    until_us: int | None
    generator: Generator | None = None
    timer: Timer | None = None
    ended_us: int | None = None

    @property
    def state(self) -> str:
        if self.ended_us is not None:
            return "ended"
        return "running" if self.generator is not None else "waiting"


class Loads:
    """The loads of one cluster; ``requests`` is None where there is no network."""

    def __init__(self, wiring: Wiring, requests: Requests | None) -> None:
        self._wiring, self._clock, self._requests = wiring, wiring.clock, requests
        self._known: dict[str, Running] = {}
        self._count = 0

    def add(self, load: Load, name: str = "", after_us: int = 0, lasts_us: int | None = None) -> str:
        """Starts a load, now or later, for good or for a while; returns its name. Raises ValueError for a name that is
        taken, and where there are no machines to ask."""
        if self._requests is None:
            raise ValueError("this cluster has no network: it has no machines of its own")
        self._count += 1
        name = name or f"{load.kind}-{self._count}"
        known = self._known.get(name)
        if known is not None and known.ended_us is None:
            raise ValueError(f"there is a load {name!r} already")
        since = self._clock.now + max(after_us, 0)
        running = Running(name, load, since, None if lasts_us is None else since + lasts_us)
        self._known.pop(name, None)
        self._known[name] = running
        if after_us > 0:
            running.timer = self._clock.at(since, lambda: self._start(running), periodic=True)
        else:
            self._start(running)
        return name

    def _start(self, running: Running) -> None:
        assert self._requests is not None
        running.timer = None
        rng = self._wiring.streams(f"load/{running.name}")
        running.generator = Generator(running.load, self._requests, self._clock, rng)
        if running.until_us is not None:
            running.timer = self._clock.at(running.until_us, lambda: self._end(running), periodic=True)

    def _end(self, running: Running) -> None:
        if running.timer is not None:
            running.timer.cancel()
            running.timer = None
        if running.generator is not None:
            running.generator.stop()
        running.ended_us = self._clock.now
        ended = [name for name, each in self._known.items() if each.ended_us is not None]
        for name in ended[:-ENDED_MAX]:
            del self._known[name]

    def remove(self, name: str) -> None:
        """Ends a load and forgets its figures. Raises KeyError."""
        running = self._known[name]
        if running.ended_us is None:
            self._end(running)
        del self._known[name]

    def clear(self) -> None:
        """Ends and forgets all."""
        for name in list(self._known):
            self.remove(name)

    def list(self) -> list[dict[str, Any]]:
        """All loads with what they come to so far; times in µs since the Unix epoch."""
        return [self._about(each) for each in self._known.values()]

    def show(self, name: str) -> Mapping[str, Any]:
        """A load with its time series. Raises KeyError."""
        running = self._known[name]
        generator = running.generator
        now = running.ended_us or self._clock.now
        return {**self._about(running), "series": generator.look().values(now) if generator is not None else []}

    def series(self, name: str) -> Series | None:
        """What a load has measured so far; None before it begins. Raises KeyError."""
        generator = self._known[name].generator
        return None if generator is None else generator.series

    def _about(self, running: Running) -> dict[str, Any]:
        generator = running.generator
        now = running.ended_us or self._clock.now
        return {
            "name": running.name,
            "load": value_of(running.load),
            "state": running.state,
            "since": running.since_us,
            "until": running.until_us,
            "total": generator.look().total(now).value() if generator is not None else None,
        }
