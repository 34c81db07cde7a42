"""What a Redis server keeps, and the commands that read and change it.

Source: redis.io/docs/latest/commands; replies and errors are the server's. Not modelled: transactions, scripts,
publishing, blocking commands, streams, sorted sets, eviction and files: what is in memory is gone with the process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fnmatch import translate
from typing import Any, NamedTuple

from seatrial.sim.workloads.redis.resp import Problem, Reply, Status

Words = list[bytes]
Values = bytes | list[bytes] | dict[bytes, bytes]
OK = Status("OK")
WRONG = Problem("WRONGTYPE Operation against a key holding the wrong kind of value")
NO_NUMBER = Problem("ERR value is not an integer or out of range")
SYNTAX = Problem("ERR syntax error")
MS, S = 1_000, 1_000_000


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

    def execute(self, words: Words) -> Reply:
        """A command's reply."""
        name = words[0].decode(errors="replace").lower()
        command = COMMANDS.get(name)
        if command is None:
            said, *rest = (word.decode(errors="replace") for word in words)
            begin = " ".join(f"'{word}'" for word in rest)
            return Problem(f"ERR unknown command '{said}', with args beginning with: {begin}")
        if len(words) - 1 < command.least or (command.most is not None and len(words) - 1 > command.most):
            return Problem(f"ERR wrong number of arguments for '{name}' command")
        try:
            return command.run(self, *words[1:])
        except Wrong as wrong:
            return wrong.args[0]
        except ValueError:
            return NO_NUMBER

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


# Strings


def _set(store: Store, key: bytes, value: bytes, *options: bytes) -> Reply:
    words = [option.decode(errors="replace").upper() for option in options]
    end = None
    while words:
        word = words.pop(0)
        if word in ("EX", "PX") and words:
            end = store.now + int(words.pop(0)) * (S if word == "EX" else MS)
        elif word in ("NX", "XX"):
            if store.has(key) == (word == "NX"):
                return None
        else:
            return SYNTAX
    store.put(key, value)
    store.end(key, end)
    return OK


def _get(store: Store, key: bytes) -> Reply:
    return store.get(key, bytes) if store.has(key) else None


def _add(store: Store, key: bytes, by: int) -> Reply:
    made = int(store.get(key, bytes) or b"0") + by
    store.put(key, str(made).encode())
    return made


def _append(store: Store, key: bytes, more: bytes) -> Reply:
    made = store.get(key, bytes) + more
    store.put(key, made)
    return len(made)


def _set_many(store: Store, *pairs: bytes) -> Reply:
    if len(pairs) % 2:
        return Problem("ERR wrong number of arguments for 'mset' command")
    for at in range(0, len(pairs), 2):
        _set(store, pairs[at], pairs[at + 1])
    return OK


# Keys


def _delete(store: Store, *keys: bytes) -> Reply:
    found = [key for key in dict.fromkeys(keys) if store.has(key)]
    for key in found:
        store.drop(key)
    return len(found)


def _expire(store: Store, key: bytes, after: bytes) -> Reply:
    if not store.has(key):
        return 0
    store.end(key, store.now + int(after) * S)
    return 1


def _left(store: Store, key: bytes, unit: int) -> Reply:
    if not store.has(key):
        return -2
    end = store.ends(key)
    return -1 if end is None else -(-(end - store.now) // unit)


def _persist(store: Store, key: bytes) -> Reply:
    had = store.has(key) and store.ends(key) is not None
    store.end(key, None)
    return int(had)


def _keys(store: Store, pattern: bytes) -> Reply:
    regex = re.compile(translate(pattern.decode(errors="replace")))
    return [key for key in store.names() if regex.match(key.decode(errors="replace"))]


def _clear(store: Store, *_: bytes) -> Reply:
    store.clear()
    return OK


# Lists


def _push(store: Store, key: bytes, values: tuple[bytes, ...], left: bool) -> Reply:
    have = store.get(key, list)
    made = [*reversed(values), *have] if left else [*have, *values]
    store.put(key, made)
    return len(made)


def _pop(store: Store, key: bytes, left: bool, count: bytes | None = None) -> Reply:
    have = store.get(key, list)
    if not have:
        return None
    taken = int(count) if count is not None else 1
    out = have[:taken] if left else have[::-1][:taken]
    store.put(key, have[taken:] if left else have[: len(have) - taken])
    return out if count is not None else out[0]


def _range(store: Store, key: bytes, first: bytes, last: bytes) -> Reply:
    have = store.get(key, list)
    begin, end = (int(text) + (len(have) if int(text) < 0 else 0) for text in (first, last))
    return have[max(begin, 0) : end + 1]


def _at(store: Store, key: bytes, index: bytes) -> Reply:
    have, at = store.get(key, list), int(index)
    return have[at] if -len(have) <= at < len(have) else None


def _move(store: Store, source: bytes, target: bytes) -> Reply:
    value = _pop(store, source, False)
    if value is not None:
        _push(store, target, (value,), True)
    return value


def _remove(store: Store, key: bytes, count: bytes, value: bytes) -> Reply:
    have, most = store.get(key, list), abs(int(count)) or None
    order = range(len(have)) if int(count) >= 0 else range(len(have) - 1, -1, -1)
    gone = [at for at in order if have[at] == value][:most]
    store.put(key, [each for at, each in enumerate(have) if at not in gone])
    return len(gone)


# Hashes and sets


def _hash_set(store: Store, key: bytes, *pairs: bytes) -> Reply:
    if len(pairs) % 2:
        return Problem("ERR wrong number of arguments for 'hset' command")
    have = store.get(key, dict)
    made = {**have, **dict(zip(pairs[::2], pairs[1::2], strict=True))}
    store.put(key, made)
    return len(made) - len(have)


def _hash_delete(store: Store, key: bytes, *fields: bytes) -> Reply:
    have = store.get(key, dict)
    left = {field: value for field, value in have.items() if field not in fields}
    store.put(key, left)
    return len(have) - len(left)


def _set_add(store: Store, key: bytes, *members: bytes) -> Reply:
    have = store.get(key, Set)
    made = Set({**have, **dict.fromkeys(members, b"")})
    store.put(key, made)
    return len(made) - len(have)


def _set_remove(store: Store, key: bytes, *members: bytes) -> Reply:
    have = store.get(key, Set)
    left = Set({member: b"" for member in have if member not in members})
    store.put(key, left)
    return len(have) - len(left)


class Command(NamedTuple):
    run: Callable[..., Reply]
    least: int
    most: int | None
    """How many arguments; None: any number."""
    writes: bool = False


COMMANDS: dict[str, Command] = {
    "ping": Command(lambda store, *text: text[0] if text else Status("PONG"), 0, 1),
    "echo": Command(lambda store, text: text, 1, 1),
    "select": Command(lambda store, number: OK, 1, 1),
    "dbsize": Command(lambda store: len(store.names()), 0, 0),
    "time": Command(lambda store: [str(store.now // S).encode(), str(store.now % S).encode()], 0, 0),
    "set": Command(_set, 2, None, True),
    "setnx": Command(lambda store, key, value: int(_set(store, key, value, b"NX") is OK), 2, 2, True),
    "setex": Command(lambda store, key, after, value: _set(store, key, value, b"EX", after), 3, 3, True),
    "get": Command(_get, 1, 1),
    "mget": Command(lambda store, *keys: [_get(store, key) for key in keys], 1, None),
    "mset": Command(_set_many, 2, None, True),
    "append": Command(_append, 2, 2, True),
    "strlen": Command(lambda store, key: len(store.get(key, bytes)), 1, 1),
    "incr": Command(lambda store, key: _add(store, key, 1), 1, 1, True),
    "decr": Command(lambda store, key: _add(store, key, -1), 1, 1, True),
    "incrby": Command(lambda store, key, by: _add(store, key, int(by)), 2, 2, True),
    "decrby": Command(lambda store, key, by: _add(store, key, -int(by)), 2, 2, True),
    "del": Command(_delete, 1, None, True),
    "unlink": Command(_delete, 1, None, True),
    "exists": Command(lambda store, *keys: sum(store.has(key) for key in keys), 1, None),
    "type": Command(lambda store, key: Status(store.kind(key)), 1, 1),
    "keys": Command(_keys, 1, 1),
    "expire": Command(_expire, 2, 2, True),
    "ttl": Command(lambda store, key: _left(store, key, S), 1, 1),
    "pttl": Command(lambda store, key: _left(store, key, MS), 1, 1),
    "persist": Command(_persist, 1, 1, True),
    "flushall": Command(_clear, 0, 1, True),
    "flushdb": Command(_clear, 0, 1, True),
    "rpush": Command(lambda store, key, *values: _push(store, key, values, False), 2, None, True),
    "lpush": Command(lambda store, key, *values: _push(store, key, values, True), 2, None, True),
    "rpop": Command(lambda store, key, *count: _pop(store, key, False, *count), 1, 2, True),
    "lpop": Command(lambda store, key, *count: _pop(store, key, True, *count), 1, 2, True),
    "llen": Command(lambda store, key: len(store.get(key, list)), 1, 1),
    "lrange": Command(_range, 3, 3),
    "lindex": Command(_at, 2, 2),
    "lrem": Command(_remove, 3, 3, True),
    "rpoplpush": Command(_move, 2, 2, True),
    "hset": Command(_hash_set, 3, None, True),
    "hget": Command(lambda store, key, field: store.get(key, dict).get(field), 2, 2),
    "hdel": Command(_hash_delete, 2, None, True),
    "hlen": Command(lambda store, key: len(store.get(key, dict)), 1, 1),
    "hkeys": Command(lambda store, key: list(store.get(key, dict)), 1, 1),
    "hvals": Command(lambda store, key: list(store.get(key, dict).values()), 1, 1),
    "hgetall": Command(lambda store, key: [part for pair in store.get(key, dict).items() for part in pair], 1, 1),
    "sadd": Command(_set_add, 2, None, True),
    "srem": Command(_set_remove, 2, None, True),
    "smembers": Command(lambda store, key: list(store.get(key, Set)), 1, 1),
    "sismember": Command(lambda store, key, member: int(member in store.get(key, Set)), 2, 2),
    "scard": Command(lambda store, key: len(store.get(key, Set)), 1, 1),
}
