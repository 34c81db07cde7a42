"""What a custom resource must hold beyond its schema's value checks: keys of lists, whole objects inside, scale.

Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/{listtype,objectmeta} and
pkg/registry/customresource/validator.go (ValidateScaleSpec, ValidateScaleStatus).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from seatrial.sim.machinery.custom.schema import Node
from seatrial.sim.machinery.fields import FieldError, printed
from seatrial.sim.machinery.validation.metadata import metadata
from seatrial.sim.machinery.validation.names import label_1035, path_segment
from seatrial.sim.machinery.validation.problems import at, duplicate, invalid, join, required

INT32_MAX = 2**31 - 1
MIXED_CASE = "may have mixed case, but should otherwise match: "


def duplicates(node: Node, value: Any, path: str = "") -> Iterator[FieldError]:
    """Items that occur twice in a set, or twice under the same keys."""
    if not node.has_keyed_lists:
        return
    if isinstance(value, list):
        if node.list_type in ("set", "map"):
            seen: dict[bytes, None] = {}
            for position, item in enumerate(value):
                identity = _identity(node, item)
                raw = orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)
                if raw in seen:
                    yield duplicate(f"{path}[{position}]", identity)
                seen[raw] = None
        if node.items is not None:
            for position, item in enumerate(value):
                yield from duplicates(node.items, item, f"{path}[{position}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, dict | list):
                inner = node.field(name)
                if inner is not None:
                    yield from duplicates(inner, item, join(path, name))
                elif node.values is not None:
                    yield from duplicates(node.values, item, f"{path}[{name}]")


def _identity(node: Node, item: Any) -> Any:
    if node.list_type == "set" or not isinstance(item, dict):
        return item
    return {key: item[key] for key in sorted(node.list_keys) if key in item}


def embedded(node: Node, value: Any, path: str = "") -> Iterator[FieldError]:
    """What is wrong with the identity of whole objects inside the value."""
    if not node.has_embedded:
        return
    if isinstance(value, list):
        for position, item in enumerate(value if node.items is not None else ()):
            yield from embedded(node.items or node, item, f"{path}[{position}]")
    elif isinstance(value, dict):
        if node.embedded and path:
            yield from at(path, [*_identity_problems(value)])
        for name, item in value.items():
            inner = node.field(name)
            if inner is not None:
                yield from embedded(inner, item, join(path, name))
            elif node.values is not None:
                yield from embedded(node.values, item, f"{path}[{name}]")


def _identity_problems(value: Mapping[str, Any]) -> Iterator[FieldError]:
    for name in ("apiVersion", "kind"):
        given = value.get(name)
        if name not in value:
            yield required(name, "must not be empty")
        elif not isinstance(given, str):
            yield invalid(name, given, "must be a string")
        elif not given:
            yield invalid(name, given, "must not be empty")
        elif name == "apiVersion" and given.count("/") > 1:
            yield invalid(name, given, f"unexpected GroupVersion string: {given}")
        elif name == "kind" and (wrong := label_1035(given.lower())):
            yield invalid(name, given, MIXED_CASE + ",".join(wrong))
    if isinstance(own := value.get("metadata"), dict):
        named = own if own.get("name") else {**own, "name": "fakename"}
        yield from at("metadata", metadata(named, bool(own.get("namespace")), path_segment, False))


def scale(obj: Mapping[str, Any], paths: Sequence[tuple[str, ...]], parts: Sequence[int]) -> Iterator[FieldError]:
    """What is wrong with the numbers and the selector that a scale subresource reads.

    ``paths``: of wanted replicas, present replicas and selector; ``parts``: which of them are looked at.
    """
    for part in parts:
        path = paths[part]
        if not path:
            continue
        dotted = "." + ".".join(path)
        value, wrong = _nested(obj, path, str if part == 2 else int)
        if wrong:
            yield invalid(dotted, "" if part == 2 else 0, wrong)
        elif part == 2:
            continue
        elif value < 0:
            yield invalid(dotted, value, "should be a non-negative integer")
        elif value > INT32_MAX:
            yield invalid(dotted, value, f"should be less than or equal to {INT32_MAX}")


GO_TYPES = {str: "string", bool: "bool", int: "int64", float: "float64", list: "[]interface {}"}
GO_TYPES_WANTED = {int: "int64", str: "string"}


def _nested(obj: Mapping[str, Any], path: Sequence[str], wanted: type) -> tuple[Any, str]:
    """The value at a path, its zero when there is none, and why it cannot be read (unstructured.NestedInt64)."""
    value: Any = obj
    for depth, name in enumerate(path):
        if not isinstance(value, dict):
            if value is None:
                return wanted(), ""
            here = "." + ".".join(path[: depth + 1])
            kind = GO_TYPES.get(type(value), "map[string]interface {}")
            return (
                wanted(),
                f"{here} accessor error: {printed(value)} is of the type {kind}, expected map[string]interface{{}}",
            )
        if name not in value:
            return wanted(), ""
        value = value[name]
    if type(value) is not wanted:
        kind = "<nil>" if value is None else GO_TYPES.get(type(value), "map[string]interface {}")
        shown = f".{'.'.join(path)} accessor error: {printed(value)} is of the type {kind}"
        return wanted(), f"{shown}, expected {GO_TYPES_WANTED[wanted]}"
    return value, ""
