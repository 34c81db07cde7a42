"""The journal: everything that entered the simulation from outside, with its simulated time, as JSON lines.

Seed, specification and journal together are the whole history: a replay of them gives it again, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import orjson

VERSION: Final = 1


class Entry(NamedTuple):
    """One thing that came from outside."""

    at: int
    """Simulated µs since the Unix epoch."""
    kind: str
    """Which way it came in: request, clock, fault, load, answer …"""
    value: Any
    """JSON-shaped."""


class JournalError(ValueError):
    """A journal that cannot be read: which line, why, and what to do."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(line, reason)
        self.line = line
        self.reason = reason

    def __str__(self) -> str:
        return f"journal, line {self.line}: {self.reason}"


class Journal:
    """Entries in the order in which they happened, after a header that says of which cluster."""

    def __init__(self, header: Mapping[str, Any] | None = None, entries: Iterable[Entry] = ()) -> None:
        self.header: dict[str, Any] = dict(header or {})
        self.entries: list[Entry] = list(entries)

    def append(self, at: int, kind: str, value: Any) -> None:
        """Adds what came at ``at`` (µs)."""
        self.entries.append(Entry(at, kind, value))

    def dump(self) -> bytes:
        """The journal as JSON lines."""
        lines = [orjson.dumps({"seatrialJournal": VERSION, **self.header})]
        lines += [orjson.dumps({"at": at, "kind": kind, "value": value}) for at, kind, value in self.entries]
        return b"\n".join(lines) + b"\n"

    @classmethod
    def load(cls, raw: bytes) -> Journal:
        """Reads what ``dump`` wrote. A last line without its end, as a crash leaves it, is dropped.

        Raises JournalError.
        """
        lines = raw.split(b"\n")
        lines.pop()
        if not lines:
            raise JournalError(1, "it is empty; a journal begins with a line that holds seatrialJournal")
        header = _read(1, lines[0])
        version = header.pop("seatrialJournal", None)
        if version != VERSION:
            raise JournalError(1, f"version {version!r} cannot be read; this Seatrial reads version {VERSION}")
        journal = cls(header)
        for number, line in enumerate(lines[1:], 2):
            value = _read(number, line)
            try:
                journal.entries.append(Entry(value["at"], value["kind"], value["value"]))
            except KeyError as missing:
                raise JournalError(number, f"has no {missing.args[0]!r}") from None
        return journal


def _read(number: int, line: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as problem:
        raise JournalError(number, f"is not JSON: {problem}") from None
    if not isinstance(value, dict):
        raise JournalError(number, "is not a JSON object")
    return value
