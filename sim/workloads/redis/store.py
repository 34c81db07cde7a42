"""What a Redis server keeps: keys with values of four kinds, and when they end.

Not modelled: more than one database, streams, sorted sets, eviction and files: what is in memory is gone with the
process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from seatrial.sim.workloads.redis.resp import Problem

Words = list[bytes]
Values = bytes | list[bytes] | dict[bytes, bytes]
WRONG = Problem("WRONGTYPE Operation against a key holding the wrong kind of value")
MS = 1_000


class Set(dict[bytes, bytes]):
    """Members in the order in which they came."""


class Wrong(Exception):
    """``args`` is the Problem."""


class Store:
    """Keys with their values and ends; ``now`` gives µs."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._values: dict[bytes, Values] = {}
        self._ends: dict[bytes, int] = {}

    def has(self, key: bytes) -> bool:
        end = self._ends.get(key)
        if end is not None and end <= self._now():
            self.drop(key)
        return key in self._values

    def get(self, key: bytes, kind: type) -> Any:
        """A value of a kind; an empty one when there is none. Raises Wrong."""
        if not self.has(key):
            return kind()
        found = self._values[key]
        if type(found) is not kind:
            raise Wrong(WRONG)
        return found

    def put(self, key: bytes, value: Values) -> None:
        """What is empty is not kept, but for a string."""
        if value or isinstance(value, bytes):
            self._values[key] = value
        else:
            self.drop(key)

    def drop(self, key: bytes) -> None:
        self._values.pop(key, None)
        self._ends.pop(key, None)

    def end(self, key: bytes, at_us: int | None) -> None:
        """When a key ends; None: never."""
        if at_us is None:
            self._ends.pop(key, None)
        else:
            self._ends[key] = at_us

    def ends(self, key: bytes) -> int | None:
        return self._ends.get(key)

    @property
    def now(self) -> int:
        return self._now()

    def names(self) -> list[bytes]:
        return [key for key in list(self._values) if self.has(key)]

    def rename(self, key: bytes, to: bytes) -> None:
        """A key that is there takes another name, with its end."""
        value, end = self._values[key], self.ends(key)
        self.drop(key)
        self._values[to] = value
        self.end(to, end)

    def clear(self) -> None:
        self._values.clear()
        self._ends.clear()

    def kind(self, key: bytes) -> str:
        if not self.has(key):
            return "none"
        return {bytes: "string", list: "list", dict: "hash", Set: "set"}[type(self._values[key])]

    def as_commands(self) -> Iterator[Words]:
        """Commands that make all of it anew, for a replica."""
        for key in self.names():
            value = self._values[key]
            if isinstance(value, bytes):
                yield [b"SET", key, value]
            elif isinstance(value, list):
                yield [b"RPUSH", key, *value]
            elif isinstance(value, Set):
                yield [b"SADD", key, *value]
            else:
                yield [b"HSET", key, *(part for pair in value.items() for part in pair)]
            end = self.ends(key)
            if end is not None:
                yield [b"PEXPIREAT", key, str(end // MS).encode()]
