"""The journal: everything that entered the simulation from outside, with its simulated time, as JSON lines.

Seed, specification and journal together are the whole history: a replay of them gives it again, byte for byte. The
history of a cluster that was there before begins with what it held then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Final, NamedTuple

import orjson

VERSION: Final = 2
KEPT: Final = "kept"
"""The kind of the lines that hold an object that was there at the beginning."""
RUN: Final = "run"
"""The kind of an entry that says only how far time has come."""
FULL: Final = "full"
"""The mark in a header: when (simulated µs) the journal was given up, because it had grown too long."""


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
    """Entries in the order in which they happened, after a header that says of which cluster, and what it held when the
    history began: pairs of its kind in the store and the object, at the header's ``revision``."""

    def __init__(
        self,
        header: Mapping[str, Any] | None = None,
        entries: Iterable[Entry] = (),
        kept: Iterable[tuple[str, Mapping[str, Any]]] = (),
    ) -> None:
        self.header: dict[str, Any] = dict(header or {})
        self.entries: list[Entry] = list(entries)
        self.kept = list(kept)
        self.entries_max: int | None = None
        """How long it may grow; one entry more and it is given up, since a history that is not whole is of no use."""
        self._file: BinaryIO | None = None

    @property
    def is_whole(self) -> bool:
        """Whether a replay would give the history: it was not given up."""
        return FULL not in self.header

    def append(self, at: int, kind: str, value: Any) -> None:
        """Adds what came at ``at`` (µs)."""
        if not self.is_whole:
            return
        entry = Entry(at, kind, value)
        if self._file is not None:
            self._file.write(_line(entry))
            return
        self.entries.append(entry)
        if self.entries_max is not None and len(self.entries) > self.entries_max:
            self.header[FULL] = at
            self.entries.clear()
            self.kept.clear()

    def until(self, at: int, header: Mapping[str, Any] | None = None) -> Journal:
        """A copy that ends at this moment (µs), with more in its header."""
        entries = [entry for entry in self.entries if entry.at <= at]
        while entries and entries[-1].kind == RUN:
            entries.pop()
        return Journal({**self.header, **(header or {})}, [*entries, Entry(at, RUN, None)], self.kept)

    def write_to(self, file: BinaryIO) -> None:
        """From now on entries go to ``file`` alone, after those that are there: for a journal that grows for days."""
        file.write(self.dump())
        self.entries.clear()
        self._file = file

    def dump(self) -> bytes:
        """The journal as JSON lines."""
        return b"".join(self.lines())

    def lines(self) -> Iterator[bytes]:
        """The journal as JSON lines, one after the other: header, what was kept, entries."""
        yield orjson.dumps({"seatrialJournal": VERSION, **self.header}) + b"\n"
        for storage, obj in self.kept:
            yield orjson.dumps({KEPT: storage, "object": obj}) + b"\n"
        for entry in self.entries:
            yield _line(entry)

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
            if KEPT in value and not journal.entries:
                journal.kept.append((value[KEPT], value.get("object") or {}))
                continue
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
