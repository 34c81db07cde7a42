"""Cron schedules: when the next run is.

Source: github.com/robfig/cron/v3 (parser.go, spec.go, constantdelay.go). A schedule that was accepted by validation can
be parsed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from seatrial.sim.config import S
from seatrial.sim.machinery.validation.cron import FIELDS, Field, schedule_problem

DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
UNITS_US = {"ns": 0.001, "us": 1.0, "µs": 1.0, "ms": 1_000.0, "s": float(S), "m": 60.0 * S, "h": 3600.0 * S}
DURATION_PART = re.compile(r"([0-9.]+)(ns|us|µs|ms|s|m|h)")
YEARS_AHEAD = 5
"""A schedule without a run in this time has none."""


class Schedule(NamedTuple):
    """Minutes, hours, days of the month, months and weekdays on which to run; or a constant delay."""

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    any_day: bool = False
    """Days or weekdays are not restricted: then both have to match, otherwise one is enough."""
    every_us: int = 0
    zone: tzinfo = UTC

    def next(self, after: int) -> int | None:
        """The first run after ``after`` (µs); None when there is none within five years."""
        if self.every_us:
            return (after // S) * S + self.every_us
        return _next(self, after)


@lru_cache(maxsize=1024)
def parse(text: str, zone_name: str | None = None) -> Schedule:
    """Raises ValueError with the parser's words; ZoneInfoNotFoundError for an unknown zone."""
    spec = text
    if spec.startswith(("TZ=", "CRON_TZ=")):
        where, _, spec = spec.partition(" ")
        zone_name = where.partition("=")[2]
    zone: tzinfo = ZoneInfo(zone_name) if zone_name else UTC
    spec = spec.strip()
    problem = schedule_problem(text)
    if problem:
        raise ValueError(problem)
    if spec.startswith("@every "):
        delay = sum(float(number) * UNITS_US[unit] for number, unit in DURATION_PART.findall(spec))
        return Schedule(every_us=max(S, int(delay) // S * S), zone=zone)
    parts = DESCRIPTORS.get(spec, spec).split()
    minutes, hours, days, months, weekdays = (_field(part, each) for part, each in zip(parts, FIELDS, strict=True))
    any_day = _is_star(parts[2]) or _is_star(parts[4])
    return Schedule(minutes, hours, days, months, weekdays, any_day, 0, zone)


def _is_star(part: str) -> bool:
    return any(each.split("/")[0] in ("*", "?") for each in part.split(","))


def _field(part: str, field: Field) -> frozenset[int]:
    found: set[int] = set()
    for each in part.split(","):
        interval, _, step = each.partition("/")
        first, _, last = interval.partition("-")
        if first in ("*", "?"):
            low, high = field.lowest, field.highest
        else:
            low = _number(first, field)
            high = _number(last, field) if last else (field.highest if step else low)
        found.update(range(low, high + 1, int(step) if step else 1))
    if field.highest == 6 and 7 in found:
        found.add(0)
    return frozenset(found)


def _number(text: str, field: Field) -> int:
    name = text.lower()
    return field.names.index(name) + field.lowest if name in field.names else int(text)


def _matches_day(schedule: Schedule, at: datetime) -> bool:
    day, weekday = at.day in schedule.days, at.isoweekday() % 7 in schedule.weekdays
    return (day and weekday) if schedule.any_day else (day or weekday)


def _local(second: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(second, zone)


def _midnight(at: datetime) -> int:
    """The second at which the day of ``at`` begins, or the hour next to it where a clock change leaves none."""
    second = int(datetime(at.year, at.month, at.day, tzinfo=at.tzinfo).timestamp())
    hour = _local(second, at.tzinfo or UTC).hour
    if hour > 12:
        return second + (24 - hour) * 3600
    return second - hour * 3600


def _next(schedule: Schedule, after: int) -> int | None:
    zone = schedule.zone
    second = (after // S + 1 + 59) // 60 * 60 if zone is UTC else after // S + 1
    at = _local(second, zone)
    if at.second:
        second += 60 - at.second
        at = _local(second, zone)
    limit = at.year + YEARS_AHEAD
    while at.year <= limit:
        if at.month not in schedule.months:
            first = at.replace(day=1, hour=0, minute=0, second=0)
            second = _midnight((first + timedelta(days=32)).replace(day=1))
        elif not _matches_day(schedule, at):
            second = _midnight(at.replace(hour=0, minute=0) + timedelta(days=1))
        elif at.hour not in schedule.hours:
            second += 3600 - at.minute * 60
        elif at.minute not in schedule.minutes:
            second += 60
        else:
            return second * S
        at = _local(second, zone)
    return None
