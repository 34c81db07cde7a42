"""The standard functions and operators of the language.

Source: github.com/google/cel-go/common/stdlib. Operators choose by the values they get; what is wrong with these is
told as upstream's traits do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from seatrial.sim.machinery.cel import moments
from seatrial.sim.machinery.cel.declarations import (
    Overload,
    member_count,
    overload,
    pattern,
    smaller,
    substring,
    together,
    traversal,
)
from seatrial.sim.machinery.cel.errors import NO_OVERLOAD, EvaluationError
from seatrial.sim.machinery.cel.values import (
    INT_MAX,
    INT_MIN,
    NONE,
    UINT_MAX,
    Duration,
    MapList,
    Optional,
    SetList,
    Timestamp,
    TypeValue,
    Uint,
    checked,
    checked_uint,
    compare,
    contains,
    equal,
    type_name,
)
from seatrial.sim.machinery.regexps import compiled


def wrong() -> EvaluationError:
    return EvaluationError(NO_OVERLOAD)


def add(left: Any, right: Any) -> Any:
    a, b = type(left), type(right)
    if a is int and b is int:
        return checked(left + right)
    if a is b and (a is str or a is float or a is bytes):
        return left + right
    if a is Uint and b is Uint:
        return checked_uint(int(left) + int(right))
    if isinstance(left, list) and isinstance(right, list):
        return _joined(left, right)
    if a is Duration and b is Duration:
        return moments.checked_duration(left.key + right.key)
    if (a is Timestamp and b is Duration) or (a is Duration and b is Timestamp):
        return moments.checked_timestamp(left.key + right.key)
    raise wrong()


def _joined(left: list[Any], right: list[Any]) -> list[Any]:
    if isinstance(left, SetList):
        return SetList([*left, *(e for e in right if not contains(left, e))])
    if isinstance(left, MapList):
        position = {left.identity(element): index for index, element in enumerate(left)}
        merged = list(left)
        for element in right:
            key = left.identity(element)
            if key in position:
                merged[position[key]] = element
            else:
                merged.append(element)
        return MapList(merged, left.keys)
    return [*left, *right]


def subtract(left: Any, right: Any) -> Any:
    a, b = type(left), type(right)
    if a is int and b is int:
        return checked(left - right)
    if a is float and b is float:
        return left - right
    if a is Uint and b is Uint:
        return checked_uint(int(left) - int(right))
    if a is Timestamp and b is Timestamp:
        return moments.checked_duration(left.key - right.key)
    if a is Timestamp and b is Duration:
        return moments.checked_timestamp(left.key - right.key)
    if a is Duration and b is Duration:
        return moments.checked_duration(left.key - right.key)
    raise wrong()


def multiply(left: Any, right: Any) -> Any:
    a = type(left)
    if a is not type(right):
        raise wrong()
    if a is int:
        return checked(left * right)
    if a is float:
        return left * right
    if a is Uint:
        return checked_uint(int(left) * int(right))
    raise wrong()


def divide(left: Any, right: Any) -> Any:
    a = type(left)
    if a is not type(right):
        raise wrong()
    if a is float:
        if right == 0.0:
            return (
                math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left) * math.copysign(1, right)
            )
        return left / right
    if a is not int and a is not Uint:
        raise wrong()
    if right == 0:
        raise EvaluationError("division by zero")
    quotient = abs(int(left)) // abs(int(right))
    signed = -quotient if (left < 0) != (right < 0) else quotient
    return checked(signed) if a is int else checked_uint(signed)


def modulo(left: Any, right: Any) -> Any:
    a = type(left)
    if a is not type(right) or (a is not int and a is not Uint):
        raise wrong()
    if right == 0:
        raise EvaluationError("modulus by zero")
    rest = abs(int(left)) % abs(int(right))
    return Uint(rest) if a is Uint else (-rest if left < 0 else rest)


def negate(value: Any) -> Any:
    if type(value) is int:
        return checked(-value)
    if type(value) is float:
        return -value
    if type(value) is Duration:
        return moments.checked_duration(-value.key)
    raise wrong()


def invert(value: Any) -> bool:
    if value is True:
        return False
    if value is False:
        return True
    raise wrong()


def index(container: Any, key: Any) -> Any:
    """``container[key]``; of an optional container, what may be there."""
    if isinstance(container, Optional):
        return find(container, key)
    if isinstance(container, dict):
        if contains(container, key):
            return container[key]
        raise EvaluationError(f"no such key: {shown(key)}")
    if isinstance(container, list):
        position = int(key) if type(key) is float and key.is_integer() else key
        if type(position) not in (int, Uint):
            raise EvaluationError(f"unsupported index type '{type_name(key)}' in list")
        if 0 <= position < len(container):
            return container[position]
        raise EvaluationError(f"index out of bounds: {position}")
    raise wrong()


def find(container: Any, key: Any) -> Optional:
    """``container[?key]``."""
    if isinstance(container, Optional):
        return find(container.value, key) if container.present else NONE
    if isinstance(container, dict):
        return Optional((container[key],)) if contains(container, key) else NONE
    if isinstance(container, list):
        position = int(key) if type(key) is float and key.is_integer() else key
        held = type(position) in (int, Uint) and 0 <= position < len(container)
        return Optional((container[position],)) if held else NONE
    raise wrong()


def size(value: Any) -> int:
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    raise wrong()


def shown(value: Any) -> str:
    return "true" if value is True else "false" if value is False else str(value)


def _number_text(value: float) -> str:
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    if value == 0 or 1e-4 <= abs(value) < 1e21:
        return str(int(value)) if value.is_integer() else repr(value)
    text = repr(value)
    if "e" not in text:
        text = f"{value:e}"
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa.removesuffix('.0')}e{exponent[0]}{exponent[1:].rjust(2, '0')}"


def to_string(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is Uint:
        return str(int(value))
    if kind is float:
        return _number_text(value)
    if kind is bytes:
        try:
            return str(value, "utf-8")
        except UnicodeDecodeError:
            raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None
    if kind is Timestamp:
        return moments.timestamp_text(value)
    if kind is Duration:
        return moments.duration_text(value)
    raise conversion(value, "string")


DIGITS_MAX = 1000
"""Longer numbers are out of every range, and cost time to find out."""


def conversion(value: Any, wanted: str) -> EvaluationError:
    return EvaluationError(f"type conversion error from '{type_name(value)}' to '{wanted}'")


def _digits(text: str, signed: bool) -> bool:
    body = text[1:] if signed and text[:1] in ("+", "-") else text
    return body.isascii() and body.isdigit() and len(body) <= DIGITS_MAX


def to_int(value: Any) -> int:
    kind = type(value)
    if kind is int:
        return int(value)
    if kind is str and _digits(value, True) and INT_MIN <= int(value) <= INT_MAX:
        return int(value)
    if kind is Uint:
        return checked(int(value))
    if kind is float:
        if math.isnan(value) or math.isinf(value) or not -(2.0**63) < value < 2.0**63:
            raise EvaluationError("integer overflow")
        return int(value)
    if kind is Timestamp:
        return int(value.key // moments.SECOND)
    if kind is Duration:
        return int(value.key)
    raise conversion(value, "int")


def to_uint(value: Any) -> Uint:
    kind = type(value)
    if kind is Uint or kind is int:
        return checked_uint(int(value))
    if kind is str and _digits(value, False) and int(value) <= UINT_MAX:
        return Uint(value)
    if kind is float:
        if math.isnan(value) or not 0 <= value < 2.0**64:
            raise EvaluationError("unsigned integer overflow")
        return Uint(int(value))
    raise conversion(value, "uint")


def to_double(value: Any) -> float:
    kind = type(value)
    if kind in (int, float, Uint):
        return float(value)
    if kind is str:
        try:
            return float(value)
        except ValueError:
            pass
    raise conversion(value, "double")


TRUE_WORDS = ("1", "t", "true", "TRUE", "True")
FALSE_WORDS = ("0", "f", "false", "FALSE", "False")


def to_bool(value: Any) -> bool:
    if type(value) is bool:
        return bool(value)
    if type(value) is str and value in (*TRUE_WORDS, *FALSE_WORDS):
        return value in TRUE_WORDS
    raise conversion(value, "bool")


def to_bytes(value: Any) -> bytes:
    if type(value) is bytes:
        return bytes(value)
    if type(value) is str:
        return value.encode()
    raise conversion(value, "bytes")


def to_timestamp(value: Any) -> Timestamp:
    if type(value) is Timestamp:
        return value
    if type(value) is int:
        return moments.checked_timestamp(value * moments.SECOND)
    if type(value) is str and (stamp := moments.parse_timestamp(value)) is not None:
        return stamp
    raise conversion(value, Timestamp.type_name)


def to_duration(value: Any) -> Duration:
    if type(value) is Duration:
        return value
    if type(value) is int:
        return Duration(value)
    if type(value) is str and (duration := moments.parse_duration(value)) is not None:
        return duration
    raise conversion(value, Duration.type_name)


def expression(text: str) -> Any:
    """A compiled regular expression in RE2's syntax. Raises EvaluationError."""
    try:
        return compiled(text)
    except ValueError as error:
        raise EvaluationError(str(error)) from None


def matches(text: str, regex: str) -> bool:
    return expression(regex).search(text) is not None


def _ordered(test: Callable[[int], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: test(compare(left, right))


ORDERS = {
    "_<_": ("less", _ordered(lambda order: order < 0)),
    "_<=_": ("less_equals", _ordered(lambda order: order <= 0)),
    "_>_": ("greater", _ordered(lambda order: order > 0)),
    "_>=_": ("greater_equals", _ordered(lambda order: order >= 0)),
}
SCALARS = ("bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration")
MIXED = (
    ("int", "double"), ("int", "uint"), ("uint", "double"), ("uint", "int"), ("double", "int"), ("double", "uint"),
)  # fmt: skip
NUMBERS = ("int", "uint", "double")

ARITHMETIC = {
    "_+_": (add, ("int", "uint", "double", "string", "bytes", "list(A)")),
    "_-_": (subtract, ("double", "int", "uint")),
    "_*_": (multiply, NUMBERS),
    "_/_": (divide, NUMBERS),
    "_%_": (modulo, ("int", "uint")),
}
IDS = {"_+_": "add", "_-_": "subtract", "_*_": "multiply", "_/_": "divide", "_%_": "modulo"}
MOMENTS = (
    ("_+_", "add_duration_duration", "(duration, duration): duration", add),
    ("_+_", "add_duration_timestamp", "(duration, timestamp): timestamp", add),
    ("_+_", "add_timestamp_duration", "(timestamp, duration): timestamp", add),
    ("_-_", "subtract_duration_duration", "(duration, duration): duration", subtract),
    ("_-_", "subtract_timestamp_duration", "(timestamp, duration): timestamp", subtract),
    ("_-_", "subtract_timestamp_timestamp", "(timestamp, timestamp): duration", subtract),
)

CONVERSIONS = {
    "bool": (to_bool, ("bool", "string")),
    "bytes": (to_bytes, ("bytes", "string")),
    "double": (to_double, ("double", "int", "string", "uint")),
    "duration": (to_duration, ("duration", "int", "string")),
    "int": (to_int, ("int", "double", "duration", "string", "timestamp", "uint")),
    "string": (to_string, ("string", "bool", "bytes", "double", "duration", "int", "timestamp", "uint")),
    "timestamp": (to_timestamp, ("timestamp", "int", "string")),
    "uint": (to_uint, ("uint", "double", "int", "string")),
}


def _operators() -> list[Overload]:
    found = [
        overload("_==_", "equals", "(A, A): bool", equal, smaller),
        overload("_!=_", "not_equals", "(A, A): bool", lambda a, b: not equal(a, b), smaller),
        overload("@in", "in_list", "(A, list(A)): bool", lambda a, b: contains(b, a), member_count),
        overload("@in", "in_map", "(A, map(A, B)): bool", lambda a, b: contains(b, a)),
        overload("_[_]", "index_list", "(list(A), int): A", index),
        overload("_[_]", "index_map", "(map(A, B), A): B", index),
        overload("_&&_", "logical_and", "(bool, bool): bool", equal),
        overload("_||_", "logical_or", "(bool, bool): bool", equal),
        overload("_?_:_", "conditional", "(bool, A, A): A", equal),
        overload("!_", "logical_not", "(bool): bool", invert),
        *(overload("-_", f"negate_{kind}", f"({kind}): {kind}", negate) for kind in ("double", "int")),
    ]
    for name, (call, kinds) in ARITHMETIC.items():
        for kind in kinds:
            cost = together if kind in ("string", "bytes") else None
            short = kind.partition("(")[0]
            found.append(overload(name, f"{IDS[name]}_{short}", f"({kind}, {kind}): {kind}", call, cost))
    found += [overload(*row) for row in MOMENTS]
    for name, (id, order) in ORDERS.items():
        for kind in SCALARS:
            cost = smaller if kind in ("string", "bytes") else None
            found.append(overload(name, f"{id}_{kind}", f"({kind}, {kind}): bool", order, cost))
        found += [overload(name, f"{id}_{a}_{b}", f"({a}, {b}): bool", order) for a, b in MIXED]
    return found


def _functions() -> list[Overload]:
    found = [
        overload("type", "type", "(A): type(A)", lambda value: TypeValue(type_name(value))),
        overload("dyn", "to_dyn", "(A): dyn", lambda value: value),
        overload("contains", "contains_string", "string.(string): bool", lambda a, b: b in a, substring),
        overload("startsWith", "starts_with_string", "string.(string): bool", str.startswith, traversal),
        overload("endsWith", "ends_with_string", "string.(string): bool", str.endswith, traversal),
        overload("matches", "matches", "(string, string): bool", matches, pattern),
        overload("matches", "matches_string", "string.(string): bool", matches, pattern),
    ]
    for kind in ("bytes", "list(A)", "map(A, B)", "string"):
        short = kind.partition("(")[0]
        found.append(overload("size", f"size_{short}", f"({kind}): int", size))
        found.append(overload("size", f"{short}_size", f"{kind}.(): int", size))
    for name, (call, kinds) in CONVERSIONS.items():
        for kind in kinds:
            cost = traversal if (name, kind) in (("bytes", "string"), ("string", "bytes")) else None
            found.append(overload(name, f"{kind}_to_{name}", f"({kind}): {name}", call, cost))
    for name, part in moments.PARTS.items():
        found.append(_stamp_part(name, part, ""))
        found.append(_stamp_part(name, part, "string"))
    for name, measure in moments.DURATION_PARTS.items():
        found.append(
            overload(name, f"duration_{name}", "duration.(): int", lambda value, measure=measure: measure(value.key))
        )
    return found


def _stamp_part(name: str, part: Callable[[Any], int], zone: str) -> Overload:
    def call(stamp: Timestamp, *where: str) -> int:
        return part(moments.in_zone(stamp, *where))

    return overload(name, f"timestamp_{name}" + ("_with_tz" if zone else ""), f"timestamp.({zone}): int", call)


LIBRARY = (*_operators(), *_functions())
