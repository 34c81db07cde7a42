"""Programs about processes, time, users and the machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from typing import Any

from seatrial.sim.kernel.clock import TIMEOUT
from seatrial.sim.workloads.commands.options import parsed, say
from seatrial.sim.workloads.process import Proc
from seatrial.sim.workloads.shell.conditions import TestProblem, evaluate
from seatrial.sim.workloads.shell.interpreter import Shell
from seatrial.sim.workloads.shell.parser import is_incomplete

Steps = Generator[Any, Any, int]
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "": 1}
FOREVER_US = 10**15
START_US = 30_000_000
"""Age up to which what a container waits for is taken for its start."""


def duration_us(text: str) -> int | None:
    """``1.5``, ``2m``, ``1d``, ``infinity`` in µs."""
    if text in ("infinity", "inf"):
        return FOREVER_US
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)([smhd]?)", text)
    return round(float(match.group(1)) * UNITS[match.group(2)] * 1_000_000) if match else None


def sleep(proc: Proc) -> Steps:
    total = 0
    for word in proc.argv[1:]:
        us = duration_us(word)
        if us is None:
            say(proc, f"invalid number '{word}'")
            return 1
        total += us
    if len(proc.argv) < 2:
        proc.err("BusyBox v1.35.0 multi-call binary.\n\nUsage: sleep [N]...\n")
        return 1
    # What a young container waits for is part of its start; later it is a rhythm that leaves a cluster settled.
    young = proc.clock.now - proc.container.started_us < START_US
    yield proc.clock.sleep(total, periodic=not young)
    return 0


def env(proc: Proc) -> Steps:
    words, values = proc.argv[1:], dict(proc.env)
    while words and (words[0] in ("-i", "-") or words[0] == "-u" or "=" in words[0]):
        word = words.pop(0)
        if word in ("-i", "-"):
            values = {}
        elif word == "-u":
            values.pop(words.pop(0), None)
        else:
            name, _, value = word.partition("=")
            values[name] = value
    if words:
        proc.env = values
        return (yield from proc.container.run_child(proc, words))
    proc.out("".join(f"{name}={value}\n" for name, value in values.items()))
    return 0


def printenv(proc: Proc) -> int:
    if len(proc.argv) == 1:
        proc.out("".join(f"{name}={value}\n" for name, value in proc.env.items()))
        return 0
    missing = 0
    for name in proc.argv[1:]:
        if name in proc.env:
            proc.out(proc.env[name] + "\n")
        else:
            missing = 1
    return missing


def date(proc: Proc) -> int:
    options, operands = parsed(proc, "uRI", "ds")
    seconds = proc.clock.now / 1_000_000
    if "d" in options and options["d"].startswith("@"):
        seconds = float(options["d"][1:])
    when = datetime.fromtimestamp(seconds, UTC)
    if operands and operands[0].startswith("+"):
        form = operands[0][1:].replace("%N", f"{proc.clock.now % 1_000_000:06d}000")
        form = form.replace("%s", str(int(seconds))).replace("%3N", f"{proc.clock.now // 1000 % 1000:03d}")
        proc.out(when.strftime(form) + "\n")
    elif "I" in options:
        proc.out(when.strftime("%Y-%m-%d") + "\n")
    else:
        proc.out(when.strftime("%a %b %e %H:%M:%S UTC %Y") + "\n")
    return 0


def hostname(proc: Proc) -> int:
    options, _ = parsed(proc, "fsidI")
    container = proc.container
    if "f" in options:
        proc.out((f"{container.hostname}.{container.domain}" if container.domain else container.hostname) + "\n")
    elif "i" in options or "I" in options:
        proc.out(container.sandbox.ip + "\n")
    elif "d" in options:
        proc.out(container.domain + "\n")
    else:
        proc.out(container.hostname + "\n")
    return 0


def id_(proc: Proc) -> int:
    options, _ = parsed(proc, "ugnGr")
    users = proc.container.users
    user, group = users.get(proc.uid, ""), users.get(proc.gid, "")
    if "u" in options:
        proc.out(f"{(user or proc.uid) if 'n' in options else proc.uid}\n")
    elif "g" in options:
        proc.out(f"{(group or proc.gid) if 'n' in options else proc.gid}\n")
    elif "G" in options:
        numbers = proc.container.groups_of(proc)
        proc.out(" ".join(users.get(each, str(each)) if "n" in options else str(each) for each in numbers) + "\n")
    else:
        groups = ",".join(_named(each, users.get(each, "")) for each in proc.container.groups_of(proc))
        proc.out(f"uid={_named(proc.uid, user)} gid={_named(proc.gid, group)} groups={groups}\n")
    return 0


def _named(number: int, name: str) -> str:
    return f"{number}({name})" if name else str(number)


def sysctl(proc: Proc) -> int:
    """sysctl [-n] NAME...: the pod's kernel parameters. Setting one takes privileges.

    Not modelled: what a privileged container sets is not seen afterwards.
    """
    options, names = parsed(proc, "newqa")
    known = {**SYSCTLS, **proc.container.sandbox.sysctls}
    status = 0
    for name in sorted(known) if "a" in options else names:
        name, writes, value = name.replace("/", ".").partition("=")
        if writes and proc.container.config.privileged:
            if "q" not in options:
                proc.out(f"{name} = {value}\n")
            continue
        if writes:
            proc.err(f"sysctl: error setting key '{name}': Read-only file system\n")
        elif name not in known:
            proc.err(f"sysctl: error: '{name}' is an unknown key\n")
        else:
            proc.out(f"{known[name]}\n" if "n" in options else f"{name} = {known[name]}\n")
            continue
        status = 1
    return status


def whoami(proc: Proc) -> int:
    name = proc.container.users.get(proc.uid)
    if name is None:
        say(proc, f"unknown uid {proc.uid}")
        return 1
    proc.out(name + "\n")
    return 0


def uname(proc: Proc) -> int:
    options, _ = parsed(proc, "asnrvmpio")
    values = {
        "s": "Linux",
        "n": proc.container.hostname,
        "r": "6.12.57+deb13-amd64",
        "v": "#1 SMP PREEMPT_DYNAMIC",
        "m": "x86_64",
    }
    letters = "snrvm" if "a" in options else [letter for letter in "snrvm" if letter in options] or ["s"]
    text = " ".join(values[letter] for letter in letters)
    proc.out(text + (" GNU/Linux\n" if "a" in options else "\n"))
    return 0


def free(proc: Proc) -> int:
    used = sum(other.memory for other in proc.container.processes.values()) // 1024
    proc.out("              total        used        free      shared  buff/cache   available\n")
    proc.out(f"Mem:        4028440 {used:11d} {4028440 - used:11d}           0           0 {4028440 - used:11d}\n")
    proc.out("Swap:             0           0           0\n")
    return 0


def uptime(proc: Proc) -> int:
    minutes = (proc.clock.now - proc.container.started_us) // 60_000_000
    when = datetime.fromtimestamp(proc.clock.now / 1_000_000, UTC).strftime("%H:%M:%S")
    proc.out(f" {when} up {minutes} min,  0 users,  load average: 0.00, 0.00, 0.00\n")
    return 0


def nproc(proc: Proc) -> int:
    proc.out("2\n")
    return 0


def timeout(proc: Proc) -> Steps:
    words = proc.argv[1:]
    name = "TERM"
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word in ("-s", "-k", "-t"):
            value = words.pop(0)
            name = value.upper().removeprefix("SIG") if word == "-s" else name
            if word == "-t":
                words.insert(0, value)
    limit = duration_us(words[0]) or 0
    child = proc.container.start_child(proc, words[1:])
    if child is None:
        return 127
    if child.exit_status is None and (yield child.ended.wait(limit)) is TIMEOUT and child.exit_status is None:
        child.signal(name)
        yield from child.wait()
        return 124 if name != "KILL" else 137
    return (yield from child.wait())


def which(proc: Proc) -> int:
    status = 0
    for name in proc.argv[1:]:
        found = proc.container.which(name, proc.env.get("PATH"), proc.cwd)
        if found is None:
            status = 1
        else:
            proc.out(found + "\n")
    return status


def true(proc: Proc) -> int:
    return 0


def false(proc: Proc) -> int:
    return 1


def test(proc: Proc) -> int:
    operands = proc.argv[1:]
    if proc.argv[0].endswith("["):
        operands = operands[:-1]
    try:
        return 0 if evaluate(proc, operands) else 1
    except TestProblem as problem:
        say(proc, str(problem))
        return 2


def pwd(proc: Proc) -> int:
    proc.out(proc.cwd + "\n")
    return 0


def tty(proc: Proc) -> int:
    proc.out("/dev/pts/0\n" if proc.stdin.is_tty else "not a tty\n")
    return int(not proc.stdin.is_tty)


def nohup(proc: Proc) -> Steps:
    return (yield from proc.container.run_child(proc, proc.argv[1:]))


def watch(proc: Proc) -> Steps:
    options, operands = parsed(proc, "t", "n")
    while True:
        yield from proc.container.run_child(proc, ["sh", "-c", " ".join(operands)])
        yield proc.clock.sleep(round(float(options.get("n", "2")) * 1_000_000))


def effective_uid(proc: Proc) -> int:
    """Says as whom it runs."""
    proc.out(f"Effective uid: {proc.uid}\n")
    return 0


def clear(proc: Proc) -> int:
    proc.out("\x1b[H\x1b[J")
    return 0


def shell(proc: Proc) -> Steps:
    """sh [-c text | file] [arguments]"""
    words = proc.argv[1:]
    options, text = "", None
    while words and words[0][:1] in ("-", "+") and len(words[0]) > 1:
        word = words.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            continue
        options += word[1:]
        if word[1:] == "o" and words:
            words.pop(0)
    if "c" in options:
        if not words:
            proc.err(f"{proc.argv[0]}: -c requires an argument\n")
            return 2
        text = words.pop(0)
    name = proc.argv[0]
    made = Shell(proc, words.pop(0) if words and text is not None else name, words)
    made.options.update({letter: True for letter in options if letter in "eux"})
    if text is not None:
        return (yield from made.main(text, tail=True))
    if words and "s" not in options:
        return (yield from _script(proc, made, words))
    if proc.stdin.is_tty or "i" in options:
        return (yield from interactive(proc, made))
    return (yield from made.main((yield from proc.read_all()).decode(errors="surrogateescape")))


def _script(proc: Proc, made: Shell, words: list[str]) -> Steps:
    try:
        text = proc.fs.read(words[0], proc.cwd).decode(errors="surrogateescape")
    except OSError as error:
        proc.err(f"{made.name}: can't open '{words[0]}': {error.strerror}\n")
        return 2
    made.name, made.arguments = words[0], words[1:]
    return (yield from made.main(text, tail=True))


def _prompt(proc: Proc, made: Shell) -> str:
    """$PS1 with the escapes of bash; without one the directory and who one is."""
    mark = "#" if proc.uid == 0 else "$"
    form = made.get("PS1")
    if form is None:
        return f"{proc.cwd} {mark} "
    home = proc.env.get("HOME", "")
    place = proc.cwd
    if home and (place == home or place.startswith(f"{home}/")):
        place = "~" + place[len(home) :]
    values = {"u": proc.user, "h": proc.container.hostname, "w": place, "W": place.rpartition("/")[2] or "/", "$": mark}
    return re.sub(r"\\([uhwW$])", lambda found: values[found.group(1)], form)


def interactive(proc: Proc, made: Shell) -> Steps:
    """Reads commands from a terminal; what is not complete goes on with the next line."""
    from seatrial.sim.workloads.process import Exited
    from seatrial.sim.workloads.shell.expansion import ShellProblem
    from seatrial.sim.workloads.shell.interpreter import Loop, Return

    interrupted: list[str] = []
    proc.caught["INT"] = interrupted.append
    while True:
        proc.err(_prompt(proc, made))
        interrupted.clear()
        line = (yield from proc.stdin.read_line()).decode(errors="surrogateescape")
        while line and is_incomplete(line):
            proc.err("> ")
            more = (yield from proc.stdin.read_line()).decode(errors="surrogateescape")
            line = "\n" if interrupted else line + more
            interrupted.clear()
            if not more:
                break
        if not line:
            proc.err("\n")
            return made.status
        try:
            yield from made.source(line)
        except Exited as exited:
            if line.strip().split(" ")[0] in ("exit", "exec"):
                return exited.status
            made.status = exited.status
        except (Loop, Return):
            pass
        except ShellProblem as problem:
            made.complain(str(problem))


SYSCTLS = {
    "kernel.shm_rmid_forced": "0",
    "net.core.somaxconn": "4096",
    "net.ipv4.ip_forward": "1",
    "net.ipv4.ip_local_port_range": "32768\t60999",
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0\t2147483647",
    "net.ipv4.tcp_fin_timeout": "60",
    "net.ipv4.tcp_keepalive_time": "7200",
    "net.ipv4.tcp_syncookies": "1",
}
"""Kernel parameters of a pod that sets none."""
COMMANDS: dict[str, Callable[[Proc], Any]] = {
    "sleep": sleep, "env": env, "printenv": printenv, "date": date, "hostname": hostname, "id": id_, "whoami": whoami,
    "uname": uname, "free": free, "uptime": uptime, "nproc": nproc, "timeout": timeout, "which": which, "true": true,
    "false": false, "test": test, "[": test, "pwd": pwd, "tty": tty, "nohup": nohup, "setsid": nohup, "watch": watch,
    "clear": clear, "effective-uid": effective_uid, "sh": shell, "ash": shell, "bash": shell, "dash": shell,
    "sync": true, "stty": true, "reset": clear,
    "umount": true, "sysctl": sysctl, "nice": nohup,
}  # fmt: skip
