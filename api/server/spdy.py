"""SPDY/3.1 as Kubernetes still speaks it: many two-way streams on one connection, seen from the server's side.

Source: the SPDY/3.1 draft (frames, header blocks, the compression dictionary). No library for it is alive. Not
modelled: flow control, priorities and pushed streams; the Go implementation that clients use has none of them either.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Final, Protocol

VERSION = 3
CONTROL: Final = 0x80
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS = 1, 2, 3, 4, 6, 7, 8
FIN = 0x01
HEAD_BYTES = 8
DATA_BYTES_MAX = 32 * 1024
FRAME_BYTES_MAX = 8 * 1024 * 1024
_NAMES = [
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
]
_PHRASES = ("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin")
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY: Final = (
    b"".join(len(word).to_bytes(4, "big") + word.encode() for word in (*_NAMES, *_PHRASES)) + _TAIL.encode()
)
"""What both sides' compression begins with (section 2.6.10.1)."""


class Malformed(Exception):
    """Bytes that are no SPDY."""


class Streams(Protocol):
    """Who uses the streams that the client opens."""

    def opened(self, stream: int, headers: Mapping[str, str]) -> None: ...
    def data(self, stream: int, content: bytes) -> None: ...
    def ended(self, stream: int) -> None:
        """The client will send nothing more on this stream."""

    def reset(self, stream: int) -> None:
        """The client has given the stream up."""


class Session:
    """One connection: bytes come in through ``feed`` and leave through ``send``."""

    def __init__(self, streams: Streams, send: Callable[[bytes], None]) -> None:
        self._streams = streams
        self._send = send
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> None:
        """Takes what came from the client. Raises Malformed."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= HEAD_BYTES:
            size = int.from_bytes(buffer[5:8], "big")
            if size > FRAME_BYTES_MAX:
                raise Malformed(f"a frame of {size} bytes")
            if len(buffer) < HEAD_BYTES + size:
                return
            head, body = bytes(buffer[:HEAD_BYTES]), bytes(buffer[HEAD_BYTES : HEAD_BYTES + size])
            del buffer[: HEAD_BYTES + size]
            if head[0] & CONTROL:
                self._control(head, body)
            else:
                stream = int.from_bytes(head[:4], "big")
                if body:
                    self._streams.data(stream, body)
                if head[4] & FIN:
                    self._streams.ended(stream)

    def _control(self, head: bytes, body: bytes) -> None:
        version, kind = int.from_bytes(head[:2], "big") & 0x7FFF, int.from_bytes(head[2:4], "big")
        if version != VERSION:
            raise Malformed(f"version {version}")
        stream = int.from_bytes(body[:4], "big") & 0x7FFFFFFF
        if kind == SYN_STREAM:
            headers = self._read_headers(body[10:])
            self._frame(SYN_REPLY, 0, stream.to_bytes(4, "big") + self._header_block({}))
            self._streams.opened(stream, headers)
            if head[4] & FIN:
                self._streams.ended(stream)
        elif kind == HEADERS:
            # The compression goes on from block to block, so each has to be read.
            self._read_headers(body[4:])
        elif kind == RST_STREAM:
            self._streams.reset(stream)
        elif kind == PING:
            self._frame(PING, 0, body)

    def _read_headers(self, block: bytes) -> dict[str, str]:
        try:
            raw = self._inflate.decompress(block)
        except zlib.error as problem:
            raise Malformed(str(problem)) from None
        found, at = {}, 4
        for _ in range(int.from_bytes(raw[:4], "big")):
            pair = []
            for _ in range(2):
                size = int.from_bytes(raw[at : at + 4], "big")
                pair.append(raw[at + 4 : at + 4 + size].decode("latin-1"))
                at += 4 + size
            found[pair[0].lower()] = pair[1]
        return found

    def _header_block(self, headers: Mapping[str, str]) -> bytes:
        parts = [len(headers).to_bytes(4, "big")]
        for pair in headers.items():
            parts += [len(text).to_bytes(4, "big") + text.encode("latin-1") for text in pair]
        return self._deflate.compress(b"".join(parts)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def _frame(self, kind: int, flags: int, body: bytes) -> None:
        head = (CONTROL << 8 | VERSION).to_bytes(2, "big") + kind.to_bytes(2, "big")
        self._send(head + bytes([flags]) + len(body).to_bytes(3, "big") + body)

    def write(self, stream: int, content: bytes, last: bool = False) -> None:
        """Sends on a stream; ``last`` closes our side of it."""
        starts = range(0, len(content), DATA_BYTES_MAX) or (0,)
        for start in starts:
            part = content[start : start + DATA_BYTES_MAX]
            flags = FIN if last and start + DATA_BYTES_MAX >= len(content) else 0
            self._send(stream.to_bytes(4, "big") + bytes([flags]) + len(part).to_bytes(3, "big") + part)
