"""journalctl: the journal of a machine's units.

Source: journalctl(1). Not modelled: fields, boots other than this one, output formats other than short and cat.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

from seatrial.sim.kernel.clock import Signal
from seatrial.sim.kernel.stamps import datetime_of
from seatrial.sim.nodeshell.machine import machine_of
from seatrial.sim.nodeshell.unitlog import Line
from seatrial.sim.workloads.commands.options import parsed
from seatrial.sim.workloads.process import Proc

Steps = Generator[Any, Any, int]
LONG = {
    "unit": "u", "follow": "f", "lines": "n", "since": "S", "until": "U", "no-pager": "P", "reverse": "r",
    "output": "o", "no-hostname": "H", "boot": "b", "dmesg": "k", "pager-end": "e", "catalog": "x", "priority": "p",
    "identifier": "t", "grep": "g", "quiet": "q", "no-full": "L", "full": "l", "all": "a",
}  # fmt: skip
SPAN = re.compile(r"(\d+)\s*(seconds?|sec|s|minutes?|min|m|hours?|hr|h|days?|d)\b")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
FOLLOWED = 10


def moment(text: str, now_us: int) -> int | None:
    """``5 min ago``, ``-10m``, ``today``, ``2026-01-01 00:00:00`` in µs; None for what is no time."""
    now, text = datetime_of(now_us), text.strip()
    begin = now.replace(hour=0, minute=0, second=0, microsecond=0)
    named = {"now": now, "today": begin, "yesterday": begin - timedelta(days=1)}
    if text in named:
        return _us(named[text])
    if text.endswith("ago") or text.startswith(("-", "+")):
        found = SPAN.findall(text)
        if not found:
            return None
        span = sum(int(number) * UNITS[unit[0]] for number, unit in found)
        return now_us + span * 1_000_000 * (1 if text.startswith("+") else -1)
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
        try:
            return _us(datetime.strptime(text, form).replace(tzinfo=UTC))
        except ValueError:
            continue
    for form in ("%H:%M:%S", "%H:%M"):
        try:
            at = datetime.strptime(text, form)
        except ValueError:
            continue
        return _us(begin + timedelta(hours=at.hour, minutes=at.minute, seconds=at.second))
    return None


def _us(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)


def journalctl(proc: Proc) -> Steps:
    """journalctl [-u UNIT] [-f] [-n LINES] [--since TIME] [--until TIME] [-r] [-o short|cat] [--no-pager]"""
    machine = machine_of(proc)
    words = [word if word != "-xeu" else "-xu" for word in proc.argv]
    proc.argv = [word for word in words if word not in ("-x", "-e", "-xe", "-ex")]
    options, _ = parsed(proc, "fPrHbkexqlaL", "unSUoptg", LONG)
    unit = options.get("u", "").removesuffix(".service")
    if "k" in options:
        unit = "kernel"
    bounds = {}
    for letter in ("S", "U"):
        if letter in options:
            at = moment(options[letter], machine.clock.now)
            if at is None:
                proc.err(f"Failed to parse timestamp: {options[letter]}\n")
                return 1
            bounds[letter] = at

    def wanted(line: Line) -> bool:
        if unit not in ("", line.unit) or (options.get("t") or line.identifier) != line.identifier:
            return False
        if "g" in options and not re.search(options["g"], line.message()):
            return False
        return bounds.get("S", 0) <= line.at <= bounds.get("U", 1 << 62)

    def show(lines: list[Line]) -> None:
        for line in lines:
            proc.out((line.message() if options.get("o") == "cat" else line.shown(machine.name)) + "\n")

    follow = "f" in options
    found = [line for line in machine.log.lines if wanted(line)]
    limit = options.get("n", str(FOLLOWED) if follow else "all")
    if limit != "all":
        if not limit.lstrip("+").isdigit():
            proc.err(f"Failed to parse lines '{limit}'.\n")
            return 1
        found = found[-int(limit) :] if int(limit) else []
    if "r" in options:
        found.reverse()
    if not found and not follow:
        proc.out("-- No entries --\n")
        return 0
    show(found)
    if not follow:
        return 0
    news, seen = Signal(proc.clock), machine.log.written

    def tell() -> None:
        news.fire()

    forget = machine.log.follow(tell)
    proc.on_exit.append(lambda _: forget())
    while True:
        yield news.wait()
        lines, seen = machine.log.since(seen), machine.log.written
        show([line for line in lines if wanted(line)])


def dmesg(proc: Proc) -> int:
    """dmesg [-T]: what the kernel said since the machine booted."""
    machine = machine_of(proc)
    human = any(word.startswith("-") and "T" in word for word in proc.argv[1:])
    booted = machine.node.booted_us
    for line in machine.log.of("kernel"):
        if line.at < booted:
            continue
        passed = line.at - booted
        stamp = (
            f"{datetime_of(line.at):%a %b %e %H:%M:%S %Y}"
            if human
            else f"{passed // 1_000_000:5d}.{passed % 1_000_000:06d}"
        )
        proc.out(f"[{stamp}] {line.text}\n")
    return 0


COMMANDS = {"journalctl": journalctl, "dmesg": dmesg}
