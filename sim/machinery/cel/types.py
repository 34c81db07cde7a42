"""Types of the expression language: what a value is known to be before there is one.

Source: github.com/google/cel-go/common/types (types.go) and …/checker (types.go). A type is an immutable value; the
fields of an object type are looked up when they are first asked for, since schemas may contain themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

SIMPLE = ("dyn", "null", "bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration", "error")

RUNTIME_NAMES = {
    "null": "null_type",
    "timestamp": "google.protobuf.Timestamp",
    "duration": "google.protobuf.Duration",
}
"""Names of types that a program sees, where they are not the ones in a checker's messages."""


class Type:
    """A type: its kind, the name of an object, opaque type or parameter, and what it is made of."""

    __slots__ = ("_fields", "_found", "kind", "limits", "name", "params")

    def __init__(
        self,
        kind: str,
        name: str = "",
        params: tuple[Type, ...] = (),
        fields: Callable[[], Mapping[str, Type]] | None = None,
        limits: tuple[int, int] | None = None,
    ) -> None:
        self.kind = kind
        self.name = name or kind
        self.params = params
        self._fields = fields
        self._found: Mapping[str, Type] | None = None
        self.limits = limits
        """The least and greatest size a value can have, where the schema says so."""

    @property
    def fields(self) -> Mapping[str, Type]:
        if self._found is None:
            self._found = self._fields() if self._fields is not None else {}
        return self._found

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Type):
            return False
        return self.kind == other.kind and self.name == other.name and self.params == other.params

    def __hash__(self) -> int:
        return hash((self.kind, self.name, self.params))

    def __str__(self) -> str:
        """The type in the words of the checker: ``map(string, dyn)``."""
        if not self.params:
            return self.name
        return f"{self.name}({', '.join(map(str, self.params))})"

    __repr__ = __str__

    @property
    def dynamic(self) -> bool:
        """Whether nothing is known, so that anything goes."""
        return self.kind in ("dyn", "error")


DYN, NULL, BOOL, INT, UINT, DOUBLE, STRING, BYTES, TIMESTAMP, DURATION, ERROR = map(Type, SIMPLE)


@cache
def list_of(element: Type) -> Type:
    return Type("list", params=(element,))


@cache
def map_of(key: Type, value: Type) -> Type:
    return Type("map", params=(key, value))


@cache
def optional_of(value: Type) -> Type:
    return Type("optional", "optional_type", (value,))


@cache
def type_of(value: Type) -> Type:
    return Type("type", params=(value,))


@cache
def opaque(name: str) -> Type:
    return Type("opaque", name)


@cache
def parameter(name: str) -> Type:
    return Type("param", name)


def object_of(name: str, fields: Callable[[], Mapping[str, Type]] | Mapping[str, Type]) -> Type:
    """An object with named fields, which may be found later."""
    if callable(fields):
        return Type("object", name, fields=fields)
    return Type("object", name, fields=lambda: fields)


NULLABLE = ("object", "timestamp", "duration", "opaque", "null", "optional")

Bound = dict[str, Type]
"""What type parameters stand for."""


def bind(bound: Bound, given: Type, wanted: Type) -> bool:
    """Whether a value of one type can go where another is wanted; parameters are bound on the way."""
    if wanted.kind == "param":
        return _bind_parameter(bound, wanted, given)
    if given.kind == "param":
        return _bind_parameter(bound, given, wanted)
    if given.dynamic or wanted.dynamic:
        return True
    if given.kind == "null" or wanted.kind == "null":
        return given.kind in NULLABLE and wanted.kind in NULLABLE
    if given.kind != wanted.kind or len(given.params) != len(wanted.params):
        return False
    if given.kind in ("object", "opaque") and given.name != wanted.name:
        return False
    if given.kind == "type":
        return True
    return all(bind(bound, inner, outer) for inner, outer in zip(given.params, wanted.params, strict=True))


def _bind_parameter(bound: Bound, param: Type, given: Type) -> bool:
    if given.kind == "param" and given.name == param.name:
        return True
    held = bound.get(param.name)
    if held is None:
        bound[param.name] = given
        return True
    if not bind(bound, given, held):
        return False
    bound[param.name] = most_general(given, held)
    return True


def most_general(left: Type, right: Type) -> Type:
    """The one of two compatible types that says less."""
    if left.dynamic or right.dynamic:
        return DYN
    if left.kind == "param":
        return right
    if left.kind == "null":
        return right
    if right.kind in ("null", "param", "type") or len(left.params) != len(right.params):
        return left
    inner = tuple(most_general(a, b) for a, b in zip(left.params, right.params, strict=True))
    return left if inner == left.params else Type(left.kind, left.name, inner)


def substitute(bound: Bound, wanted: Type, free_is_dyn: bool = False) -> Type:
    """The type with its parameters replaced by what they stand for."""
    if wanted.kind == "param":
        held = bound.get(wanted.name)
        if held is None:
            return DYN if free_is_dyn else wanted
        return wanted if held == wanted else substitute(bound, held, free_is_dyn)
    if not wanted.params:
        return wanted
    inner = tuple(substitute(bound, param, free_is_dyn) for param in wanted.params)
    return wanted if inner == wanted.params else Type(wanted.kind, wanted.name, inner, wanted._fields, wanted.limits)
