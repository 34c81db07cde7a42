"""The shapes of an expression after parsing: macros are expanded, nothing is typed yet.

Source: github.com/google/cel-go/common/ast. Loops keep the name of the macro that they came from instead of upstream's
generic comprehension: they run faster, and their cost is counted as if they had been expanded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, eq=False)
class Node:
    """``at``: where errors about this node point to."""

    at: int


@dataclass(slots=True, eq=False)
class Literal(Node):
    value: Any


@dataclass(slots=True, eq=False)
class Ident(Node):
    name: str


@dataclass(slots=True, eq=False)
class Select(Node):
    operand: Node
    field: str
    test: bool = False
    """Whether only the field's presence is asked for: has(a.b)."""
    optional: bool = False
    """a.?b"""


@dataclass(slots=True, eq=False)
class Call(Node):
    """A function or operator; ``target`` is what a member function is called on."""

    function: str
    target: Node | None
    args: tuple[Node, ...]


@dataclass(slots=True, eq=False)
class ListLiteral(Node):
    elements: tuple[Node, ...]
    optional: frozenset[int] = frozenset()
    """The positions of elements that are left out when they hold nothing: [?a]."""


@dataclass(slots=True, eq=False)
class Entry(Node):
    key: Node
    value: Node
    optional: bool


@dataclass(slots=True, eq=False)
class MapLiteral(Node):
    entries: tuple[Entry, ...]


@dataclass(slots=True, eq=False)
class StructEntry(Node):
    name: str
    value: Node
    optional: bool


@dataclass(slots=True, eq=False)
class StructLiteral(Node):
    name: str
    entries: tuple[StructEntry, ...]


@dataclass(slots=True, eq=False)
class Loop(Node):
    """A macro over a list's elements or a map's keys: all, exists, exists_one, map, filter and the two-variable
    forms transformList, transformMap, transformMapEntry.
    """

    kind: str
    source: Node
    first: str
    second: str
    """The second variable; empty for the forms with one."""
    condition: Node | None
    body: Node | None


@dataclass(slots=True, eq=False)
class Bind(Node):
    """A name for a value: cel.bind, optMap."""

    name: str
    value: Node
    body: Node
    kind: str = "bind"
    """bind, optMap or optFlatMap."""
