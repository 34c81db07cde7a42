"""Commands as typed, in solutions and at the prompt: what they are, and how they are carried out on a cluster.

A line is ``kubectl …``, ``ssh NODE -- …``, ``curl …``, ``clock advance 6m``, ``answer QUESTION ANSWER``, ``hint``,
``until EXPRESSION`` or ``wait``; a here-document after it is its standard input. No shell of the host is involved.
"""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Collection
from typing import NamedTuple

from seatrial.sim.written import duration_us

HEREDOC = re.compile(
    r"^(?P<line>[^\n]*?)\s*<<-?\s*(['\"]?)(?P<end>\w+)\2\s*\n(?P<text>.*?)^[ \t]*(?P=end)\s*\Z", re.S | re.M
)
COMMANDS = ("kubectl", "ssh", "curl", "clock", "answer", "hint", "until", "wait")


class Line(NamedTuple):
    """A command, its arguments and its standard input."""

    command: str
    words: tuple[str, ...]
    stdin: str = ""


class Done(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    output: str


def parsed(text: str) -> Line:
    """Raises ValueError with what is wrong."""
    document = HEREDOC.match(text.strip("\n") + "\n")
    line, stdin = (document["line"], document["text"]) if document else (text.strip(), "")
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
    return Line(command, tuple(rest), stdin)


def problem(text: str, questions: Collection[str] | None = None) -> str:
    """What is wrong with a line; empty when nothing is."""
    try:
        line = parsed(text)
    except ValueError as wrong:
        return str(wrong)
    if line.command == "answer" and questions is not None and line.words[0] not in questions:
        return f"there is no question {line.words[0]!r}: there are {', '.join(sorted(questions)) or 'none'}"
    return ""


class Output(io.StringIO):
    """Where a command writes."""

    def isatty(self) -> bool:
        return False
