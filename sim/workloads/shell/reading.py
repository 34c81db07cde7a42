"""``read`` and ``mapfile``: standard input into variables and arrays."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from seatrial.sim.workloads.shell import arrays

if TYPE_CHECKING:
    from seatrial.sim.workloads.shell.interpreter import Shell

Steps = Generator[Any, Any, int]


def read(shell: Shell, words: list[str]) -> Steps:
    """read [-r] [-p prompt] [-a array] [name ...]"""
    names, raw, at, array = [], False, 1, ""
    while at < len(words):
        word = words[at]
        at += 1
        if word in ("-p", "-t", "-n", "-d", "-u") or (word.startswith("-") and word.endswith("a")):
            if at == len(words):
                shell.complain(f"read: option requires an argument -- '{word[-1]}'")
                return 2
            if word == "-p":
                shell.proc.err(words[at])
            if word.endswith("a"):
                array, raw = words[at], raw or "r" in word
            at += 1
        elif word.startswith("-"):
            raw = raw or "r" in word
        else:
            names.append(word)
    try:
        line = (yield from shell.proc.stdin.read_line()).decode(errors="surrogateescape")
    except OSError as error:
        shell.complain(f"read: {error.filename}: {error.strerror}")
        return 1
    ended = not line.endswith("\n")
    line = line.removesuffix("\n")
    if not raw:
        while line.endswith("\\") and not ended:
            more = (yield from shell.proc.stdin.read_line()).decode(errors="surrogateescape")
            line = line[:-1] + more.removesuffix("\n")
            ended = not more.endswith("\n")
        line = line.replace("\\", "")
    if array:
        arrays.keep(shell, array, shell.expansion.split(line))
    else:
        _assign(shell, names or ["REPLY"], line)
    return int(ended)


def mapfile(shell: Shell, words: list[str]) -> Steps:
    """mapfile [-t] [array], and the same as readarray"""
    given = [word for word in words[1:] if not word.startswith("-")]
    lines = (yield from shell.proc.read_all()).decode(errors="surrogateescape").splitlines(keepends=True)
    arrays.keep(
        shell, (given or ["MAPFILE"])[0], [line.removesuffix("\n") if "-t" in words else line for line in lines]
    )
    return 0


def _assign(shell: Shell, names: list[str], line: str) -> None:
    separators = shell.get("IFS")
    separators = " \t\n" if separators is None else separators
    rest = line.strip("".join(char for char in separators if char in " \t\n"))
    for index, name in enumerate(names):
        if index == len(names) - 1 or not separators:
            shell.put(name, rest)
            rest = ""
            continue
        end = next((at for at, char in enumerate(rest) if char in separators), len(rest))
        shell.put(name, rest[:end])
        rest = rest[end + 1 :].lstrip("".join(char for char in separators if char in " \t\n"))
