"""``kubectl explain``: what a field means, from the server's OpenAPI.

Source: k8s.io/kubectl/pkg/explain/v2 (templates/plaintext.tmpl, funcs.go).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.client import Kind
from seatrial.scenarios.kubectl.failures import Failure, NoMatch

Object = Mapping[str, Any]
WIDTH = 80
FIELD_INDENT, DEPTH_INDENT = 4, 2


def run(call: Call) -> int:
    flags = call.flags
    if not call.args:
        raise Failure(
            'You must specify the type of resource to explain. Use "kubectl api-resources" for a complete list of supported resources.'
        )
    if len(call.args) > 1:
        raise Failure("We accept only this format: explain RESOURCE")
    if flags["output"] not in ("plaintext", "plaintext-openapiv2"):
        raise Failure(f"unrecognized format: {flags['output']}")
    kind, path = resource_of(call, call.args[0])
    if flags["api-version"]:
        found = call.client.kind_for(flags["api-version"], kind.kind)
        if found is None:
            raise Failure(f'couldn\'t find resource for "{flags["api-version"]}, Kind={kind.kind}"')
        kind = found
    schemas = documents(call, kind)
    root = schema_of(schemas, kind)
    if root is None:
        raise Failure(f"GVR ({kind.group}/{kind.version}, Resource={kind.plural}) not found in OpenAPI schema")
    head(call, kind)
    field, name = follow(schemas, root, path)
    call.write(text_of(schemas, field, name, bool(flags["recursive"])))
    return 0


def resource_of(call: Call, word: str) -> tuple[Kind, list[str]]:
    """The type and the path of fields in ``pods.spec.containers``. Raises NoMatch."""
    parts = word.split(".")
    for length in range(len(parts), 0, -1):
        kind = call.client.find(".".join(parts[:length]))
        if kind is not None and (length == 1 or kind.group.startswith(parts[1]) or parts[1] == kind.version):
            return kind, [part for part in parts[length:] if part]
    raise NoMatch(f'the server doesn\'t have a resource type "{parts[0]}"', plain=True)


def documents(call: Call, kind: Kind) -> Object:
    """The schemas of the OpenAPI v3 document of a group and version."""
    where = f"apis/{kind.group}/{kind.version}" if kind.group else f"api/{kind.version}"
    answer = call.client.get(f"/openapi/v3/{where}")
    schemas: Object = (answer.get("components") or {}).get("schemas") or {}
    return schemas


def schema_of(schemas: Object, kind: Kind) -> Object | None:
    for schema in schemas.values():
        for each in schema.get("x-kubernetes-group-version-kind") or ():
            if (each.get("group", ""), each.get("version"), each.get("kind")) == (kind.group, kind.version, kind.kind):
                found: Object = schema
                return found
    return None


def head(call: Call, kind: Kind) -> None:
    if kind.group:
        call.out(f"GROUP:      {kind.group}")
    call.out(f"KIND:       {kind.kind}")
    call.out(f"VERSION:    {kind.version}")
    call.out()


def resolved(schemas: Object, schema: Object) -> Object:
    """The schema behind a reference, the field's own words kept beside it."""
    reference = schema.get("$ref")
    if reference:
        found: Object = schemas.get(reference.rpartition("/")[2]) or {}
        return found
    listed = schema.get("allOf")
    if listed and len(listed) == 1:
        return resolved(schemas, listed[0])
    return schema


def inner(schemas: Object, schema: Object) -> Object:
    """What a field leads to: through references, lists and maps."""
    found = resolved(schemas, schema)
    while True:
        if "items" in found:
            found = resolved(schemas, found["items"])
        elif isinstance(found.get("additionalProperties"), Mapping) and "properties" not in found:
            found = resolved(schemas, found["additionalProperties"])
        else:
            return found


def follow(schemas: Object, root: Object, path: list[str]) -> tuple[Object, str]:
    """The schema at the end of a path. Raises Failure."""
    field = root
    for name in path:
        properties = inner(schemas, field).get("properties") or {}
        if name not in properties:
            raise Failure(f'field "{name}" does not exist')
        field = properties[name]
    return field, path[-1] if path else ""


def type_name(schemas: Object, schema: Object) -> str:
    """``[]Container``, ``map[string]string``, ``integer`` (typeGuess)."""
    reference = schema.get("$ref") or next(
        (each.get("$ref") for each in schema.get("allOf") or () if "$ref" in each), None
    )
    if reference:
        name = str(reference).rpartition(".")[2]
        found = resolved(schemas, schema)
        if found.get("type") and found["type"] != "object" and "properties" not in found:
            return type_name(schemas, found) if name in ("Time", "MicroTime") else PLAIN.get(name, name)
        return name
    if schema.get("oneOf") and "type" not in schema:
        return "Object"
    kind = schema.get("type")
    if "items" in schema:
        return f"[]{type_name(schemas, schema['items'])}"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return f"map[string]{type_name(schemas, schema['additionalProperties'])}"
    if kind == "object" or (kind is None and "properties" in schema):
        return "Object"
    return str(kind or "Object")


PLAIN = {"Time": "string", "MicroTime": "string"}


def text_of(schemas: Object, field: Object, name: str, recursive: bool) -> str:
    """Everything below the head."""
    out: list[str] = []
    found = inner(schemas, field)
    if name:
        out.append(f"FIELD: {name} <{type_name(schemas, field)}>\n")
        values = _enum(schemas, field)
        if values:
            out.append("ENUM:\n" + "".join(f"    {value}\n" for value in values))
        out.append("\n")
        if not values:
            out.append("\n")
    out.append("DESCRIPTION:\n")
    out.append(_description(schemas, field))
    properties = found.get("properties") or {}
    out.append("    \n")
    if properties:
        out.append("FIELDS:\n")
        out.append(_fields(schemas, found, 0, recursive, ()))
    out.append("\n")
    return "".join(out)


def _enum(schemas: Object, field: Object) -> list[str]:
    found = resolved(schemas, field)
    values = field.get("enum") or found.get("enum") or ()
    return [value or '""' for value in sorted(str(value) for value in values)]


def _description(schemas: Object, field: Object) -> str:
    texts = [field.get("description") or ""]
    target = inner(schemas, field)
    if target is not field and target.get("description"):
        texts.append(target["description"])
    texts = [text for text in dict.fromkeys(texts) if text] or ["<empty>"]
    return "".join(wrapped(text, 4) for text in texts)


def _fields(schemas: Object, found: Object, depth: int, recursive: bool, above: tuple[int, ...]) -> str:
    out: list[str] = []
    properties, required = found.get("properties") or {}, set(found.get("required") or ())
    margin = " " * (DEPTH_INDENT * (depth + 1))
    for name in sorted(properties):
        each = properties[name]
        flag = " -required-" if name in required else ""
        out.append(f"{margin}{name}\t<{type_name(schemas, each)}>{flag}\n")
        values = _enum(schemas, each)
        if values:
            shown = ", ".join(values[:ENUM_MAX]) + (", ...." if len(values) > ENUM_MAX else "")
            out.append(f"{margin}enum: {shown}\n")
        if recursive:
            target = inner(schemas, each)
            if target.get("properties") and id(target) not in above:
                out.append(_fields(schemas, target, depth + 1, True, (*above, id(target))))
            continue
        description = each.get("description") or resolved(schemas, each).get("description") or "<no description>"
        out.append(wrapped(description, FIELD_INDENT))
        out.append("\n")
    return "".join(out)


ENUM_MAX = 4


def wrapped(text: str, indent: int) -> str:
    """A text in lines of 80, behind so many blanks; each of its lines is broken for itself."""
    margin = " " * indent
    lines = [piece for line in text.split("\n") for piece in _broken(line, WIDTH - indent)]
    return "".join(f"{margin}{line}\n" for line in lines)


def _broken(line: str, width: int) -> list[str]:
    """A line in pieces no longer than the width; a word that is longer stands alone (mitchellh/go-wordwrap)."""
    out, now = [], ""
    for space, word in re.findall(r"(\s*)(\S+)", line):
        if now and len(now) + len(space) + len(word) > width:
            out.append(now)
            now = word
        else:
            now += space + word
    return [*out, now.rstrip() if not now.strip() else now]
