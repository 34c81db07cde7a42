"""Points in time as the wire writes them: metav1.Time in seconds, metav1.MicroTime in microseconds, always UTC.

Source: k8s.io/apimachinery/pkg/apis/meta/v1/{time,micro_time}.go and Go's time.Parse, whose errors name the part of
the layout at which the text stops to fit.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

SECONDS = "2006-01-02T15:04:05Z07:00"
MICROS = "2006-01-02T15:04:05.000000Z07:00"

USUAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
STEPS: tuple[tuple[str, str], ...] = (
    ("2006", r"\d{4}"),
    ("-", "-"),
    ("01", r"\d\d"),
    ("-", "-"),
    ("02", r"\d\d"),
    ("T", "T"),
    ("15", r"\d\d?"),
    (":", ":"),
    ("04", r"\d\d"),
    (":", ":"),
    ("05", r"\d\d"),
)
"""The layout's parts and what each takes of the text."""
FRACTION = re.compile(r"[.,](\d+)")
ZONE = re.compile(r"Z|([+-])(\d\d):(\d\d)")
PATTERNS = tuple((part, re.compile(pattern, re.ASCII)) for part, pattern in STEPS)
RANGES = (("month", 2, 1, 12), ("day", 4, 1, 31), ("hour", 6, 0, 23), ("minute", 8, 0, 59), ("second", 10, 0, 59))


@lru_cache(maxsize=1 << 12)
def seconds(text: str) -> str:
    """A metav1.Time in canonical form. Raises ValueError in Go's words."""
    return _parse(text, SECONDS).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


@lru_cache(maxsize=1 << 12)
def micros(text: str) -> str:
    """A metav1.MicroTime in canonical form. Raises ValueError in Go's words."""
    return _parse(text, MICROS).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def _parse(text: str, layout: str) -> datetime:
    rest, parts = text, []
    left = layout
    for part, pattern in PATTERNS:
        match = pattern.match(rest)
        if match is None:
            raise ValueError(f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{part}"')
        parts.append(match.group())
        rest = rest[match.end() :]
        left = left[len(part) :]
    rest, micro = _fraction(text, layout, rest)
    zone = ZONE.match(rest)
    if zone is None:
        raise ValueError(f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "Z07:00"')
    if rest[zone.end() :]:
        raise ValueError(f'parsing time "{text}": extra text: "{rest[zone.end() :]}"')
    for name, index, low, high in RANGES:
        if not low <= int(parts[index]) <= high:
            raise ValueError(f'parsing time "{text}": {name} out of range')
    year, month, day, hour, minute, second = (int(parts[index]) for index in (0, 2, 4, 6, 8, 10))
    offset = UTC
    if zone.group(1):
        offset = timezone(int(zone.group(1) + "1") * timedelta(hours=int(zone.group(2)), minutes=int(zone.group(3))))
    try:
        return datetime(year, month, day, hour, minute, second, micro, offset).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f'parsing time "{text}": day out of range') from None


def _fraction(text: str, layout: str, rest: str) -> tuple[str, int]:
    """What follows the seconds: optional for a Time, six digits for a MicroTime."""
    match = FRACTION.match(rest)
    if layout is MICROS and (match is None or len(match.group(1)) != 6):
        raise ValueError(f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as ".000000"')
    if match is None:
        return rest, 0
    return rest[match.end() :], int(match.group(1)[:6].ljust(6, "0"))
