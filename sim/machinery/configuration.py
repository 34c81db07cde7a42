"""The configuration that a server-side apply brings: whether it fits the schema, and how it merges into an object.

Source: sigs.k8s.io/structured-merge-diff/v6/typed (validate.go, merge.go).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from seatrial.sim.machinery import fieldsets
from seatrial.sim.machinery.fields import printed, quoted
from seatrial.sim.machinery.fieldsets import MISSING, Shape, element_key, element_text, is_granular
from seatrial.sim.machinery.schema import Field, Type, type_named


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _go_syntax(value: Any) -> str:
    shown = quoted(value) if isinstance(value, str) else printed(value)
    return f"&value.valueUnstructured{{Value:{shown}}}"


def _boxed(value: Any) -> str:
    return f"&{{{printed(value)}}}"


def _go_type(value: Any) -> str:
    kinds = {dict: "map[string]interface {}", list: "[]interface {}", str: "string", bool: "bool"}
    return kinds.get(type(value), "int64")


Check = tuple[Callable[[Any], bool], str, Callable[[Any], str]]
STRING: Check = (lambda value: isinstance(value, str), "string", _go_syntax)
NUMERIC: Check = (_is_number, "numeric (int or float)", _go_type)
BOOLEAN: Check = (lambda value: isinstance(value, bool), "boolean", _boxed)
UNTYPED: Check = (_is_scalar, "any scalar", _boxed)
SCALARS: Mapping[str, Check] = {
    "string": STRING, "bytes": STRING, "time": STRING, "microtime": STRING, "boolean": BOOLEAN, "int32": NUMERIC,
    "int64": NUMERIC, "double": NUMERIC, "quantity": UNTYPED, "int-or-string": UNTYPED,
}  # fmt: skip


IMPLIED = ("apiVersion", "kind", "metadata")
"""What every kind has, whether or not its own schema says so."""


def problems(type: Type | None, value: Mapping[str, Any], custom: bool = False) -> Iterator[str]:
    """What does not fit the schema, in upstream's words, each with its path."""
    if custom:
        yield from _struct_problems(type_named(fieldsets.OBJECT_META), value.get("metadata") or {}, ".metadata")
        value = {name: part for name, part in value.items() if name not in IMPLIED}
    if type is not None:
        yield from _struct_problems(type, value, "")


def _struct_problems(type: Type, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: expected map, got {_boxed(value)}"
        return
    for name, part in value.items():
        field = type.fields.get(name)
        if field is None:
            if not type.open:
                yield f"{path}.{name}: field not declared in schema"
        elif part is not None:
            yield from _field_problems(field, part, f"{path}.{name}")


def _field_problems(field: Field, value: Any, path: str) -> Iterator[str]:
    if value is None or field.kind == "any":
        return
    if field.kind == "struct" and field.type is not None:
        yield from _struct_problems(field.type, value, path)
    elif field.kind == "map" and field.element is not None:
        if not isinstance(value, dict):
            yield f"{path}: expected map, got {_boxed(value)}"
            return
        for name, part in value.items():
            yield from _field_problems(field.element, part, f"{path}.{name}")
    elif field.kind == "list" and field.element is not None:
        if not isinstance(value, list):
            yield f"{path}: expected list, got {_boxed(value)}"
            return
        yield from _list_problems(field, field.element, value, path)
    elif field.kind in SCALARS:
        fits, expected, shown = SCALARS[field.kind]
        if not fits(value):
            yield f"{path}: expected {expected}, got {shown(value)}"


def _list_problems(field: Field, element: Field, items: list[Any], path: str) -> Iterator[str]:
    shape, seen = fieldsets.of_field(field), dict[str, None]()
    for position, item in enumerate(items):
        here = f"{path}[{position}]"
        if shape.kind in ("list", "set"):
            try:
                key = element_key(shape, item)
            except fieldsets.Keyless as problem:
                yield f"{path}: element {position}: {problem}"
                continue
            here = path + element_text(key)
            if key in seen:
                yield f"{path}: duplicate entries for key {element_text(key)}"
            seen[key] = None
        yield from _field_problems(element, item, here)


def merge(shape: Shape, live: Any, config: Any) -> Any:
    """The live value with the configuration on top: parts that are owned one by one are merged, the rest replaced."""
    if config is MISSING:
        return live
    if live is MISSING or not (is_granular(shape, live) or is_granular(shape, config)):
        return config
    if not is_granular(shape, live):
        return config
    if not is_granular(shape, config):
        return live if config is None or not config else config
    if isinstance(live, dict):
        merged = dict(live)
        for name, part in config.items():
            merged[name] = merge(shape.below(name), live.get(name, MISSING), part)
        return merged
    return _merge_lists(shape, live, config)


def _merge_lists(shape: Shape, live: list[Any], config: list[Any]) -> list[Any]:
    """The items of both: those of the configuration in its order, the others where they stood."""
    lefts = [key for key, _, _ in fieldsets.parts(shape, live)]
    left = {key: item for key, _, item in reversed(list(fieldsets.parts(shape, live)))}
    right = {key: item for key, _, item in fieldsets.parts(shape, config)}
    rights = list(right)
    shared = [key for key in rights if key in left]
    element = shape.element or fieldsets.ANY
    order: list[str] = []
    taken: dict[str, None] = {}
    at_left = at_right = at_shared = 0
    while at_left < len(lefts) or at_right < len(rights):
        if at_left < len(lefts) and at_right < len(rights):
            key = lefts[at_left]
            if key == rights[at_right]:
                order.append(key)
                taken[key] = None
                at_left, at_right, at_shared = at_left + 1, at_right + 1, at_shared + 1
                continue
            if key in right and at_shared < len(shared) and shared[at_shared] != key:
                at_left += 1
                continue
        if at_left < len(lefts):
            key = lefts[at_left]
            if key not in right:
                order.append(key)
                at_left += 1
                continue
            if key in taken:
                at_left += 1
        if at_right < len(rights):
            key = rights[at_right]
            if at_shared < len(shared) and shared[at_shared] == key:
                at_shared += 1
            order.append(key)
            taken[key] = None
            at_right += 1
    return [merge(element, left.get(key, MISSING), right.get(key, MISSING)) for key in order]
