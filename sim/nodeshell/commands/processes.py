"""Programs about processes: ps, top, pgrep and pkill.

Source: procps-ng 4: forms of output. Figures are the simulation's own: what containers use.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

from seatrial.sim.kernel.stamps import datetime_of
from seatrial.sim.nodeshell.commands.system import KIB, memory, uptime_line, used_cpu, used_memory
from seatrial.sim.nodeshell.machine import Machine, machine_of
from seatrial.sim.nodeshell.processes import HostProcess, processes
from seatrial.sim.workloads.commands.options import parsed, say
from seatrial.sim.workloads.process import SIGNALS, Proc

Steps = Generator[Any, Any, int]


def ps(proc: Proc) -> int:
    """ps [aux|-ef|-e] [-p PID] [-C NAME]"""
    machine = machine_of(proc)
    words = proc.argv[1:]
    found = processes(machine)
    letters = "".join(word.lstrip("-") for word in words if not word.isdigit())
    for at, word in enumerate(words[:-1]):
        if word in ("-p", "p", "--pid"):
            wanted = words[at + 1].split(",")
            found = [each for each in found if str(each.pid) in wanted]
        elif word == "-C":
            found = [each for each in found if each.name == words[at + 1]]
    if not any(letter in letters for letter in "aexACp"):
        found = [each for each in found if each.tty != "?"]
    now, total = machine.clock.now, memory(machine)
    if "u" in letters and "f" not in letters:
        proc.out("USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND\n")
        for each in found:
            share = each.memory * 100 / total
            proc.out(
                f"{each.user:<8} {each.pid:7d} {each.cpu_nano / 10_000_000:4.1f} {share:4.1f} "
                f"{each.memory * 3 // KIB:6d} {each.memory // KIB:5d} {each.tty:<8} {_state(each):<4} "
                f"{_started(each.started_us, now)} {_time(each, now):>6} {each.command}\n"
            )
    elif "f" in letters:
        proc.out("UID          PID    PPID  C STIME TTY          TIME CMD\n")
        for each in found:
            proc.out(
                f"{each.user:<8} {each.pid:7d} {each.parent:7d}  {each.cpu_nano // 10_000_000:1d} "
                f"{_started(each.started_us, now)} {each.tty:<8} {_long_time(each, now)} {each.command}\n"
            )
    else:
        proc.out("    PID TTY          TIME CMD\n")
        for each in found:
            proc.out(f"{each.pid:7d} {each.tty:<8} {_long_time(each, now)} {each.name}\n")
    return 0


def _state(each: HostProcess) -> str:
    return "Ss" if each.parent <= 1 else "S"


def _started(at_us: int, now_us: int) -> str:
    form = "%H:%M" if now_us - at_us < 86_400_000_000 else "%b%d"
    return f"{datetime_of(at_us):{form}}"


def _seconds(each: HostProcess, now_us: int) -> int:
    return each.cpu_nano * max(now_us - each.started_us, 0) // 1_000_000 // 1_000_000_000


def _time(each: HostProcess, now_us: int) -> str:
    seconds = _seconds(each, now_us)
    return f"{seconds // 60}:{seconds % 60:02d}"


def _long_time(each: HostProcess, now_us: int) -> str:
    seconds = _seconds(each, now_us)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def top(proc: Proc) -> Steps:
    """top -b -n COUNT"""
    machine = machine_of(proc)
    options, _ = parsed(proc, "bciSH1", "nduopw")
    count = int(options.get("n", "1" if "b" in options else "1000000"))
    for number in range(count):
        if number:
            yield proc.clock.sleep(round(float(options.get("d", "3")) * 1_000_000), periodic=True)
        proc.out(_screen(machine))
    return 0


def _screen(machine: Machine) -> str:
    found = sorted(processes(machine), key=lambda each: (-each.cpu_nano, each.pid))
    now, total, used = machine.clock.now, memory(machine), used_memory(machine)
    busy = used_cpu(machine) / machine.node.spec.cpus / 10_000_000
    mib = 1024 * 1024
    lines = [
        f"top -{uptime_line(machine).rstrip()}",
        f"Tasks: {len(found):3d} total,   1 running, {len(found) - 1:3d} sleeping,   0 stopped,   0 zombie",
        f"%Cpu(s): {busy * 0.7:4.1f} us, {busy * 0.3:4.1f} sy,  0.0 ni, {100 - busy:4.1f} id,  0.0 wa,  0.0 hi,  "
        "0.0 si,  0.0 st ",
        f"MiB Mem : {total / mib:8.1f} total, {(total - used) / mib:8.1f} free, {used / mib:8.1f} used, "
        f"{0.0:8.1f} buff/cache     ",
        f"MiB Swap: {0.0:8.1f} total, {0.0:8.1f} free, {0.0:8.1f} used. {(total - used) / mib:8.1f} avail Mem ",
        "",
        "    PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND",
    ]
    for each in found:
        kib = each.memory // KIB
        lines.append(
            f"{each.pid:7d} {each.user:<8}  20   0 {kib * 3:7d} {kib:6d} {kib // 2:6d} S "
            f"{each.cpu_nano / 10_000_000:5.1f} {each.memory * 100 / total:5.1f} {_time(each, now):>7}.00 {each.name}"
        )
    return "\n".join(lines) + "\n"


def _victims(proc: Proc, full: bool, exact: bool, words: list[str]) -> list[HostProcess]:
    pattern = words[-1] if words else ""
    found = []
    for each in processes(machine_of(proc)):
        text = each.command if full else each.name
        if each.pid != proc.pid and pattern and (text == pattern if exact else re.search(pattern, text)):
            found.append(each)
    return found


def pgrep(proc: Proc) -> int:
    options, words = parsed(proc, "fxlano", "uP")
    found = _victims(proc, "f" in options, "x" in options, words)
    for each in found:
        shown = (
            f"{each.pid} {each.command}"
            if "a" in options
            else f"{each.pid} {each.name}"
            if "l" in options
            else each.pid
        )
        proc.out(f"{shown}\n")
    return int(not found)


def pkill(proc: Proc) -> int:
    """pkill and killall [-SIGNAL] NAME"""
    name = "TERM"
    words = []
    for word in proc.argv[1:]:
        signal = word.lstrip("-").removeprefix("SIG")
        number = next((known for known, code in SIGNALS.items() if signal in (known, str(code))), None)
        if word.startswith("-") and number:
            name = number
        elif not word.startswith("-"):
            words.append(word)
    exact = proc.argv[0].rpartition("/")[2] == "killall"
    found = _victims(proc, "-f" in proc.argv, exact, words)
    for each in found:
        each.signal(name)
    if not found and exact:
        say(proc, f"{words[-1] if words else ''}: no process found")
    return int(not found)


def pidof(proc: Proc) -> int:
    found = [str(each.pid) for each in processes(machine_of(proc)) if each.name in proc.argv[1:]]
    if found:
        proc.out(" ".join(reversed(found)) + "\n")
    return int(not found)


COMMANDS = {
    "ps": ps, "top": top, "pgrep": pgrep, "pkill": pkill, "killall": pkill, "pidof": pidof,
}  # fmt: skip
