"""Programs that show processes and send them signals."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from seatrial.sim.workloads import procfs
from seatrial.sim.workloads.commands.grep import extended
from seatrial.sim.workloads.commands.options import parsed, say
from seatrial.sim.workloads.process import Proc, deliver
from seatrial.sim.workloads.shell.builtins import kill as send_signal
from seatrial.sim.workloads.shell.builtins import signal_of


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
    """pgrep [-flonvx] pattern"""
    options, operands = parsed(proc, "fxlonv")
    found = _matching(proc, options, operands)
    if found is None:
        return 1
    for other in found:
        shown = " ".join(other.argv) if "f" in options else procfs.name_of(other)
        proc.out(f"{other.pid} {shown}\n" if "l" in options else f"{other.pid}\n")
    return int(not found)


def pkill(proc: Proc) -> int:
    """pkill [-signal] [-fonvx] pattern"""
    name = _signalled(proc)
    options, operands = parsed(proc, "fxonv")
    found = _matching(proc, options, operands)
    if found is None or not name:
        return 1
    for other in found:
        deliver(other, name)
    return int(not found)


def killall(proc: Proc) -> int:
    """killall [-q] [-signal] name..."""
    name = _signalled(proc)
    options, names = parsed(proc, "q")
    if not name:
        return 1
    status = int(not names)
    for wanted in names:
        found = [other for other in proc.container.namespace.processes() if procfs.name_of(other) == wanted]
        for other in found:
            if other is not proc:
                deliver(other, name)
        if not found:
            status = 1
            if "q" not in options:
                say(proc, f"{wanted}: no process killed")
    return status


def _signalled(proc: Proc) -> str:
    """The signal that the first word names, which is taken away; empty, and said so, where there is no such signal."""
    first = proc.argv[1] if len(proc.argv) > 1 else ""
    given = signal_of(first[1:]) if first[:1] == "-" else None
    if given is None and not (first[:1] == "-" and (first[1:].isdigit() or first[1:].isupper())):
        return "TERM"
    proc.argv = [proc.argv[0], *proc.argv[2:]]
    if given in (None, "EXIT"):
        say(proc, f"bad signal name '{first[1:]}'")
        return ""
    return str(given)


def _matching(proc: Proc, options: Mapping[str, str], operands: list[str]) -> list[Proc] | None:
    """The processes that a pattern means, but for who asks; None, and said why, where there is no pattern."""
    if len(operands) != 1:
        say(proc, "a pattern is needed")
        return None
    try:
        pattern = re.compile(extended(operands[0]))
    except re.error:
        say(proc, f"bad regex '{operands[0]}'")
        return None
    matches = pattern.fullmatch if "x" in options else pattern.search
    found = [
        other
        for other in proc.container.namespace.processes()
        if other is not proc
        and (matches(" ".join(other.argv) if "f" in options else procfs.name_of(other)) is not None) != ("v" in options)
    ]
    if "o" in options:
        return found[:1]
    return found[-1:] if "n" in options else found


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


COMMANDS: dict[str, Callable[[Proc], Any]] = {
    "ps": ps, "pgrep": pgrep, "pidof": pidof, "kill": kill, "killall": killall, "pkill": pkill,
}  # fmt: skip
