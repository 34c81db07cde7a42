"""Timestamps and durations of the expression language.

Source: github.com/google/cel-go/common/types (timestamp.go, duration.go). There is no *now*: expressions see only the
times that they are given.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from seatrial.sim.machinery.cel.errors import EvaluationError
from seatrial.sim.machinery.cel.values import INT_MAX, INT_MIN, Duration, Timestamp

SECOND = 10**9
UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND}
PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
STAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:([Zz])|([+-])(\d\d):(\d\d))", re.ASCII
)
LENGTH_MAX = 1000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STAMP_MIN, STAMP_MAX = -62135596800, 253402300799
"""Seconds of 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z."""
OFFSET = re.compile(r"([+-]?)(\d\d?):(\d\d)", re.ASCII)


def parse_duration(text: str) -> Duration | None:
    """Go's form: ``1h30m``, ``-1.5s``; None when it is none."""
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text[1:] if text[:1] == "+" else text)
    if rest == "0":
        return Duration(0)
    if len(rest) > LENGTH_MAX:
        return None
    total, at = 0, 0
    while at < len(rest):
        match = PART.match(rest, at)
        if match is None:
            return None
        whole, _, fraction = match[1].partition(".")
        unit = UNITS[match[2]]
        total += int(whole or 0) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)
        at = match.end()
    if not rest or total > INT_MAX:
        return None
    return Duration(sign * total)


def parse_timestamp(text: str) -> Timestamp | None:
    """RFC 3339; None when it is none."""
    match = STAMP.fullmatch(text)
    if match is None:
        return None
    try:
        moment = datetime(*map(int, match.groups()[:6]), tzinfo=UTC)  # type: ignore[misc, arg-type]
    except ValueError:
        return None
    seconds = (moment - EPOCH) // timedelta(seconds=1)
    if match[9]:
        offset = int(match[10]) * 3600 + int(match[11]) * 60
        seconds -= offset if match[9] == "+" else -offset
    nanos = int(match[7][:9].ljust(9, "0")) if match[7] else 0
    return Timestamp(seconds * SECOND + nanos) if STAMP_MIN <= seconds <= STAMP_MAX else None


def duration_text(duration: Duration) -> str:
    """``5400s``, ``1.500s``: seconds, as protobuf writes durations in JSON and string() in the language."""
    sign, nanos = ("-", -duration.key) if duration.key < 0 else ("", duration.key)
    whole, rest = divmod(nanos, SECOND)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{sign}{whole}{fraction}s"


def timestamp_text(stamp: Timestamp) -> str:
    seconds, nanos = divmod(stamp.key, SECOND)
    fraction = f".{nanos:09d}".rstrip("0") if nanos else ""
    return f"{(EPOCH + timedelta(seconds=seconds)).strftime('%Y-%m-%dT%H:%M:%S').rjust(19, '0')}{fraction}Z"


def checked_timestamp(nanos: int) -> Timestamp:
    if STAMP_MIN <= nanos // SECOND <= STAMP_MAX:
        return Timestamp(nanos)
    raise EvaluationError("timestamp overflow")


def checked_duration(nanos: int) -> Duration:
    if INT_MIN <= nanos <= INT_MAX:
        return Duration(nanos)
    raise EvaluationError("duration overflow")


def zone(name: str) -> tzinfo:
    """Raises EvaluationError for a zone that nobody knows."""
    match = OFFSET.fullmatch(name)
    if match is not None:
        minutes = int(match[2]) * 60 + int(match[3])
        return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise EvaluationError(f"unknown time zone {name}") from None


def in_zone(stamp: Timestamp, name: str = "UTC") -> datetime:
    return (EPOCH + timedelta(microseconds=stamp.key // 1000)).astimezone(UTC if name == "UTC" else zone(name))


PARTS = {
    "getFullYear": lambda at: at.year,
    "getMonth": lambda at: at.month - 1,
    "getDayOfYear": lambda at: at.timetuple().tm_yday - 1,
    "getDayOfMonth": lambda at: at.day - 1,
    "getDate": lambda at: at.day,
    "getDayOfWeek": lambda at: at.isoweekday() % 7,
    "getHours": lambda at: at.hour,
    "getMinutes": lambda at: at.minute,
    "getSeconds": lambda at: at.second,
    "getMilliseconds": lambda at: at.microsecond // 1000,
}
"""The accessors of a timestamp."""


def truncated(nanos: int, unit: int) -> int:
    """Whole units, towards zero."""
    return -(-nanos // unit) if nanos < 0 else nanos // unit


DURATION_PARTS = {
    "getHours": lambda nanos: truncated(nanos, UNITS["h"]),
    "getMinutes": lambda nanos: truncated(nanos, UNITS["m"]),
    "getSeconds": lambda nanos: truncated(nanos, SECOND),
    "getMilliseconds": lambda nanos: truncated(nanos, UNITS["ms"]) - truncated(nanos, SECOND) * 1000,
}
