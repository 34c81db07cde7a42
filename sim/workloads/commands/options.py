"""Command-line options of small programs, and what they say when a file is missing."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from seatrial.sim.workloads import burning
from seatrial.sim.workloads.filesystem import Dir, File
from seatrial.sim.workloads.process import Exited, Proc


def parsed(
    proc: Proc, flags: str, valued: str = "", long: dict[str, str] | None = None
) -> tuple[dict[str, str], list[str]]:
    """(options, operands): letters of ``flags`` take no value, those of ``valued`` do. Raises Exited(1) for others.

    ``long`` has the letter of a long option's name, or of its name with one of its values.
    """
    options: dict[str, str] = {}
    operands: list[str] = []
    words = proc.argv[1:]
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "--":
            operands += words[at:]
            break
        if word.startswith("--") and long is not None:
            name, equals, value = word[2:].partition("=")
            letter = long.get(word[2:]) or long.get(name)
            if letter is None:
                _usage(proc, f"unrecognized option '--{name}'")
            assert letter is not None
            if letter in valued and not equals:
                value = words[at] if at < len(words) else ""
                at += 1
            options[letter] = value if letter in valued else "1"
            continue
        if not word.startswith("-") or word == "-":
            operands.append(word)
            continue
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in valued:
                if not letters:
                    if at >= len(words):
                        _usage(proc, f"option requires an argument -- '{letter}'")
                    letters = words[at]
                    at += 1
                options[letter] = letters
                break
            if letter not in flags:
                _usage(proc, f"unrecognized option: {letter}")
            options[letter] = "1"
    return options, operands


def _usage(proc: Proc, text: str) -> None:
    name = program(proc)
    proc.err(f"{name}: {text}\n")
    raise Exited(1)


def program(proc: Proc) -> str:
    return proc.argv[0].rpartition("/")[2] if proc.argv else ""


def say(proc: Proc, text: str) -> None:
    proc.err(f"{program(proc)}: {text}\n")


Input = tuple[str, bytes]
ENDLESS = ("zero", "random")
"""Devices that can be read for ever."""


def inputs(proc: Proc, paths: list[str], style: str = "{path}: {why}") -> Generator[Any, Any, tuple[list[Input], int]]:
    """The contents of files, or of standard input when there are none; and 1 when one could not be read."""
    if not paths:
        return [("-", (yield from proc.read_all()))], 0
    found: list[Input] = []
    status = 0
    for path in paths:
        if path == "-":
            found.append(("-", (yield from proc.read_all())))
            continue
        try:
            node = proc.fs.find(path, proc.cwd)
            if isinstance(node, Dir):
                say(proc, f"{path}: Is a directory" if style.startswith("{") else "read error: Is a directory")
                status = 1
                continue
            assert isinstance(node, File)
            if node.device:
                data = yield from device_data(proc, node.device)
            else:
                data = node.read()
            found.append((path, data))
        except OSError as error:
            say(proc, style.format(path=path, why=error.strerror))
            status = 1
    return found, status


def device_data(proc: Proc, device: str) -> Generator[Any, Any, bytes]:
    """All of a device's data; an endless one has no end."""
    if device in ENDLESS:
        yield from burning.swamped(proc)
    return b""


def lines_of(data: bytes) -> list[bytes]:
    """Lines with their newlines."""
    return (
        data.splitlines(keepends=True)
        if b"\r" not in data
        else [line for line in data.replace(b"\n", b"\n\0").split(b"\0") if line]
    )


def each(proc: Proc, paths: list[str], do: Callable[[str], None], style: str) -> int:
    """Does something with every path; 1 when one refused, which is said."""
    status = 0
    for path in paths:
        try:
            do(path)
        except OSError as error:
            say(proc, style.format(path=path, why=error.strerror))
            status = 1
    return status
