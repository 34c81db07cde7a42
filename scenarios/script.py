"""The lines of a scenario's solutions: which there are, and what is wrong with one.

A line is what somebody types at a desk (``kubectl …``, ``ssh NODE -- …``, ``curl …``, ``clock advance 6m``), or has to
do with the scenario itself: ``answer QUESTION ANSWER``, ``hint``, ``until EXPRESSION``, ``wait``. A here-document after
it is its standard input. No shell of the host is involved.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence
from itertools import takewhile
from typing import NamedTuple

from seatrial.scenarios.kubectl import commands
from seatrial.scenarios.kubectl.failures import Failure
from seatrial.sim.written import duration_us

HEREDOC = re.compile(r"^(?P<line>[^\n]*?)\s*<<-?\s*(['\"]?)(?P<end>\w+)\2\s*\n.*?^[ \t]*(?P=end)\s*\Z", re.S | re.M)
SHELL = re.compile(r"\|+|&+|;|\d*[<>].*")
"""What ends a command's own words."""
COMMANDS = ("kubectl", "ssh", "curl", "clock", "answer", "hint", "until", "wait")


class Line(NamedTuple):
    """A command and its arguments."""

    command: str
    words: tuple[str, ...]


class Done(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    output: str


def parsed(text: str) -> Line:
    """Raises ValueError with what is wrong."""
    document = HEREDOC.match(text.strip("\n") + "\n")
    line = document["line"] if document else text.strip()
    if line.startswith("until "):
        return Line("until", (line.removeprefix("until ").strip(),))
    if "\n" in line and not document:
        line = line.replace("\\\n", " ")
    try:
        words = shlex.split(line, comments=True)
    except ValueError as problem:
        raise ValueError(f"{line!r} cannot be read: {problem}") from None
    if not words:
        raise ValueError("the line is empty")
    command, *rest = words
    if command not in COMMANDS:
        raise ValueError(f"there is no command {command!r} here: there are {', '.join(COMMANDS)}")
    if command == "clock":
        if len(rest) != 2 or rest[0] != "advance":
            raise ValueError("time is told to go on with: clock advance 6m")
        duration_us(rest[1])
    if command == "ssh" and (len(rest) < 2 or rest[0].startswith("-")):
        raise ValueError("a command on a node is written: ssh w1-k8s -- systemctl status kubelet")
    if command == "answer" and len(rest) != 2:
        raise ValueError("an answer is written: answer QUESTION ANSWER")
    return Line(command, tuple(rest))


def problem(text: str, questions: Collection[str] | None = None) -> str:
    """What is wrong with a line; empty when nothing is."""
    try:
        line = parsed(text)
    except ValueError as wrong:
        return str(wrong)
    if line.command == "kubectl":
        return _kubectl(line.words)
    if line.command == "answer" and questions is not None and line.words[0] not in questions:
        return f"there is no question {line.words[0]!r}: there are {', '.join(sorted(questions)) or 'none'}"
    return ""


def _kubectl(words: Sequence[str]) -> str:
    """What kubectl would say of a line without asking a server; empty when it would ask."""
    own = list(takewhile(lambda word: not SHELL.fullmatch(word), words))
    path, rest = commands.find(own)
    unknown = next((word for word in rest if not word.startswith("-")), "") if not path else ""
    if unknown:
        near = list(commands.suggestions(unknown))
        return f"kubectl has no command {unknown!r}" + (f" (did you mean {' or '.join(near)}?)" if near else "")
    try:
        commands.read(commands.command(path), rest)
    except Failure as failure:
        return f"kubectl: {str(failure).splitlines()[0]}"
    return ""
