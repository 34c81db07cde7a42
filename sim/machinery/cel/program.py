"""From a checked expression to Python closures that evaluate it and count what that costs.

Source: github.com/google/cel-go/interpreter (planner.go, interpretable.go, attributes.go, runtimecost.go). What
upstream finds out at every evaluation (which overload, whether an operand may be optional) is settled here once, where
the types say it. *Not modelled*: constant folding, which upstream's costs do not show either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seatrial.sim.machinery.cel import loops
from seatrial.sim.machinery.cel.checker import TYPE_NAMES, Checked
from seatrial.sim.machinery.cel.declarations import Overload
from seatrial.sim.machinery.cel.errors import COST_EXCEEDED, NO_OVERLOAD, CostExceeded, EvaluationError
from seatrial.sim.machinery.cel.frame import Frame, Run
from seatrial.sim.machinery.cel.macros import constant
from seatrial.sim.machinery.cel.naming import unescaped
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
from seatrial.sim.machinery.cel.values import KIND_NAMES, NONE, Optional, TypeValue, contains, fits, type_name

LIST_COST, MAP_COST, STRUCT_COST = 10, 30, 40
"""What building a list, map or object costs (common.ListCreateBaseCost and its like)."""
CALL_LIMIT = 1_000_000
"""What one evaluation may cost (k8s.io/apiserver/pkg/apis/cel.PerCallLimit)."""

Struct = Callable[[str, dict[str, Any]], Any]
"""Builds an object from its type's name and fields."""


class Program:
    """A compiled expression."""

    __slots__ = ("_run", "checked", "source")

    def __init__(self, source: str, checked: Checked, struct: Struct) -> None:
        self.source = source
        self.checked = checked
        self._run = _Planner(checked, struct).plan(checked.tree)

    @property
    def result(self) -> Type:
        """The type of what it evaluates to."""
        return self.checked.result

    def evaluate(self, bindings: dict[str, Any], limit: int = CALL_LIMIT) -> Any:
        """The value. Raises EvaluationError."""
        return self.measured(bindings, limit)[0]

    def measured(self, bindings: dict[str, Any], limit: int = CALL_LIMIT) -> tuple[Any, int]:
        """The value and what it cost. Raises EvaluationError, whose ``cost`` tells the same.

        Loops put their variables into the bindings while they run, and leave them as they were.
        """
        frame = Frame(bindings, limit)
        try:
            value = self._run(frame)
        except EvaluationError as error:
            error.cost = frame.cost
            raise
        except (TypeError, AttributeError, RecursionError):
            failure = EvaluationError(NO_OVERLOAD)
            failure.cost = frame.cost
            raise failure from None
        if frame.cost > limit:
            failure = CostExceeded(COST_EXCEEDED)
            failure.cost = frame.cost
            raise failure
        return value, frame.cost


class _Planner:
    def __init__(self, checked: Checked, struct: Struct) -> None:
        self.checked = checked
        self.struct = struct
        self.plans: dict[type[Node], Callable[[Any], Run]] = {
            Literal: self.literal,
            Ident: self.ident,
            Select: self.select,
            Call: self.call,
            ListLiteral: self.list,
            MapLiteral: self.map,
            StructLiteral: self.structure,
            Loop: lambda node: loops.plan(node, self.plan),
            Bind: self.bind,
        }

    def plan(self, node: Node) -> Run:
        return self.plans[type(node)](node)

    def type(self, node: Node) -> Type:
        return self.checked.types[node]

    def literal(self, node: Literal) -> Run:
        value = node.value
        return lambda frame: value

    def ident(self, node: Ident) -> Run:
        return self.variable(node, node.name)

    def variable(self, node: Node, name: str) -> Run:
        kind = self.type(node)
        if kind.kind == "type" and name in TYPE_NAMES:
            named = TYPE_NAMES[name]
            value = TypeValue(KIND_NAMES.get(named.kind, named.name))
            return lambda frame: value

        def run(frame: Frame) -> Any:
            frame.cost += 1
            try:
                return frame.vars[name]
            except KeyError:
                raise EvaluationError(f"no such attribute(s): {name}") from None

        return run

    def select(self, node: Select) -> Run:
        if node in self.checked.names:
            return self.variable(node, self.checked.names[node])
        operand, kind = self.plan(node.operand), self.type(node.operand).kind
        field = unescaped(node.field) if kind == "object" else node.field
        if node.test:
            return lambda frame: _present(operand(frame), field)
        if node.optional or kind == "optional":
            return lambda frame: _optional_field(frame, operand(frame), field)
        uncertain = kind != "object" and kind != "map"

        def run(frame: Frame) -> Any:
            value = operand(frame)
            frame.cost += 1
            if uncertain and isinstance(value, Optional):
                return _optional_field(frame, value, field)
            try:
                return value[field]
            except (KeyError, TypeError, IndexError):
                raise EvaluationError(f"no such key: {field}") from None

        return run

    def call(self, node: Call) -> Run:
        name = self.checked.names.get(node, node.function)
        children = node.args if node.target is None or node in self.checked.names else (node.target, *node.args)
        if name == "_&&_":
            return loops.both(self.plan(children[0]), self.plan(children[1]), False)
        if name == "_||_":
            return loops.both(self.plan(children[0]), self.plan(children[1]), True)
        if name == "_?_:_":
            return self.choice(*map(self.plan, children))
        if name in ("orValue", "or") and len(children) == 2:
            return self.fallback(name, self.plan(children[0]), self.plan(children[1]))
        overloads = self.checked.overloads[node]
        runs = tuple(map(self.plan, children))
        same = all(entry.call is overloads[0].call for entry in overloads)
        if not same:
            return _chosen(name, overloads, runs)
        guards = tuple(
            (position, wanted)
            for position, (child, wanted) in enumerate(zip(children, overloads[0].params, strict=True))
            if self.type(child).dynamic and wanted.kind not in ("dyn", "param")
        )
        if len(overloads) > 1 or name.startswith(("_", "@", "!", "-")):
            guards = ()
        pattern = constant(children[-1]) if name == "matches" else None
        if isinstance(pattern, str) and not guards:
            return _matching(pattern, runs[0], overloads[0])
        return _called(name, overloads[0], runs, guards, counted=len(overloads) == 1)

    @staticmethod
    def choice(condition: Run, left: Run, right: Run) -> Run:
        def run(frame: Frame) -> Any:
            value = condition(frame)
            if value is True:
                return left(frame)
            if value is False:
                return right(frame)
            raise EvaluationError(NO_OVERLOAD)

        return run

    @staticmethod
    def fallback(name: str, first: Run, second: Run) -> Run:
        """opt.orValue(x) and opt.or(opt): the second is evaluated only when it is needed."""
        unwrap = name == "orValue"

        def run(frame: Frame) -> Any:
            value = first(frame)
            if not isinstance(value, Optional):
                raise EvaluationError(f"{NO_OVERLOAD}: {name}({type_name(value)})")
            if value.present:
                return value.value if unwrap else value
            return second(frame)

        return run

    def list(self, node: ListLiteral) -> Run:
        runs = tuple(map(self.plan, node.elements))
        optional = node.optional
        if not optional:

            def plain(frame: Frame) -> Any:
                frame.cost += LIST_COST
                return [run(frame) for run in runs]

            return plain

        def run(frame: Frame) -> Any:
            frame.cost += LIST_COST
            found: list[Any] = []
            for position, element in enumerate(runs):
                value = element(frame)
                if position not in optional:
                    found.append(value)
                elif value.present:
                    found.append(value.value)
            return found

        return run

    def map(self, node: MapLiteral) -> Run:
        rows = tuple((self.plan(entry.key), self.plan(entry.value), entry.optional) for entry in node.entries)

        def run(frame: Frame) -> Any:
            frame.cost += MAP_COST
            found: dict[Any, Any] = {}
            for key_of, value_of, optional in rows:
                key, value = key_of(frame), value_of(frame)
                if optional and not value.present:
                    continue
                if contains(found, key):
                    raise EvaluationError(f"insert failed: key {key} already exists")
                found[key] = value.value if optional else value
            return found

        return run

    def structure(self, node: StructLiteral) -> Run:
        rows = tuple((entry.name, self.plan(entry.value), entry.optional) for entry in node.entries)
        build, name = self.struct, node.name

        def run(frame: Frame) -> Any:
            frame.cost += STRUCT_COST
            fields: dict[str, Any] = {}
            for field, value_of, optional in rows:
                value = value_of(frame)
                if not optional:
                    fields[field] = value
                elif value.present:
                    fields[field] = value.value
            return build(name, fields)

        return run

    def bind(self, node: Bind) -> Run:
        value_of, body, name, kind = self.plan(node.value), self.plan(node.body), node.name, node.kind

        def run(frame: Frame) -> Any:
            value = value_of(frame)
            if kind != "bind":
                if not isinstance(value, Optional):
                    raise EvaluationError(NO_OVERLOAD)
                if not value.present:
                    return NONE
                value = value.value
            with frame.scope(name):
                frame.vars[name] = value
                result = body(frame)
            return Optional((result,)) if kind == "optMap" else result

        return run


def _present(value: Any, field: str) -> bool:
    if isinstance(value, Optional):
        return value.present and _present(value.value, field)
    if isinstance(value, dict):
        return field in value
    raise EvaluationError(f"no such key: {field}")


def _optional_field(frame: Frame, value: Any, field: str) -> Optional:
    frame.cost += 1
    if isinstance(value, Optional):
        if not value.present:
            return NONE
        value = value.value
    if isinstance(value, dict):
        try:
            return Optional((value[field],))
        except KeyError:
            return NONE
    return NONE if value is None else _not_selectable(value, field)


def _not_selectable(value: Any, field: str) -> Optional:
    raise EvaluationError(f"no such key: {field}")


def _no_overload(name: str, args: list[Any] | tuple[Any, ...]) -> EvaluationError:
    return EvaluationError(f"{NO_OVERLOAD}: {name}({', '.join(map(type_name, args))})")


def _called(
    name: str, overload: Overload, runs: tuple[Run, ...], guards: tuple[tuple[int, Type], ...], counted: bool
) -> Run:
    """A call whose meaning is settled, but for arguments that may turn out to be of the wrong type."""
    function, cost = overload.call, overload.cost if counted else None
    if len(runs) == 2 and not guards and cost is None:
        left, right = runs

        def binary(frame: Frame) -> Any:
            frame.cost += 1
            return function(left(frame), right(frame))

        return binary

    def run(frame: Frame) -> Any:
        args = [run(frame) for run in runs]
        for position, wanted in guards:
            if not fits(args[position], wanted):
                raise _no_overload(name, args)
        result = function(*args)
        frame.spend(1 if cost is None else cost(args, result))
        return result

    return run


def _matching(pattern: str, text_of: Run, overload: Overload) -> Run:
    cost = overload.cost
    assert cost is not None

    def run(frame: Frame) -> Any:
        text = text_of(frame)
        if not isinstance(text, str):
            raise _no_overload("matches", (text, pattern))
        frame.spend(cost((text, pattern), None))
        return overload.call(text, pattern)

    return run


def _chosen(name: str, overloads: tuple[Overload, ...], runs: tuple[Run, ...]) -> Run:
    """A call that means one thing or another, depending on its arguments."""

    def run(frame: Frame) -> Any:
        args = [run(frame) for run in runs]
        for overload in overloads:
            if all(map(fits, args, overload.params)):
                result = overload.call(*args)
                frame.spend(1 if overload.cost is None else overload.cost(args, result))
                return result
        raise _no_overload(name, args)

    return run
