"""Lengths of time as the programs of a machine write them.

Source: systemd's format_timespan, github.com/docker/go-units (HumanDuration), k8s.io/apimachinery/pkg/util/duration.
"""

from __future__ import annotations

import re

from seatrial.sim.config import S
from seatrial.sim.kernel.stamps import datetime_of

MINUTE, HOUR, DAY = 60, 3600, 86_400


def systemd_stamp(us: int) -> str:
    """``Thu 2026-01-01 00:00:01 UTC``."""
    return f"{datetime_of(us):%a %Y-%m-%d %H:%M:%S} UTC"


def systemd_age(us: int) -> str:
    """``5min ago``: two units for what is a day or older, one or two below."""
    seconds = us // S
    if seconds <= 0:
        return f"{us // 1000}ms ago"
    if seconds < MINUTE:
        return f"{seconds}s ago"
    if seconds < 5 * MINUTE:
        return f"{seconds // MINUTE}min {seconds % MINUTE}s ago" if seconds % MINUTE else f"{seconds // MINUTE}min ago"
    if seconds < HOUR:
        return f"{seconds // MINUTE}min ago"
    if seconds < DAY:
        return f"{seconds // HOUR}h {seconds % HOUR // MINUTE}min ago"
    days, hours = seconds // DAY, seconds % DAY // HOUR
    if days < 7:
        return f"{days} day{'s' if days > 1 else ''}{f' {hours}h' if hours else ''} ago"
    weeks, days = days // 7, days % 7
    text = f"{weeks} week{'s' if weeks > 1 else ''}"
    return f"{text} {days} day{'s' if days > 1 else ''} ago" if days else f"{text} ago"


def human(us: int) -> str:
    """``About a minute``, ``5 minutes``, ``2 hours``."""
    seconds = us // S
    if seconds < 1:
        return "Less than a second"
    if seconds == 1:
        return "1 second"
    if seconds < MINUTE:
        return f"{seconds} seconds"
    minutes = seconds // MINUTE
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = (seconds + HOUR // 2) // HOUR
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{seconds // DAY // 365} years"


def residual(us: int) -> str:
    """``364d``, ``23h``: HumanDuration of what is left, as kubeadm shows it."""
    seconds = us // S
    if seconds < 0:
        return "<invalid>"
    days = seconds // DAY
    if days >= 730:
        return f"{days // 365}y"
    if days >= 1:
        return f"{days}d"
    hours = seconds // HOUR
    return f"{hours}h" if hours else f"{seconds // MINUTE}m" if seconds >= MINUTE else f"{seconds}s"


def bytes_binary(size: int) -> str:
    """``34.2M`` as systemd writes sizes."""
    value, units = float(size), "BKMGT"
    at = 0
    while value >= 1024 and at < len(units) - 1:
        value, at = value / 1024, at + 1
    return f"{value:.1f}".removesuffix(".0") + units[at] if at else f"{size}B"


def bytes_decimal(size: int) -> str:
    """``72.3MB``: three digits, as crictl writes sizes."""
    value, units = float(size), ("B", "kB", "MB", "GB", "TB")
    at = 0
    while value >= 1000 and at < len(units) - 1:
        value, at = value / 1000, at + 1
    return f"{value:.3g}{units[at]}"


GO_UNITS = {"ns": 0.001, "us": 1, "µs": 1, "ms": 1000, "s": S, "m": MINUTE * S, "h": HOUR * S}


def go_duration(text: str) -> int | None:
    """``1h30m`` in µs, as Go's time.ParseDuration reads it; None for what is none."""
    if text == "0":
        return 0
    if re.fullmatch(r"(?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+", text) is None:
        return None
    parts = re.findall(r"(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)", text)
    return round(sum(float(number) * GO_UNITS[unit] for number, unit in parts))
