"""Field errors, built where a value is checked and placed as they travel up.

A check is a function of a value that returns the errors in it with paths relative to that value (the empty path is
the value itself); whoever called it puts its own part of the path in front. A value that is right costs no path, and
what a check said of a value holds wherever the value stands.

Source: k8s.io/apimachinery/pkg/util/validation/field (errors.go, path.go).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from seatrial.sim.machinery.fields import FieldError, quoted

Object = Mapping[str, Any]
Errors = Sequence[FieldError]
Check = Callable[[Any], Errors]

NONE: Errors = ()
"""What most checks return."""


class _Omitted:
    """The type of OMITTED."""


OMITTED: Final = _Omitted()
"""A bad value that is not printed (field.OmitValueType)."""


def required(path: str, detail: str = "") -> FieldError:
    return FieldError("FieldValueRequired", path, f"Required value: {detail}" if detail else "Required value")


def invalid(path: str, value: Any, detail: str) -> FieldError:
    shown = "Invalid value" if value is OMITTED else f"Invalid value: {quoted(value)}"
    return FieldError("FieldValueInvalid", path, f"{shown}: {detail}" if detail else shown)


def forbidden(path: str, detail: str) -> FieldError:
    return FieldError("FieldValueForbidden", path, f"Forbidden: {detail}")


def not_supported(path: str, value: Any, supported: Iterable[str]) -> FieldError:
    """``supported`` is listed as given: upstream sorts most lists and leaves some in the order of their meaning."""
    listed = ", ".join(map(quoted, supported))
    return FieldError("FieldValueNotSupported", path, f"Unsupported value: {quoted(value)}: supported values: {listed}")


def duplicate(path: str, value: Any, detail: str = "") -> FieldError:
    text = f"Duplicate value: {quoted(value)}"
    return FieldError("FieldValueDuplicate", path, f"{text}: {detail}" if detail else text)


def not_found(path: str, value: Any, detail: str = "") -> FieldError:
    text = f"Not found: {quoted(value)}"
    return FieldError("FieldValueNotFound", path, f"{text}: {detail}" if detail else text)


def too_long(path: str, most_bytes: int) -> FieldError:
    return FieldError("FieldValueTooLong", path, f"Too long: may not be more than {most_bytes} bytes")


def too_many(path: str, count: int, most: int) -> FieldError:
    items = "item" if most == 1 else "items"
    return FieldError("FieldValueTooMany", path, f"Too many: {count}: must have at most {most} {items}")


def internal(path: str, text: str) -> FieldError:
    return FieldError("InternalError", path, f"Internal error: {text}")


def join(prefix: str, path: str) -> str:
    """``spec`` and ``ports[0]`` give ``spec.ports[0]``; an index or key follows without a dot."""
    if not path:
        return prefix
    if not prefix or path[0] == "[":
        return prefix + path
    return f"{prefix}.{path}"


def at(prefix: str, errors: Errors) -> Errors:
    """The errors of a part, as errors of the whole."""
    return [FieldError(error.kind, join(prefix, error.path), error.message) for error in errors] if errors else NONE


def each(name: str, values: Sequence[Any] | None, check: Check) -> Errors:
    """The errors of every element of a list field."""
    if not values:
        return NONE
    errors: list[FieldError] = []
    for index, value in enumerate(values):
        found = check(value)
        if found:
            errors += at(f"{name}[{index}]", found)
    return errors


def repeated(name: str, values: Sequence[Any] | None, key: str = "") -> Errors:
    """Duplicate errors for what occurs twice in a list: the element itself, or its field ``key``."""
    if not values or len(values) < 2:
        return NONE
    errors: list[FieldError] = []
    seen: dict[Any, None] = {}
    for index, value in enumerate(values):
        identity = value.get(key) if key else value
        if identity in seen:
            errors.append(duplicate(f"{name}[{index}].{key}" if key else f"{name}[{index}]", identity))
        elif identity:
            seen[identity] = None
    return errors


def texts(messages: Callable[[Any], Sequence[str]]) -> Check:
    """A check from a format: every text that it says of a string is an Invalid error."""

    def check(value: Any) -> Errors:
        found = messages(value)
        return [invalid("", value, text) for text in found] if found else NONE

    return check


def one_of(*supported: str, ordered: bool = False) -> Check:
    """The value is one of a few; they are listed sorted unless ``ordered``."""
    listed = supported if ordered else tuple(sorted(supported))
    known = frozenset(supported)

    def check(value: Any) -> Errors:
        return NONE if value in known else (not_supported("", value, listed),)

    return check


def nonnegative(value: Any) -> Errors:
    return NONE if value >= 0 else (invalid("", value, "must be greater than or equal to 0"),)


def between(lowest: int, highest: int) -> Check:
    detail = in_range(lowest, highest)

    def check(value: Any) -> Errors:
        return NONE if lowest <= value <= highest else (invalid("", value, detail),)

    return check


def in_range(lowest: int, highest: int) -> str:
    return f"must be between {lowest} and {highest}, inclusive"


IMMUTABLE = "field is immutable"


def immutable(path: str, new: Any, old: Any) -> Errors:
    """Nothing may change; absent, empty and zero are the same (apiequality.Semantic)."""
    return NONE if same(new, old) else (invalid(path, new, IMMUTABLE),)


def same(new: Any, old: Any) -> bool:
    """Semantic equality: empty and absent containers are equal at every depth."""
    if new is old or new == old:
        return True
    if isinstance(new, Mapping) or isinstance(old, Mapping):
        if not (new is None or isinstance(new, Mapping)) or not (old is None or isinstance(old, Mapping)):
            return False
        left, right = new or {}, old or {}
        return all(same(left.get(key), right.get(key)) for key in (*left, *(k for k in right if k not in left)))
    if isinstance(new, list) or isinstance(old, list):
        left_list, right_list = new or [], old or []
        if not isinstance(left_list, list) or not isinstance(right_list, list) or len(left_list) != len(right_list):
            return False
        return all(same(a, b) for a, b in zip(left_list, right_list, strict=True))
    return False
