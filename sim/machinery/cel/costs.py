"""What an expression is estimated to cost at most, before it is stored.

Source: github.com/google/cel-go/checker (cost.go) and k8s.io/apiserver/pkg/cel/library (cost.go). The least cost, which
upstream estimates as well, decides nothing and is left out. Sizes come from the limits in a schema's types; what has
none may be as large as there is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import singledispatchmethod
from typing import NamedTuple

from seatrial.sim.machinery.cel import types
from seatrial.sim.machinery.cel.checker import Checked
from seatrial.sim.machinery.cel.declarations import REGEX_FACTOR, STRING_FACTOR
from seatrial.sim.machinery.cel.program import LIST_COST, MAP_COST, STRUCT_COST
from seatrial.sim.machinery.cel.syntax import (
    Bind,
    Call,
    Ident,
    ListLiteral,
    Literal,
    Loop,
    MapLiteral,
    Node,
    Select,
    StructLiteral,
)
from seatrial.sim.machinery.cel.types import Type

UNKNOWN = 2**64 - 1
"""The greatest size and cost there is (math.MaxUint64)."""
SCALARS = ("bool", "double", "duration", "int", "timestamp", "uint")
CHECK = 350_000
FORMAT_PATTERN = 128
"""MaxNameFormatRegexSize."""


class Size(NamedTuple):
    least: int
    most: int

    def union(self, other: Size) -> Size:
        return Size(min(self.least, other.least), max(self.most, other.most))


ANY, ONE = Size(0, UNKNOWN), Size(1, 1)


def capped(number: int) -> int:
    return min(number, UNKNOWN)


def scaled(size: int, factor: float) -> int:
    return UNKNOWN if size >= UNKNOWN else capped(math.ceil(size * factor))


def text_cost(size: Size) -> int:
    return scaled(size.most, STRING_FACTOR)


ITEMS, VALUES, KEYS, INDICES = "@items", "@values", "@keys", "@indices"
Path = tuple[str, ...]


class Local(NamedTuple):
    """What is known of a local variable: its size, that of its entries, and how one comes to it."""

    size: Size | None
    entry: Size | None
    path: Path


class Costed(NamedTuple):
    """The cost of a call beyond its arguments', and the size of its result where that can be told."""

    cost: int
    size: Size | None = None


ROUND = {"all": (1, 3), "exists": (1, 4), "exists_one": (2, 2), "filter": (11, 13)}
"""What a loop costs once, and every round beyond its condition, as upstream expands the macro."""


def estimate(checked: Checked) -> int:
    """The most that one evaluation is expected to cost."""
    try:
        return _Coster(checked).of(checked.tree)
    except RecursionError:
        return UNKNOWN


class _Coster:
    def __init__(self, checked: Checked) -> None:
        self.checked = checked
        self.sizes: dict[Node, Size] = {}
        self.entries: dict[Node, Size] = {}
        """The sizes of what a computed list holds."""
        self.locals: dict[str, Local] = {}
        self.root = next((t for n, t in checked.types.items() if isinstance(n, Ident) and n.name == "self"), types.DYN)

    def of(self, node: Node) -> int:
        return capped(self.cost(node))

    def type(self, node: Node) -> Type:
        return self.checked.types[node]

    # sizes

    def size(self, node: Node) -> Size:
        found = self.sizes.get(node)
        if found is not None:
            return found
        if isinstance(node, Literal):
            size = len(node.value) if isinstance(node.value, str | bytes) else 1
            return Size(size, size)
        if isinstance(node, ListLiteral):
            return Size(len(node.elements), len(node.elements))
        if isinstance(node, MapLiteral):
            return Size(len(node.entries), len(node.entries))
        kind = self.type(node)
        if (placed := self.placed(node)) is not None:
            return Size(0, placed.limits[1] if placed.limits is not None else 0)
        if isinstance(node, Ident) and (local := self.locals.get(node.name)) is not None and local.size is not None:
            return local.size
        inner = kind.params[0] if kind.kind == "optional" else kind
        return ONE if inner.kind in SCALARS else ANY

    def path(self, node: Node) -> Path:
        """How one comes to a value from a variable; what a computed list or map holds begins at no variable."""
        if isinstance(node, Ident):
            return self.locals[node.name].path if node.name in self.locals else (node.name,)
        if isinstance(node, Select) and not node.optional and not node.test:
            return (*self.path(node.operand), node.field)
        if isinstance(node, Call) and node.function == "_[_]":
            return (*self.path(node.args[0]), self._inside(node.args[0]))
        return ()

    def _inside(self, node: Node) -> str:
        return VALUES if self.type(node).kind == "map" else ITEMS

    def placed(self, node: Node) -> Type | None:
        """The part of the object that a node's path leads to, whose schema says how large it can be.

        Whatever a path begins with, upstream follows the rest from ``self``: an item of a computed list is thereby
        taken to be as large as ``self`` can be.
        """
        path = self.path(node)
        if not path:
            return None
        if path[0] not in (ITEMS, VALUES, KEYS, INDICES):
            return self.type(node)
        found: Type | None = self.root
        for name in path[1:]:
            if found is None:
                return None
            if name in (ITEMS, VALUES, KEYS):
                found = found.params[0 if name != VALUES else 1] if found.kind in ("list", "map") else None
            else:
                found = found.fields.get(name) if found.kind == "object" else None
        return found

    def entry(self, node: Node) -> Size | None:
        if isinstance(node, Ident) and node.name in self.locals:
            return self.locals[node.name].entry
        return self.entries.get(node)

    # costs

    @singledispatchmethod
    def cost(self, node: Node) -> int:
        raise TypeError(node)

    @cost.register
    def _(self, node: Literal) -> int:
        return 0

    @cost.register
    def _(self, node: Ident) -> int:
        return 1

    @cost.register
    def _(self, node: Select) -> int:
        if node in self.checked.names:
            return 1
        operand = self.of(node.operand)
        if node.test:
            return operand
        selected = node.optional or self.type(node.operand).kind in ("map", "object", "param")
        return operand + 1 if selected else operand

    @cost.register
    def _(self, node: ListLiteral) -> int:
        cost = LIST_COST + sum(map(self.of, node.elements))
        sizes = [self.size(element) for element in node.elements]
        held = Size(0, 0) if not sizes else sizes[0]
        for size in sizes:
            held = held.union(size)
        self.entries[node] = held
        return cost

    @cost.register
    def _(self, node: MapLiteral) -> int:
        return MAP_COST + sum(self.of(entry.key) + self.of(entry.value) for entry in node.entries)

    @cost.register
    def _(self, node: StructLiteral) -> int:
        return STRUCT_COST + sum(self.of(entry.value) for entry in node.entries)

    @cost.register
    def _(self, node: Loop) -> int:
        source = self.of(node.source)
        rounds, held = self.size(node.source), self.entry(node.source)
        mapping = self.type(node.source).kind == "map"
        path, key = self.path(node.source), Size(0, 0) if mapping else ONE
        first = Local(key, None, (*path, KEYS if mapping else INDICES))
        single = Local(held, None, (*path, KEYS if mapping else ITEMS))
        names = {node.first: first if node.second else single}
        if node.second:
            names[node.second] = Local(held, None, (*path, self._inside(node.source)))
        before = {name: self.locals.get(name) for name in names}
        self.locals.update(names)
        condition = self.of(node.condition) if node.condition is not None else 0
        body = self.of(node.body) if node.body is not None else 0
        self._result(node, rounds, held)
        for name, known in before.items():
            if known is None:
                del self.locals[name]
            else:
                self.locals[name] = known
        once, each = ROUND.get(node.kind, (11, 12) if node.kind in ("map", "transformList") else (31, 3))
        return source + once + capped(rounds.most * capped(each + condition + body))

    def _result(self, node: Loop, rounds: Size, held: Size | None) -> None:
        if node.kind in ("all", "exists", "exists_one"):
            self.sizes[node] = ONE
            return
        self.sizes[node] = rounds
        inside = held if node.body is None else self.size(node.body)
        if inside is not None:
            self.entries[node] = inside

    @cost.register
    def _(self, node: Bind) -> int:
        value = self.of(node.value)
        before = self.locals.get(node.name)
        known = self.size(node.value) if node.kind == "bind" else None
        path = self.path(node.value) if node.kind == "bind" else (node.name,)
        self.locals[node.name] = Local(known, self.entry(node.value), path)
        body = self.of(node.body)
        if before is None:
            del self.locals[node.name]
        else:
            self.locals[node.name] = before
        if node.kind == "bind":
            self.sizes[node] = self.size(node.body)
            return LIST_COST + value + body
        return 2 * (value + 1) + LIST_COST + body + (1 if node.kind == "optMap" else 0)

    @cost.register
    def _(self, node: Call) -> int:
        member = node.target is not None and node not in self.checked.names
        children = (node.target, *node.args) if member and node.target is not None else node.args
        costs = [self.of(child) for child in children]
        if node.function == "_?_:_":
            self.sizes[node] = self.size(node.args[1]).union(self.size(node.args[2]))
            return costs[0] + max(costs[1], costs[2])
        if node.function in ("_&&_", "_||_"):
            return sum(costs)
        if node.function == "_[_]" and (held := self.entry(node.args[0])) is not None:
            self.sizes[node] = held
        name = self.checked.names.get(node, node.function)
        if name == "matches" and not member:
            return sum(costs) + 1
        found = self.call(name, node, children)
        if found.size is not None:
            self.sizes[node] = found.size
        return sum(costs) + found.cost

    def call(self, name: str, node: Call, children: Sequence[Node]) -> Costed:
        """The dearest of what a call may mean."""
        ids = [overload.id for overload in self.checked.overloads.get(node, ())]
        if name == "_+_":
            return self.sum(ids, children)
        if name == "dyn":
            self.sizes[node] = self.size(children[0])
            return Costed(1)
        if name in COMPARED and any(id.endswith(("_string", "_bytes", "equals")) for id in ids):
            return Costed(scaled(min(self.size(children[0]).most, self.size(children[1]).most), STRING_FACTOR))
        estimator = CALLS.get(name)
        if estimator is None or (name == "ip" and ids == ["cidr_ip"]):
            return Costed(1)
        return estimator(self, children)

    def sum(self, ids: Sequence[str], children: Sequence[Node]) -> Costed:
        left, right = self.size(children[0]), self.size(children[1])
        both = Size(capped(left.least + right.least), capped(left.most + right.most))
        if not any(id in ("add_string", "add_bytes", "add_list") for id in ids):
            return Costed(1)
        texts = any(id in ("add_string", "add_bytes") for id in ids)
        return Costed(max(text_cost(both) if texts else 0, 1 if "add_list" in ids else 0), both)

    def element(self, node: Node) -> Size | None:
        """The size of what a list of texts holds; None for anything else."""
        kind = self.type(node)
        if kind.kind != "list" or kind.params[0].kind not in ("string", "bytes"):
            return None
        if self.placed(node):
            limits = kind.params[0].limits
            return Size(0, limits[1] if limits is not None else 0)
        return self.entry(node) or ANY


COMPARED = ("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_")
Estimator = Callable[[_Coster, Sequence[Node]], Costed]


def _text(factor: float, keeps_size: bool = False, argument: int = 0) -> Estimator:
    """One traversal of an argument."""

    def call(coster: _Coster, children: Sequence[Node]) -> Costed:
        size = coster.size(children[argument])
        return Costed(scaled(size.most, factor), size if keeps_size else None)

    return call


def _flat(cost: int) -> Estimator:
    return lambda coster, children: Costed(cost)


def _elements(coster: _Coster, children: Sequence[Node]) -> Costed:
    size = coster.size(children[0])
    if coster.type(children[0]).kind != "list":
        return Costed(text_cost(size))
    held = coster.element(children[0])
    return Costed(capped(size.most * (1 + (text_cost(held) if held is not None else 0))))


def _search(coster: _Coster, children: Sequence[Node]) -> Costed:
    size, pattern = coster.size(children[0]), coster.size(children[1])
    text = scaled(capped(size.most + 1), STRING_FACTOR)
    return Costed(capped(text * scaled(pattern.most, REGEX_FACTOR)), Size(0, size.most))


def _validate(coster: _Coster, children: Sequence[Node]) -> Costed:
    """A search with a pattern that is as long as that of any format."""
    return Costed(scaled(text_cost(coster.size(children[1])), FORMAT_PATTERN * REGEX_FACTOR))


def _matches(coster: _Coster, children: Sequence[Node]) -> Costed:
    return Costed(_search(coster, children).cost)


def _contains(coster: _Coster, children: Sequence[Node]) -> Costed:
    return Costed(capped(text_cost(coster.size(children[0])) * text_cost(coster.size(children[1]))))


def _in(coster: _Coster, children: Sequence[Node]) -> Costed:
    listed = coster.type(children[1]).kind != "map"
    return Costed(coster.size(children[1]).most if listed else 1)


def _split(coster: _Coster, children: Sequence[Node]) -> Costed:
    size = coster.size(children[0])
    return Costed(scaled(size.most, 2 * STRING_FACTOR), Size(0, size.most))


def _join(coster: _Coster, children: Sequence[Node]) -> Costed:
    count, held = coster.size(children[0]), coster.element(children[0]) or ANY
    least, most = count.least * held.least, capped(count.most * held.most)
    if len(children) > 1:
        separator = coster.size(children[1])
        least += separator.least * max(count.least - 1, 0)
        most = capped(most + separator.most * max(count.most - 1, 0))
    return Costed(scaled(most, STRING_FACTOR), Size(least, most))


def _replace(coster: _Coster, children: Sequence[Node]) -> Costed:
    size, old, new = (coster.size(child) for child in children[:3])
    if old.least == 0:
        most = capped(capped(size.most + 1) * new.most + size.most)
    elif new.most <= old.least:
        most = size.most
    else:
        most = capped(math.ceil(size.most / old.least) * new.most)
    return Costed(scaled(size.most, 2 * STRING_FACTOR), Size(0, most))


def _sets(factor: int) -> Estimator:
    def call(coster: _Coster, children: Sequence[Node]) -> Costed:
        return Costed(capped(1 + factor * coster.size(children[0]).most * coster.size(children[1]).most))

    return call


SHORT = {"bool": 5, "int": 20, "uint": 20, "double": 24, "timestamp": 35, "duration": 24}
"""The most characters in which a value is written. Upstream knows no size for them, which would forbid to add a number
to a text of any message."""


def _written(coster: _Coster, children: Sequence[Node]) -> Costed:
    """A value as text."""
    if coster.checked.types[children[0]].kind == "bytes":
        size = coster.size(children[0])
        return Costed(text_cost(size), Size(size.least // 4, size.most))
    most = SHORT.get(coster.checked.types[children[0]].kind)
    return Costed(1, None if most is None else Size(1, most))


CALLS: dict[str, Estimator] = {
    "string": _written,
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _elements),
    **dict.fromkeys(("lowerAscii", "upperAscii", "substring", "trim"), _text(STRING_FACTOR, keeps_size=True)),
    **dict.fromkeys(("startsWith", "endsWith"), _text(STRING_FACTOR, argument=1)),
    "url": _text(STRING_FACTOR, keeps_size=True),
    **dict.fromkeys(("bytes", "format", "strings.quote"), _text(STRING_FACTOR)),
    **dict.fromkeys(("find", "findAll"), _search),
    "matches": _matches,
    "validate": _validate,
    "contains": _contains,
    "@in": _in,
    "split": _split,
    "join": _join,
    "replace": _replace,
    "check": _flat(CHECK),
    "containsIP": _flat(4),
    "containsCIDR": _flat(7),
    "sets.contains": _sets(1),
    "sets.intersects": _sets(1),
    "sets.equivalent": _sets(2),
}
