"""Compiles what a kube-apiserver says of itself into the package data beside this module.

    python -m seatrial.sim.machinery.data.compile DIRECTORY

The directory holds ``v2.json.gz``, ``v3.json.gz``, ``discovery.json.gz``, ``protobuf.json.gz``,
``table_columns.json.gz`` and ``initial_objects.json.gz``. The same input gives the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seatrial.sim.machinery import gnostic
from seatrial.sim.machinery.data.go_types import DISABLED, OMITTED, POINTERS, PRESENT, short

HERE = Path(__file__).parent
AS_THEY_ARE = {
    "table_columns": "table_columns",
    "initial_objects": "initial_objects",
    "discovery": "discovery",
}
"""Files that are packed and otherwise left alone: name to the name of the source."""
SPECIAL = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "microtime",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "any",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON": "any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray": "schema-or-array",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool": "schema-or-bool",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray": "schema-or-strings",
}
"""Definitions that are no structs on the wire."""
SCALARS = {
    ("string", None): "string",
    ("string", "byte"): "bytes",
    ("boolean", None): "boolean",
    ("integer", "int32"): "int32",
    ("integer", "int64"): "int64",
    ("number", "double"): "double",
}
ENVELOPES = (
    "k8s.io.apimachinery.pkg.runtime.Unknown",
    "k8s.io.apimachinery.pkg.apis.meta.v1.WatchEvent",
    "k8s.io.apimachinery.pkg.apis.meta.v1.PartialObjectMetadata",
    "k8s.io.apimachinery.pkg.apis.meta.v1.PartialObjectMetadataList",
    "k8s.io.apimachinery.pkg.apis.meta.v1.CreateOptions",
    "k8s.io.apimachinery.pkg.apis.meta.v1.UpdateOptions",
    "k8s.io.apimachinery.pkg.apis.meta.v1.PatchOptions",
    "k8s.io.api.core.v1.List",
)
"""Messages that travel though no served type refers to them."""
ZERO = {"string": "", "boolean": False, "int32": 0, "int64": 0, "double": 0}


def read(path: Path) -> Any:
    return json.loads(gzip.decompress(path.read_bytes()))


def write(name: str, value: Any) -> None:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    (HERE / f"{name}.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def definitions(v3: Mapping[str, Any]) -> dict[str, Any]:
    """Every type of every document, by name."""
    found: dict[str, Any] = {}
    for document in v3.values():
        for name, definition in document.get("components", {}).get("schemas", {}).items():
            found.setdefault(name, definition)
    return found


def reference(schema: Mapping[str, Any]) -> str:
    """The definition that a property points to; empty when it is none."""
    ref = schema.get("$ref") or (schema.get("allOf") or [{}])[0].get("$ref", "")
    return str(ref).rpartition("/")[2]


def shape(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A property without its place: ``t`` kind, ``r`` the struct it refers to, ``e`` its element."""
    ref = reference(schema)
    if ref:
        return {"t": SPECIAL[ref]} if ref in SPECIAL else {"t": "struct", "r": ref}
    if schema.get("type") == "array":
        return {"t": "list", "e": shape(schema["items"])}
    if schema.get("type") == "object":
        return {"t": "map", "e": shape(schema["additionalProperties"])}
    if "type" not in schema:
        return {"t": "any"}
    return {"t": SCALARS[schema["type"], schema.get("format")]}


EXTENSIONS = {
    "x-kubernetes-list-type": "lt",
    "x-kubernetes-list-map-keys": "lk",
    "x-kubernetes-map-type": "mt",
    "x-kubernetes-patch-merge-key": "mk",
    "x-kubernetes-patch-strategy": "ps",
}


def field(type_name: str, name: str, schema: Mapping[str, Any], required: bool) -> dict[str, Any]:
    """Its shape, and ``q`` required, ``p`` pointer, ``z`` always on the wire, ``d`` default, ``x`` disabled."""
    row = shape(schema)
    row.update((key, schema[long]) for long, key in EXTENSIONS.items() if long in schema)
    kind, default = row["t"], schema.get("default")
    pointer = name in POINTERS.get(short(type_name), ())
    present = name in PRESENT.get(short(type_name), ())
    if kind in ZERO:
        zero = "default" in schema and default == ZERO[kind]
        present = present or (required if pointer else zero and name not in OMITTED.get(short(type_name), ()))
        if default is not None:
            row["d"] = default
    elif kind == "struct":
        pointer = default != {}
        present = present or required or not pointer
    else:
        present = present or (required and name not in OMITTED.get(short(type_name), ()))
        pointer = not present and kind in ("quantity", "time", "microtime", "int-or-string")
    disabled = name in DISABLED.get(short(type_name), ())
    row.update({key: 1 for key, on in (("q", required), ("p", pointer), ("z", present), ("x", disabled)) if on})
    return row


def message_of(name: str) -> str:
    """The protobuf message behind a definition."""
    return name.replace("io.k8s.", "k8s.io.", 1).replace("-", "_")


def json_name(name: str, properties: Mapping[str, Any]) -> str:
    """The property behind a protobuf field; its own name when there is none, as for embedded structs."""
    dashed = re.sub(r"[A-Z]", lambda match: f"-{match.group().lower()}", name)
    folded = {key.lower(): key for key in properties}
    for candidate in (name, folded.get(name.lower(), ""), f"${name}", dashed):
        if candidate in properties:
            return candidate
    return name


def messages_of(schemas: Mapping[str, Any], messages: Mapping[str, Any]) -> dict[str, Any]:
    """The messages that the served types and their envelopes need, fields under their JSON names.

    A message is a list of (number, name, cardinality, kind), cardinality being empty, ``repeated`` or ``map``; kinds
    that are messages are named in full.
    """
    found: dict[str, Any] = {}
    properties = {message_of(name): schema.get("properties", {}) for name, schema in schemas.items()}
    waiting = [*(name for name in properties if name in messages), *ENVELOPES]
    while waiting:
        message = waiting.pop()
        if message in found:
            continue
        rows = []
        for number, (name, kind) in sorted(messages[message].items(), key=lambda item: int(item[0])):
            many = "repeated" if kind.startswith("repeated ") else "map" if kind.startswith("map<") else ""
            plain = kind.removeprefix("repeated ").removeprefix("map<string,").removesuffix(">").removeprefix(".")
            if plain not in messages and f"{message.rpartition('.')[0]}.{plain}" in messages:
                plain = f"{message.rpartition('.')[0]}.{plain}"
            if plain in messages:
                waiting.append(plain)
            rows.append([int(number), json_name(name, properties.get(message, {})), many, plain])
        found[message] = rows
    return dict(sorted(found.items()))


def declared(message: str, messages: Mapping[str, Any], properties: Mapping[str, Any]) -> list[str]:
    """Property names in the order in which Go declares them, as protobuf numbers do; embedded structs inlined."""
    order: list[str] = []
    for _, name, _, kind in messages.get(message, ()):
        order += [name] if name in properties else declared(kind, messages, properties)
    return order


def types(schemas: Mapping[str, Any], messages: Mapping[str, Any]) -> dict[str, Any]:
    """Every struct: ``f`` its fields in Go's order, ``mt`` its map type, ``u`` its union's discriminated members."""
    out: dict[str, Any] = {}
    for name, schema in sorted(schemas.items()):
        if name in SPECIAL:
            continue
        properties = schema.get("properties", {})
        ordered = [key for key in ("kind", "apiVersion") if key in properties and "metadata" in properties]
        ordered += declared(message_of(name), messages, properties)
        ordered += sorted(properties)
        required = schema.get("required", ())
        row: dict[str, Any] = {
            "f": {key: field(name, key, properties[key], key in required) for key in dict.fromkeys(ordered)}
        }
        if "x-kubernetes-map-type" in schema:
            row["mt"] = schema["x-kubernetes-map-type"]
        out[name] = row
    return out


def kinds(schemas: Mapping[str, Any]) -> dict[str, str]:
    """``group/version/Kind`` to the definition, for kinds that are one type only."""
    found: dict[str, str] = {}
    for name, schema in sorted(schemas.items()):
        rows = schema.get("x-kubernetes-group-version-kind", ())
        if len({row["kind"] for row in rows}) == 1 and not name.startswith("io.k8s.apimachinery"):
            for row in rows:
                found[f"{row['group']}/{row['version']}/{row['kind']}"] = name
    return found


def write_documents(v3: Mapping[str, Any]) -> None:
    """The v3 documents one after the other, each compressed by itself, and where each stands: offset, length, hash."""
    places, parts, offset = {}, [], 0
    for path, document in sorted(v3.items()):
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        part = gzip.compress(text, 9, mtime=0)
        places[path] = [offset, len(part), hashlib.sha512(text).hexdigest().upper()]
        parts.append(part)
        offset += len(part)
    (HERE / "openapi_v3.gz").write_bytes(b"".join(parts))
    write("openapi_v3", places)


def main(source: Path) -> None:
    v3, messages = read(source / "v3.json.gz"), read(source / "protobuf.json.gz")
    schemas = definitions(v3)
    messages = messages_of(schemas, messages)
    write("types", {"types": types(schemas, messages), "kinds": kinds(schemas)})
    write("protobuf", messages)
    for name, given in AS_THEY_ARE.items():
        write(name, read(source / f"{given}.json.gz"))
    document = read(source / "v2.json.gz")
    write("openapi_v2", document)
    (HERE / "openapi_v2.pb.gz").write_bytes(gzip.compress(gnostic.document(document), 9, mtime=0))
    write_documents(v3)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
