"""Values at run time: plain JSON-like Python values, and a few types that JSON has not.

Source: github.com/google/cel-go/common/types. Integers are Python's within 64 bits, ``Uint`` sets unsigned ones apart;
equality, order and conversion follow the language, not Python: 1 == 1.0 holds, true == 1 does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seatrial.sim.machinery.cel.errors import NO_OVERLOAD, EvaluationError
from seatrial.sim.machinery.cel.types import RUNTIME_NAMES, Type

INT_MIN, INT_MAX, UINT_MAX = -(2**63), 2**63 - 1, 2**64 - 1


class Uint(int):
    """An unsigned integer."""

    __slots__ = ()


class Opaque:
    """A value of a library's own type: equal by ``key``."""

    __slots__ = ("key",)
    type_name = ""

    def __init__(self, key: Any) -> None:
        self.key = key

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


class Timestamp(Opaque):
    """A moment, in nanoseconds since the Unix epoch."""

    __slots__ = ()
    type_name = RUNTIME_NAMES["timestamp"]


class Duration(Opaque):
    """A length of time in nanoseconds."""

    __slots__ = ()
    type_name = RUNTIME_NAMES["duration"]


class TypeValue(Opaque):
    """A type as a value: what type(x) gives; the key is its name."""

    __slots__ = ()
    type_name = "type"


class Optional(Opaque):
    """Perhaps a value; the key is () or (value,)."""

    __slots__ = ()
    type_name = "optional_type"

    @property
    def present(self) -> bool:
        return bool(self.key)

    @property
    def value(self) -> Any:
        if not self.key:
            raise EvaluationError("optional.none() dereference")
        return self.key[0]


NONE = Optional(())


class SetList(list[Any]):
    """A list of x-kubernetes-list-type set: equal in any order; adding leaves out what is there."""

    __slots__ = ()


class MapList(list[Any]):
    """A list of x-kubernetes-list-type map: equal in any order; adding replaces elements of the same key."""

    __slots__ = ("keys",)

    def __init__(self, elements: Any, keys: tuple[str, ...]) -> None:
        super().__init__(elements)
        self.keys = keys

    def identity(self, element: Any) -> tuple[Any, ...]:
        return tuple(element.get(key) for key in self.keys)


NAMES: dict[type, str] = {
    bool: "bool", int: "int", Uint: "uint", float: "double", str: "string", bytes: "bytes", list: "list",
    dict: "map", SetList: "list", MapList: "list", type(None): "null_type",
}  # fmt: skip


def type_name(value: Any) -> str:
    """The name of a value's type as programs see it."""
    name = NAMES.get(type(value))
    if name is not None:
        return name
    if isinstance(value, Opaque):
        return value.type_name
    return "map" if isinstance(value, dict) else "list" if isinstance(value, list) else type(value).__name__


KIND_NAMES = {"null": "null_type", **RUNTIME_NAMES}


def fits(value: Any, wanted: Type) -> bool:
    """Whether a value can be an argument where a type is declared."""
    kind = wanted.kind
    if kind in ("dyn", "param", "error"):
        return True
    if kind in ("opaque", "optional"):
        return type_name(value) == wanted.name
    if kind == "object":
        return isinstance(value, dict)
    return type_name(value) == KIND_NAMES.get(kind, kind)


def equal(left: Any, right: Any) -> bool:
    """Equality of the language: numbers across types, containers by their elements, else only within a type."""
    a, b = type(left), type(right)
    if a is b:
        if a is str or a is int or a is bool or a is float:
            return bool(left == right)
        if a is dict:
            return len(left) == len(right) and all(k in right and equal(v, right[k]) for k, v in left.items())
        if a is SetList or a is MapList:
            return _same_members(left, right)
        if a is list:
            return len(left) == len(right) and all(map(equal, left, right))
        if a is Optional:
            return len(left.key) == len(right.key) and all(map(equal, left.key, right.key))
        return bool(left == right)
    if isinstance(left, int | float) and isinstance(right, int | float):
        return a is not bool and b is not bool and left == right
    if isinstance(left, list) and isinstance(right, list):
        return (
            _same_members(left, right)
            if a in (SetList, MapList)
            else len(left) == len(right) and all(map(equal, left, right))
        )
    return False


def _same_members(left: list[Any], right: list[Any]) -> bool:
    return len(left) == len(right) and all(any(equal(a, b) for b in right) for a in left)


def contains(container: Any, wanted: Any) -> bool:
    """``wanted in container``."""
    if isinstance(container, dict):
        return (type(wanted) is str and wanted in container) or (
            type(wanted) is not str and _has_key(container, wanted)
        )
    if isinstance(container, list):
        if type(wanted) is str:
            return wanted in container
        return any(equal(wanted, element) for element in container)
    raise EvaluationError(NO_OVERLOAD)


def _has_key(mapping: dict[Any, Any], wanted: Any) -> bool:
    try:
        return any(equal(key, wanted) for key in mapping) if wanted in mapping else False
    except TypeError:
        return False


def compare(left: Any, right: Any) -> int:
    """-1, 0 or 1. Raises EvaluationError for what has no order."""
    a, b = type(left), type(right)
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    if a is b or (numbers and a is not bool and b is not bool):
        if a in (int, str, float, bool, bytes, Uint) or numbers:
            return int((left > right) - (left < right))
        if a in (Timestamp, Duration):
            return int((left.key > right.key) - (left.key < right.key))
    raise EvaluationError(NO_OVERLOAD)


def is_zero(value: Any) -> bool:
    """Whether a value is the empty one of its type."""
    if isinstance(value, Duration):
        return bool(value.key == 0)
    if isinstance(value, Optional):
        return not value.present
    return not isinstance(value, Opaque) and not bool(value)


def size_of(value: Any) -> int:
    """The size that costs are reckoned with: of text, lists and maps; anything else counts as one."""
    kind = type(value)
    if kind is str or kind is dict or kind is list or kind is bytes or kind is SetList or kind is MapList:
        return len(value)
    if isinstance(value, Optional):
        return size_of(value.key[0]) if value.key else 1
    return int(getattr(value, "size", 1))


def checked(number: int) -> int:
    """An int within 64 bits. Raises EvaluationError."""
    if INT_MIN <= number <= INT_MAX:
        return number
    raise EvaluationError("integer overflow")


def checked_uint(number: int) -> Uint:
    if 0 <= number <= UINT_MAX:
        return Uint(number)
    raise EvaluationError("unsigned integer overflow")


Implementation = Callable[..., Any]
