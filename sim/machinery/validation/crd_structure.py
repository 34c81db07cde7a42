"""Structural schemas: every value has a type, and what allOf, anyOf, oneOf and not say only restricts values.

Errors carry whole paths here: some messages quote them.

Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema (validation.go, complete.go).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.regexps import compiled
from seatrial.sim.machinery.validation.problems import Errors, Object, forbidden, invalid, required

KEEP = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"
EITHER = "x-kubernetes-int-or-string"
INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
ROOT, ITEM, FIELD = "at the root", "for specified array items", "for specified object fields"
ONLY_NAMES = "must not specify anything other than name and generateName, but metadata is implicitly specified"
NEEDS_PROPERTIES = f"must not be empty if {EMBEDDED} is true without {KEEP}"
NOT_IN_QUANTIFIERS = (
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    (KEEP, "must be false to be structural"),
    (EMBEDDED, "must be false to be structural"),
    (EITHER, "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
)


SCALARS = frozenset({"boolean", "integer", "number", "string"})
PLAIN = frozenset(
    {
        "type", "description", "format", "title", "default", "enum", "maxLength", "minLength", "maximum", "minimum",
        "exclusiveMaximum", "exclusiveMinimum", "multipleOf",
    }
)  # fmt: skip
"""What a scalar may say of itself with nothing in it that could be wrong; most fields of big schemas say no more."""


def structural(schema: Object, path: str) -> Errors:
    """What keeps a schema from being structural; sorted, as upstream does."""
    found = [*_invariants(schema, ROOT, path), *_complete(schema, schema, path, path)]
    return sorted(found, key=lambda error: f"{error.path}: {error.message}")


def _only(schema: Any) -> Object | None:
    """A schema that may be a boolean, or a list of schemas, if it is one schema."""
    return schema if isinstance(schema, dict) else None


def _properties(schema: Object) -> Mapping[str, Object]:
    return schema.get("properties") or {}


def _invariants(schema: Object, level: str, path: str) -> Iterator[FieldError]:
    kind = schema.get("type") or ""
    if level != ROOT and kind in SCALARS and schema.keys() <= PLAIN:
        return
    items, more = _only(schema.get("items")), schema.get("additionalProperties")
    if kind == "array" and not schema.get("items"):
        yield required(f"{path}.items", "must be specified")
    if items is not None:
        yield from _invariants(items, ITEM, f"{path}.items")
    for name, inner in sorted(_properties(schema).items()):
        yield from _invariants(inner, FIELD, f"{path}.properties[{name}]")
    if more is not None:
        if level == ROOT:
            yield forbidden(f"{path}.additionalProperties", "must not be used at the root")
        if (inner_schema := _only(more)) is not None:
            yield from _invariants(inner_schema, FIELD, f"{path}.additionalProperties")
    yield from _extensions(schema, path)
    yield from _values(schema, path, schema.get("anyOf") == INT_OR_STRING, _first_is_int_or_string(schema))
    yield from _kind(schema, kind, level, path)
    yield from _identity(schema, level, path)
    if schema.get(EMBEDDED) and not schema.get(KEEP) and not _properties(schema):
        yield required(f"{path}.properties", NEEDS_PROPERTIES)


def _kind(schema: Object, kind: str, level: str, path: str) -> Iterator[FieldError]:
    embedded = schema.get(EMBEDDED)
    if embedded and kind != "object":
        told = f"must be object if {EMBEDDED} is true"
        yield invalid(f"{path}.type", kind, told) if kind else required(f"{path}.type", told)
    elif not kind and not schema.get(EITHER) and not schema.get(KEEP):
        yield required(f"{path}.type", f"must not be empty {level}")
    if embedded and schema.get("additionalProperties") is not None:
        yield forbidden(f"{path}.additionalProperties", f"must not be used if {EMBEDDED} is set")
    if level == ROOT and kind not in ("", "object"):
        yield invalid(f"{path}.type", kind, "must be object at the root")


def _identity(schema: Object, level: str, path: str) -> Iterator[FieldError]:
    """kind, apiVersion and metadata of an object are what they are."""
    properties = _properties(schema)
    whole = level == ROOT or schema.get(EMBEDDED)
    for name in ("kind", "apiVersion") if whole else ():
        if name in properties and properties[name].get("type") != "string":
            yield invalid(f"{path}.properties[{name}].type", properties[name].get("type") or "", "must be string")
    if (metadata := properties.get("metadata")) is not None:
        here = f"{path}.properties[metadata]"
        if whole and metadata.get("type") != "object":
            yield invalid(f"{here}.type", metadata.get("type") or "", "must be object")
        if level == ROOT and not _only_names(metadata):
            yield forbidden(here, ONLY_NAMES)


def _only_names(metadata: Object) -> bool:
    others = [key for key in metadata if key not in ("type", "default", "properties") and metadata[key]]
    return not others and not set(_properties(metadata)) - {"name", "generateName"}


def _first_is_int_or_string(schema: Object) -> bool:
    first = next(iter(schema.get("allOf") or ()), None)
    return first is not None and first.get("anyOf") == INT_OR_STRING


def _extensions(schema: Object, path: str) -> Iterator[FieldError]:
    if schema.get(EITHER):
        for name in (KEEP, EMBEDDED):
            if schema.get(name):
                yield invalid(f"{path}.{name}", True, f"must be false if {EITHER} is true")


def _values(schema: Object, path: str, skip_any: bool = False, skip_first: bool = False) -> Iterator[FieldError]:
    """Restrictions of values. ``skip_any``, ``skip_first``: the usual way to say «integer or string» is left alone."""
    if not skip_any:
        for index, inner in enumerate(schema.get("anyOf") or ()):
            yield from _nested(inner, f"{path}.anyOf[{index}]")
    for index, inner in enumerate(schema.get("allOf") or ()):
        yield from _nested(inner, f"{path}.allOf[{index}]", skip_first and not index)
    for index, inner in enumerate(schema.get("oneOf") or ()):
        yield from _nested(inner, f"{path}.oneOf[{index}]")
    if (opposite := _only(schema.get("not"))) is not None:
        yield from _nested(opposite, f"{path}.not")
    if (shape := schema.get("pattern")) and (wrong := _wrong_shape(shape)):
        told = f"must be a valid regular expression, but isn't: {wrong}"
        yield invalid(f"{path}.pattern", shape, told)


def _wrong_shape(shape: str) -> str:
    """Why Go would not read a regular expression."""
    try:
        compiled(shape)
    except ValueError as error:
        return str(error)
    return ""


def _nested(schema: Object, path: str, skip_any: bool = False) -> Iterator[FieldError]:
    """What stands in a quantifier."""
    yield from _values(schema, path, skip_any)
    if (items := _only(schema.get("items"))) is not None:
        yield from _nested(items, f"{path}.items")
    properties = _properties(schema)
    for name, inner in sorted(properties.items()):
        yield from _nested(inner, f"{path}.properties[{name}]")
    if schema.get("type"):
        yield forbidden(f"{path}.type", "must be empty to be structural")
    for name, told in NOT_IN_QUANTIFIERS:
        value = schema.get(name)
        if value or (value is not None and "undefined" in told):
            yield forbidden(f"{path}.{name}", told)
    if "metadata" in properties:
        yield forbidden(f"{path}.properties[metadata]", "must not be specified in a nested context")


def _complete(schema: Object, outer: Object | None, at_outer: str, path: str) -> Iterator[FieldError]:
    """Whatever a quantifier of ``schema`` speaks of is declared by ``outer``."""
    if (opposite := _only(schema.get("not"))) is not None:
        yield from _declared(opposite, outer, at_outer, f"{path}.not")
    for quantifier in ("allOf", "anyOf", "oneOf"):
        for index, inner in enumerate(schema.get(quantifier) or ()):
            yield from _declared(inner, outer, at_outer, f"{path}.{quantifier}[{index}]")


def _declared(schema: Object, outer: Object | None, at_outer: str, path: str) -> Iterator[FieldError]:
    if outer is None:
        yield required(at_outer, f"because it is defined in {path}")
        return
    yield from _complete(schema, outer, at_outer, path)
    if (items := _only(schema.get("items"))) is not None:
        yield from _declared(items, _only(outer.get("items")), f"{at_outer}.items", f"{path}.items")
    for name, inner in sorted(_properties(schema).items()):
        step = f"properties[{name}]"
        yield from _declared(inner, _properties(outer).get(name), f"{at_outer}.{step}", f"{path}.{step}")
