"""Macros: calls that are rewritten before anything is typed.

Source: github.com/google/cel-go/parser (macro.go) and …/ext (comprehensions.go, bindings.go, optional macros of
…/cel/library.go).
"""

from __future__ import annotations

from typing import Protocol

from seatrial.sim.machinery.cel.syntax import Bind, Call, Ident, Literal, Loop, Node, Select

ONE_VARIABLE = {"all": 2, "exists": 2, "exists_one": 2, "existsOne": 2, "filter": 2}
TWO_VARIABLES = {"all": 3, "exists": 3, "existsOne": 3, "exists_one": 3}
TRANSFORMS = ("transformList", "transformMap", "transformMapEntry")
ACCUMULATOR = ("__result__", "@result")


class Refuser(Protocol):
    """Who takes note of a mistake."""

    def refuse(self, at: int, text: str) -> Node:
        """Notes it; returns what stands for the mistaken expression."""


def expand(parser: Refuser, at: int, name: str, target: Node | None, args: tuple[Node, ...]) -> Node:
    """The call, or what the macro of that name and number of arguments makes of it."""
    count = len(args)
    if target is None:
        if name == "has" and count == 1:
            return _has(parser, at, args[0])
        return Call(at, name, None, args)
    if count == 2 and name in ONE_VARIABLE:
        kind = "exists_one" if name == "existsOne" else name
        return _loop(parser, at, kind, target, args[:1], args[1], None)
    if name == "map" and count in (2, 3):
        return _loop(parser, at, "map", target, args[:1], args[1] if count == 3 else None, args[-1])
    if count == 3 and name in TWO_VARIABLES:
        kind = "exists_one" if name == "existsOne" else name
        return _loop(parser, at, kind, target, args[:2], args[2], None)
    if name in TRANSFORMS and count in (3, 4):
        return _loop(parser, at, name, target, args[:2], args[2] if count == 4 else None, args[-1])
    if name in ("optMap", "optFlatMap") and count == 2:
        if not isinstance(args[0], Ident):
            return parser.refuse(args[0].at, f"{name}() variable name must be a simple identifier")
        return Bind(at, args[0].name, target, args[1], name)
    if name == "bind" and count == 3 and isinstance(target, Ident) and target.name == "cel":
        if not isinstance(args[0], Ident):
            return parser.refuse(args[0].at, "cel.bind() variable names must be simple identifiers")
        return Bind(at, args[0].name, args[1], args[2])
    return Call(at, name, target, args)


def _has(parser: Refuser, at: int, arg: Node) -> Node:
    if isinstance(arg, Select) and not arg.test:
        return Select(at, arg.operand, arg.field, test=True, optional=arg.optional)
    return parser.refuse(arg.at, "invalid argument to has() macro")


def _loop(
    parser: Refuser,
    at: int,
    kind: str,
    source: Node,
    names: tuple[Node, ...],
    condition: Node | None,
    body: Node | None,
) -> Node:
    found: list[str] = []
    for name in names:
        if not isinstance(name, Ident):
            what = "argument must be a simple name" if len(names) == 1 else "argument must be an identifier"
            return parser.refuse(name.at, what)
        if name.name in ACCUMULATOR:
            return parser.refuse(name.at, "iteration variable overwrites accumulator variable")
        if name.name in found:
            return parser.refuse(name.at, f"duplicate variable name: {name.name}")
        found.append(name.name)
    return Loop(at, kind, source, found[0], found[1] if len(found) > 1 else "", condition, body)


def qualified(node: Node) -> str:
    """``a.b.c`` for a chain of plain selections; empty for anything else."""
    if isinstance(node, Ident):
        return node.name
    if isinstance(node, Select) and not node.test and not node.optional:
        inner = qualified(node.operand)
        return f"{inner}.{node.field}" if inner else ""
    return ""


def constant(node: Node) -> object:
    """The value of a literal; None for anything else."""
    return node.value if isinstance(node, Literal) else None
