"""Schedules of CronJobs: what is wrong with one.

The grammar is that of robfig/cron: five fields, or a descriptor such as ``@daily`` or ``@every 5m``, each with that
library's words for what it does not accept.

Source: github.com/robfig/cron/v3 (parser.go) and k8s.io/kubernetes/pkg/apis/batch/validation.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo


class Field(NamedTuple):
    """The numbers a field takes, and its names for them."""

    lowest: int
    highest: int
    names: tuple[str, ...] = ()


MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
FIELDS = (Field(0, 59), Field(0, 23), Field(1, 31), Field(1, 12, MONTHS), Field(0, 6, DAYS))
DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
DURATION = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
ZONE_PART = re.compile(r"[A-Za-z.\-_0-9+]{1,14}")


def schedule_problem(schedule: str) -> str:
    """What cannot be parsed; empty when everything can."""
    spec = schedule
    if spec.startswith(("TZ=", "CRON_TZ=")):
        zone, _, rest = spec.partition(" ")
        name = zone.partition("=")[2]
        if not _is_zone(name):
            return f"provided bad location {name}: unknown time zone {name}"
        spec = rest.strip()
    if not spec:
        return "empty spec string"
    if spec.startswith("@"):
        return _descriptor_problem(spec)
    parts = spec.split()
    if len(parts) != len(FIELDS):
        return f"expected exactly 5 fields, found {len(parts)}: [{' '.join(parts)}]"
    return next(
        (found for part, field in zip(parts, FIELDS, strict=True) if (found := _field_problem(part, field))), ""
    )


def _descriptor_problem(spec: str) -> str:
    if spec in DESCRIPTORS:
        return ""
    if spec.startswith("@every "):
        duration = spec.removeprefix("@every ")
        if duration == "0" or (duration and not DURATION.sub("", duration)):
            return ""
        return f'failed to parse duration {spec}: time: invalid duration "{duration}"'
    return f"unrecognized descriptor: {spec}"


def _field_problem(text: str, field: Field) -> str:
    for expression in text.split(","):
        if expression and (found := _range_problem(expression, field)):
            return found
    return ""


def _range_problem(expression: str, field: Field) -> str:
    ends, *steps = expression.split("/")
    low_high = ends.split("-")
    if low_high[0] in ("*", "?"):
        low, high = field.lowest, field.highest
        single = False
    else:
        found = _number(low_high[0], field)
        if isinstance(found, str):
            return found
        low = high = found
        single = len(low_high) == 1
        if len(low_high) == 2:
            found = _number(low_high[1], field)
            if isinstance(found, str):
                return found
            high = found
        elif len(low_high) > 2:
            return f"too many hyphens: {expression}"
    step = 1
    if len(steps) == 1:
        found = _number(steps[0], Field(field.lowest, field.highest))
        if isinstance(found, str):
            return found
        step = found
        if single:
            high = field.highest
    elif len(steps) > 1:
        return f"too many slashes: {expression}"
    if low < field.lowest:
        return f"beginning of range ({low}) below minimum ({field.lowest}): {expression}"
    if high > field.highest:
        return f"end of range ({high}) above maximum ({field.highest}): {expression}"
    if low > high:
        return f"beginning of range ({low}) beyond end of range ({high}): {expression}"
    return f"step of range should be a positive number: {expression}" if step == 0 else ""


def _number(text: str, field: Field) -> int | str:
    """The number of a text or name, or what is wrong with it."""
    if text.lower() in field.names:
        return field.names.index(text.lower()) + field.lowest
    if not re.fullmatch(r"[-+]?[0-9]+", text, re.ASCII):
        return f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax'
    value = int(text)
    return value if value >= 0 else f"negative number ({value}) not allowed: {text}"


@lru_cache(maxsize=1024)
def _is_zone(name: str) -> bool:
    if name in ("", "UTC", "Local"):
        return True
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return False
    return True


def zone_problem(name: str) -> str:
    """What is wrong with a CronJob's timeZone."""
    if not name:
        return "timeZone must be nil or non-empty string"
    for part in name.split("/"):
        if part in (".", "..") or part.startswith("-") or not ZONE_PART.fullmatch(part):
            return f"unknown time zone {name}"
    if name.lower() == "local":
        return "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
    return "" if _is_zone(name) else f"unknown time zone {name}"
