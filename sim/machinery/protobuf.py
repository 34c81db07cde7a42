"""Kubernetes' protobuf encoding of the built-in kinds: envelopes, objects, lists and watch frames.

Source: k8s.io/apimachinery/pkg/runtime/serializer/protobuf and the generated.proto files of k8s.io/api. As upstream's
generated code does, a field that is no pointer is written even when it is zero, and maps are written in key order.

Not modelled: Table and other kinds without a message are sent as JSON only.
"""

from __future__ import annotations

import base64
import struct as binary
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

import orjson

from seatrial.sim.machinery import schema

MAGIC = b"k8s\x00"
META = "k8s.io.apimachinery.pkg.apis.meta.v1."
UNKNOWN = "k8s.io.apimachinery.pkg.runtime.Unknown"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types."""

Encode = Callable[[Any], bytes]
Decode = Callable[[Any], Any]


class Malformed(ValueError):
    """Bytes that are no message of the kind."""


class Codec(NamedTuple):
    """How one kind of value travels: its wire type, its two directions, and its empty value."""

    wire: int
    encode: Encode
    decode: Decode
    zero: Any

    @property
    def second(self) -> bytes:
        """The tag of such a value in the entry of a map."""
        return SMALL[2 << 3 | self.wire]


SMALL = tuple(bytes((value,)) for value in range(0x80))
"""Integers of one byte."""


def varint(value: int) -> bytes:
    """An integer in base 128; negative ones take ten bytes."""
    if 0 <= value < 0x80:
        return SMALL[value]
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(raw):
            raise Malformed("unexpected EOF")
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
        if shift > 63:
            raise Malformed("proto: integer overflow")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _json(raw: bytes) -> Any:
    """The value of a RawExtension: JSON, or an object in protobuf."""
    if not raw:
        return None
    if raw.startswith(MAGIC):
        return decode(raw)
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Malformed("raw extension is neither JSON nor protobuf") from None


SCALARS: Mapping[str, Codec] = {
    "string": Codec(BYTES, lambda value: value.encode("utf-8", "replace"), _text, ""),
    "bytes": Codec(BYTES, base64.b64decode, lambda raw: base64.b64encode(raw).decode(), ""),
    "bool": Codec(VARINT, lambda value: b"\x01" if value else b"\x00", bool, False),
    "int32": Codec(VARINT, varint, _signed, 0),
    "int64": Codec(VARINT, varint, _signed, 0),
    "double": Codec(FIXED64, lambda value: binary.pack("<d", value), lambda raw: binary.unpack("<d", raw)[0], 0.0),
}


@cache
def tag(number: int, wire: int) -> bytes:
    return varint(number << 3 | wire)


def _delimited(number: int, raw: bytes) -> bytes:
    return tag(number, BYTES) + varint(len(raw)) + raw


def _fields(raw: bytes) -> list[tuple[int, int, Any]]:
    """The fields of a message as they come: number, wire type, value. Raises Malformed."""
    found, at, end = [], 0, len(raw)
    while at < end:
        key = raw[at]
        at += 1
        if key > 0x7F:
            key, at = _read_varint(raw, at - 1)
        wire = key & 7
        value: Any
        if wire == BYTES:
            size, at = (raw[at], at + 1) if at < end and raw[at] < 0x80 else _read_varint(raw, at)
            value, at = raw[at : at + size], at + size
        elif wire == VARINT:
            value, at = _read_varint(raw, at)
        elif wire in (FIXED64, FIXED32):
            size = 8 if wire == FIXED64 else 4
            value, at = raw[at : at + size], at + size
        else:
            raise Malformed(f"proto: illegal wireType {wire}")
        if at > end:
            raise Malformed("unexpected EOF")
        found.append((key >> 3, wire, value))
    return found


def _first(raw: bytes) -> dict[int, Any]:
    return {number: value for number, _, value in _fields(raw)}


def _encode_moment(text: str | None) -> bytes:
    if not text:
        return b""
    since = datetime.fromisoformat(text.replace("Z", "+00:00")) - EPOCH
    seconds = since.days * 86400 + since.seconds
    return b"\x08" + varint(seconds) + b"\x10" + varint(since.microseconds * 1000)


def _decode_moment(micro: bool) -> Decode:
    def decode_moment(raw: bytes) -> str | None:
        if not raw:
            return None
        parts = _first(raw)
        micros = parts.get(2, 0) // 1000
        try:
            at = EPOCH + timedelta(seconds=_signed(parts.get(1, 0)), microseconds=micros)
        except OverflowError:
            raise Malformed("time out of range") from None
        text = at.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
        return f"{text}.{micros:06d}Z" if micro else f"{text}Z"

    return decode_moment


def _encode_int_or_string(value: Any) -> bytes:
    if isinstance(value, str):
        return b"\x08\x01\x10\x00" + _delimited(3, value.encode())
    return b"\x08\x00\x10" + varint(value) + b"\x1a\x00"


def _decode_int_or_string(raw: bytes) -> Any:
    parts = _first(raw)
    return _text(parts.get(3, b"")) if parts.get(1) == 1 else _signed(parts.get(2, 0))


def _raw(value: Any) -> bytes:
    return b"" if value is None else _delimited(1, orjson.dumps(value))


SCHEMA = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"


def _encode_schema_or_bool(value: Any) -> bytes:
    if isinstance(value, bool):
        return b"\x08\x01" if value else b"\x08\x00"
    return b"\x08\x01" + _delimited(2, message(SCHEMA).encode(value))


def _decode_schema_or_bool(raw: bytes) -> Any:
    parts = _first(raw)
    return message(SCHEMA).decode(parts[2]) if 2 in parts else bool(parts.get(1))


def _encode_schema_or_list(item: Encode) -> Encode:
    def encode_either(value: Any) -> bytes:
        if isinstance(value, list):
            return b"".join(_delimited(2, item(each)) for each in value)
        return _delimited(1, message(SCHEMA).encode(value))

    return encode_either


def _decode_schema_or_list(item: Decode) -> Decode:
    def decode_either(raw: bytes) -> Any:
        fields = _fields(raw)
        for number, _, value in fields:
            if number == 1:
                return message(SCHEMA).decode(value)
        return [item(value) for number, _, value in fields if number == 2]

    return decode_either


def _encode_texts(value: Any) -> bytes:
    return b"".join(_delimited(1, item.encode()) for item in value)


def _decode_texts(raw: bytes) -> list[str]:
    return [_text(value) for _, _, value in _fields(raw)]


def _schema(value: Any) -> bytes:
    return message(SCHEMA).encode(value)


def _of_schema(raw: bytes) -> Any:
    return message(SCHEMA).decode(raw)


SPECIAL: Mapping[str, Codec] = {
    "Quantity": Codec(
        BYTES, lambda value: _delimited(1, str(value).encode()), lambda r: _text(_first(r).get(1, b"0")), "0"
    ),
    "Time": Codec(BYTES, _encode_moment, _decode_moment(False), None),
    "MicroTime": Codec(BYTES, _encode_moment, _decode_moment(True), None),
    "IntOrString": Codec(BYTES, _encode_int_or_string, _decode_int_or_string, 0),
    "RawExtension": Codec(BYTES, _raw, lambda raw: _json(_first(raw).get(1, b"")), None),
    "FieldsV1": Codec(BYTES, _raw, lambda raw: _json(_first(raw).get(1, b"")), None),
    "JSON": Codec(BYTES, _raw, lambda raw: _json(_first(raw).get(1, b"")), None),
    "JSONSchemaPropsOrBool": Codec(BYTES, _encode_schema_or_bool, _decode_schema_or_bool, None),
    "JSONSchemaPropsOrArray": Codec(BYTES, _encode_schema_or_list(_schema), _decode_schema_or_list(_of_schema), None),
    "JSONSchemaPropsOrStringArray": Codec(
        BYTES, _encode_schema_or_list(str.encode), _decode_schema_or_list(_text), None
    ),
    "ExtraValue": Codec(BYTES, _encode_texts, _decode_texts, None),
    "Verbs": Codec(BYTES, _encode_texts, _decode_texts, None),
}
"""Messages that are no structs in JSON, by their last name."""


class Row(NamedTuple):
    """One field of a message."""

    number: int
    name: str
    many: str
    """repeated, map, or empty."""
    codec: Codec
    tag: bytes
    always: bool
    """Whether it is written even when the object does not have it."""
    inlined: bool
    """Whether it is an embedded struct, whose fields stand in the parent's JSON."""


class Message:
    """A struct's two directions; its rows are looked up when the first value comes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._rows: list[Row] | None = None
        self._by_number: dict[int, Row] = {}
        self._absent: dict[int, bytes] = {}

    def rows(self) -> list[Row]:
        """The fields in the order of their numbers."""
        if self._rows is None:
            type = _type_of(self.name)
            self._rows = [_row(type, *given) for given in schema.data("protobuf")[self.name]]
            self._by_number = {row.number: row for row in self._rows}
            for row in self._rows:
                if row.always:
                    self._absent[row.number] = _value(row.tag, row.codec, row.codec.zero)
        return self._rows

    def encode(self, obj: Any) -> bytes:
        """The message of an object."""
        out: list[bytes] = []
        for row in self.rows():
            if row.inlined:
                out.append(_value(row.tag, row.codec, obj))
                continue
            value = obj.get(row.name)
            if value is None:
                if row.always:
                    out.append(self._absent[row.number])
            elif not row.many:
                out.append(_value(row.tag, row.codec, value))
            elif row.many == "repeated":
                out += [_value(row.tag, row.codec, row.codec.zero if item is None else item) for item in value]
            else:
                for key in sorted(value):
                    item = row.codec.zero if value[key] is None else value[key]
                    entry = _delimited(1, key.encode()) + _value(row.codec.second, row.codec, item)
                    out.append(row.tag + varint(len(entry)) + entry)
        return b"".join(out)

    def decode(self, raw: bytes) -> dict[str, Any]:
        """The object of a message; unknown fields are skipped. Raises Malformed."""
        self.rows()
        by_number, out = self._by_number, dict[str, Any]()
        for number, wire, value in _fields(raw):
            row = by_number.get(number)
            if row is None:
                continue
            if row.many == "map":
                entry = _first(value)
                given = entry.get(2)
                key = _text(entry.get(1, b""))
                out.setdefault(row.name, {})[key] = row.codec.zero if given is None else row.codec.decode(given)
            elif wire != row.codec.wire:
                out.setdefault(row.name, []).extend(_packed(row, wire, value))
            elif row.inlined:
                out.update(row.codec.decode(value))
            elif row.many:
                out.setdefault(row.name, []).append(row.codec.decode(value))
            else:
                out[row.name] = row.codec.decode(value)
        return out


def _packed(row: Row, wire: int, raw: Any) -> list[Any]:
    """Numbers that a client packed into one field. Raises Malformed for any other field of a foreign wire type."""
    if not row.many or wire != BYTES or row.codec.wire != VARINT:
        raise Malformed(f"proto: wrong wireType = {wire} for field {row.name}")
    found, at = [], 0
    while at < len(raw):
        value, at = _read_varint(raw, at)
        found.append(row.codec.decode(value))
    return found


def _value(tag: bytes, codec: Codec, value: Any) -> bytes:
    raw = codec.encode(value)
    if codec.wire != BYTES:
        return tag + raw
    size = len(raw)
    return tag + (SMALL[size] if size < 0x80 else varint(size)) + raw


def _type_of(name: str) -> schema.Type | None:
    """The type that says which of a message's fields are pointers."""
    known = name.replace("k8s.io.", "io.k8s.", 1)
    for candidate in (known, known.replace("_", "-")):
        if candidate in schema.data("types")["types"]:
            return schema.type_named(candidate)
    return None


ALWAYS = frozenset(
    {"string", "boolean", "int32", "int64", "double", "struct", "quantity", "time", "microtime", "int-or-string"}
)
"""Kinds of value that Go writes whenever they are no pointers."""


def _row(type: schema.Type | None, number: int, name: str, many: str, kind: str) -> Row:
    codec = codec_of(kind)
    field = None if type is None else type.fields.get(name)
    inlined = type is not None and field is None and not many and codec.wire == BYTES and "." in kind
    always = not many and field is not None and not field.pointer and field.kind in ALWAYS
    return Row(number, name, many, codec, tag(number, BYTES if many == "map" else codec.wire), always, inlined)


@cache
def codec_of(kind: str) -> Codec:
    """How a protobuf kind travels."""
    if kind in SCALARS:
        return SCALARS[kind]
    special = SPECIAL.get(kind.rpartition(".")[2])
    if special is not None:
        return special
    struct = message(kind)
    return Codec(BYTES, struct.encode, struct.decode, {})


@cache
def message(name: str) -> Message:
    """A message by its full name, e.g. k8s.io.api.core.v1.Pod."""
    return Message(name)


def message_of_kind(api_version: str, kind: str) -> str | None:
    """The message behind an object's apiVersion and kind; None for kinds that have none."""
    group, _, version = api_version.rpartition("/")
    known = schema.data("types")["kinds"].get(f"{group}/{version}/{kind}")
    for name in (known and known.replace("io.k8s.", "k8s.io.", 1).replace("-", "_"), META + kind):
        if name and name in schema.data("protobuf"):
            return str(name)
    return None


def _name_of(obj: Mapping[str, Any]) -> str:
    """The message of an object. Raises Malformed for kinds that have none."""
    api_version, kind = obj.get("apiVersion", ""), obj.get("kind", "")
    name = message_of_kind(api_version, kind)
    if name is None:
        raise Malformed(f"object {api_version}/{kind} does not implement the protobuf marshalling interface")
    return name


def encode(obj: Mapping[str, Any]) -> bytes:
    """An object, list or Status in its envelope. Raises ValueError for kinds that have no message."""
    api_version, kind = obj.get("apiVersion", ""), obj.get("kind", "")
    body = message(_name_of(obj)).encode(obj)
    identity = _delimited(1, api_version.encode()) + _delimited(2, kind.encode())
    return MAGIC + _delimited(1, identity) + _delimited(2, body) + _delimited(3, b"") + _delimited(4, b"")


def encode_pieces(obj: Mapping[str, Any], batch: int = 10) -> Iterator[bytes]:
    """The bytes of ``encode`` for a list, made a few items at a time: empty pieces while they are, then all of them.

    The envelope begins with its length, so nothing can be said before everything is known.
    """
    parts, items = [], obj["items"]
    for start in range(0, len(items), batch):
        parts.append(_items_only(obj, items[start : start + batch]))
        yield b""
    head = encode({**obj, "items": []})
    before, size, rest = _opened(head)
    yield before + varint(size + sum(map(len, parts))) + rest[:size]
    yield from parts
    yield rest[size:]


def _items_only(obj: Mapping[str, Any], items: Sequence[Any]) -> bytes:
    """The items of a list message, without the rest of it."""
    row = next(row for row in message(_name_of(obj)).rows() if row.name == "items")
    return b"".join([_value(row.tag, row.codec, item) for item in items])


def _opened(envelope: bytes) -> tuple[bytes, int, bytes]:
    """An envelope at the length of its body: what is before, the length, the body and what follows."""
    at = len(MAGIC)
    size, begin = _read_varint(envelope, at + 1)
    at = begin + size + 1
    size, begin = _read_varint(envelope, at)
    return envelope[:at], size, envelope[begin:]


def encode_watch_event(type: str, obj: Mapping[str, Any]) -> bytes:
    """The WatchEvent of one frame; the four bytes of length before it are the stream's."""
    return _delimited(1, type.encode()) + _delimited(2, _delimited(1, encode(obj)))


def decode(raw: bytes) -> dict[str, Any]:
    """An object from its envelope, as it was written: zeros are kept. Raises ValueError."""
    if not raw.startswith(MAGIC):
        raise Malformed("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        return _object(raw[len(MAGIC) :])
    except (AttributeError, TypeError, RecursionError):
        # A number where a message, text or bytes belong, or the reverse, below the fields that are checked.
        raise Malformed("proto: wrong wireType") from None


def _object(raw: bytes) -> dict[str, Any]:
    parts = _first(raw)
    identity = _first(parts.get(1, b""))
    api_version, kind = _text(identity.get(1, b"")), _text(identity.get(2, b""))
    name = message_of_kind(api_version, kind)
    if name is None:
        raise Malformed(f'no kind "{kind}" is registered for version "{api_version}"')
    return {"kind": kind, "apiVersion": api_version, **message(name).decode(parts.get(2, b""))}
