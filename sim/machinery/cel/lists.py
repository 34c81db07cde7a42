"""Functions over lists: order, sums, extremes, positions; and lists as sets.

Source: k8s.io/apiserver/pkg/cel/library (lists.go) and github.com/google/cel-go/ext (sets.go).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import reduce
from typing import Any

from seatrial.sim.machinery.cel.declarations import Overload, elements, overload
from seatrial.sim.machinery.cel.errors import EvaluationError
from seatrial.sim.machinery.cel.standard import add
from seatrial.sim.machinery.cel.values import Duration, Uint, compare, contains, equal, size_of


def is_sorted(items: list[Any]) -> bool:
    return all(compare(a, b) <= 0 for a, b in itertools.pairwise(items))


def extreme(name: str, sign: int) -> Any:
    def call(items: list[Any]) -> Any:
        if not items:
            raise EvaluationError(f"{name} called on empty list")
        return reduce(lambda best, item: item if compare(item, best) * sign > 0 else best, items)

    return call


minimum, maximum = extreme("min", -1), extreme("max", 1)


def total(zero: Any) -> Any:
    return lambda items: reduce(add, items, zero)


def index_of(items: list[Any], wanted: Any) -> int:
    return next((at for at, item in enumerate(items) if equal(item, wanted)), -1)


def last_index_of(items: list[Any], wanted: Any) -> int:
    return next((at for at in range(len(items) - 1, -1, -1) if equal(items[at], wanted)), -1)


def holds_all(items: list[Any], wanted: list[Any]) -> bool:
    return all(contains(items, element) for element in wanted)


def _product(args: Sequence[Any], result: Any) -> int:
    return size_of(args[0]) * size_of(args[1]) or 1


def _both_ways(args: Sequence[Any], result: Any) -> int:
    return 2 * _product(args, result)


ORDERED = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")
SUMS = {"int": 0, "uint": Uint(0), "double": 0.0, "duration": Duration(0)}


def _lists() -> list[Overload]:
    found = []
    for kind in ORDERED:
        found.append(overload("isSorted", f"list_{kind}_is_sorted_bool", f"list({kind}).(): bool", is_sorted, elements))
        found.append(overload("min", f"list_{kind}_min_{kind}", f"list({kind}).(): {kind}", minimum, elements))
        found.append(overload("max", f"list_{kind}_max_{kind}", f"list({kind}).(): {kind}", maximum, elements))
    for kind, zero in SUMS.items():
        found.append(overload("sum", f"list_{kind}_sum_{kind}", f"list({kind}).(): {kind}", total(zero), elements))
    return found


LIBRARY = (
    *_lists(),
    overload("indexOf", "list_a_index_of_int", "list(T).(T): int", index_of, elements),
    overload("lastIndexOf", "list_a_last_index_of_int", "list(T).(T): int", last_index_of, elements),
    overload("sets.contains", "list_sets_contains_list", "(list(T), list(T)): bool", holds_all, _product),
    overload(
        "sets.equivalent",
        "list_sets_equivalent_list",
        "(list(T), list(T)): bool",
        lambda a, b: holds_all(a, b) and holds_all(b, a),
        _both_ways,
    ),
    overload(
        "sets.intersects",
        "list_sets_intersects_list",
        "(list(T), list(T)): bool",
        lambda a, b: any(contains(a, element) for element in b),
        _product,
    ),
)
