"""A recording: every change of every object of a scenario's namespace, with the second in which it was seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

VERSION = 1
SUFFIX = ".jsonl"


class Seen(NamedTuple):
    """One change as a watch showed it."""

    at_s: float
    """Since the first step."""
    verb: str
    """ADDED, MODIFIED or DELETED."""
    obj: dict[str, Any]


class Recording(NamedTuple):
    """One scenario, played once."""

    scenario: str
    server: str
    """The version that the server says it is."""
    changes: tuple[Seen, ...]

    def dump(self) -> bytes:
        """As JSON lines: a header, then a change on each."""
        header = {"seatrialCrosscheck": VERSION, "scenario": self.scenario, "server": self.server}
        lines = [orjson.dumps(header), *(orjson.dumps(list(each)) for each in self.changes)]
        return b"\n".join(lines) + b"\n"

    @classmethod
    def load(cls, raw: bytes) -> Recording:
        """Reads what ``dump`` wrote. Raises ValueError."""
        first, *rest = raw.splitlines() or [b"{}"]
        header = orjson.loads(first)
        if header.get("seatrialCrosscheck") != VERSION:
            raise ValueError(f"it is no recording of version {VERSION}")
        return cls(header["scenario"], header["server"], tuple(Seen(*orjson.loads(line)) for line in rest if line))


def read(folder: Path) -> dict[str, Recording]:
    """The recordings of a folder by scenario. Raises ValueError."""
    found = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            recording = Recording.load(path.read_bytes())
        except (ValueError, TypeError, KeyError) as problem:
            raise ValueError(f"{path}: {problem}") from None
        found[recording.scenario] = recording
    return found


def of_kind(changes: Iterable[Seen], kind: str) -> Iterator[Seen]:
    return (each for each in changes if each.obj.get("kind") == kind)
