"""Field errors in Kubernetes' words (k8s.io/apimachinery/pkg/util/validation/field)."""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class FieldError(NamedTuple):
    """One thing wrong with one field.

    ``kind`` is the reason of the cause on the wire (FieldValueRequired, FieldValueInvalid, FieldValueNotSupported,
    FieldValueDuplicate, FieldValueForbidden, FieldValueTooLong, FieldValueTooMany, FieldValueTypeInvalid,
    FieldValueNotFound, InternalError); ``message`` is the text after the path, e.g. ``Required value`` or
    ``Invalid value: "A_": a lowercase RFC 1123 label must consist of …``.
    """

    kind: str
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


ESCAPES = {
    '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"
}  # fmt: skip
HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
"""What Go's encoding/json escapes beyond JSON's own rules."""


def quoted(value: Any) -> str:
    """A value as Go's field errors print it: strings in Go's %q, the rest as Go marshals JSON."""
    if isinstance(value, str):
        if value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
            return f'"{value}"'
        return '"' + "".join(map(_escaped, value)) + '"'
    if isinstance(value, float):
        return _number(value)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).translate(HTML)


def _escaped(character: str) -> str:
    """One character inside strconv.Quote."""
    if character in ESCAPES:
        return ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _number(value: float) -> str:
    """A float64 in Go's %v: shortest digits, exponent from 1e21 and below 1e-4."""
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    return repr(value)


def printed(value: Any) -> str:
    """A value as Go's %v prints what was decoded from JSON: ``map[a:1 b:[x y]]``."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{printed(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(printed, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number(value)
    return "<nil>" if value is None else str(value)
