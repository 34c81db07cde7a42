"""Logic that absorbs errors, and the loops of macros.

``a && b`` is false when either side is, whatever becomes of the other; ``all`` and ``exists`` follow suit. Each round
costs what upstream's expansion of the macro into a comprehension costs (…/interpreter/runtimecost.go).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seatrial.sim.machinery.cel.errors import NO_OVERLOAD, CostExceeded, EvaluationError
from seatrial.sim.machinery.cel.frame import Frame, Run
from seatrial.sim.machinery.cel.syntax import Loop, Node
from seatrial.sim.machinery.cel.values import contains


def both(left: Run, right: Run, decisive: bool) -> Run:
    """``&&`` (decided by False) and ``||`` (decided by True)."""

    def run(frame: Frame) -> Any:
        failure: EvaluationError | None = None
        value: Any
        try:
            value = left(frame)
        except CostExceeded:
            raise
        except EvaluationError as error:
            failure, value = error, None
        if value is decisive:
            return decisive
        try:
            other = right(frame)
        except CostExceeded:
            raise
        except EvaluationError as error:
            raise failure or error from None
        if other is decisive:
            return decisive
        if failure is not None:
            raise failure
        if not isinstance(value, bool) or not isinstance(other, bool):
            raise EvaluationError(NO_OVERLOAD)
        return not decisive

    return run


def plan(node: Loop, plan_node: Callable[[Node], Run]) -> Run:
    """The loop of a macro."""
    source = plan_node(node.source)
    condition = plan_node(node.condition) if node.condition is not None else None
    body = plan_node(node.body) if node.body is not None else None
    names = (node.first, node.second) if node.second else (node.first,)
    inner = LOOPS[node.kind](names, condition, body)

    def run(frame: Frame) -> Any:
        container = source(frame)
        if not isinstance(container, list | dict):
            raise EvaluationError(NO_OVERLOAD)
        with frame.scope(*names):
            return inner(frame, container)

    return run


Rounds = Callable[[Frame, Any], Any]


def _rounds(names: tuple[str, ...], container: Any) -> Any:
    """What the variables hold, round by round."""
    if len(names) == 1:
        return container
    return container.items() if isinstance(container, dict) else enumerate(container)


def _set(frame: Frame, names: tuple[str, ...], item: Any) -> None:
    if len(names) == 1:
        frame.vars[names[0]] = item
    else:
        frame.vars[names[0]], frame.vars[names[1]] = item


def _decided(decisive: bool, round_cost: int) -> Callable[..., Rounds]:
    def make(names: tuple[str, ...], condition: Run, body: Run | None) -> Rounds:
        def run(frame: Frame, container: Any) -> Any:
            failure: EvaluationError | None = None
            for item in _rounds(names, container):
                _set(frame, names, item)
                frame.spend(round_cost)
                try:
                    value = condition(frame)
                except CostExceeded:
                    raise
                except EvaluationError as error:
                    failure = failure or error
                    continue
                if value is decisive:
                    frame.cost += round_cost
                    return decisive
                if not isinstance(value, bool):
                    failure = failure or EvaluationError(NO_OVERLOAD)
            frame.cost += 1
            if failure is not None:
                raise failure
            return not decisive

        return run

    return make


def _held(condition: Run, frame: Frame) -> bool:
    value = condition(frame)
    if not isinstance(value, bool):
        raise EvaluationError(NO_OVERLOAD)
    return value


def _one(names: tuple[str, ...], condition: Run, body: Run | None) -> Rounds:
    def run(frame: Frame, container: Any) -> bool:
        count = 0
        for item in _rounds(names, container):
            _set(frame, names, item)
            held = _held(condition, frame)
            count += held
            frame.spend(2 if held else 1)
        frame.cost += 2
        return count == 1

    return run


def _filter(names: tuple[str, ...], condition: Run, body: Run | None) -> Rounds:
    def run(frame: Frame, container: Any) -> list[Any]:
        frame.cost += 11
        found = []
        for item in _rounds(names, container):
            _set(frame, names, item)
            held = _held(condition, frame)
            frame.spend(13 if held else 1)
            if held:
                found.append(item)
        return found

    return run


def _map(names: tuple[str, ...], condition: Run | None, body: Run) -> Rounds:
    def run(frame: Frame, container: Any) -> list[Any]:
        frame.cost += 11
        found = []
        for item in _rounds(names, container):
            _set(frame, names, item)
            if condition is not None and not _held(condition, frame):
                frame.spend(1)
                continue
            found.append(body(frame))
            frame.spend(12)
        return found

    return run


def _transform_map(names: tuple[str, ...], condition: Run | None, body: Run) -> Rounds:
    def run(frame: Frame, container: Any) -> dict[Any, Any]:
        frame.cost += 31
        found: dict[Any, Any] = {}
        for item in _rounds(names, container):
            _set(frame, names, item)
            if condition is not None and not _held(condition, frame):
                frame.spend(1)
                continue
            found[item[0]] = body(frame)
            frame.spend(2)
        return found

    return run


def _transform_entries(names: tuple[str, ...], condition: Run | None, body: Run) -> Rounds:
    def run(frame: Frame, container: Any) -> dict[Any, Any]:
        frame.cost += 31
        found: dict[Any, Any] = {}
        for item in _rounds(names, container):
            _set(frame, names, item)
            if condition is not None and not _held(condition, frame):
                frame.spend(1)
                continue
            for key, value in body(frame).items():
                if contains(found, key):
                    raise EvaluationError(f"insert failed: key {key} already exists")
                found[key] = value
            frame.spend(2)
        return found

    return run


LOOPS: dict[str, Callable[..., Rounds]] = {
    "all": _decided(False, 3),
    "exists": _decided(True, 4),
    "exists_one": _one,
    "filter": _filter,
    "map": _map,
    "transformList": _map,
    "transformMap": _transform_map,
    "transformMapEntry": _transform_entries,
}
