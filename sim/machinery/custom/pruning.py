"""Pruning and defaulting of custom resources by their structural schema.

Both leave what they do not change as it is: the result shares every untouched part with the value that came in, and is
that value when there was nothing to do.

Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/{pruning,defaulting,objectmeta}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from seatrial.sim.machinery.custom.schema import META, Node
from seatrial.sim.machinery.schema import Type, type_named
from seatrial.sim.machinery.typed import Mistyped, Reading, struct_decoder

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
NOTHING = Node({})
"""A schema that knows no field."""


class Unknown(NamedTuple):
    """Paths of what goes. The metadata of embedded resources is read after all else was pruned, and named after it."""

    fields: list[str]
    metadata: list[str]


def prune(obj: Mapping[str, Any], root: Node) -> tuple[Any, list[str]]:
    """An object without what its schema does not know, and the sorted paths of what went.

    kind, apiVersion and metadata are left alone. Nulls where neither null nor a default is allowed go as well,
    silently. Raises Mistyped for the metadata of an embedded resource that cannot be read.
    """
    unknown = Unknown([], [])
    pruned = _members(obj, root, "", unknown, True)
    return pruned, [*sorted(unknown.fields), *sorted(unknown.metadata)]


def _prune(value: Any, node: Node | None, path: str, unknown: Unknown) -> Any:
    if isinstance(value, dict):
        if node is None:
            unknown.fields.extend(f"{path}.{name}" for name in value)
            return {} if value else value
        return _members(value, node, path, unknown, node.embedded)
    if isinstance(value, list):
        if node is not None and node.preserves and node.items is None:
            return value
        items = None if node is None else node.items
        new = [_prune(item, items, f"{path}[{at}]", unknown) for at, item in enumerate(value)]
        return value if all(a is b for a, b in zip(new, value, strict=True)) else new
    return value


def _members(value: Mapping[str, Any], node: Node, path: str, unknown: Unknown, is_object: bool) -> Any:
    changed: dict[str, Any] = {}
    gone: list[str] = []
    for name, item in value.items():
        if is_object and name in META:
            if path and name == "metadata":
                changed[name] = _metadata(item, f"{path}.{name}", unknown)
            continue
        inner = node.field(name)
        if inner is None and node.values is None and not node.takes_any:
            if not node.preserves:
                unknown.fields.append(f"{path}.{name}" if path else name)
                gone.append(name)
            continue
        inner = inner or node.values
        if item is None:
            if inner is not None and not inner.nullable and inner.default is None:
                gone.append(name)
        elif isinstance(item, dict | list):
            new = _prune(item, inner, f"{path}.{name}" if path else name, unknown)
            if new is not item:
                changed[name] = new
    if not changed and not gone:
        return value
    return {name: changed.get(name, item) for name, item in value.items() if name not in gone}


def _metadata(value: Any, path: str, unknown: Unknown) -> Any:
    """The metadata of an embedded resource: typed, without what no object has."""
    type: Type = type_named(OBJECT_META)
    reading = Reading(type)
    obj = struct_decoder(type)(value, reading, ()) if value is not None else {}
    if reading.error:
        raise Mistyped(reading.error)
    unknown.metadata.extend(f"{path}.{field}" for field in reading.unknown)
    return obj


def default(value: Any, node: Node | None) -> Any:
    """A value with the defaults of its schema filled in, at every depth; null counts as absent unless it is allowed."""
    if node is None or not node.has_defaults:
        return value
    return _default(value, node)


def _default(value: Any, node: Node) -> Any:
    if isinstance(value, dict):
        return _default_members(value, node)
    if isinstance(value, list) and node.items is not None:
        items = node.items
        new = [_default(_filled(item, items), items) for item in value]
        return value if all(a is b for a, b in zip(new, value, strict=True)) else new
    return value


def _filled(item: Any, node: Node) -> Any:
    return node.default if item is None and not node.nullable and node.default is not None else item


def _default_members(value: Mapping[str, Any], node: Node) -> Any:
    changed: dict[str, Any] = {}
    for name, wanted in node.defaults:
        if name not in value:
            changed[name] = wanted
        elif value[name] is None:
            inner = node.field(name)
            if inner is not None and not inner.nullable:
                changed[name] = wanted
    for name in (*value, *(name for name in changed if name not in value)) if changed else value:
        item = changed[name] if name in changed else value[name]
        inner = node.below(name)
        if inner is None:
            continue
        if item is None and inner is node.values:
            item = _filled(item, inner)
        new = _default(item, inner) if isinstance(item, dict | list) else item
        if new is not value.get(name, MISSING):
            changed[name] = new
    return {**value, **changed} if changed else value


MISSING: Any = object()
