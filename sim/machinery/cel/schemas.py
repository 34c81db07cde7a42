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
        items: Schema = schema.get("items") or {}
        element = type_of(items, name=f"{name}.@idx") if items else None
        if element is None:
            return None
        return Type("list", params=(element,), limits=(0, _count(schema, "maxItems", smallest(items) + 1)))
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
        most = _count(schema, "maxProperties", smallest(values) + 6)
        return Type("map", params=(types.STRING, held), limits=(0, most))

    def fields() -> dict[str, Type]:
        found = {}
        for key, inner in (schema.get("properties") or {}).items():
            shown, kind = escaped(key), type_of(inner, name=f"{name}.{key}")
            if shown is not None and kind is not None:
                found[shown] = kind
        return found

    return Type("object", name, fields=fields)


FORMAT_SIZES = {"date": (12, 12), "date-time": (21, 32), "duration": (3, 32)}
"""The least and most bytes of a format in JSON (k8s.io/apiserver/pkg/cel/limits.go)."""
SMALLEST = {"string": 2, "boolean": 4, "number": 1, "integer": 1, "array": 2}


def _longest(schema: Schema) -> int:
    """The most bytes a text may have."""
    kind = schema.get("format") or ""
    if kind in FORMAT_SIZES:
        return FORMAT_SIZES[kind][1]
    if "maxLength" in schema:
        return max(int(schema["maxLength"]), 0) * (1 if kind == "byte" else 4)
    if schema.get("enum") and not schema.get("x-kubernetes-int-or-string"):
        return max((len(value) for value in schema["enum"] if isinstance(value, str)), default=0)
    return REQUEST_BYTES_MAX - 2


def _count(schema: Schema, limit: str, element_bytes: int) -> int:
    """The most elements that a list or map may have: as many as a request has room for."""
    if limit in schema:
        return max(int(schema[limit]), 0)
    return (REQUEST_BYTES_MAX - 2) // element_bytes


def smallest(schema: Schema) -> int:
    """The least bytes a value takes in JSON (MinSerializedSize)."""
    if schema.get("x-kubernetes-int-or-string"):
        return 1
    kind = schema.get("type") or ""
    if kind == "string":
        return FORMAT_SIZES.get(schema.get("format") or "", (2, 2))[0]
    if kind != "object":
        return SMALLEST.get(kind, 2)
    if isinstance(schema.get("additionalProperties"), Mapping):
        return 2
    required, properties = schema.get("required") or (), schema.get("properties") or {}
    return 2 + sum(
        len(name) + 4 + smallest(inner)
        for name, inner in properties.items()
        if name in required and inner.get("default") is None
    )


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
