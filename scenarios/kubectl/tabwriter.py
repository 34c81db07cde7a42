"""Columns of text as Go's text/tabwriter aligns them: a column is a run of lines with a tab-ended cell there."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any


def width_of(text: str) -> int:
    return len(text) if text.isascii() else sum(1 for letter in text if not unicodedata.combining(letter))


def align(text: str, minimum: int = 0, padding: int = 2) -> str:
    """The text with its tabs turned into blanks; ``minimum`` is the least width of a column, padding included."""
    lines = [line.split("\t") for line in text.split("\n")]
    out: list[list[str]] = [[] for _ in lines]
    _format(lines, out, 0, len(lines), [], minimum, padding)
    return "\n".join("".join(parts) for parts in out)


def _format(
    lines: list[list[str]], out: list[list[str]], start: int, end: int, widths: list[int], minimum: int, padding: int
) -> None:
    """Writes lines ``start`` to ``end``, whose first ``len(widths)`` columns are known (tabwriter.format)."""
    column = len(widths)
    at = start
    while at < end:
        if column >= len(lines[at]) - 1:
            at += 1
            continue
        _write(lines, out, start, at, widths)
        first = at
        width = minimum
        while at < end and column < len(lines[at]) - 1:
            width = max(width, width_of(lines[at][column]) + padding)
            at += 1
        _format(lines, out, first, at, [*widths, width], minimum, padding)
        start = at
    _write(lines, out, start, end, widths)


def _write(lines: list[list[str]], out: list[list[str]], start: int, end: int, widths: list[int]) -> None:
    for number in range(start, end):
        cells = lines[number]
        for position, cell in enumerate(cells):
            last = position == len(cells) - 1
            if last or position >= len(widths):
                out[number].append(cell)
            else:
                out[number].append(cell + " " * max(widths[position] - width_of(cell), 0))


class Columns:
    """Rows printed one after the other, as wide as the widest so far (liggitt/tabwriter with RememberWidths)."""

    def __init__(self, minimum: int = 6, padding: int = 3) -> None:
        self._minimum = minimum
        self._padding = padding
        self._widths: list[int] = []

    def lines(self, rows: Iterable[Sequence[Any]]) -> list[str]:
        texts = [[str(cell) for cell in row] for row in rows]
        for row in texts:
            for position, cell in enumerate(row[:-1]):
                while len(self._widths) <= position:
                    self._widths.append(self._minimum)
                self._widths[position] = max(self._widths[position], width_of(cell) + self._padding)
        out = []
        for row in texts:
            padded = [cell + " " * (self._widths[at] - width_of(cell)) for at, cell in enumerate(row[:-1])]
            out.append("".join(padded) + (row[-1] if row else ""))
        return out


def table(rows: Iterable[Sequence[Any]], minimum: int = 6, padding: int = 3, ended: bool = False) -> str:
    """Rows in columns, each line ended; ``ended``: the last column is as wide as the others are."""
    if ended:
        rows = [[*row, ""] for row in rows]
    return "".join(line + "\n" for line in Columns(minimum, padding).lines(rows))
