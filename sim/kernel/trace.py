"""The trace: one digest over a whole history, to tell whether two are the same."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson


class Trace:
    """SHA-256 over every change in order: revision, time, verb, kind and the object byte for byte."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.lines = 0

    def add(self, revision: int, at: int, verb: str, storage: str, obj: Any) -> None:
        """Takes in the next change; ``at`` in µs."""
        self._hash.update(orjson.dumps((revision, at, verb, storage, obj)))
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
