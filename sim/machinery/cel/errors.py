"""What is wrong with an expression, before and while it runs.

Source: github.com/google/cel-go/common (error.go, errors.go), whose display form is what API users read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

NO_OVERLOAD = "no such overload"
COST_EXCEEDED = "operation cancelled: actual cost limit exceeded"


class Issue(NamedTuple):
    """One thing wrong at one place of an expression; ``at`` counts characters from its beginning."""

    at: int
    text: str


class CelError(Exception):
    """An expression that cannot be compiled; its text is the display form of all issues."""

    def __init__(self, source: str, issues: Sequence[Issue]) -> None:
        super().__init__(source, issues)
        self.source = source
        self.issues = tuple(sorted(issues, key=lambda issue: issue.at))

    def __str__(self) -> str:
        return "\n".join(shown(self.source, issue) for issue in self.issues)


class EvaluationError(Exception):
    """An expression that failed while it ran; ``cost`` is what it had cost by then."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.cost = 0

    def __str__(self) -> str:
        return self.text


class CostExceeded(EvaluationError):
    """An expression that ran longer than it may; no operator absorbs this one."""


def location(source: str, at: int) -> tuple[int, int, str]:
    """Line and column, both from one on, and the line itself."""
    before = source[:at]
    line, start = before.count("\n"), before.rfind("\n") + 1
    return line + 1, at - start + 1, source.split("\n")[line]


def shown(source: str, issue: Issue) -> str:
    line, column, text = location(source, issue.at)
    dots = "".join("\N{FULLWIDTH FULL STOP}" if ord(c) > 0x7F else "." for c in text[: column - 1])
    dots = dots.ljust(column - 1, ".")
    here = text[column - 1 : column]
    mark = "\N{FULLWIDTH CIRCUMFLEX ACCENT}" if here and ord(here) > 0x7F else "^"
    snippet = text.replace("\t", " ")
    return f"ERROR: <input>:{line}:{column}: {issue.text}\n | {snippet}\n | {dots}{mark}"
