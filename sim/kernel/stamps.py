"""Simulated times as Kubernetes writes them, and back.

Source: k8s.io/apimachinery/pkg/apis/meta/v1 (Time, MicroTime).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

S: Final = 1_000_000


@lru_cache(maxsize=8192)
def _second_stamp(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def stamp_of(us: int) -> str:
    """``2026-01-01T00:00:00Z``; parts of a second are dropped. Stamps of one second are one string."""
    return _second_stamp(us // S)


def micro_stamp_of(us: int) -> str:
    """``2026-01-01T00:00:00.000000Z``."""
    return f"{_second_stamp(us // S)[:-1]}.{us % S:06d}Z"


def datetime_of(us: int) -> datetime:
    """The moment in UTC, for those who write times in forms of their own."""
    return datetime.fromtimestamp(us // S, UTC).replace(microsecond=us % S)


RFC3339: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:[.,]\d+)?(?:Z|[+-]\d{2}:\d{2})", re.ASCII)


@lru_cache(maxsize=8192)
def parse_stamp(text: str) -> int:
    """µs since the Unix epoch of an RFC 3339 time; digits below a microsecond are dropped. Raises ValueError."""
    if RFC3339.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not an RFC 3339 time")
    at = datetime.fromisoformat(text)
    seconds = at.replace(microsecond=0).timestamp()
    return int(seconds) * S + at.microsecond
