"""Objects as bytes: JSON, YAML and protobuf; pretty or plain; at once or, when long, in pieces.

Source: k8s.io/apimachinery/pkg/runtime/serializer/{json,protobuf} and
k8s.io/apiserver/pkg/endpoints/handlers/responsewriters. As Go's encoder does, JSON escapes the characters that are
special in HTML and ends with a newline. Not modelled: the order of keys. Go writes the fields of a type in their
declared order and maps sorted; here they keep the order they came in.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import orjson

from seatrial.sim.apiserver.representation import PROTOBUF, YAML

Object = Mapping[str, Any]
Dump = Callable[[Any], bytes]

PIECE_ITEMS = 100
"""Items of a list that are encoded at a time: with pods of 2 kB each that takes less than a millisecond."""
GZIP_BYTES_MIN = 128 * 1024
"""Smaller answers are not compressed (responsewriters.defaultGzipThresholdBytes)."""
GZIP_LEVEL = 1
"""responsewriters.defaultGzipContentEncodingLevel."""
LONG = ("items", "rows")
"""The fields that make an answer long."""


def json_bytes(value: Any) -> bytes:
    """Compact JSON without the final newline."""
    return escaped(orjson.dumps(value))


def pretty_bytes(value: Any) -> bytes:
    """JSON indented by two spaces, without the final newline."""
    return escaped(orjson.dumps(value, option=orjson.OPT_INDENT_2))


def escaped(raw: bytes) -> bytes:
    """What Go's encoder escapes beyond the need of JSON; outside of strings none of these can occur."""
    if b"<" in raw:
        raw = raw.replace(b"<", b"\\u003c")
    if b">" in raw:
        raw = raw.replace(b">", b"\\u003e")
    if b"&" in raw:
        raw = raw.replace(b"&", b"\\u0026")
    if b"\xe2\x80\xa8" in raw:
        raw = raw.replace(b"\xe2\x80\xa8", b"\\u2028")
    if b"\xe2\x80\xa9" in raw:
        raw = raw.replace(b"\xe2\x80\xa9", b"\\u2029")
    return raw


def yaml_bytes(value: Any) -> bytes:
    """Block style with sorted keys, as sigs.k8s.io/yaml writes it."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return yaml.dump(value, Dumper=dumper, encoding="utf-8", allow_unicode=True, default_flow_style=False, width=10**6)


def protobuf_bytes(value: Any) -> bytes:
    """The envelope of application/vnd.kubernetes.protobuf."""
    from seatrial.sim.machinery import protobuf

    return protobuf.encode(value)


def long_field(body: Object) -> str:
    """The field of a body that is worth sending in pieces; empty when none is."""
    for name in LONG:
        if isinstance(value := body.get(name), list) and len(value) > PIECE_ITEMS:
            return name
    return ""


def encode(body: Object, media_type: str, pretty: bool) -> bytes:
    """A whole body."""
    if media_type == YAML:
        return yaml_bytes(body)
    if media_type == PROTOBUF:
        return protobuf_bytes(body)
    return (pretty_bytes(body) if pretty else json_bytes(body)) + b"\n"


def pieces(body: Object, name: str, pretty: bool, dump: Dump | None = None) -> Iterator[bytes]:
    """A JSON body whose list ``name`` is encoded a few items at a time, while they are sent.

    ``dump`` encodes one item; it is pretty if the whole is.
    """
    item_bytes = dump or (pretty_bytes if pretty else json_bytes)
    rest = {key: value for key, value in body.items() if key != name}
    items: Sequence[Any] = body[name]
    if pretty:
        yield pretty_bytes(rest)[:-2] + f',\n  "{name}": ['.encode()
        for start in range(0, len(items), PIECE_ITEMS):
            batch = (item_bytes(item).replace(b"\n", b"\n    ") for item in items[start : start + PIECE_ITEMS])
            yield (b",\n    " if start else b"\n    ") + b",\n    ".join(batch)
        yield b"\n  ]\n}\n"
        return
    yield json_bytes(rest)[:-1] + f',"{name}":['.encode()
    for start in range(0, len(items), PIECE_ITEMS):
        joined = b",".join([item_bytes(item) for item in items[start : start + PIECE_ITEMS]])
        yield b"," + joined if start else joined
    yield b"]}\n"


def compressed(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes as a gzip stream, made while they are sent."""
    squeeze = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    for part in parts:
        for start in range(0, len(part), GZIP_BYTES_MIN):
            yield squeeze.compress(part[start : start + GZIP_BYTES_MIN])
    yield squeeze.flush()


def long_enough(parts: Iterator[bytes]) -> tuple[bool, Iterator[bytes]]:
    """Whether the parts come to what is worth compressing; and the parts, none lost."""
    seen: list[bytes] = []
    size = 0
    for part in parts:
        seen.append(part)
        size += len(part)
        if size > GZIP_BYTES_MIN:
            return True, chain(seen, parts)
    return False, iter(seen)
