"""Types and values of custom objects, from their structural schema.

Source: k8s.io/apiserver/pkg/cel/common (schemas.go, values.go). A value goes into an expression as it is on the wire,
unless its schema says that it is more than JSON shows: a number, a moment, bytes, a list that is a set or a map.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from seatrial.sim.machinery.cel import moments, types
from seatrial.sim.machinery.cel.naming import escaped
from seatrial.sim.machinery.cel.types import Type
from seatrial.sim.machinery.cel.values import MapList, SetList

Schema = Mapping[str, Any]
Convert = Callable[[Any], Any]

REQUEST_BYTES_MAX = 3 * 1024 * 1024
"""No value is longer than what a request may carry (celconfig.MaxRequestSizeBytes)."""
NO_LIMIT = 2**64 - 1

META = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}},
}
ROOT = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": META}
"""What every object has, whatever its schema says."""

FORMATS = {
    "byte": types.BYTES,
    "duration": types.DURATION,
    "date": types.TIMESTAMP,
    "date-time": types.TIMESTAMP,
}
SCALARS = {"string": types.STRING, "boolean": types.BOOL, "number": types.DOUBLE, "integer": types.INT}


def with_root(schema: Schema) -> Schema:
    """The schema of a whole object: with apiVersion, kind and of the metadata only the names."""
    return {**schema, "type": "object", "properties": {**(schema.get("properties") or {}), **ROOT}}


def type_of(schema: Schema, root: bool = False, name: str = "object") -> Type | None:
    """The type of a node's values; None where the schema says nothing that can be relied on."""
    if schema.get("x-kubernetes-int-or-string"):
        return types.Type("dyn", limits=(0, _longest(schema)))
    if root or schema.get("x-kubernetes-embedded-resource"):
        schema = with_root(schema)
    kind = schema.get("type") or ""
    if kind == "array":
        items = schema.get("items")
        element = type_of(items, name=f"{name}.@idx") if items else None
        return None if element is None else Type("list", params=(element,), limits=_count(schema, "Items", element, 2))
    if kind == "object":
        return _object(schema, name)
    if kind == "string":
        found = FORMATS.get(schema.get("format") or "", types.STRING)
        return Type(found.kind, found.name, limits=(0, _longest(schema)))
    return SCALARS.get(kind)


def _object(schema: Schema, name: str) -> Type | None:
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping) and values:
        held = type_of(values, name=f"{name}.@elem")
        if held is None:
            return None
        return Type("map", params=(types.STRING, held), limits=_count(schema, "Properties", held, 6))

    def fields() -> dict[str, Type]:
        found = {}
        for key, inner in (schema.get("properties") or {}).items():
            shown, kind = escaped(key), type_of(inner, name=f"{name}.{key}")
            if shown is not None and kind is not None:
                found[shown] = kind
        return found

    return Type("object", name, fields=fields)


def _longest(schema: Schema) -> int:
    """The most characters a text may have."""
    if "maxLength" in schema:
        return int(schema["maxLength"]) * 4
    if schema.get("enum"):
        return max(len(value) for value in schema["enum"] if isinstance(value, str)) if schema["enum"] else 0
    kind = schema.get("format")
    if kind in ("date", "date-time", "duration"):
        return {"date": 10, "date-time": 25, "duration": 32}[kind]
    return REQUEST_BYTES_MAX - 2


def _count(schema: Schema, what: str, element: Type, overhead: int) -> tuple[int, int]:
    limit = schema.get(f"max{what}")
    if limit is not None:
        return 0, int(limit)
    return 0, (REQUEST_BYTES_MAX - 2) // (smallest(element) + overhead - 1)


def smallest(kind: Type) -> int:
    """The least bytes a value takes in JSON (MinSerializedSize)."""
    return {"int": 1, "double": 1, "bool": 4, "timestamp": 10, "duration": 4}.get(kind.kind, 2)


# values


def converter(schema: Schema, root: bool = False) -> Convert | None:
    """From the wire to what an expression sees; None where they are the same."""
    if root or schema.get("x-kubernetes-embedded-resource"):
        schema = with_root(schema)
    kind = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        return None
    if kind == "number":
        return lambda value: float(value) if type(value) is int else value
    if kind == "string":
        return SCALAR_CONVERTERS.get(schema.get("format") or "")
    if kind == "array":
        return _list_converter(schema)
    if kind == "object":
        return _object_converter(schema)
    return None


def _bytes(value: Any) -> Any:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError, TypeError):
        return value


def _moment(value: Any) -> Any:
    return (moments.parse_timestamp(value) if isinstance(value, str) else None) or value


def _date(value: Any) -> Any:
    return (moments.parse_timestamp(f"{value}T00:00:00Z") if isinstance(value, str) else None) or value


def _duration(value: Any) -> Any:
    found = moments.parse_duration(value) if isinstance(value, str) else None
    return value if found is None else found


SCALAR_CONVERTERS: Mapping[str, Convert] = {"byte": _bytes, "date-time": _moment, "date": _date, "duration": _duration}


def _list_converter(schema: Schema) -> Convert | None:
    inner = converter(schema.get("items") or {})
    kind = schema.get("x-kubernetes-list-type")
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    if inner is None and kind not in ("set", "map"):
        return None

    def convert(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        items = value if inner is None else [inner(element) for element in value]
        if kind == "set":
            return SetList(items)
        return MapList(items, keys) if kind == "map" else items

    return convert


def _object_converter(schema: Schema) -> Convert | None:
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping) and values:
        inner = converter(values)
        if inner is None:
            return None
        return lambda value: {k: inner(v) for k, v in value.items()} if isinstance(value, dict) else value
    found = {key: converter(inner) for key, inner in (schema.get("properties") or {}).items()}
    changing = {key: convert for key, convert in found.items() if convert is not None}
    if not changing:
        return None

    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {k: changing[k](v) if k in changing and v is not None else v for k, v in value.items()}

    return convert
