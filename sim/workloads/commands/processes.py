"""Programs that show processes and send them signals."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from seatrial.sim.workloads import procfs
from seatrial.sim.workloads.commands.options import parsed
from seatrial.sim.workloads.process import SIGNALS, Proc
from seatrial.sim.workloads.shell.builtins import kill as send_signal


def ps(proc: Proc) -> int:
    """busybox's, which Alpine builds with the time, and on Debian procps's: it follows from an image's distribution."""
    found = proc.container.namespace.processes()
    if not proc.fs.exists("/etc/debian_version"):
        timed = proc.fs.exists("/etc/alpine-release")
        proc.out("PID   USER     TIME  COMMAND\n" if timed else "PID   USER     COMMAND\n")
        for other in found:
            time = f"{_minutes(other):>5} " if timed else ""
            proc.out(f"{other.pid:5d} {other.user[:8]:<8} {time}{' '.join(other.argv)}\n")
        return 0
    letters = {letter for word in proc.argv[1:] for letter in word.lstrip("-")}
    if "u" in letters:
        proc.out("USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND\n")
        form = (
            "{user:<8} {pid:7d} {cpu:4.1f} {share:4.1f} {size:6d} {rss:5d} {tty:<8} {state:<4} {when}   {time} {line}"
        )
    elif "f" in letters:
        proc.out("UID          PID    PPID  C STIME TTY          TIME CMD\n")
        form = "{user:<8} {pid:7d} {parent:7d}  0 {when} {tty:<8} 00:00:00 {line}"
    else:
        proc.out("    PID TTY          TIME CMD\n")
        form = "{pid:7d} {tty:<8} 00:00:00 {name}"
    for other in found:
        proc.out(form.format(**_figures(other, other is proc)) + "\n")
    return 0


def _figures(proc: Proc, runs: bool) -> dict[str, Any]:
    """What procps's columns say of a process."""
    return {
        "user": proc.user,
        "pid": proc.pid,
        "parent": proc.parent.pid if proc.parent is not None else 0,
        "cpu": proc.cpu_nano / 10_000_000,
        "share": proc.memory * 100 / (procfs.MEMORY_KB * 1024),
        "size": proc.memory // 1024 * 3,
        "rss": proc.memory // 1024,
        "tty": "pts/0" if proc.stdin.is_tty else "?",
        "state": "R+" if runs else "Ss" if proc.parent is None else "S",
        "when": datetime.fromtimestamp(proc.container.started_us / 1_000_000, UTC).strftime("%H:%M"),
        "time": _minutes(proc),
        "line": " ".join(proc.argv),
        "name": procfs.name_of(proc),
    }


def _minutes(proc: Proc) -> str:
    seconds = proc.cpu_nano * max(proc.clock.now - proc.container.started_us, 0) // 10**15
    return f"{seconds // 60}:{seconds % 60:02d}"


def pgrep(proc: Proc) -> int:
    options, operands = parsed(proc, "fxlov")
    found = [
        (other.pid, other)
        for other in proc.container.namespace.processes()
        if other is not proc
        and operands
        and re.search(operands[0], " ".join(other.argv) if "f" in options else other.argv[0])
    ]
    for pid, _ in found:
        proc.out(f"{pid}\n")
    return int(not found)


def pidof(proc: Proc) -> int:
    found = [
        str(other.pid)
        for other in reversed(proc.container.namespace.processes())
        if other.argv and other.argv[0].rpartition("/")[2] in proc.argv[1:]
    ]
    if found:
        proc.out(" ".join(found) + "\n")
    return int(not found)


def kill(proc: Proc) -> int:
    return send_signal(proc, proc.argv, lambda text: proc.err(text + "\n"))


def killall(proc: Proc) -> int:
    """killall and pkill"""
    words = [word for word in proc.argv[1:] if not word.startswith("-")]
    signal = next((word[1:].removeprefix("SIG") for word in proc.argv[1:] if word.startswith("-")), "TERM")
    name = next((name for name, number in SIGNALS.items() if signal in (name, str(number))), "TERM")
    hit = False
    for other in proc.container.namespace.processes():
        if other is not proc and any(word in " ".join(other.argv) for word in words):
            other.signal(name)
            hit = True
    return int(not hit)


COMMANDS: dict[str, Callable[[Proc], Any]] = {
    "ps": ps, "pgrep": pgrep, "pidof": pidof, "kill": kill, "killall": killall, "pkill": killall,
}  # fmt: skip
