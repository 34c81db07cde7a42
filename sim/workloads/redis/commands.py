"""The commands that read and change what a Redis server keeps.

Source: redis.io/docs/latest/commands; replies and errors are the server's. Not modelled: transactions, scripts,
publishing and blocking commands.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate
from typing import NamedTuple

from seatrial.sim.workloads.redis.resp import Problem, Reply, Status
from seatrial.sim.workloads.redis.store import MS, Set, Store, Words, Wrong

OK = Status("OK")
NO_NUMBER = Problem("ERR value is not an integer or out of range")
NOT_POSITIVE = Problem("ERR value is out of range, must be positive")
NO_KEY = Problem("ERR no such key")
SYNTAX = Problem("ERR syntax error")
S = 1_000_000
NUMBER = re.compile(rb"0|-?[1-9]\d{0,18}")
NUMBERS = range(-(1 << 63), 1 << 63)


def execute(store: Store, words: Words) -> Reply:
    """A command's reply."""
    name = words[0].decode(errors="replace").lower()
    command = COMMANDS.get(name)
    if command is None:
        said, *rest = (word.decode(errors="replace") for word in words)
        begin = "".join(f"'{word}' " for word in rest)
        return Problem(f"ERR unknown command '{said}', with args beginning with: {begin}")
    if len(words) - 1 < command.least or (command.most is not None and len(words) - 1 > command.most):
        return _miscounted(name)
    try:
        return command.run(store, *words[1:])
    except Wrong as wrong:
        return wrong.args[0]


def _miscounted(name: str) -> Problem:
    return Problem(f"ERR wrong number of arguments for '{name}' command")


def _whole(text: bytes, refusal: Problem = NO_NUMBER) -> int:
    """A 64-bit number. Raises Wrong."""
    if NUMBER.fullmatch(text) is None or int(text) not in NUMBERS:
        raise Wrong(refusal)
    return int(text)


def named(pattern: bytes) -> re.Pattern[str]:
    """A glob-style pattern, to match with."""
    return re.compile(translate(pattern.decode(errors="replace")))


# Strings


def _set(store: Store, key: bytes, value: bytes, *options: bytes) -> Reply:
    words = [option.decode(errors="replace").upper() for option in options]
    end, only, before = None, "", None
    while words:
        word = words.pop(0)
        if word in UNITS and words:
            end = _moment(store, word, words.pop(0).encode(), "set")
        elif word in ("NX", "XX") and not only:
            only = word
        elif word == "KEEPTTL":
            end = store.ends(key)
        elif word == "GET":
            before = [_get(store, key)]
        else:
            return SYNTAX
    if not only or store.has(key) == (only == "XX"):
        store.put(key, value)
        store.end(key, end)
    elif before is None:
        return None
    return OK if before is None else before[0]


def _moment(store: Store, word: str, given: bytes, name: str) -> int:
    """When a key ends that is given a span or a time, in µs. Raises Wrong."""
    number = _whole(given)
    if number <= 0 and name == "set":
        raise Wrong(Problem(f"ERR invalid expire time in '{name}' command"))
    unit, absolute = UNITS[word]
    return number * unit + (0 if absolute else store.now)


UNITS = {"EX": (S, False), "PX": (MS, False), "EXAT": (S, True), "PXAT": (MS, True)}
"""Options that end a key: µs of their unit, and whether they say a time."""


def _get(store: Store, key: bytes) -> Reply:
    return store.get(key, bytes) if store.has(key) else None


def _add(store: Store, key: bytes, by: int) -> Reply:
    made = _whole(store.get(key, bytes) or b"0") + by
    if made not in NUMBERS:
        return Problem("ERR increment or decrement would overflow")
    store.put(key, str(made).encode())
    return made


def _append(store: Store, key: bytes, more: bytes) -> Reply:
    made = store.get(key, bytes) + more
    store.put(key, made)
    return len(made)


def _set_many(store: Store, *pairs: bytes) -> Reply:
    if len(pairs) % 2:
        return _miscounted("mset")
    for at in range(0, len(pairs), 2):
        _set(store, pairs[at], pairs[at + 1])
    return OK


# Keys


def _delete(store: Store, *keys: bytes) -> Reply:
    found = [key for key in dict.fromkeys(keys) if store.has(key)]
    for key in found:
        store.drop(key)
    return len(found)


def _expire(store: Store, key: bytes, given: bytes, word: str) -> Reply:
    end = _moment(store, word, given, "expire")
    if not store.has(key):
        return 0
    store.end(key, end)
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


def _rename(store: Store, key: bytes, to: bytes) -> Reply:
    if not store.has(key):
        return NO_KEY
    store.rename(key, to)
    return OK


def _scan(store: Store, cursor: bytes, *options: bytes) -> Reply:
    """All at once: the cursor that follows is always the end."""
    if _whole(cursor, Problem("ERR invalid cursor")) != 0:
        return [b"0", []]
    given = dict(zip((option.upper() for option in options[::2]), options[1::2], strict=False))
    if len(options) % 2 or not set(given) <= {b"MATCH", b"COUNT", b"TYPE"}:
        return SYNTAX
    kind = given.get(b"TYPE", b"").decode(errors="replace")
    return [b"0", [key for key in _keys(store, given.get(b"MATCH", b"*")) if kind in ("", store.kind(key))]]


def _keys(store: Store, pattern: bytes) -> Reply:
    regex = named(pattern)
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
    taken = 1 if count is None else _whole(count, NOT_POSITIVE)
    if taken < 0:
        return NOT_POSITIVE
    if not have:
        return None
    taken = min(taken, len(have))
    out = have[:taken] if left else have[::-1][:taken]
    store.put(key, have[taken:] if left else have[: len(have) - taken])
    return out if count is not None else out[0]


def _span(have: Words, first: bytes, last: bytes) -> Words:
    """The elements from one index to another, which may count from the end."""
    begin, end = (at + len(have) if at < 0 else at for at in (_whole(first), _whole(last)))
    return have[max(begin, 0) : max(end + 1, 0)]


def _range(store: Store, key: bytes, first: bytes, last: bytes) -> Reply:
    return _span(store.get(key, list), first, last)


def _trim(store: Store, key: bytes, first: bytes, last: bytes) -> Reply:
    store.put(key, _span(store.get(key, list), first, last))
    return OK


def _at(store: Store, key: bytes, index: bytes) -> Reply:
    have, at = store.get(key, list), _whole(index)
    return have[at] if -len(have) <= at < len(have) else None


def _replace(store: Store, key: bytes, index: bytes, value: bytes) -> Reply:
    have, at = list(store.get(key, list)), _whole(index)
    if not have:
        return NO_KEY
    if not -len(have) <= at < len(have):
        return Problem("ERR index out of range")
    have[at] = value
    store.put(key, have)
    return OK


def _move(store: Store, source: bytes, target: bytes) -> Reply:
    store.get(target, list)
    value = _pop(store, source, False)
    if value is not None:
        _push(store, target, (value,), True)
    return value


def _remove(store: Store, key: bytes, count: bytes, value: bytes) -> Reply:
    have, wanted = store.get(key, list), _whole(count)
    order = range(len(have)) if wanted >= 0 else range(len(have) - 1, -1, -1)
    gone = dict.fromkeys([at for at in order if have[at] == value][: abs(wanted) or None])
    store.put(key, [each for at, each in enumerate(have) if at not in gone])
    return len(gone)


# Hashes and sets


def _hash_set(store: Store, key: bytes, *pairs: bytes) -> Reply:
    if len(pairs) % 2:
        return _miscounted("hset")
    have = store.get(key, dict)
    made = {**have, **dict(zip(pairs[::2], pairs[1::2], strict=True))}
    store.put(key, made)
    return len(made) - len(have)


def _hash_add(store: Store, key: bytes, field: bytes, by: bytes) -> Reply:
    have = store.get(key, dict)
    if NUMBER.fullmatch(have.get(field, b"0")) is None:
        return Problem("ERR hash value is not an integer")
    made = int(have.get(field, b"0")) + _whole(by)
    store.put(key, {**have, field: str(made).encode()})
    return made


def _hash_many(store: Store, key: bytes, *fields: bytes) -> Reply:
    have = store.get(key, dict)
    return [have.get(field) for field in fields]


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


def _select(store: Store, number: bytes) -> Reply:
    """There is one database, whatever its number."""
    return OK if 0 <= _whole(number) < DATABASES else Problem("ERR DB index is out of range")


DATABASES = 16


class Command(NamedTuple):
    run: Callable[..., Reply]
    least: int
    most: int | None
    """How many arguments; None: any number."""
    writes: bool = False


COMMANDS: dict[str, Command] = {
    "ping": Command(lambda store, *text: text[0] if text else Status("PONG"), 0, 1),
    "echo": Command(lambda store, text: text, 1, 1),
    "select": Command(_select, 1, 1),
    "dbsize": Command(lambda store: len(store.names()), 0, 0),
    "time": Command(lambda store: [str(store.now // S).encode(), str(store.now % S).encode()], 0, 0),
    "set": Command(_set, 2, None, True),
    "setnx": Command(lambda store, key, value: int(_set(store, key, value, b"NX") is OK), 2, 2, True),
    "setex": Command(lambda store, key, after, value: _set(store, key, value, b"EX", after), 3, 3, True),
    "get": Command(_get, 1, 1),
    "getset": Command(lambda store, key, value: _set(store, key, value, b"GET"), 2, 2, True),
    "getdel": Command(lambda store, key: [_get(store, key), store.drop(key)][0], 1, 1, True),
    "mget": Command(lambda store, *keys: [_get(store, key) for key in keys], 1, None),
    "mset": Command(_set_many, 2, None, True),
    "append": Command(_append, 2, 2, True),
    "strlen": Command(lambda store, key: len(store.get(key, bytes)), 1, 1),
    "incr": Command(lambda store, key: _add(store, key, 1), 1, 1, True),
    "decr": Command(lambda store, key: _add(store, key, -1), 1, 1, True),
    "incrby": Command(lambda store, key, by: _add(store, key, _whole(by)), 2, 2, True),
    "decrby": Command(lambda store, key, by: _add(store, key, -_whole(by)), 2, 2, True),
    "del": Command(_delete, 1, None, True),
    "unlink": Command(_delete, 1, None, True),
    "exists": Command(lambda store, *keys: sum(store.has(key) for key in keys), 1, None),
    "type": Command(lambda store, key: Status(store.kind(key)), 1, 1),
    "keys": Command(_keys, 1, 1),
    "scan": Command(_scan, 1, None),
    "rename": Command(_rename, 2, 2, True),
    "expire": Command(lambda store, key, given: _expire(store, key, given, "EX"), 2, 2, True),
    "pexpire": Command(lambda store, key, given: _expire(store, key, given, "PX"), 2, 2, True),
    "expireat": Command(lambda store, key, given: _expire(store, key, given, "EXAT"), 2, 2, True),
    "pexpireat": Command(lambda store, key, given: _expire(store, key, given, "PXAT"), 2, 2, True),
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
    "lset": Command(_replace, 3, 3, True),
    "ltrim": Command(_trim, 3, 3, True),
    "lrem": Command(_remove, 3, 3, True),
    "rpoplpush": Command(_move, 2, 2, True),
    "hset": Command(_hash_set, 3, None, True),
    "hmset": Command(
        lambda store, *words: OK if isinstance(made := _hash_set(store, *words), int) else made, 3, None, True
    ),
    "hmget": Command(_hash_many, 2, None),
    "hincrby": Command(_hash_add, 3, 3, True),
    "hexists": Command(lambda store, key, field: int(field in store.get(key, dict)), 2, 2),
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
