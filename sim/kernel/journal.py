"""The journal: everything that entered the simulation from outside, with its simulated time, as JSON lines.

Seed, specification and journal together are the whole history: a replay of them gives it again, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO, Final, NamedTuple

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
        self._file: BinaryIO | None = None

    def append(self, at: int, kind: str, value: Any) -> None:
        """Adds what came at ``at`` (µs)."""
        entry = Entry(at, kind, value)
        if self._file is None:
            self.entries.append(entry)
        else:
            self._file.write(_line(entry))

    def write_to(self, file: BinaryIO) -> None:
        """From now on entries go to ``file`` alone, after those that are there: for a journal that grows for days."""
        file.write(self.dump())
        self.entries.clear()
        self._file = file

    def dump(self) -> bytes:
        """The journal as JSON lines."""
        header = orjson.dumps({"seatrialJournal": VERSION, **self.header}) + b"\n"
        return header + b"".join(_line(entry) for entry in self.entries)

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


def _line(entry: Entry) -> bytes:
    return orjson.dumps({"at": entry.at, "kind": entry.kind, "value": entry.value}) + b"\n"


def _read(number: int, line: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as problem:
        raise JournalError(number, f"is not JSON: {problem}") from None
    if not isinstance(value, dict):
        raise JournalError(number, "is not a JSON object")
    return value
