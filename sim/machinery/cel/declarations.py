"""Functions and their overloads, declared as they are documented: ``string.startsWith(string): bool``.

Source: github.com/google/cel-go/common/decls.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from seatrial.sim.machinery.cel import types
from seatrial.sim.machinery.cel.types import Type
from seatrial.sim.machinery.cel.values import size_of

Cost = Callable[[Sequence[Any], Any], int]
"""What a call costs at run time, from its arguments (the target first) and its result."""

STRING_FACTOR, REGEX_FACTOR = 0.1, 0.25
"""Cost of traversing a character, and of a character of a regular expression (common.StringTraversalCostFactor)."""


class Overload(NamedTuple):
    """``id`` is upstream's name for it; ``member`` whether the first parameter is what it is called on."""

    function: str
    id: str
    member: bool
    params: tuple[Type, ...]
    result: Type
    call: Callable[..., Any]
    cost: Cost | None = None
    """None: one."""


Functions = Mapping[str, tuple[Overload, ...]]

OPAQUE = {
    "URL": "kubernetes.URL",
    "IP": "net.IP",
    "CIDR": "net.CIDR",
    "Quantity": "kubernetes.Quantity",
    "Semver": "kubernetes.Semver",
    "NamedFormat": "kubernetes.NamedFormat",
    "Authorizer": "kubernetes.authorization.Authorizer",
    "PathCheck": "kubernetes.authorization.PathCheck",
    "GroupCheck": "kubernetes.authorization.GroupCheck",
    "ResourceCheck": "kubernetes.authorization.ResourceCheck",
    "Decision": "kubernetes.authorization.Decision",
}
"""The libraries' own types: in signatures here, and on upstream's checker."""

SIMPLE = {kind: Type(kind) for kind in types.SIMPLE} | {"null": types.NULL}
TOKEN = re.compile(r"\w+|[(),]")


def type_of_text(text: str) -> Type:
    """``map(string, A)`` and the like; single capital letters are parameters."""
    tokens = TOKEN.findall(text)

    def read() -> Type:
        name = tokens.pop(0)
        inner: list[Type] = []
        if tokens and tokens[0] == "(":
            tokens.pop(0)
            while tokens[0] != ")":
                inner.append(read())
                if tokens[0] == ",":
                    tokens.pop(0)
            tokens.pop(0)
        if name == "list":
            return types.list_of(inner[0])
        if name == "map":
            return types.map_of(inner[0], inner[1])
        if name == "optional":
            return types.optional_of(inner[0])
        if name == "type":
            return types.type_of(inner[0])
        if len(name) == 1:
            return types.parameter(name)
        return types.opaque(OPAQUE[name]) if name in OPAQUE else SIMPLE[name]

    return read()


def _split(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]] if text.strip() else []


def overload(function: str, id: str, signature: str, call: Callable[..., Any], cost: Cost | None = None) -> Overload:
    """``signature``: ``string.(string, int): bool`` for a member, ``(A, A): bool`` else."""
    left, _, result = signature.rpartition("): ")
    target, _, params = left.partition("(") if left.startswith("(") else left.partition(".(")
    member = bool(target)
    listed = [*([target] if member else []), *_split(params)]
    return Overload(function, id, member, tuple(map(type_of_text, listed)), type_of_text(result), call, cost)


def functions(*libraries: Iterable[Overload]) -> Functions:
    """The overloads of several libraries by function."""
    found: dict[str, tuple[Overload, ...]] = {}
    for library in libraries:
        for entry in library:
            found[entry.function] = (*found.get(entry.function, ()), entry)
    return found


def scaled(size: float, factor: float = STRING_FACTOR) -> int:
    return math.ceil(size * factor)


def traversal(args: Sequence[Any], result: Any) -> int:
    """One traversal of the first argument's text."""
    return scaled(size_of(args[0]))


def traversal_twice(args: Sequence[Any], result: Any) -> int:
    return scaled(2 * size_of(args[0]))


def elements(args: Sequence[Any], result: Any) -> int:
    """One look at every element of a list, their texts included (library.traversalCost)."""
    value = args[0]
    if isinstance(value, list):
        return sum(scaled(len(e)) if isinstance(e, str | bytes) else 1 for e in value)
    return scaled(size_of(value))


def smaller(args: Sequence[Any], result: Any) -> int:
    """A comparison: as far as the shorter one goes."""
    return scaled(min(size_of(args[0]), size_of(args[1])))


def together(args: Sequence[Any], result: Any) -> int:
    """A concatenation."""
    return scaled(size_of(args[0]) + size_of(args[1]))


def pattern(args: Sequence[Any], result: Any) -> int:
    """A regular expression (the second argument) over a text."""
    return scaled(1.0 + size_of(args[0])) * scaled(size_of(args[1]), REGEX_FACTOR)


def substring(args: Sequence[Any], result: Any) -> int:
    return scaled(size_of(args[0])) * scaled(size_of(args[1]))


def produced(args: Sequence[Any], result: Any) -> int:
    """Twice the length of what is built."""
    return scaled(2 * size_of(result))


def fixed(cost: int) -> Cost:
    return lambda args, result: cost


def member_count(args: Sequence[Any], result: Any) -> int:
    """A search in a list."""
    return size_of(args[1])
