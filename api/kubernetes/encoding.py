"""Objects as bytes: JSON, YAML and protobuf; pretty or plain; at once or, when long, in pieces.

Source: k8s.io/apimachinery/pkg/runtime/serializer/{json,protobuf} and
k8s.io/apiserver/pkg/endpoints/handlers/responsewriters. As Go's encoder does, JSON escapes the characters that are
special in HTML and ends with a newline. Not modelled: the order of keys. Go writes the fields of a type in their
declared order and maps sorted; here they keep the order they came in.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import orjson

from seatrial.sim.apiserver.representation import PROTOBUF, YAML
from seatrial.sim.machinery.shown import LONG_MIN, Shown

Object = Mapping[str, Any]
Dump = Callable[[Any], bytes]

PIECE_ITEMS = 100
"""Items of a list that are encoded at a time: with pods of 2 kB each that takes less than a millisecond."""
GZIP_BYTES_MIN = 128 * 1024
"""Smaller answers are not compressed (responsewriters.defaultGzipThresholdBytes)."""
GZIP_LEVEL = 1
"""responsewriters.defaultGzipContentEncodingLevel."""
INSIDE = re.compile(rb"\n(?=[^\n])")
"""The ends of lines that others follow, where an item of a YAML list is indented."""
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
    """Block style with sorted keys and without aliases, as sigs.k8s.io/yaml writes it."""
    import yaml

    raw = yaml.dump(
        value, Dumper=_yaml_dumper(), encoding="utf-8", allow_unicode=True, default_flow_style=False, width=10**6
    )
    return bytes(raw)


@cache
def _yaml_dumper() -> Any:
    import yaml

    class Plain(yaml.CSafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            # Objects share what is equal in them; on the wire each has its own.
            return True

    return Plain


def protobuf_bytes(value: Any) -> bytes:
    """The envelope of application/vnd.kubernetes.protobuf."""
    from seatrial.sim.machinery import protobuf

    return protobuf.encode(value)


def long_field(body: Object) -> str:
    """The field of a body that is worth sending in pieces; empty when none is."""
    for name in LONG:
        if isinstance(value := body.get(name), list | Shown) and len(value) >= LONG_MIN:
            return name
    return ""


def encode(body: Object, media_type: str, pretty: bool) -> bytes:
    """A whole body."""
    if media_type == YAML:
        return yaml_bytes(body)
    if media_type == PROTOBUF:
        return protobuf_bytes(body)
    return (pretty_bytes(body) if pretty else json_bytes(body)) + b"\n"


def pieces(
    body: Object, name: str, media_type: str, pretty: bool, move: Callable[[Any], Any] | None
) -> Iterator[bytes]:
    """A body whose list ``name`` is encoded a few items at a time, while they are sent.

    ``move`` is done to each item first. A piece may be empty: then work went on that has nothing to show yet.
    """
    if move is not None:
        body = {**body, name: Shown(body[name], move)}
    if media_type == YAML:
        return _yaml_pieces(body, name)
    if media_type == PROTOBUF:
        from seatrial.sim.machinery import protobuf

        return protobuf.encode_pieces(body)
    return _pretty_pieces(body, name) if pretty else _json_pieces(body, name)


def _rest(body: Object, name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


def _json_pieces(body: Object, name: str) -> Iterator[bytes]:
    items: Sequence[Any] = body[name]
    yield json_bytes(_rest(body, name))[:-1] + f',"{name}":['.encode()
    for start in range(0, len(items), PIECE_ITEMS):
        joined = json_bytes(items[start : start + PIECE_ITEMS])[1:-1]
        yield b"," + joined if start else joined
    yield b"]}\n"


def _pretty_pieces(body: Object, name: str) -> Iterator[bytes]:
    items: Sequence[Any] = body[name]
    yield pretty_bytes(_rest(body, name))[:-2] + f',\n  "{name}": ['.encode()
    for start in range(0, len(items), PIECE_ITEMS):
        batch = (pretty_bytes(item).replace(b"\n", b"\n    ") for item in items[start : start + PIECE_ITEMS])
        yield (b",\n    " if start else b"\n    ") + b",\n    ".join(batch)
    yield b"\n  ]\n}\n"


def _yaml_pieces(body: Object, name: str) -> Iterator[bytes]:
    for key in sorted(body):
        if key != name:
            yield yaml_bytes({key: body[key]})
            continue
        yield f"{name}:\n".encode()
        for item in body[name]:
            yield b"- " + INSIDE.sub(b"\n  ", yaml_bytes(item))


def compressed(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes as a gzip stream, made while they are sent."""
    squeeze = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    for part in parts:
        for start in range(0, len(part), GZIP_BYTES_MIN):
            yield squeeze.compress(part[start : start + GZIP_BYTES_MIN])
    yield squeeze.flush()


def worth_compressing(body: Object, name: str) -> bool:
    """Whether a long body comes to enough bytes, as its first item lets expect."""
    return len(orjson.dumps(body[name][0])) * len(body[name]) > GZIP_BYTES_MIN
