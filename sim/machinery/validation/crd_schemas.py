"""Schemas of custom resources, as a definition may carry them.

Source: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation. *Not modelled*: defaults are not checked
against the schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.crd_rules import rules
from seatrial.sim.machinery.validation.crd_structure import EMBEDDED, KEEP, PLAIN, SCALARS, structural
from seatrial.sim.machinery.validation.problems import Errors, Object, forbidden, invalid, not_supported, required

TYPES = ("array", "boolean", "integer", "number", "object", "string")
REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
LIST_TYPE, LIST_KEYS, MAP_TYPE = "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"
RULES = "x-kubernetes-validations"
AT_ROOT = (
    "Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum", "ExclusiveMinimum",
    "MaxLength", "MinLength", "Pattern", "MaxItems", "MinItems", "UniqueItems", "MultipleOf", "Required", "Items",
    "Properties", "ExternalDocs", "Example", "XPreserveUnknownFields", "XValidations",
)  # fmt: skip
"""Go fields that a root schema may have beside the status subresource."""
UNSUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
KEY_NEEDS_DEFAULT = f"this property is in {LIST_KEYS}, so it must have a default or be a required property"
WITH_STATUS = "at the root of the schema if the status subresource is enabled"
NEWLINES = re.compile(r"[\n\r]+")


class Place(NamedTuple):
    """Where a schema stands, as far as it matters."""

    root: bool = False
    within_metadata: bool = False
    """Inside kind, apiVersion or metadata of an object."""
    no_defaults: str | None = None
    """Why defaults are forbidden, where they are."""


def validation(value: Object, path: str, has_status: bool) -> Errors:
    """A version's schema; ``path`` is where upstream's internal version has it."""
    schema, here = value.get("openAPIV3Schema"), f"{path}.openAPIV3Schema"
    if schema is None:
        return ()
    errors: list[FieldError] = [*_root(schema, here)] if has_status else []
    if schema.get("nullable"):
        errors.append(forbidden(f"{here}.nullable", "nullable cannot be true at the root"))
    errors += structural(schema, here)
    errors += _schema(schema, here, Place(root=True))
    return errors or list(rules(schema, here))


def _root(schema: Object, path: str) -> Iterator[FieldError]:
    for name in schema:
        go_name = f"X{_camel(name[13:])}" if name.startswith("x-kubernetes-") else name[0].upper() + name[1:]
        if not schema[name]:
            continue
        if name == "type":
            if schema[name] != "object":
                told = f'only "object" is allowed as the type {WITH_STATUS}'
                yield invalid(f"{path}.type", schema[name], told)
                return
        elif go_name not in AT_ROOT:
            allowed = " ".join(AT_ROOT)
            told = f"only [{allowed}] fields are allowed {WITH_STATUS}"
            yield invalid(path, schema, told)
            return


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


def _schema(schema: Object, path: str, place: Place) -> Iterator[FieldError]:
    if "default" not in schema and schema.get("type") in SCALARS and schema.keys() <= PLAIN:
        return
    yield from _standard(schema, path, place)
    if schema.get("uniqueItems"):
        told = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(f"{path}.uniqueItems", told)
    below = place._replace(root=False) if place.root else place
    yield from _fields(schema, path, place, below)
    if isinstance(opposite := schema.get("not"), dict):
        yield from _schema(opposite, f"{path}.not", below)
    for quantifier in ("allOf", "oneOf", "anyOf"):
        for index, inner in enumerate(schema.get(quantifier) or ()):
            yield from _schema(inner, f"{path}.{quantifier}[{index}]", below)
    for name, inner in sorted((schema.get("definitions") or {}).items()):
        yield from _schema(inner, f"{path}.definitions[{name}]", below)
    items = schema.get("items")
    if isinstance(items, dict):
        yield from _schema(items, f"{path}.items", below)
    for index, inner in enumerate(items if isinstance(items, list) else ()):
        yield from _schema(inner, f"{path}.items[{index}]", below)
    if schema.get(KEEP) is False:
        yield invalid(f"{path}.{KEEP}", False, "must be true or undefined")
    yield from _topology(schema, path)
    for index, rule in enumerate(schema.get(RULES) or ()):
        yield from _rule(rule, f"{path}.{RULES}[{index}]")


def _fields(schema: Object, path: str, place: Place, below: Place) -> Iterator[FieldError]:
    properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
    if more is not None:
        if properties and more is not True:
            told = "additionalProperties and properties are mutual exclusive"
            yield forbidden(f"{path}.additionalProperties", told)
        if isinstance(more, dict):
            why = "inside additionalProperties applying to object metadata"
            inner_place = below._replace(no_defaults=why) if place.within_metadata else below
            yield from _schema(more, f"{path}.additionalProperties", inner_place)
    for name, inner in sorted(properties.items()):
        inner_place = below
        if (place.root or schema.get(EMBEDDED)) and name in ("metadata", "kind", "apiVersion"):
            inner_place = below._replace(within_metadata=True)
            if place.root:
                inner_place = inner_place._replace(no_defaults=f"in top-level {name}")
        yield from _schema(inner, f"{path}.properties[{name}]", inner_place)


def _standard(schema: Object, path: str, place: Place) -> Iterator[FieldError]:
    kind = schema.get("type")
    if kind and kind not in TYPES:
        yield not_supported(f"{path}.type", kind, TYPES)
    if "default" in schema and schema["default"] is not None and place.no_defaults is not None:
        yield forbidden(f"{path}.default", f"must not be set {place.no_defaults}")
    for name in UNSUPPORTED:
        if schema.get(name):
            yield forbidden(f"{path}.{name}", f"{name} is not supported")
    if kind == "null":
        yield forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative")
    if isinstance(schema.get("items"), list):
        yield forbidden(f"{path}.items", "items must be a schema object and not an array")
    if place.within_metadata and schema.get(EMBEDDED):
        yield forbidden(f"{path}.{EMBEDDED}", "must not be used inside of resource meta")


def _topology(schema: Object, path: str) -> Iterator[FieldError]:
    """How lists and maps are merged."""
    kind, map_type, list_type = schema.get("type") or "", schema.get(MAP_TYPE), schema.get(LIST_TYPE)
    if map_type is not None:
        if kind != "object":
            yield _wrong_type(path, kind, f"must be object if {MAP_TYPE} is specified")
        if map_type not in ("atomic", "granular"):
            yield not_supported(f"{path}.{MAP_TYPE}", map_type, ("atomic", "granular"))
    items = schema.get("items")
    if list_type is not None:
        if kind != "array":
            yield _wrong_type(path, kind, f"must be array if {LIST_TYPE} is specified")
        elif list_type == "set" and isinstance(items, dict):
            yield from _set_item(items, f"{path}.items")
        if list_type not in ("atomic", "set", "map"):
            yield not_supported(f"{path}.{LIST_TYPE}", list_type, ("atomic", "set", "map"))
    keys = schema.get(LIST_KEYS) or ()
    if keys and list_type != "map":
        told = f"must be map if {LIST_KEYS} is non-empty"
        wrong = f"{path}.{LIST_TYPE}"
        yield required(wrong, told) if list_type is None else invalid(wrong, list_type, told)
    if list_type == "map":
        yield from _keyed_list(schema, keys, path)
    if list_type in ("set", "map") and isinstance(items, dict):
        yield from _members(items, keys, list_type, f"{path}.items")


def _wrong_type(path: str, kind: str, told: str) -> FieldError:
    return invalid(f"{path}.type", kind, told) if kind else required(f"{path}.type", told)


def _set_item(items: Object, path: str) -> Iterator[FieldError]:
    told = f"must be atomic as item of a list with {LIST_TYPE}=set"
    list_type = items.get(LIST_TYPE)
    if items.get("type") == "array" and list_type not in (None, "atomic"):
        yield invalid(f"{path}.{LIST_TYPE}", list_type, told)
    if items.get("type") == "object" and items.get(MAP_TYPE) != "atomic":
        yield invalid(f"{path}.{MAP_TYPE}", list_type, told)


def _keyed_list(schema: Object, keys: Sequence[str], path: str) -> Iterator[FieldError]:
    items = schema.get("items")
    if not keys:
        yield required(f"{path}.{LIST_KEYS}", f"must not be empty if {LIST_TYPE} is map")
    if items is None:
        yield required(f"{path}.items", f"must have a schema if {LIST_TYPE} is map")
    if not isinstance(items, dict):
        return
    kind = items.get("type") or ""
    if kind != "object":
        yield invalid(f"{path}.items.type", kind, f"must be object if parent array's {LIST_TYPE} is map")
        return
    properties = items.get("properties") or {}
    for index, key in enumerate(keys):
        if key not in properties:
            yield invalid(f"{path}.{LIST_KEYS}", list(keys), "entries must all be names of item properties")
        elif properties[key].get("type") in ("array", "object"):
            told = f"must be a scalar type if parent array's {LIST_TYPE} is map"
            yield invalid(f"{path}.items.properties[{key}].type", kind, told)
        if key in keys[:index]:
            yield invalid(f"{path}.{LIST_KEYS}", list(keys), "must not contain duplicate entries")


def _members(items: Object, keys: Sequence[str], list_type: str, path: str) -> Iterator[FieldError]:
    if items.get("nullable"):
        yield forbidden(f"{path}.nullable", f"cannot be nullable when {LIST_TYPE} is {list_type}")
    if list_type != "map":
        return
    properties = items.get("properties") or {}
    for key in keys:
        if (field := properties.get(key)) is None:
            continue
        here = f"{path}.properties[{key}]"
        if key not in (items.get("required") or ()) and field.get("default") is None:
            yield required(f"{here}.default", KEY_NEEDS_DEFAULT)
        if field.get("nullable"):
            yield forbidden(f"{here}.nullable", f"this property is in {LIST_KEYS}, so it cannot be nullable")


def _rule(value: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    rule, message = value.get("rule") or "", value.get("message") or ""
    expression, reason, field = value.get("messageExpression") or "", value.get("reason"), value.get("fieldPath") or ""
    if not rule.strip():
        yield required(f"{path}.rule", "rule is not specified")
    elif message and not message.strip():
        yield invalid(f"{path}.message", message, "message must be non-empty if specified")
    elif NEWLINES.search(message.strip()):
        yield invalid(f"{path}.message", message, "message must not contain line breaks")
    elif NEWLINES.search(rule.strip()) and not message.strip():
        yield required(f"{path}.message", "message must be specified if rule contains line breaks")
    if expression and not expression.strip():
        yield required(f"{path}.messageExpression", "messageExpression must be non-empty if specified")
    if reason is not None and reason not in REASONS:
        yield not_supported(f"{path}.reason", reason, REASONS)
    if field and not field.strip():
        yield invalid(f"{path}.fieldPath", field, "fieldPath must be non-empty if specified")
    if NEWLINES.search(field):
        yield invalid(f"{path}.fieldPath", field, "fieldPath must not contain line breaks")
