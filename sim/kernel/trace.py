"""The trace: one digest over a whole history, to tell whether two are the same."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import orjson


class Line(NamedTuple):
    """One change as the digest sees it."""

    revision: int
    at: int
    verb: str
    storage: str
    object: Any


class Trace:
    """SHA-256 over every change in order: revision, time, verb, kind and the object byte for byte."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.lines = 0

    def add(self, line: Line) -> None:
        """Takes in the next change."""
        self._hash.update(orjson.dumps(line))
        self._hash.update(b"\n")
        self.lines += 1

    def copy(self) -> Trace:
        """A trace that goes on from here on its own."""
        other = Trace()
        other._hash = self._hash.copy()
        other.lines = self.lines
        return other

    def digest(self) -> str:
        """Of what was taken in so far, in hexadecimal."""
        return self._hash.hexdigest()
