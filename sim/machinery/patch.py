"""JSON patch (RFC 6902) and JSON merge patch (RFC 7386) on objects that share what a patch leaves alone.

Source: gopkg.in/evanphx/json-patch.v4, whose answers differ from the RFC in places that clients rely on: replacing a
key that an object lacks adds it, testing it against null succeeds, array indices may be negative, and the document
itself cannot be patched. The server tells none of its reasons, so neither do the errors here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from seatrial.sim.machinery import errors

OPERATIONS_MAX = 10_000
"""Operations that one JSON patch may hold (handlers.maxJSONPatchOperations)."""
TOO_DEEP = "exceeded max depth"
REFUSED = "the server rejected our request due to an error in our request"
INDEX = re.compile(r"[+-]?[0-9]+", re.ASCII)


class _Inapplicable(Exception):
    """An operation that does not fit the document."""


def json_patch(obj: Any, operations: Any) -> Any:
    """The object after the operations, which see each other's results; ``obj`` itself is left alone.

    Raises ApiError: 400 for what is no list of operations, 413 for too many, 422 when one cannot be applied.
    """
    if not isinstance(operations, list):
        raise errors.bad_request(_not_a(operations, "Patch"))
    for operation in operations:
        if not isinstance(operation, dict):
            raise errors.bad_request(_not_a(operation, "Operation"))
    if len(operations) > OPERATIONS_MAX:
        limit = f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {len(operations)}"
        raise errors.ApiError(413, "RequestEntityTooLarge", f"Request entity is too large: {limit}", {})
    try:
        for operation in operations:
            obj = _apply(obj, operation)
    except (_Inapplicable, RecursionError, orjson.JSONEncodeError):
        raise errors.ApiError(422, "Invalid", REFUSED, {}) from None
    return obj


JSON_NAMES: tuple[tuple[type, str], ...] = (
    (dict, "object"), (list, "array"), (str, "string"), (bool, "bool"), (int, "number"), (float, "number"),
)  # fmt: skip


def _not_a(value: Any, wanted: str) -> str:
    name = next((name for kind, name in JSON_NAMES if isinstance(value, kind)), "null")
    return f"json: cannot unmarshal {name} into Go value of type jsonpatch.{wanted}"


def _apply(obj: Any, operation: Mapping[str, Any]) -> Any:
    what, path = operation.get("op"), _keys(operation.get("path"))
    if what in ("add", "replace", "test"):
        value = operation.get("value")
        if what == "test":
            if _identity(_read(obj, path)) != _identity(value):
                raise _Inapplicable
            return obj
        return _changed(obj, path, _add if what == "add" else _replace, value)
    if what == "remove":
        return _changed(obj, path, _remove, None)
    if what in ("move", "copy"):
        source = _keys(operation.get("from"))
        value = _read(obj, source)
        if what == "move":
            obj = _changed(obj, source, _remove, None)
        return _changed(obj, path, _add, value)
    raise _Inapplicable


def _keys(path: Any) -> list[str]:
    parts = path.split("/") if isinstance(path, str) else []
    if len(parts) < 2:
        raise _Inapplicable
    return [part.replace("~1", "/").replace("~0", "~") for part in parts[1:]]


def _identity(value: Any) -> bytes:
    """What two values have in common when they are the same JSON: 1, 1.0 and true are three values."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _position(key: str, size: int) -> int:
    """An index into a list that will hold ``size`` elements."""
    if not INDEX.fullmatch(key):
        raise _Inapplicable
    index = int(key)
    if index < -size or index >= size:
        raise _Inapplicable
    return index + size if index < 0 else index


def _member(container: Any, key: str) -> Any:
    if isinstance(container, dict):
        return container.get(key)
    if isinstance(container, list):
        return container[_position(key, len(container))]
    raise _Inapplicable


def _read(obj: Any, keys: list[str]) -> Any:
    for key in keys:
        obj = _member(obj, key)
    return obj


def _changed(obj: Any, keys: list[str], change: Callable[[Any, str, Any], Any], value: Any) -> Any:
    """A copy along the path, changed at its end."""
    key = keys[0]
    if len(keys) == 1:
        return change(obj, key, value)
    inner = _changed(_member(obj, key), keys[1:], change, value)
    return _replace(obj, key, inner)


def _add(container: Any, key: str, value: Any) -> Any:
    if isinstance(container, dict):
        return {**container, key: value}
    if isinstance(container, list):
        at = len(container) if key == "-" else _position(key, len(container) + 1)
        return [*container[:at], value, *container[at:]]
    raise _Inapplicable


def _replace(container: Any, key: str, value: Any) -> Any:
    if isinstance(container, dict):
        return {**container, key: value}
    if isinstance(container, list):
        at = _position(key, len(container))
        return [*container[:at], value, *container[at + 1 :]]
    raise _Inapplicable


def _remove(container: Any, key: str, value: Any) -> Any:
    if isinstance(container, dict):
        if key not in container:
            raise _Inapplicable
        return {name: held for name, held in container.items() if name != key}
    if isinstance(container, list):
        at = _position(key, len(container))
        return [*container[:at], *container[at + 1 :]]
    raise _Inapplicable


def merge_patch(obj: Mapping[str, Any], patch: Any) -> Any:
    """The object with the patch's members merged in: null removes, objects merge, all else replaces.

    Raises ApiError 400 for a patch that is no object.
    """
    if not isinstance(patch, dict):
        raise errors.bad_request("Invalid JSON Patch")
    try:
        return _merged(obj, patch)
    except RecursionError:
        raise errors.bad_request(TOO_DEEP) from None


def _merged(obj: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(obj)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
            continue
        held = merged.get(key)
        if not isinstance(held, dict):
            merged[key] = _without_nulls(value)
        elif isinstance(value, dict):
            merged[key] = _merged(held, value)
        else:
            merged[key] = value
    return merged


def _without_nulls(value: Any) -> Any:
    """A value that comes in whole: members that are null say "remove", and there is nothing to remove."""
    if isinstance(value, dict):
        return {key: _without_nulls(held) for key, held in value.items() if held is not None}
    if isinstance(value, list):
        return [_without_nulls(held) for held in value]
    return value
