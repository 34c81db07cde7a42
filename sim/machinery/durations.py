"""How long something took, or how long ago it was, as people read it (k8s.io/apimachinery/pkg/util/duration)."""

from __future__ import annotations

from functools import lru_cache

from seatrial.sim.kernel.clock import parse_stamp

SECOND_US = 1_000_000
UNKNOWN = "<unknown>"
MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400


def human(seconds: int) -> str:
    """A duration in whole seconds, to two or three digits: ``119s``, ``2m5s``, ``3h``, ``8d``, ``2y30d``."""
    if seconds < 0:
        return "<invalid>" if seconds < -1 else "0s"
    if seconds < 2 * MINUTE:
        return f"{seconds}s"
    if seconds < 10 * MINUTE:
        return _two(seconds // MINUTE, "m", seconds % MINUTE, "s")
    if seconds < 3 * HOUR:
        return f"{seconds // MINUTE}m"
    if seconds < 8 * HOUR:
        return _two(seconds // HOUR, "h", seconds % HOUR // MINUTE, "m")
    if seconds < 2 * DAY:
        return f"{seconds // HOUR}h"
    if seconds < 8 * DAY:
        return _two(seconds // DAY, "d", seconds % DAY // HOUR, "h")
    if seconds < 2 * YEAR:
        return f"{seconds // DAY}d"
    if seconds < 8 * YEAR:
        return _two(seconds // YEAR, "y", seconds % YEAR // DAY, "d")
    return f"{seconds // YEAR}y"


def _two(large: int, unit: str, small: int, lesser: str) -> str:
    return f"{large}{unit}{small}{lesser}" if small else f"{large}{unit}"


@lru_cache(maxsize=1 << 12)
def _read(text: str) -> int:
    return parse_stamp(text)


def between(start: str, end: str) -> str:
    """From one RFC 3339 time to another."""
    return human(_whole(_read(end) - _read(start)))


def since(text: str | None, now_us: int) -> str:
    """How long an RFC 3339 time is ago; ``<unknown>`` without one."""
    return human(_whole(now_us - _read(text))) if text else UNKNOWN


def _whole(microseconds: int) -> int:
    """Seconds towards zero, as Go converts."""
    return microseconds // SECOND_US if microseconds >= 0 else -(-microseconds // SECOND_US)
