"""What a load is: a value, written as its fields with its ``kind``.

``{"kind": "constant", "url": "http://web.shop", "level": 100}`` asks a hundred times per second. The kind is the shape
of the level over time. In an open loop the level is requests per second, whatever becomes of them; in a closed loop it
is users, each of whom asks, waits for the answer, thinks, and asks again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from math import pi, sin
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from seatrial.sim.machinery import values
from seatrial.sim.network.requests import target_of

LEVEL_MAX = 1_000_000.0


class Load(BaseModel):
    """One load. The docstring of a kind says how its level changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]
    url: str = Field(
        description="What is asked for: http, https or tcp; the host is a service's name, an address, a node or the "
        "host of an Ingress."
    )
    origin: str = Field(
        default="outside",
        description="Who asks: outside, outside/ADDRESS, node/NAME or pod/NAMESPACE/NAME.",
    )
    loop: Literal["open", "closed"] = Field(
        default="open", description="Open: the level is requests per second; closed: it is users."
    )
    think_ms: int = Field(default=0, ge=0, description="How long a user of a closed loop thinks, in milliseconds.")
    timeout_ms: int = Field(default=10_000, ge=1, description="How long an answer is waited for, in milliseconds.")
    method: str = Field(default="GET", pattern=r"^[A-Z]+$", description="The HTTP method.")
    headers: dict[str, str] = Field(default_factory=dict, description="HTTP headers.")
    body: str = Field(default="", description="The body of each request.")
    interval_s: int = Field(default=5, ge=1, description="How much time a row of the series is for, in seconds.")

    @field_validator("url")
    @classmethod
    def _is_url(cls, text: str) -> str:
        target_of(text)
        return text

    @field_validator("origin")
    @classmethod
    def _is_origin(cls, text: str) -> str:
        kind, _, name = text.partition("/")
        if kind not in ("outside", "node", "pod") or (kind != "outside" and not name):
            raise ValueError(f"nobody is at {text!r}: say outside, node/NAME or pod/NAMESPACE/NAME")
        return text

    def level_at(self, after_s: float) -> float:
        """The level so many seconds after the beginning."""
        raise TypeError(f"{type(self).__name__} has no shape")


class Constant(Load):
    """The same level all the time."""

    kind = "constant"
    level: float = Field(gt=0, le=LEVEL_MAX, description="Requests per second, or users.")

    def level_at(self, after_s: float) -> float:
        return self.level


class Ramp(Load):
    """From one level to another in a straight line; it stays there."""

    kind = "ramp"
    begin: float = Field(default=0, ge=0, le=LEVEL_MAX, description="The level at the beginning.")
    end: float = Field(ge=0, le=LEVEL_MAX, description="The level at the end.")
    over_s: float = Field(gt=0, description="How long it takes, in seconds.")

    def level_at(self, after_s: float) -> float:
        return self.begin + (self.end - self.begin) * min(after_s / self.over_s, 1.0)


class Step(Load):
    """From one level to another in steps of the same height and length; it stays there."""

    kind = "step"
    begin: float = Field(default=0, ge=0, le=LEVEL_MAX, description="The first level.")
    end: float = Field(ge=0, le=LEVEL_MAX, description="The last level.")
    steps: int = Field(default=1, ge=1, description="How many steps there are from the first to the last.")
    every_s: float = Field(gt=0, description="How long each level lasts, in seconds.")

    def level_at(self, after_s: float) -> float:
        done = min(int(after_s / self.every_s), self.steps)
        return self.begin + (self.end - self.begin) * done / self.steps


class Sine(Load):
    """Up and down around a level, as days and nights do."""

    kind = "sine"
    mean: float = Field(gt=0, le=LEVEL_MAX, description="The level in the middle.")
    amplitude: float = Field(ge=0, le=LEVEL_MAX, description="How far it goes up and down; never below nothing.")
    period_s: float = Field(gt=0, description="From one height to the next, in seconds.")

    def level_at(self, after_s: float) -> float:
        return max(0.0, self.mean + self.amplitude * sin(2 * pi * after_s / self.period_s))


class Trace(Load):
    """Through given points: what somebody measured."""

    kind = "trace"
    points: tuple[tuple[float, float], ...] = Field(
        min_length=1, description="(seconds after the beginning, level), in their order."
    )
    between: Literal["line", "hold"] = Field(
        default="line", description="Line: straight from point to point; hold: the level of the point before."
    )
    repeat: bool = Field(default=False, description="Begins anew after the last point.")

    @field_validator("points")
    @classmethod
    def _in_order(cls, points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        times = [at for at, _ in points]
        if times != sorted(set(times)) or times[0] < 0:
            raise ValueError("the times are not in order, each later than the one before")
        if any(not 0 <= level <= LEVEL_MAX for _, level in points):
            raise ValueError(f"a level is not between 0 and {LEVEL_MAX:g}")
        return points

    def level_at(self, after_s: float) -> float:
        points = self.points
        if self.repeat and points[-1][0] > 0:
            after_s %= points[-1][0]
        index = bisect_right(points, after_s, key=lambda point: point[0])
        if index == 0:
            return points[0][1] if self.between == "line" else 0.0
        at, level = points[index - 1]
        if index == len(points) or self.between == "hold":
            return level
        until, following = points[index]
        return level + (following - level) * (after_s - at) / (until - at)


KINDS: Mapping[str, type[Load]] = {each.kind: each for each in (Constant, Ramp, Step, Sine, Trace)}


def load_of(value: Mapping[str, Any]) -> Load:
    """The load that a value means. Raises ValueError with what is wrong with it."""
    return values.value_of("load", KINDS, value)


def value_of(load: Load) -> dict[str, Any]:
    """What ``load_of`` takes; fields at their defaults are left out."""
    return {"kind": load.kind, **load.model_dump(mode="json", exclude_defaults=True)}
