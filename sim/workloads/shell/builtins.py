"""Commands that are part of the shell itself."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from seatrial.sim.workloads.commands.printf import printf_text, unescape
from seatrial.sim.workloads.process import SIGNALS, Exited, Proc, deliver
from seatrial.sim.workloads.shell import arrays
from seatrial.sim.workloads.shell.conditions import TestProblem, evaluate
from seatrial.sim.workloads.shell.expansion import ShellProblem
from seatrial.sim.workloads.shell.interpreter import Loop, Return, Shell
from seatrial.sim.workloads.shell.reading import mapfile, read
from seatrial.sim.workloads.shell.words import is_name
from seatrial.sim.workloads.undescribed import started_by

Steps = Generator[Any, Any, int]
Builtin = Callable[[Shell, list[str]], "int | Steps"]
NUMBERS = {str(number): name for name, number in SIGNALS.items()}


def _colon(shell: Shell, words: list[str]) -> int:
    return 0


def _false(shell: Shell, words: list[str]) -> int:
    return 1


def echo(shell: Shell, words: list[str]) -> int:
    """echo [-neE] [text ...]"""
    options, at = "", 1
    while at < len(words) and len(words[at]) > 1 and words[at][0] == "-" and not set(words[at][1:]) - set("neE"):
        options += words[at][1:]
        at += 1
    text = " ".join(words[at:])
    if "e" in options:
        text, stopped = unescape(text)
        if stopped:
            options += "n"
    shell.proc.out(text if "n" in options else text + "\n")
    return 0


def _printf(shell: Shell, words: list[str]) -> int:
    if len(words) < 2:
        shell.proc.err("printf: usage: printf format [arguments]\n")
        return 2
    text, status, said = printf_text(words[1], words[2:])
    shell.proc.out(text)
    if said:
        shell.complain(f"printf: {said}")
    return status


def _test(shell: Shell, words: list[str]) -> int:
    operands = words[1:]
    if words[0] == "[":
        if not operands or operands[-1] != "]":
            shell.complain("[: missing ]")
            return 2
        operands = operands[:-1]
    try:
        return 0 if evaluate(shell.proc, operands) else 1
    except TestProblem as problem:
        shell.complain(str(problem))
        return 2


def _exit(shell: Shell, words: list[str]) -> int:
    raise Exited(_status(shell, words))


def _status(shell: Shell, words: list[str]) -> int:
    if len(words) < 2:
        return shell.status
    if not words[1].lstrip("-").isdigit():
        raise ShellProblem(f"{words[0]}: Illegal number: {words[1]}")
    return int(words[1]) & 0xFF


def _return(shell: Shell, words: list[str]) -> int:
    raise Return(_status(shell, words))


def _loop(shell: Shell, words: list[str]) -> int:
    raise Loop(words[0], int(words[1]) if len(words) > 1 else 1)


def _cd(shell: Shell, words: list[str]) -> int:
    target = words[1] if len(words) > 1 else shell.get("HOME") or "/"
    if target == "-":
        target = shell.get("OLDPWD") or "/"
        shell.proc.out(target + "\n")
    proc = shell.proc
    try:
        proc.fs.directory(target, proc.cwd)
        real = proc.fs.real(target, proc.cwd)
    except OSError:
        shell.complain(f"cd: can't cd to {target}: No such file or directory")
        return 2
    shell.put("OLDPWD", proc.cwd)
    proc.cwd = real
    shell.put("PWD", real)
    return 0


def _pwd(shell: Shell, words: list[str]) -> int:
    shell.proc.out(shell.proc.cwd + "\n")
    return 0


def _export(shell: Shell, words: list[str]) -> int:
    names = [word for word in words[1:] if not word.startswith("-")]
    if not names:
        for name in sorted(shell.exported):
            shell.proc.out(f"{words[0]} {name}='{shell.get(name) or ''}'\n")
    for word in names:
        name, equals, value = word.partition("=")
        if not is_name(name):
            raise ShellProblem(f"{words[0]}: {name}: bad variable name")
        if equals:
            shell.put(name, value)
        if words[0] == "readonly":
            shell.read_only[name] = None
        elif "-n" in words:
            shell.exported.pop(name, None)
        else:
            shell.exported[name] = None
    return 0


def _unset(shell: Shell, words: list[str]) -> Steps:
    functions = "-f" in words
    for name in words[1:]:
        if name.startswith("-"):
            continue
        if functions:
            shell.functions.pop(name, None)
        elif name.endswith("]") and is_name(name.partition("[")[0]):
            yield from arrays.drop(shell, name)
        else:
            shell.variables.pop(name, None)
            shell.arrays.pop(name, None)
            shell.exported.pop(name, None)
    return 0


def _local(shell: Shell, words: list[str]) -> int:
    for word in words[1:]:
        if word.startswith("-"):
            if "A" in word:
                shell.complain(f"{words[0]}: -A: associative arrays are not simulated")
                return 2
            continue
        name, equals, value = word.partition("=")
        shell.remember(name)
        if equals:
            shell.put(name, value)
    return 0


def _set(shell: Shell, words: list[str]) -> int:
    if len(words) == 1:
        for name in sorted(shell.variables):
            shell.proc.out(f"{name}='{shell.variables[name]}'\n")
        return 0
    at = 1
    while at < len(words) and words[at][:1] in ("-", "+") and len(words[at]) > 1:
        word = words[at]
        at += 1
        if word == "--":
            break
        on = word[0] == "-"
        if word[1:] == "o":
            if at < len(words):
                name = {"errexit": "e", "nounset": "u", "xtrace": "x", "noglob": "f"}.get(words[at], words[at])
                shell.options[name] = on
                at += 1
            continue
        for letter in word[1:]:
            if letter == "o":
                shell.options[words[at]] = on
                at += 1
            else:
                shell.options[letter] = on
    else:
        if at >= len(words):
            return 0
    if at < len(words) or "--" in words:
        shell.arguments = words[at:]
    return 0


def _shift(shell: Shell, words: list[str]) -> int:
    count = int(words[1]) if len(words) > 1 else 1
    if count > len(shell.arguments):
        return 1
    shell.arguments = shell.arguments[count:]
    return 0


def _eval(shell: Shell, words: list[str]) -> Steps:
    return (yield from shell.source(" ".join(words[1:])))


def _dot(shell: Shell, words: list[str]) -> Steps:
    proc = shell.proc
    try:
        text = proc.fs.read(words[1], proc.cwd).decode(errors="surrogateescape")
    except OSError as error:
        raise ShellProblem(f"{words[0]}: can't open '{words[1]}': {error.strerror}") from None
    try:
        return (yield from shell.source(text))
    except Return as returned:
        return returned.status


def _exec(shell: Shell, words: list[str]) -> Steps:
    proc = shell.proc
    try:
        program = started_by(proc, words[1], shell.get("PATH"))
    except OSError as error:
        raise Exited(shell._not_run(words[1], error, proc.fds)) from None
    return (yield from shell.become(program, words[1:], shell.environment(), proc.fds))


def _command(shell: Shell, words: list[str]) -> Steps:
    """command [-v] name [arguments]"""
    if len(words) > 1 and words[1] in ("-v", "-V"):
        status = 0
        for name in words[2:]:
            found = _described(shell, name)
            if found is None:
                status = 127
            else:
                shell.proc.out(found + "\n")
        return status
    words = [word for word in words[1:] if word != "-p"]
    if not words:
        return 0
    builtin = BUILTINS.get(words[0])
    if builtin is not None:
        result = builtin(shell, words)
        return result if isinstance(result, int) else (yield from result)
    return (yield from shell._external(words, [], shell.proc.fds, False))


def _described(shell: Shell, name: str) -> str | None:
    if name in shell.functions or name in BUILTINS:
        return name
    return shell.proc.container.which(name, shell.get("PATH"), shell.proc.cwd)


def _type(shell: Shell, words: list[str]) -> int:
    status = 0
    for name in words[1:]:
        if name in shell.functions:
            text = f"{name} is a function"
        elif name in BUILTINS:
            text = f"{name} is a shell builtin"
        else:
            found = shell.proc.container.which(name, shell.get("PATH"), shell.proc.cwd)
            text = f"{name} is {found}" if found else f"{name}: not found"
            status = status if found else 127
        shell.proc.out(text + "\n")
    return status


def _trap(shell: Shell, words: list[str]) -> int:
    if len(words) == 1:
        for name, set_action in shell.traps.items():
            shell.proc.out(f"trap -- '{set_action}' {name}\n")
        return 0
    operands = words[2:] if words[1] == "--" else words[1:]
    names = operands[1:] or operands
    action = None if len(operands) == 1 or operands[0] == "-" else operands[0]
    for given in names:
        signal = signal_of(given)
        if signal is None:
            shell.complain(f"trap: {given}: invalid signal specification")
            return 1
        shell.set_trap(signal, action)
    return 0


def signal_of(given: str) -> str | None:
    """A signal's name, given by name or number, or EXIT."""
    if given in ("0", "EXIT"):
        return "EXIT"
    name = NUMBERS.get(given) or given.upper().removeprefix("SIG")
    return name if name in SIGNALS else None


def kill(proc: Proc, words: list[str], complain: Callable[[str], None]) -> int:
    """kill [-s signal | -signal] pid ..."""
    targets: list[str] = []
    name, at = "TERM", 1
    while at < len(words):
        word = words[at]
        at += 1
        if word == "-l":
            proc.out(
                "\n".join(_translated(each) for each in words[at:]) + "\n" if words[at:] else " ".join(SIGNALS) + "\n"
            )
            return 0
        if word == "-s" and at < len(words):
            word, at = f"-{words[at]}", at + 1
            name = "0" if word == "-0" else signal_of(word[1:]) or ""
            if not name:
                complain(f"kill: bad signal name '{word[1:]}'")
                return 1
        elif word.startswith("-") and not targets and word != "--":
            if word == "-0":
                name = "0"
            else:
                name = signal_of(word[1:]) or ""
            if not name:
                complain(f"kill: bad signal name '{word[1:]}'")
                return 1
        elif word != "--":
            targets.append(word)
    status = 0
    for target in targets:
        number = target.lstrip("-")
        found = proc.container.process(int(number)) if number.isdigit() else None
        if found is None:
            complain(f"kill: can't kill pid {target}: No such process")
            status = 1
        elif name != "0":
            deliver(found, name)
    return status


def _translated(given: str) -> str:
    """A signal's name for its number, or the status of who died of it; its number for its name."""
    if given.isdigit():
        return NUMBERS.get(str(int(given) & 127), given)
    return str(SIGNALS.get(signal_of(given) or "", given))


def _kill(shell: Shell, words: list[str]) -> int:
    return kill(shell.proc, [_job(shell, word) for word in words], shell.complain)


def _job(shell: Shell, word: str) -> str:
    """``%1`` as the process that it stands for."""
    number = word[1:]
    if not word.startswith("%") or not number.isdigit() or not 0 < int(number) <= len(shell.jobs):
        return word
    return str(shell.jobs[int(number) - 1].pid)


def _wait(shell: Shell, words: list[str]) -> Steps:
    """wait [pid ...]: a signal with a trap ends the wait."""
    wanted = [job for job in shell.jobs if len(words) == 1 or str(job.pid) in (_job(shell, word) for word in words[1:])]
    status = 0
    if len(words) > 1 and not wanted:
        return 127
    for job in wanted:
        job.on_exit.append(lambda _: void(shell.woken.fire()))
        while job.exit_status is None:
            if shell.pending:
                return 128 + SIGNALS.get(shell.pending[0], 0)
            yield shell.woken.wait()
        status = job.exit_status
        if job in shell.jobs:
            shell.jobs.remove(job)
    if shell.pending:
        return 128 + SIGNALS.get(shell.pending[0], 0)
    return status if len(words) > 1 else 0


def void(_: object) -> None:
    """Drops a value."""


def _jobs(shell: Shell, words: list[str]) -> int:
    for number, job in enumerate(shell.jobs, 1):
        if job.exit_status is None:
            shell.proc.out(f"[{number}]+  Running                    {' '.join(job.argv)}\n")
    return 0


def _umask(shell: Shell, words: list[str]) -> int:
    if len(words) == 1:
        shell.proc.out("0022\n")
    return 0


def _getopts(shell: Shell, words: list[str]) -> int:
    """getopts options name"""
    options, name = words[1], words[2]
    arguments = words[3:] or shell.arguments
    index = int(shell.get("OPTIND") or 1)
    place = int(shell.get("\0place") or 0)
    if index > len(arguments) or not arguments[index - 1].startswith("-") or arguments[index - 1] in ("-", "--"):
        if index <= len(arguments) and arguments[index - 1] == "--":
            shell.put("OPTIND", str(index + 1))
        shell.put(name, "?")
        return 1
    word = arguments[index - 1]
    letter = word[1 + place]
    place += 1
    at = options.find(letter)
    if at < 0 or letter == ":":
        if not options.startswith(":"):
            shell.complain(f"illegal option -{letter}")
        shell.put("OPTARG", letter)
        letter = "?"
    elif options[at + 1 : at + 2] == ":":
        value = word[1 + place :]
        if not value and index < len(arguments):
            index += 1
            value = arguments[index - 1]
        shell.put("OPTARG", value)
        place = len(word)
    if 1 + place >= len(word):
        index, place = index + 1, 0
    shell.put("OPTIND", str(index))
    shell.put("\0place", str(place))
    shell.put(name, letter)
    return 0


def _let(shell: Shell, words: list[str]) -> Steps:
    from seatrial.sim.workloads.shell.syntax import Literal

    value = 0
    for word in words[1:]:
        value = yield from shell.expansion.arithmetic((Literal(word, True),))
    return int(value == 0)


def _times(shell: Shell, words: list[str]) -> int:
    shell.proc.out("0m0.000s 0m0.000s\n0m0.000s 0m0.000s\n")
    return 0


BUILTINS: dict[str, Builtin] = {
    ":": _colon, "true": _colon, "false": _false, "echo": echo, "printf": _printf, "test": _test, "[": _test,
    "exit": _exit, "return": _return, "break": _loop, "continue": _loop, "cd": _cd, "pwd": _pwd, "export": _export,
    "readonly": _export,
    "unset": _unset, "local": _local, "declare": _local, "typeset": _local, "set": _set,
    "shift": _shift, "eval": _eval, ".": _dot, "source": _dot, "exec": _exec, "command": _command, "type": _type,
    "read": read, "mapfile": mapfile, "readarray": mapfile,
    "trap": _trap, "kill": _kill, "wait": _wait, "jobs": _jobs, "umask": _umask, "getopts": _getopts,
    "let": _let, "times": _times, "hash": _colon, "ulimit": _colon, "shopt": _colon, "alias": _colon, "fg": _colon,
    "bg": _colon, "builtin": _command,
}  # fmt: skip
