"""The type checker: what every part of an expression is, and which overloads a call can mean.

Source: github.com/google/cel-go/checker (checker.go, errors.go). Literals of lists and maps hold one type only, as
Kubernetes has it (HomogeneousAggregateLiterals).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import singledispatchmethod

from seatrial.sim.machinery.cel import types
from seatrial.sim.machinery.cel.declarations import Functions, Overload
from seatrial.sim.machinery.cel.errors import CelError, Issue
from seatrial.sim.machinery.cel.macros import qualified
from seatrial.sim.machinery.cel.naming import field_of
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
from seatrial.sim.machinery.cel.types import BOOL, DYN, ERROR, Bound, Type, bind, most_general, substitute
from seatrial.sim.machinery.cel.values import Uint

TYPE_NAMES: Mapping[str, Type] = {
    **{t.name: t for t in (types.BOOL, types.BYTES, types.DOUBLE, types.INT, types.STRING, types.UINT)},
    "list": types.list_of(DYN),
    "map": types.map_of(DYN, DYN),
    "null_type": types.NULL,
    "type": types.type_of(DYN),
    "optional_type": types.optional_of(DYN),
    "google.protobuf.Timestamp": types.TIMESTAMP,
    "google.protobuf.Duration": types.DURATION,
}
"""Names of types that stand for themselves in an expression."""

LITERALS: Mapping[type, Type] = {
    bool: types.BOOL, int: types.INT, Uint: types.UINT, float: types.DOUBLE, str: types.STRING, bytes: types.BYTES,
    type(None): types.NULL,
}  # fmt: skip


@dataclass(slots=True)
class Checked:
    """An expression with what is known about it."""

    tree: Node
    result: Type
    types: dict[Node, Type] = field(default_factory=dict)
    overloads: dict[Node, tuple[Overload, ...]] = field(default_factory=dict)
    names: dict[Node, str] = field(default_factory=dict)
    """Selections and calls that turned out to be one qualified name: a variable or a function."""


def check(
    source: str,
    tree: Node,
    variables: Mapping[str, Type],
    functions: Functions,
    structure: Callable[[str], Type | None] = lambda name: None,
) -> Checked:
    """Types an expression over its variables; ``structure`` knows the types of ``Name{…}``. Raises CelError."""
    checker = _Checker(variables, functions, structure)
    result = checker.of(tree)
    if checker.issues:
        raise CelError(source, checker.issues)
    found = {node: substitute(checker.bound, kind, True) for node, kind in checker.types.items()}
    return Checked(tree, substitute(checker.bound, result, True), found, checker.overloads, checker.names)


class _Checker:
    def __init__(
        self, variables: Mapping[str, Type], functions: Functions, structure: Callable[[str], Type | None]
    ) -> None:
        self.variables = dict(variables)
        self.functions = functions
        self.structure = structure
        self.issues: list[Issue] = []
        self.types: dict[Node, Type] = {}
        self.overloads: dict[Node, tuple[Overload, ...]] = {}
        self.names: dict[Node, str] = {}
        self.bound: Bound = {}
        self.fresh = 0

    def of(self, node: Node) -> Type:
        """The type of a node; ERROR where a mistake was noted."""
        found = self.rule(node)
        self.types[node] = found
        return found

    def wrong(self, at: int, text: str) -> Type:
        self.issues.append(Issue(at, text))
        return ERROR

    def new_parameter(self) -> Type:
        self.fresh += 1
        return types.parameter(f"_var{self.fresh}")

    def known(self, kind: Type) -> Type:
        return substitute(self.bound, kind) if self.bound else kind

    def accepts(self, given: Type, wanted: Type) -> bool:
        bound = dict(self.bound)
        if bind(bound, given, wanted):
            self.bound = bound
            return True
        return False

    @singledispatchmethod
    def rule(self, node: Node) -> Type:
        raise TypeError(node)

    @rule.register
    def _(self, node: Literal) -> Type:
        return LITERALS[type(node.value)]

    @rule.register
    def _(self, node: Ident) -> Type:
        return self.named(node, node.name) or self.undeclared(node.at, node.name)

    def named(self, node: Node, name: str) -> Type | None:
        found = self.variables.get(name)
        if found is not None:
            self.names[node] = name
            return found
        if name in TYPE_NAMES:
            self.names[node] = name
            return types.type_of(TYPE_NAMES[name])
        return None

    def undeclared(self, at: int, name: str) -> Type:
        return self.wrong(at, f"undeclared reference to '{name}' (in container '')")

    @rule.register
    def _(self, node: Select) -> Type:
        if not node.test and not node.optional and (name := qualified(node)):
            root = name.partition(".")[0]
            if f"{root}." in name and (found := self.named(node, name)) is not None:
                return found
        operand = self.known(self.of(node.operand))
        inner = operand.params[0] if operand.kind == "optional" else operand
        result = self.selected(node, inner)
        if node.test:
            return BOOL
        if node.optional or operand.kind == "optional":
            return types.optional_of(result)
        return result

    def selected(self, node: Select, operand: Type) -> Type:
        if operand.dynamic or operand.kind == "param":
            return DYN
        if operand.kind == "map":
            return operand.params[1]
        if operand.kind == "object":
            found = field_of(operand, node.field)
            return found if found is not None else self.wrong(node.at, f"undefined field '{node.field}'")
        return self.wrong(node.at, f"type '{operand}' does not support field selection")

    @rule.register
    def _(self, node: ListLiteral) -> Type:
        element: Type | None = None
        for position, child in enumerate(node.elements):
            found = self.known(self.of(child))
            if position in node.optional:
                found = self.unwrapped(child, found)
            element = found if element is None else self.joined(child, element, found)
        return types.list_of(element if element is not None else self.new_parameter())

    def unwrapped(self, node: Node, found: Type) -> Type:
        """What an optional entry holds."""
        if found.kind == "optional":
            return found.params[0]
        if found.dynamic:
            return DYN
        return self.wrong(node.at, f"expected type 'optional_type({found})' but found '{found}'")

    def joined(self, node: Node, before: Type, found: Type) -> Type:
        if self.accepts(found, before):
            return most_general(self.known(before), found)
        return self.wrong(node.at, f"expected type '{before}' but found '{found}'")

    @rule.register
    def _(self, node: MapLiteral) -> Type:
        key: Type | None = None
        value: Type | None = None
        for entry in node.entries:
            kind = self.known(self.of(entry.key))
            key = kind if key is None else self.joined(entry.key, key, kind)
            held = self.known(self.of(entry.value))
            if entry.optional:
                held = self.unwrapped(entry.value, held)
            value = held if value is None else self.joined(entry.value, value, held)
        if key is None or value is None:
            return types.map_of(self.new_parameter(), self.new_parameter())
        return types.map_of(key, value)

    @rule.register
    def _(self, node: StructLiteral) -> Type:
        found = self.structure(node.name)
        if found is None:
            return self.undeclared(node.at, node.name)
        for entry in node.entries:
            given = self.known(self.of(entry.value))
            if entry.optional:
                given = self.unwrapped(entry.value, given)
            wanted = field_of(found, entry.name)
            if wanted is None:
                self.wrong(entry.at, f"undefined field '{entry.name}'")
            elif not self.accepts(given, wanted):
                self.wrong(
                    entry.at, f"expected type of field '{entry.name}' is '{wanted}' but provided type is '{given}'"
                )
        return found

    @rule.register
    def _(self, node: Call) -> Type:
        target = node.target
        if target is not None:
            name = qualified(target)
            whole = f"{name}.{node.function}"
            if name and whole in self.functions and name not in self.variables:
                self.names[node] = whole
                args = tuple(self.known(self.of(child)) for child in node.args)
                return self.resolve(node, whole, args, member=False)
        if node.function not in self.functions:
            if target is not None:
                self.of(target)
            for child in node.args:
                self.of(child)
            return self.undeclared(node.at, node.function)
        children = node.args if target is None else (target, *node.args)
        given = tuple(self.known(self.of(child)) for child in children)
        return self.resolve(node, node.function, given, member=target is not None)

    def resolve(self, node: Call, name: str, given: tuple[Type, ...], member: bool) -> Type:
        """The result of a call: of every overload that its arguments fit."""
        result: Type | None = None
        fitting: list[Overload] = []
        for overload in self.functions[name]:
            if overload.member != member or len(overload.params) != len(given):
                continue
            params, wanted_result = self.instance(overload)
            bound = dict(self.bound)
            if not all(bind(bound, kind, wanted) for kind, wanted in zip(given, params, strict=True)):
                continue
            fitting.append(overload)
            self.bound = bound
            here = substitute(bound, wanted_result)
            if result is None:
                result = here
            elif not result.dynamic and result != here:
                result = DYN
        if result is None:
            if any(kind is ERROR for kind in given):
                return ERROR
            return self.wrong(
                node.at, f"found no matching overload for '{name}' applied to '{signature(given, member)}'"
            )
        self.overloads[node] = tuple(fitting)
        return result

    def instance(self, overload: Overload) -> tuple[tuple[Type, ...], Type]:
        """An overload's parameters and result with type parameters of their own."""
        names = {param.name for kind in (*overload.params, overload.result) for param in _parameters(kind)}
        if not names:
            return overload.params, overload.result
        self.fresh += 1
        own = {name: types.parameter(f"_{name}{self.fresh}") for name in sorted(names)}
        return tuple(substitute(own, kind) for kind in overload.params), substitute(own, overload.result)

    @rule.register
    def _(self, node: Loop) -> Type:
        source = self.known(self.of(node.source))
        first, second = self.ranged(node, source)
        shadowed = {name: self.variables.get(name) for name in (node.first, node.second) if name}
        self.variables[node.first] = first
        if node.second:
            self.variables[node.second] = second
        try:
            return self.loop(node, first)
        finally:
            for name, before in shadowed.items():
                if before is None:
                    del self.variables[name]
                else:
                    self.variables[name] = before

    def ranged(self, node: Loop, source: Type) -> tuple[Type, Type]:
        """What the variables of a loop hold."""
        if source.kind == "list":
            return (types.INT, source.params[0]) if node.second else (source.params[0], source.params[0])
        if source.kind == "map":
            return source.params[0], source.params[1]
        if source.dynamic or source.kind == "param":
            return DYN, DYN
        text = f"expression of type '{source}' cannot be range of a comprehension (must be list, map, or dynamic)"
        self.wrong(node.source.at, text)
        return ERROR, ERROR

    def loop(self, node: Loop, first: Type) -> Type:
        if node.condition is not None:
            found = self.known(self.of(node.condition))
            if not self.accepts(found, BOOL):
                self.condition_refused(node, found)
        if node.body is None:
            return types.list_of(first) if node.kind == "filter" else BOOL
        body = self.known(self.of(node.body))
        if node.kind == "transformMap":
            key = self.variables[node.first]
            return types.map_of(key, body)
        return body if node.kind == "transformMapEntry" else types.list_of(body)

    def condition_refused(self, node: Loop, found: Type) -> None:
        """The message is about the operator that the macro uses."""
        assert node.condition is not None
        operator, given = {
            "all": ("_&&_", f"(bool, {found})"),
            "exists": ("_||_", f"(bool, {found})"),
        }.get(node.kind, ("_?_:_", f"({found}, {'int, int' if node.kind == 'exists_one' else 'list(dyn), list(dyn)'})"))
        self.wrong(node.at, f"found no matching overload for '{operator}' applied to '{given}'")

    @rule.register
    def _(self, node: Bind) -> Type:
        value = self.known(self.of(node.value))
        if node.kind != "bind":
            if value.kind != "optional" and not value.dynamic:
                text = f"found no matching overload for '{node.kind}' applied to '{signature((value, DYN, DYN), True)}'"
                return self.wrong(node.at, text)
            value = value.params[0] if value.kind == "optional" else DYN
        before = self.variables.get(node.name)
        self.variables[node.name] = value
        body = self.known(self.of(node.body))
        if before is None:
            del self.variables[node.name]
        else:
            self.variables[node.name] = before
        return types.optional_of(body) if node.kind == "optMap" else body


def _parameters(kind: Type) -> list[Type]:
    return [kind] if kind.kind == "param" else [found for inner in kind.params for found in _parameters(inner)]


def signature(given: tuple[Type, ...], member: bool) -> str:
    """Arguments as a message shows them: ``(int, string)``, ``string.(int)``."""
    shown = [str(substitute({}, kind, True)) if kind.kind == "param" else str(kind) for kind in given]
    return f"{shown[0]}.({', '.join(shown[1:])})" if member else f"({', '.join(shown)})"
