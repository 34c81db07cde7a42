"""The forward proxy: every address and DNS name of the cluster, for any program that honours ``http_proxy``.

CONNECT makes a tunnel; a request for an ``http://`` URL is handed on. What is not the cluster's goes to the world
outside as if there were no proxy, so that a shell with ``http_proxy`` set goes on working. A request to the proxy
itself is answered with the table of addresses. Source: RFC 9110 (7.6.1 and 9.3.6), RFC 9112 (3.2.2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlsplit

import httptools

from seatrial.api.addresses.gate import End, Gate, Outward, told

HOP_BY_HOP = ("proxy-connection", "proxy-authorization", "keep-alive", "te")
"""What is between the program and the proxy only."""
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
Place = tuple[str, int]
Inside = Callable[[str], str | None]
"""The cluster's name or address of a host; None for what is not the cluster's."""


class Proxied(asyncio.Protocol):
    """A program's connection to the proxy."""

    def __init__(self, gate: Gate, inside: Inside, page: Callable[[], str]) -> None:
        self._gate, self._inside, self._page = gate, inside, page
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._parser = httptools.HttpRequestParser(self)
        self._place: Place | None = None
        self._end: End | None = None
        self._answered = False
        """Something came back from the present end."""
        self._tunnel = False
        self._out = bytearray()
        self._clear()

    def _clear(self) -> None:
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._chunked = False

    # The program's socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._tunnel:
            self._send(data)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # CONNECT, or a request to go on with another protocol: the rest is not HTTP.
            self._flush()
            rest = data[upgrade.args[0] :]
            self._tunnel = self._end is not None
            if rest:
                self._send(rest)
        except httptools.HttpParserError as problem:
            self._refuse(400, f"this is no HTTP request: {problem}")
        else:
            self._flush()

    def eof_received(self) -> bool:
        if self._end is not None:
            self._end.close_write()
        return self._end is not None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._end is not None:
            self._end.close()

    # The parser

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        method = self._parser.get_method()
        target = self._target.decode("latin-1")
        if method == b"CONNECT":
            host, _, port = target.rpartition(":")
            if not port.isdigit() or not 0 < int(port) < 65536 or not host:
                self._refuse(400, f"CONNECT {target}: say HOST:PORT")
                return
            self._dial((host.strip("[]"), int(port)), lambda: self._write(ESTABLISHED))
            return
        parts = urlsplit(target)
        if target.startswith("/"):
            self._answer(200, self._page())
            return
        try:
            place = (parts.hostname or "", parts.port or 80)
        except ValueError:
            place = ("", 0)
        if parts.scheme != "http" or not place[0]:
            self._refuse(400, f"{target}: this proxy takes http:// URLs and CONNECT")
            return
        if place != self._place or self._end is None:
            self._dial(place, lambda: None)
        self._head(method, parts)

    def _head(self, method: bytes, parts: Any) -> None:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [method + b" " + path.encode("latin-1") + b" HTTP/1.1"]
        kept = [(name, value) for name, value in self._headers if name.lower().decode("latin-1") not in HOP_BY_HOP]
        if not any(name.lower() == b"host" for name, _ in kept):
            kept.insert(0, (b"Host", parts.netloc.rpartition("@")[2].encode("latin-1")))
        self._chunked = any(name.lower() == b"transfer-encoding" for name, _ in kept)
        lines += [name + b": " + value for name, value in kept]
        self._out += b"\r\n".join(lines) + b"\r\n\r\n"

    def on_body(self, body: bytes) -> None:
        self._out += b"%x\r\n%b\r\n" % (len(body), body) if self._chunked else body

    def on_message_complete(self) -> None:
        if self._chunked:
            self._out += b"0\r\n\r\n"
        self._clear()

    # The other end

    def _dial(self, place: Place, stands: Callable[[], None]) -> None:
        if self._end is not None:
            self._end.close()
        self._place, self._answered = place, False
        host, port = place
        program = _Reply(self, place, stands)
        inside = self._inside(host)
        self._end = program.end = (
            Outward(host, port, program) if inside is None else self._gate.open(inside, port, program)
        )

    def _flush(self) -> None:
        if self._out:
            out, self._out = bytes(self._out), bytearray()
            self._send(out)

    def _send(self, data: bytes) -> None:
        if self._end is not None:
            self._end.write(data)

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def of(self, reply: _Reply) -> bool:
        """Whether that is the present end's."""
        return reply.end is self._end

    def receive(self, data: bytes) -> None:
        self._answered = True
        self._write(data)

    def finished(self) -> None:
        self._transport.close()

    def broken(self, place: Place, problem: OSError, stood: bool) -> None:
        if self._answered or stood:
            self._transport.abort()
            return
        code = 504 if isinstance(problem, TimeoutError) else 502
        self._refuse(code, f"{place[0]}:{place[1]}: {told(problem)}")

    def _refuse(self, code: int, why: str) -> None:
        self._answer(code, f"seatrial proxy: {why}\n")

    def _answer(self, code: int, text: str) -> None:
        body = text.encode()
        head = f"HTTP/1.1 {code} {HTTPStatus(code).phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        self._write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        self._transport.close()


class _Reply:
    """What comes back from one end; that of an end which was given up is dropped."""

    def __init__(self, proxied: Proxied, place: Place, stands: Callable[[], None]) -> None:
        self._proxied, self._place, self._on_stands = proxied, place, stands
        self._stood = False
        self.end: End | None = None

    @property
    def _counts(self) -> bool:
        return self._proxied.of(self)

    def stands(self) -> None:
        if self._counts:
            self._stood = True
            self._on_stands()

    def receive(self, data: bytes) -> None:
        if self._counts:
            self._proxied.receive(data)

    def finished(self) -> None:
        if self._counts:
            self._proxied.finished()

    def broken(self, problem: OSError) -> None:
        if self._counts:
            self._proxied.broken(self._place, problem, self._stood)
