"""From plain values to the form that a Go type gives them: types checked, unknown fields dropped, zeros as Go writes.

Source: sigs.k8s.io/json (UnmarshalStrict), encoding/json's error texts, and the UnmarshalJSON and MarshalJSON of
resource.Quantity, metav1.Time, metav1.MicroTime and intstr.IntOrString.

Not modelled: enumerations and typed strings are plain strings, so an error names ``string`` where Go would name e.g.
``v1.ConcurrencyPolicy``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import eq, is_
from typing import Any

from seatrial.sim.machinery import moments
from seatrial.sim.machinery.quantity import parse
from seatrial.sim.machinery.schema import Field, Type, type_named

Path = tuple[Any, ...]
"""Where a value stands: () for the root, else (the parent's path, a key or index)."""
Decoder = Callable[..., Any]
"""From a value, a Reading and a Path to the value as its type has it. Those of structs and of lists of structs also
take a known value, which was read before: what of it is found again, as the very same object, is not read again, and
where nothing else is found, the answer is the known value itself."""

NOTHING: Mapping[str, Any] = {}
STRICT_ERRORS_MAX = 100
INTEGERS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
SCHEMA = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"


class Mistyped(ValueError):
    """A value of a wrong type, in encoding/json's words; ``unstructured`` has the converter's for the same."""

    def __init__(self, text: str, unstructured: str = "") -> None:
        super().__init__(text, unstructured)
        self.unstructured = unstructured or text

    def __str__(self) -> str:
        return str(self.args[0])


class Reading:
    """One object being read: what was found wrong on the way."""

    __slots__ = ("error", "root", "unknown", "unstructured")

    def __init__(self, root: Type) -> None:
        self.root = root
        self.error = ""
        """The first wrong type, in encoding/json's words; reading goes on after it."""
        self.unstructured = ""
        """The same in the words of runtime.UnstructuredConverter, through which strategic merge patches go."""
        self.unknown: list[str] = []
        """Paths of unknown fields, in reading order."""

    def mismatch(self, value: Any, wanted: str, path: Path) -> None:
        """Notes a value of a wrong type."""
        if not self.error:
            struct, dotted = located(self.root, path)
            found = f"number {value}" if wanted in INTEGERS and type(value) in (int, float) else json_kind(value)
            self.error = f"json: cannot unmarshal {found} into Go struct field {struct}.{dotted} of type {wanted}"
            self.unstructured = unconverted(value, wanted)


def json_kind(value: Any) -> str:
    """What encoding/json calls a value that does not fit."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    return "number"


def unconverted(value: Any, wanted: str) -> str:
    """Why runtime.UnstructuredConverter cannot make a Go type of a value."""
    kind = next((name for type, name in REFLECTED if isinstance(value, type)), "invalid")
    if wanted.startswith("[]"):
        return f"cannot restore slice from {kind}"
    if wanted.startswith("map["):
        return f"cannot restore map from {kind}"
    if "." in wanted:
        return f"cannot restore struct from: {kind}"
    return f"unrecognized type: {wanted}"


REFLECTED: tuple[tuple[type, str], ...] = (
    (bool, "bool"),
    (str, "string"),
    (int, "int64"),
    (float, "float64"),
    (dict, "map"),
    (list, "slice"),
)
"""What Go's reflection calls a value that JSON gave."""


def steps(path: Path) -> list[Any]:
    """The keys and indices of a path, outermost first."""
    found = []
    while path:
        path, step = path
        found.append(step)
    found.reverse()
    return found


def located(root: Type, path: Path) -> tuple[str, str]:
    """The innermost struct's name and the dotted field names, as encoding/json reports a place: no indices, no keys."""
    struct, names = root.kind, []
    type: Type | None = root
    field: Field | None = None
    for step in steps(path):
        if type is not None:
            struct = type.kind
            names.append(step)
            field = type.fields.get(step)
        else:
            field = field.element if field is not None else None
        type = field.type if field is not None and field.kind == "struct" else None
    return struct, ".".join(names)


def shown(path: Path) -> str:
    """A path as strict decoding reports it: ``spec.containers[0].image``."""
    text = ""
    for step in steps(path):
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _string(value: Any, reading: Reading, path: Path) -> Any:
    if type(value) is str:
        return value
    reading.mismatch(value, "string", path)
    return ""


def _boolean(value: Any, reading: Reading, path: Path) -> Any:
    if type(value) is bool:
        return value
    reading.mismatch(value, "bool", path)
    return False


def _integer(kind: str) -> Decoder:
    low, high = INTEGERS[kind]

    def decode(value: Any, reading: Reading, path: Path) -> Any:
        if type(value) is int and low <= value <= high:
            return value
        reading.mismatch(value, kind, path)
        return 0

    return decode


def _double(value: Any, reading: Reading, path: Path) -> Any:
    if type(value) is int:
        return value
    if type(value) is float:
        return int(value) if value.is_integer() and abs(value) < 1e21 else value
    reading.mismatch(value, "float64", path)
    return 0


BASE64 = re.compile(r"[A-Za-z0-9+/\r\n]*")


def _bytes(value: Any, reading: Reading, path: Path) -> Any:
    if type(value) is not str:
        reading.mismatch(value, "[]uint8", path)
        return ""
    try:
        if len(value) % 4 == 0:
            base64.b64decode(value, validate=True)
            return value
        return base64.b64encode(base64.b64decode(value.replace("\r", "").replace("\n", ""), validate=True)).decode()
    except (binascii.Error, ValueError):
        if not reading.error:
            reading.error = f"illegal base64 data at input byte {_illegal_at(value)}"
        return ""


def _illegal_at(text: str) -> int:
    """Where Go's decoder stops: the first foreign character, else where padding is missing."""
    match = BASE64.match(text)
    at = match.end() if match else 0
    if at < len(text) and text[at] != "=":
        return at
    plain = text.replace("\r", "").replace("\n", "")
    body = plain.rstrip("=")
    return len(body) // 4 * 4 if at == len(text) else at


@lru_cache(maxsize=1 << 14)
def _canonical(text: str) -> str:
    return str(parse(text))


def _quantity(value: Any, reading: Reading, path: Path) -> Any:
    if type(value) is bool or type(value) in (dict, list):
        value = "!"
    try:
        return _canonical(value.strip() if type(value) is str else str(value))
    except ValueError as problem:
        raise Mistyped(str(problem)) from None


def _moment(canonical: Callable[[str], str]) -> Decoder:
    def decode(value: Any, reading: Reading, path: Path) -> Any:
        if type(value) is not str:
            raise Mistyped(f"json: cannot unmarshal {json_kind(value)} into Go value of type string")
        try:
            return canonical(value)
        except ValueError as problem:
            raise Mistyped(str(problem)) from None

    return decode


def _int_or_string(value: Any, reading: Reading, path: Path) -> Any:
    low, high = INTEGERS["int32"]
    if type(value) is str or (type(value) is int and low <= value <= high):
        return value
    what = f"number {value}" if type(value) in (int, float) else json_kind(value)
    raise Mistyped(f"json: cannot unmarshal {what} into Go value of type int32")


def _any(value: Any, reading: Reading, path: Path) -> Any:
    return value


def _schema(value: Any, reading: Reading, path: Path) -> Any:
    return struct_decoder(type_named(SCHEMA))(value, reading, path)


def _schema_or_bool(value: Any, reading: Reading, path: Path) -> Any:
    if type(value) is bool:
        return value
    if type(value) is dict:
        return _schema(value, reading, path)
    raise Mistyped("boolean or JSON schema expected")


def _schema_or_array(value: Any, reading: Reading, path: Path) -> Any:
    if type(value) is list:
        return [_schema(item, reading, (path, index)) for index, item in enumerate(value)]
    if type(value) is dict:
        return _schema(value, reading, path)
    raise Mistyped("array or JSON schema expected")


def _schema_or_strings(value: Any, reading: Reading, path: Path) -> Any:
    if type(value) is list:
        return [_string(item, reading, (path, index)) for index, item in enumerate(value)]
    if type(value) is dict:
        return _schema(value, reading, path)
    raise Mistyped("string array or JSON schema expected")


PLAIN: dict[str, Decoder] = {
    "string": _string,
    "boolean": _boolean,
    "int32": _integer("int32"),
    "int64": _integer("int64"),
    "double": _double,
    "bytes": _bytes,
    "quantity": _quantity,
    "time": _moment(moments.seconds),
    "microtime": _moment(moments.micros),
    "int-or-string": _int_or_string,
    "any": _any,
    "schema-or-bool": _schema_or_bool,
    "schema-or-array": _schema_or_array,
    "schema-or-strings": _schema_or_strings,
}


def decoder(field: Field) -> Decoder:
    """How a field's value is read."""
    if field.kind == "struct":
        assert field.type is not None
        return struct_decoder(field.type)
    if field.kind in ("list", "map"):
        assert field.element is not None
        return (_list if field.kind == "list" else _map)(field, decoder(field.element), _empty(field.element))
    return PLAIN[field.kind]


def _empty(element: Field) -> Callable[[], Any]:
    """What a null in a list or map becomes."""
    if element.kind == "struct":
        return lambda: element.type.zero if element.type is not None else None
    zero = "" if element.kind == "bytes" else element.zero
    return lambda: zero


def _list(field: Field, item_decoder: Decoder, empty: Callable[[], Any]) -> Decoder:
    def decode(value: Any, reading: Reading, path: Path) -> Any:
        if type(value) is not list:
            reading.mismatch(value, field.go_type, path)
            return []
        return [
            empty() if item is None else item_decoder(item, reading, (path, index)) for index, item in enumerate(value)
        ]

    def strings(value: Any, reading: Reading, path: Path) -> Any:
        if type(value) is not list:
            return decode(value, reading, path)
        for item in value:
            if type(item) is not str:
                return decode(value, reading, path)
        return value

    def structs(value: Any, reading: Reading, path: Path, known: Sequence[Any] | None = None) -> Any:
        if not known or type(value) is not list:
            return decode(value, reading, path)
        same = set(map(id, known))
        spare = len(known) - 1
        # An item that is new may still share its parts with the one that stood there.
        found = [
            empty()
            if item is None
            else item
            if id(item) in same
            else item_decoder(item, reading, (path, index), known[min(index, spare)])
            for index, item in enumerate(value)
        ]
        return known if len(found) == len(known) and all(map(is_, found, known)) else found

    if item_decoder is _string:
        return strings
    return structs if field.element is not None and field.element.kind == "struct" else decode


def _map(field: Field, item_decoder: Decoder, empty: Callable[[], Any]) -> Decoder:
    def decode(value: Any, reading: Reading, path: Path) -> Any:
        if type(value) is not dict:
            reading.mismatch(value, field.go_type, path)
            return {}
        return {
            key: empty() if (item := value[key]) is None else item_decoder(item, reading, (path, key))
            for key in sorted(value)
        }

    def strings(value: Any, reading: Reading, path: Path) -> Any:
        if type(value) is not dict:
            return decode(value, reading, path)
        last = ""
        for key, item in value.items():
            if type(item) is not str or key < last:
                return decode(value, reading, path)
            last = key
        return value

    return strings if item_decoder is _string else decode


TEXT, DEEP, OTHER = range(3)
"""How a field is read: as it is when it is a string; with what is known of it; by its decoder alone."""

Row = tuple[Decoder, bool, int, int]
"""Of a field: how it is read, whether it stays when empty, its place, and TEXT, DEEP or OTHER."""


def _rows(struct: Type) -> dict[str, Row]:
    return {
        name: (decoder(field), field.keeps_empty, field.index, _depth(field)) for name, field in struct.fields.items()
    }


def _depth(field: Field) -> int:
    if field.kind == "list":
        return DEEP if field.element is not None and field.element.kind == "struct" else OTHER
    return {"string": TEXT, "struct": DEEP}.get(field.kind, OTHER)


@lru_cache(maxsize=1 << 12)
def struct_decoder(struct: Type) -> Decoder:
    """How a struct is read; its fields are looked up when the first value comes, as types refer to each other."""
    rows: dict[str, Row] = {}
    zeros: list[tuple[str, Any]] = []
    nulls: dict[str, int] = {}
    order = tuple(struct.fields)

    def decode(value: Any, reading: Reading, path: Path, known: Mapping[str, Any] | None = None) -> Any:
        if not rows:
            rows.update(_rows(struct))
            zeros.extend(struct.zeros)
            nulls.update({key: rows[key][2] for key, zero in zeros if zero is None})
        if type(value) is not dict:
            reading.mismatch(value, struct.go_name, path)
            return {}
        if known is None:
            known = NOTHING
        out: dict[str, Any] = {}
        last, in_order = -1, True
        for key, item in value.items():
            row = rows.get(key)
            if row is None:
                if len(reading.unknown) < STRICT_ERRORS_MAX:
                    reading.unknown.append(shown((path, key)))
                continue
            if item is None:
                if key in nulls:
                    out[key] = None
                    in_order = in_order and nulls[key] > last
                    last = nulls[key]
                continue
            read, keeps_empty, index, depth = row
            if depth == TEXT:
                if type(item) is not str:
                    item = read(item, reading, (path, key))
            elif (held := known.get(key)) is not item:
                item = read(item, reading, (path, key), held) if depth == DEEP else read(item, reading, (path, key))
            if item or keeps_empty:
                out[key] = item
                if index < last:
                    in_order = False
                last = index
        for key, zero in zeros:
            if key not in out:
                out[key] = zero
                in_order = False
        if not in_order:
            out = {key: out[key] for key in order if key in out}
        return known if known and len(out) == len(known) and _alike(out, known) else out

    return decode


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two structs of as many members have the very same ones in the same order."""
    return all(map(is_, one.values(), other.values())) and all(map(eq, one, other))
