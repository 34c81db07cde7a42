"""The OpenAPI v2 document in protobuf, the form in which kubectl asks for it.

Source: the messages of github.com/google/gnostic-models/openapiv2 (field numbers). A table says for each message which
member of the JSON document goes where; unknown members that begin with ``x-`` are vendor extensions.

Not modelled: parts of OpenAPI v2 that Kubernetes' document does not have (forms, headers, OAuth, tags).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from seatrial.sim.machinery.protobuf import tag, varint

VARINT, FIXED64, DELIMITED = 0, 1, 2
Encode = Callable[[Any], bytes]


def _string(value: Any) -> bytes:
    return str(value).encode()


def _any(value: Any) -> bytes:
    """An Any holds its value as YAML text, of which JSON is a part."""
    text = value.encode() if isinstance(value, str) else orjson.dumps(value)
    return _member(2, text + b"\n")


def _member(number: int, raw: bytes) -> bytes:
    return tag(number, DELIMITED) + varint(len(raw)) + raw


def _flag(number: int, value: Any) -> bytes:
    return tag(number, VARINT) + varint(int(value))


def _double(number: int, value: Any) -> bytes:
    return tag(number, FIXED64) + struct.pack("<d", float(value))


def _named(name: str, raw: bytes) -> bytes:
    return _member(1, name.encode()) + _member(2, raw)


def _map(encode: Encode) -> Encode:
    """A JSON object as repeated name and value pairs under number 1."""
    return lambda value: b"".join(_member(1, _named(name, encode(item))) for name, item in value.items())


def _message(name: str) -> Encode:
    return lambda value: encode(name, value)


def _type_item(value: Any) -> bytes:
    return b"".join(_member(1, _string(one)) for one in ([value] if isinstance(value, str) else value))


def _strings(value: Any) -> bytes:
    return b"".join(_member(1, _string(one)) for one in value)


def _additional(value: Any) -> bytes:
    return _flag(2, value) if isinstance(value, bool) else _member(1, encode("Schema", value))


def _parameter(value: Any) -> bytes:
    """A parameter or a reference to one (ParametersItem)."""
    if "$ref" in value:
        return _member(2, _member(1, _string(value["$ref"])))
    return _member(1, _bare_parameter(value))


def _bare_parameter(value: Any) -> bytes:
    if value.get("in") == "body":
        return _member(1, encode("BodyParameter", value))
    number, name = PLACES[value["in"]]
    return _member(2, _member(number, encode(name, value)))


PLACES = {
    "header": (1, "HeaderParameter"),
    "formData": (2, "QueryParameter"),
    "query": (3, "QueryParameter"),
    "path": (4, "HeaderParameter"),
}
"""Where a parameter stands: its number in NonBodyParameter and the message that describes it."""


def _response(value: Any) -> bytes:
    return _member(1, encode("Response", value))


def _responses(value: Any) -> bytes:
    return _map(_response)(value)


def _path_items(value: Any) -> bytes:
    return b"".join(_member(2, _named(name, encode("PathItem", item))) for name, item in value.items())


def _security_definition(value: Any) -> bytes:
    return _member(2, encode("ApiKeySecurity", value))


Write = Callable[[int, Any], bytes]


def _one(encode: Encode) -> Write:
    return lambda number, value: _member(number, encode(value))


def _each(encode: Encode) -> Write:
    return lambda number, value: b"".join(_member(number, encode(item)) for item in value)


TEXT, TEXTS, SCHEMA = _one(_string), _each(_string), _one(_message("Schema"))
OPERATION = _one(_message("Operation"))

MESSAGES: Mapping[str, Mapping[str, tuple[int, Write]]] = {
    "Document": {
        "swagger": (1, TEXT),
        "info": (2, _one(_message("Info"))),
        "paths": (8, _one(_path_items)),
        "definitions": (9, _one(_map(_message("Schema")))),
        "parameters": (10, _one(_map(_bare_parameter))),
        "security": (12, _each(_map(_strings))),
        "securityDefinitions": (13, _one(_map(_security_definition))),
    },
    "Info": {"title": (1, TEXT), "version": (2, TEXT), "description": (3, TEXT)},
    "ApiKeySecurity": {"type": (1, TEXT), "name": (2, TEXT), "in": (3, TEXT), "description": (4, TEXT)},
    "PathItem": {
        "get": (2, OPERATION),
        "put": (3, OPERATION),
        "post": (4, OPERATION),
        "delete": (5, OPERATION),
        "options": (6, OPERATION),
        "head": (7, OPERATION),
        "patch": (8, OPERATION),
        "parameters": (9, _each(_parameter)),
    },
    "Operation": {
        "tags": (1, TEXTS),
        "summary": (2, TEXT),
        "description": (3, TEXT),
        "operationId": (5, TEXT),
        "produces": (6, TEXTS),
        "consumes": (7, TEXTS),
        "parameters": (8, _each(_parameter)),
        "responses": (9, _one(_responses)),
        "schemes": (10, TEXTS),
        "deprecated": (11, _flag),
    },
    "BodyParameter": {
        "description": (1, TEXT),
        "name": (2, TEXT),
        "in": (3, TEXT),
        "required": (4, _flag),
        "schema": (5, SCHEMA),
    },
    "HeaderParameter": {
        "required": (1, _flag),
        "in": (2, TEXT),
        "description": (3, TEXT),
        "name": (4, TEXT),
        "type": (5, TEXT),
        "format": (6, TEXT),
        "uniqueItems": (19, _flag),
    },
    "QueryParameter": {
        "required": (1, _flag),
        "in": (2, TEXT),
        "description": (3, TEXT),
        "name": (4, TEXT),
        "type": (6, TEXT),
        "format": (7, TEXT),
        "uniqueItems": (20, _flag),
    },
    "Response": {"description": (1, TEXT), "schema": (2, _one(lambda value: _member(1, encode("Schema", value))))},
    "Schema": {
        "$ref": (1, TEXT),
        "format": (2, TEXT),
        "title": (3, TEXT),
        "description": (4, TEXT),
        "default": (5, _one(_any)),
        "multipleOf": (6, _double),
        "maximum": (7, _double),
        "exclusiveMaximum": (8, _flag),
        "minimum": (9, _double),
        "exclusiveMinimum": (10, _flag),
        "maxLength": (11, _flag),
        "minLength": (12, _flag),
        "pattern": (13, TEXT),
        "maxItems": (14, _flag),
        "minItems": (15, _flag),
        "uniqueItems": (16, _flag),
        "maxProperties": (17, _flag),
        "minProperties": (18, _flag),
        "required": (19, TEXTS),
        "enum": (20, _each(_any)),
        "additionalProperties": (21, _one(_additional)),
        "type": (22, _one(_type_item)),
        "items": (23, _one(lambda value: _member(1, encode("Schema", value)))),
        "allOf": (24, _each(_message("Schema"))),
        "properties": (25, _one(_map(_message("Schema")))),
    },
}
EXTENSIONS = {
    "Document": 16,
    "Info": 7,
    "ApiKeySecurity": 5,
    "PathItem": 10,
    "Operation": 13,
    "BodyParameter": 6,
    "HeaderParameter": 22,
    "QueryParameter": 23,
    "Response": 5,
    "Schema": 31,
}
"""The number under which each message keeps its vendor extensions."""


def _members(name: str, value: Mapping[str, Any]) -> Iterator[bytes]:
    table, extension = MESSAGES[name], EXTENSIONS[name]
    for key, item in value.items():
        row = table.get(key)
        if row is not None:
            yield row[1](row[0], item)
        elif key.startswith("x-"):
            yield _member(extension, _named(key, _any(item)))


def encode(name: str, value: Mapping[str, Any]) -> bytes:
    """A JSON value as one of the messages of the table."""
    return b"".join(_members(name, value))


def document(value: Mapping[str, Any]) -> bytes:
    """The whole OpenAPI v2 document."""
    return encode("Document", value)
