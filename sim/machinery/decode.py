"""Request bodies to objects: JSON, YAML and protobuf into the type of a kind, with the API server's refusals.

Source: k8s.io/apimachinery/pkg/runtime/serializer/{json,protobuf}, k8s.io/apiserver/pkg/endpoints/handlers/create.go.

Not modelled: CBOR.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from seatrial.sim.machinery import errors, protobuf, reading, schema
from seatrial.sim.machinery.fields import FieldError, printed, quoted
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.machinery.schema import Type
from seatrial.sim.machinery.typed import Mistyped, Reading, json_kind, struct_decoder

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
SUMMARY_CHARACTERS = 30
"""How much of a body an error quotes (handlers.summarizeData)."""
SCHEME = "pkg/runtime/scheme.go:111"
"""Where upstream's registry of types was made; its errors say so."""
IDENTITY = (("APIVersion", "apiVersion"), ("Kind", "kind"))
Known = Mapping[str, Any]
NOTHING: Known = {}
META = "io.k8s.apimachinery.pkg.apis.meta.v1."


def decode(resource: Resource, raw: bytes, content_type: str, strictness: str) -> tuple[dict[str, Any], list[str]]:
    """A body as an object of the kind, and the warnings that ``Warn`` asks for.

    ``strictness`` is Ignore, Warn or Strict. Raises ApiError: 400 for what cannot be read or does not fit, 415 for a
    media type that the server does not speak.
    """
    media = media_type(resource, content_type)
    if media == PROTOBUF:
        return _from_protobuf(resource, raw), []
    duplicates: list[str] = []
    try:
        if media == YAML:
            value, twice = _yaml(raw)
            duplicates = [f"yaml: unmarshal errors:\n  {text}" for text in twice]
        else:
            value = reading.json_value(raw)
            if strictness != "Ignore":
                duplicates = [f'duplicate field "{path}"' for path in reading.json_duplicates(raw, value)]
    except reading.Unreadable as problem:
        raise _unrecognized(resource, raw, _why_unreadable(media, str(problem))) from None
    if type(value) is not dict:
        raise _unrecognized(resource, raw, _why_no_object(value))
    return _body(resource, value, strictness, duplicates)


def _yaml(raw: bytes) -> tuple[Any, list[str]]:
    """As yamltext.yaml_value; the parser is loaded when the first client sends YAML, as few do."""
    from seatrial.sim.machinery.yamltext import yaml_value

    return yaml_value(raw)


def media_type(resource: Resource, content_type: str) -> str:
    """The body's media type. Raises ApiError 415."""
    media = content_type.partition(";")[0].strip().lower() or JSON
    served = (JSON, YAML) if resource.custom else (JSON, YAML, PROTOBUF)
    if media not in served:
        raise errors.unsupported_media_type(served)
    return media


def decode_value(resource: Resource, value: Any, strictness: str) -> tuple[dict[str, Any], list[str]]:
    """The same for a value that was read already, as patches make them."""
    if type(value) is not dict:
        raise _unrecognized(resource, b"", _why_no_object(value))
    return _body(resource, value, strictness, [])


def decode_patched(
    resource: Resource, value: Any, strictness: str, strategic: Any = None, known: Known = NOTHING
) -> tuple[dict[str, Any], list[str]]:
    """The same for what a patch made of an object: a wrong type makes the patch invalid.

    ``strategic`` is the strategic merge patch, if it was one; ``known`` is the object before, whose parts need not be
    read again where the patch left them. Raises ApiError 422.
    """
    if type(value) is not dict:
        return decode_value(resource, value, strictness)
    try:
        return _typed(resource, value, strictness, [], known)
    except Mistyped as problem:
        text = orjson.dumps(value).decode() if strategic is None else printed(strategic)
        why = str(problem) if strategic is None else problem.unstructured
        wrong = FieldError("FieldValueInvalid", "patch", f"Invalid value: {quoted(text)}: {why}")
        raise errors.invalid("", "", "", [wrong]) from None


def _body(
    resource: Resource, value: dict[str, Any], strictness: str, duplicates: list[str]
) -> tuple[dict[str, Any], list[str]]:
    try:
        return _typed(resource, value, strictness, duplicates)
    except Mistyped as problem:
        raise _unhandled(resource, *_identity(resource, value), str(problem)) from None


def _typed(
    resource: Resource, value: dict[str, Any], strictness: str, duplicates: list[str], known: Known = NOTHING
) -> tuple[dict[str, Any], list[str]]:
    """Raises Mistyped, and ApiError 400 for another kind than the resource's."""
    kind, api_version = _identity(resource, value)
    if kind != resource.kind or api_version != resource.api_version:
        if resource.custom is not None and api_version == resource.api_version:
            raise _other_kind(resource, kind, value)
        raise _foreign(resource, kind, api_version)
    obj, unknown = read_as(root_type(resource), value, bool(resource.custom), known)
    obj = {"kind": kind, "apiVersion": api_version, **obj, "metadata": obj.get("metadata") or {}}
    if resource.custom is not None:
        obj, gone = resource.custom.pruned(obj)
        unknown = [*unknown, *gone]
    if strictness == "Ignore" or not (unknown or duplicates):
        return obj, []
    problems = [f'unknown field "{path}"' for path in unknown]
    # The decoder of built-in kinds reports both at once; that of custom kinds prunes what it has read.
    problems = [*problems, *duplicates] if resource.custom is None else [*duplicates, *problems]
    if strictness == "Strict":
        raise _unhandled(resource, kind, api_version, f"strict decoding error: {', '.join(problems)}")
    return obj, problems


def read_as(type: Type, value: Any, open: bool = False, known: Known = NOTHING) -> tuple[dict[str, Any], list[str]]:
    """A value as a type, and the paths of fields that the type does not have.

    ``open``: fields that the type does not name are kept as they are; ``known``: a value that was read before, whose
    parts are not read again where they are the very same. Raises Mistyped in encoding/json's words.
    """
    state = Reading(type)
    try:
        obj = struct_decoder(type)(value, state, (), known)
    except RecursionError:
        raise Mistyped("exceeded max depth") from None
    if state.error:
        raise Mistyped(state.error, state.unstructured)
    if open and len(obj) != len(value):
        obj = {**{key: item for key, item in value.items() if key not in obj}, **obj}
        state.unknown = [path for path in state.unknown if path not in value]
    return obj, state.unknown


def root_type(resource: Resource) -> Type:
    """The type to read a body as; for custom kinds what all objects have in common."""
    type = None if resource.custom else resource.type
    return type if type is not None else CUSTOM


CUSTOM = Type(
    "CustomResource",
    {
        "kind": schema.Field("kind", "string"),
        "apiVersion": schema.Field("apiVersion", "string", index=1),
        "metadata": schema.Field("metadata", "struct", ref=f"{META}ObjectMeta", present=True, index=2),
    },
)


def _identity(resource: Resource, value: dict[str, Any]) -> tuple[str, str]:
    """Kind and apiVersion of a body; a built-in kind may leave out what the URL says. Raises ApiError 400."""
    kind, api_version = value.get("kind"), value.get("apiVersion")
    for name, given in (("kind", kind), ("apiVersion", api_version)):
        if given is not None and not isinstance(given, str):
            place = f"Go struct field .{name} of type string"
            text = (
                f"couldn't get version/kind; json parse error: json: cannot unmarshal {json_kind(given)} into {place}"
            )
            raise _unrecognized(resource, _text(value), text)
    if resource.custom and not kind:
        raise _unrecognized(resource, _text(value), f"Object 'Kind' is missing in '{_text(value).decode()}'")
    if resource.custom and not api_version:
        raise _unrecognized(resource, _text(value), f"Object 'apiVersion' is missing in '{_text(value).decode()}'")
    return kind or resource.kind, api_version or resource.api_version


def _text(value: Any) -> bytes:
    return orjson.dumps(value)


def _foreign(resource: Resource, kind: str, api_version: str) -> errors.ApiError:
    """A body of another kind than the URL's."""
    group, _, version = api_version.rpartition("/")
    if resource.custom is None and schema.type_of_kind(group, version, kind) is None:
        why = f'no kind "{kind}" is registered for version "{api_version}" in scheme "{SCHEME}"'
        return _unhandled(resource, kind, api_version, why)
    if kind == resource.kind or resource.custom is not None:
        return errors.bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({resource.api_version})"
        )
    package = resource.group.partition(".")[0] or "core"
    source = f"{version}.{kind}"
    why = f"converting ({source}) to ({package}.{resource.kind}): unknown conversion"
    return _unhandled(resource, kind, api_version, why)


def _other_kind(resource: Resource, kind: str, value: dict[str, Any]) -> errors.ApiError:
    """A custom resource may be read as any kind; it is validation that refuses it (ValidateTypeMeta)."""
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else ""
    wrong = FieldError("FieldValueInvalid", "kind", f"Invalid value: {quoted(kind)}: must be {resource.kind}")
    return errors.invalid(resource.group, resource.kind, name if isinstance(name, str) else "", [wrong])


def _unhandled(resource: Resource, kind: str, api_version: str, why: str) -> errors.ApiError:
    version = api_version.rpartition("/")[2]
    return errors.bad_request(f'{kind} in version "{version}" cannot be handled as a {resource.kind}: {why}')


def _unrecognized(resource: Resource, raw: bytes, why: str) -> errors.ApiError:
    text = f"the object provided is unrecognized (must be of type {resource.kind}): {why} ({summary(raw)})"
    return errors.bad_request(text)


def summary(raw: bytes) -> str:
    """The beginning of a body for an error: as text when it looks like JSON, else in hexadecimal."""
    if not raw:
        return "<empty>"
    shown = raw.decode("utf-8", "replace") if raw[:1] == b"{" else raw.hex()
    return shown if len(shown) <= SUMMARY_CHARACTERS else f"{shown[:SUMMARY_CHARACTERS]} ..."


def _why_unreadable(media: str, problem: str) -> str:
    if media == YAML:
        return f"error converting YAML to JSON: {problem}"
    return f"couldn't get version/kind; json parse error: {problem}"


def _why_no_object(value: Any) -> str:
    tags = "; ".join(f'{name} string "json:\\"{key},omitempty\\""' for name, key in IDENTITY)
    into = f"Go value of type struct {{ {tags} }}"
    return f"couldn't get version/kind; json parse error: json: cannot unmarshal {json_kind(value)} into {into}"


def _from_protobuf(resource: Resource, raw: bytes) -> dict[str, Any]:
    try:
        obj = protobuf.decode(raw)
    except ValueError as problem:
        raise _unrecognized(resource, raw, str(problem)) from None
    kind, api_version = obj.get("kind") or resource.kind, obj.get("apiVersion") or resource.api_version
    if kind != resource.kind or api_version != resource.api_version:
        raise _foreign(resource, kind, api_version)
    return _typed(resource, {**obj, "kind": kind, "apiVersion": api_version}, "Ignore", [])[0]


def decode_options(raw: bytes, content_type: str) -> dict[str, Any]:
    """The DeleteOptions of a deletion. Raises ApiError 400 or 415."""
    media = content_type.partition(";")[0].strip().lower() or JSON
    type = schema.type_named(f"{META}DeleteOptions")
    try:
        if media == PROTOBUF:
            return protobuf.decode(raw)
        value = _yaml(raw)[0] if media == YAML else reading.json_value(raw)
        if not isinstance(value, dict):
            raise Mistyped(_why_no_object(value))
        return read_as(type, value)[0]
    except ValueError as problem:
        raise errors.bad_request(str(problem)) from None


def read_json(raw: bytes, strictness: str, warnings: list[str]) -> Any:
    """A JSON or merge patch as a plain value; ``warnings`` gets duplicate fields. Raises ApiError 400."""
    try:
        value = reading.json_value(raw)
    except reading.Unreadable as problem:
        raise errors.bad_request(f"error decoding patch: {problem}") from None
    if strictness != "Ignore":
        found = [f'duplicate field "{path}"' for path in reading.json_duplicates(raw, value)]
        if found and strictness == "Strict":
            raise errors.bad_request(f"strict decoding error: {', '.join(found)}")
        warnings.extend(found)
    return value


def read_yaml(raw: bytes, strictness: str, warnings: list[str]) -> Any:
    """An applied configuration as a plain value; ``warnings`` gets duplicate keys. Raises ApiError 400."""
    try:
        value, twice = _yaml(raw)
    except reading.Unreadable as problem:
        raise errors.bad_request(f"error decoding YAML: {problem}") from None
    if twice and strictness != "Ignore":
        text = "\n  ".join(["yaml: unmarshal errors:", *twice])
        if strictness == "Strict":
            raise errors.bad_request(f"error strict decoding YAML: {text}")
        warnings.append(text)
    return value
