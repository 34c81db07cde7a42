"""Optional values: optional.of, .or, .orValue, .value and what may or may not be in a container.

Source: github.com/google/cel-go/cel (library.go, OptionalTypes).
"""

from __future__ import annotations

from typing import Any

from seatrial.sim.machinery.cel.declarations import overload
from seatrial.sim.machinery.cel.standard import find, index
from seatrial.sim.machinery.cel.values import NONE, Optional, is_zero


def of(value: Any) -> Optional:
    return Optional((value,))


def of_non_zero(value: Any) -> Optional:
    return NONE if is_zero(value) else Optional((value,))


def value(held: Optional) -> Any:
    return held.value


def otherwise(held: Optional, other: Any) -> Any:
    return held if held.present else other


def or_value(held: Optional, other: Any) -> Any:
    return held.value if held.present else other


def unwrap(values: list[Optional]) -> list[Any]:
    return [held.value for held in values if held.present]


LIBRARY = (
    overload("optional.of", "optional_of", "(V): optional(V)", of),
    overload("optional.ofNonZeroValue", "optional_ofNonZeroValue", "(V): optional(V)", of_non_zero),
    overload("optional.none", "optional_none", "(): optional(V)", lambda: NONE),
    overload("optional.unwrap", "optional_unwrap", "(list(optional(V))): list(V)", unwrap),
    overload("unwrapOpt", "optional_unwrapOpt", "list(optional(V)).(): list(V)", unwrap),
    overload("value", "optional_value", "optional(V).(): V", value),
    overload("hasValue", "optional_hasValue", "optional(V).(): bool", lambda held: held.present),
    overload("or", "optional_or_optional", "optional(V).(optional(V)): optional(V)", otherwise),
    overload("orValue", "optional_orValue_value", "optional(V).(V): V", or_value),
    overload("_[?_]", "list_optindex_optional_int", "(list(V), int): optional(V)", find),
    overload("_[?_]", "optional_list_optindex_optional_int", "(optional(list(V)), int): optional(V)", find),
    overload("_[?_]", "map_optindex_optional_value", "(map(K, V), K): optional(V)", find),
    overload("_[?_]", "optional_map_optindex_optional_value", "(optional(map(K, V)), K): optional(V)", find),
    overload("_[_]", "optional_list_index_int", "(optional(list(V)), int): optional(V)", index),
    overload("_[_]", "optional_map_index_value", "(optional(map(K, V)), K): optional(V)", index),
    overload("first", "list_first", "list(V).(): optional(V)", lambda items: find(items, 0)),
    overload("last", "list_last", "list(V).(): optional(V)", lambda items: find(items, len(items) - 1)),
)
