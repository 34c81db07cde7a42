"""Spans of time as people write them: ``90s``, ``6m``, ``1h30m``, ``2d`` (Go's durations, and days)."""

from __future__ import annotations

import re

UNITS_US = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
PART = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d)")


def parse(text: str) -> int:
    """The span in µs. Raises ValueError with a sentence for the user."""
    at = total = 0
    for part in PART.finditer(text):
        if part.start() != at:
            break
        total += round(float(part[1]) * UNITS_US[part[2]])
        at = part.end()
    if not text or at != len(text):
        raise ValueError(f"{text!r} is no span of time; write it like 90s, 6m, 1h30m or 2d")
    return total


def show(us: int) -> str:
    """The span in its two largest units."""
    sign, rest = ("-", -us) if us < 0 else ("", us)
    parts: list[str] = []
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, UNITS_US[unit])
        if count:
            parts.append(f"{count}{unit}")
    return sign + ("".join(parts[:2]) or f"{rest // 1000}ms")
