"""HTTP/1.1 on one connection: framing, limits, back-pressure, and the handing over of upgraded connections.

Why a protocol of our own over httptools (the parser inside uvicorn) instead of an ASGI server: the application needs
the peer's certificate, and the raw connection after an upgrade (SPDY/3.1, WebSocket), which ASGI has no word for;
watches are written by whoever made the change, without a task and a queue for each; and start-up is quicker by the
import of FastAPI, half a second. Measured with TLS and eight kept-alive connections on one core: a whole get through
this edge takes the processor time of uvicorn's bare ASGI interface with an application that does nothing (140 µs); a
FastAPI route takes 340 µs. FastAPI serves the control API, see ``asgi``.

Source of limits and of the plain texts: Go's net/http server as k8s.io/apiserver/pkg/server/secure_serving.go sets it
up. Not modelled: HTTP/2. Clients that would choose it fall back to HTTP/1.1 and open more connections.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, cast

import httptools

from seatrial.api.server.message import REASONS, App, Incoming, Outgoing, Peer, Stream

log = logging.getLogger("seatrial")

HEADER_BYTES_MAX = 1024 * 1024 + 4096
"""http.Server.MaxHeaderBytes of the API server, plus the slop that net/http adds."""
BODY_BYTES_MAX = 3 * 1024 * 1024
"""--max-request-body-bytes: what a resource request may carry (DefaultMaxRequestBodyBytes)."""
HEADER_TIMEOUT_S = 32.0
"""http.Server.ReadHeaderTimeout; here it also bounds how long a body may make no progress."""
IDLE_TIMEOUT_S = 90.0
"""http.Server.IdleTimeout: how long a connection may stay open without a request."""
SEND_STALL_S = 60.0
"""How long a client may read nothing of what waits for it before it is dropped."""
BUFFER_BYTES = 256 * 1024
"""How much may wait in a connection before its producer has to wait."""
PIPELINED_MAX = 16
SLICE_S = 0.002
"""How long one connection may produce pieces before others get their turn."""


def peer_of(transport: asyncio.BaseTransport) -> Peer:
    """Who is at the other end, by its address and its verified certificate."""
    address = transport.get_extra_info("peername") or ("",)
    certificate = transport.get_extra_info("peercert")
    pairs = [pair for part in (certificate or {}).get("subject", ()) for pair in part]
    names = [value for key, value in pairs if key == "commonName"]
    groups = tuple(value for key, value in pairs if key == "organizationName")
    return Peer(str(address[0]), names[0] if names else "", groups)


class Connection(asyncio.Protocol):
    """One client's connection: requests come out one after the other, answers go back in the same order."""

    def __init__(self, app: App, connections: set[Connection]) -> None:
        self._app = app
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._peer = Peer()
        self._waiting: deque[Incoming] = deque()
        self._current: Incoming | None = None
        self._chunked = False
        self._pieces: Iterator[bytes] | None = None
        self._stream: Stream | None = None
        self._paused = False
        self._closing = False
        self._upgrading = False
        self._rest = b""
        self._successor: asyncio.Protocol | None = None
        self._since = time.monotonic()
        self._clear()
        self._in_head = False

    def _clear(self) -> None:
        self._target = bytearray()
        self._headers: dict[str, str] = {}
        self._head_bytes = 0
        self._in_head = True
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._receiving = False

    # what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=BUFFER_BYTES)
        self._peer = peer_of(transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._connections.discard(self)
        if self._stream is not None:
            self._stream.close()
        self._pieces = None

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._paused = True
        self._since = time.monotonic()

    def resume_writing(self) -> None:
        self._paused = False
        self._since = time.monotonic()
        self._pump()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._upgrading:
            self._rest += data
            return
        if self._body_bytes or not self._receiving:
            self._since = time.monotonic()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError:
            log.exception("handling a request")
            self._refuse(500)
        except httptools.HttpParserError:
            self._refuse(400)
        else:
            if self._in_head:
                self._head_bytes += len(data)
                if self._head_bytes > HEADER_BYTES_MAX:
                    self._refuse(431)

    def _upgraded(self, rest: bytes) -> None:
        """What came behind a request for an upgrade is for whoever takes over."""
        if self._successor is not None:
            if rest:
                self._successor.data_received(rest)
        else:
            self._upgrading, self._rest = True, rest

    # what the parser calls

    def on_message_begin(self) -> None:
        self._clear()
        self._receiving = True

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        given = self._headers.get(key)
        self._headers[key] = text if given is None else f"{given}\x00{text}"

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._headers.get("expect", "").lower() == "100-continue" and not self._too_large():
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _too_large(self) -> bool:
        """Whether the body is, or is announced to be, over the limit: such a request is answered before it has come."""
        length = self._headers.get("content-length", "")
        return self._body_bytes > BODY_BYTES_MAX or (length.isdigit() and int(length) > BODY_BYTES_MAX)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes <= BODY_BYTES_MAX:
            self._body.append(body)
        else:
            self._body.clear()

    def on_message_complete(self) -> None:
        self._receiving = False
        headers = self._headers
        upgrade = headers.get("upgrade", "").lower() if self._parser.should_upgrade() else ""
        too_large = self._body_bytes > BODY_BYTES_MAX
        body = b"" if too_large else self._body[0] if len(self._body) == 1 else b"".join(self._body)
        method, target = self._parser.get_method().decode(), self._target.decode("latin-1")
        incoming = Incoming(method, target, headers, body, self._peer, too_large, upgrade)
        if not self._parser.should_keep_alive():
            headers["connection"] = "close"
        self._waiting.append(incoming)
        if self._current is None:
            self._next()
        elif len(self._waiting) > PIPELINED_MAX:
            self._transport.pause_reading()

    # answers

    def _next(self) -> None:
        """Hands the oldest request that waits to the application."""
        while self._waiting and self._current is None and not self._closing:
            if len(self._waiting) == PIPELINED_MAX:
                self._transport.resume_reading()
            incoming = self._current = self._waiting.popleft()
            self._app(incoming, self._answer)

    def _answer(self, answer: Outgoing) -> None:
        incoming = self._current
        if self._closing or incoming is None:
            if answer.stream is not None:
                answer.stream.close()
            return
        if answer.upgrade is not None:
            self._hand_over(incoming, answer)
            return
        if answer.hang_up:
            self._hang_up()
            return
        whole = answer.pieces is None and answer.stream is None
        head = [f"HTTP/1.1 {answer.code} {REASONS.get(answer.code, 'Status')}\r\n"]
        head += [f"{key}: {value}\r\n" for key, value in answer.headers]
        if incoming.upgrade or incoming.too_large or incoming.headers.get("connection") == "close":
            incoming.headers["connection"] = "close"
            head.append("Connection: close\r\n")
        if whole:
            head.append(f"Content-Length: {len(answer.body)}\r\n\r\n")
            first = "".join(head).encode("latin-1")
            self._transport.write(first if incoming.method == "HEAD" else first + answer.body)
            self._done()
            return
        head.append("Transfer-Encoding: chunked\r\n\r\n")
        self._transport.write("".join(head).encode("latin-1"))
        if incoming.method == "HEAD":
            if answer.stream is not None:
                answer.stream.close()
            self._done()
            return
        self._pieces, self._stream = answer.pieces, answer.stream
        self._pump()

    def _pump(self) -> None:
        if self._closing:
            return
        if self._pieces is not None:
            self._pump_pieces(self._pieces)
        elif self._stream is not None:
            self._pump_stream(self._stream)

    def _pump_pieces(self, pieces: Iterator[bytes]) -> None:
        """Sends pieces until the client has enough to read, the slice of time is used, or there are no more."""
        until = time.perf_counter() + SLICE_S
        while not self._paused:
            piece = next(pieces, None)
            if piece is None:
                self._pieces = None
                self._transport.write(b"0\r\n\r\n")
                self._done()
                return
            if piece:
                self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            if time.perf_counter() >= until:
                self._loop.call_soon(self._pump)
                return

    def _pump_stream(self, stream: Stream) -> None:
        """Sends what the stream has, a batch in each turn of the loop, unless the client is behind."""
        if self._paused:
            return
        piece = stream.read()
        if piece:
            self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            if self._paused:
                return
        elif stream.broken:
            self._hang_up()
            return
        elif stream.closed:
            self._stream = None
            self._transport.write(b"0\r\n\r\n")
            self._done()
            return
        stream.on_ready(self._pump)

    def _hang_up(self) -> None:
        """Ends the connection in the middle of what was being said."""
        self._closing = True
        self._transport.close()

    def _done(self) -> None:
        incoming, self._current = self._current, None
        self._since = time.monotonic()
        if incoming is not None and incoming.headers.get("connection") == "close":
            self._closing = True
            self._transport.close()
        elif self._waiting:
            self._next()

    def _hand_over(self, incoming: Incoming, answer: Outgoing) -> None:
        """Switches protocols: from here on the connection's bytes go to the protocol that the answer brought."""
        assert answer.upgrade is not None
        lines = [f"HTTP/1.1 {answer.code} {REASONS[answer.code]}\r\n", *(f"{k}: {v}\r\n" for k, v in answer.headers)]
        self._transport.write(("".join(lines) + "\r\n").encode("latin-1"))
        self._closing = True
        self._connections.discard(self)
        protocol = self._successor = answer.upgrade(incoming)
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        if self._rest:
            protocol.data_received(self._rest)

    def _refuse(self, code: int) -> None:
        """Answers what is not HTTP, or too much of it, as Go's server does, and hangs up."""
        text = f"{code} {REASONS[code]}"
        head = f"HTTP/1.1 {text}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n{text}"
        if self._current is None:
            self._transport.write(head.encode())
        self._closing = True
        self._transport.close()

    # the server's housekeeping

    def overdue(self, now: float) -> bool:
        """Whether the client has kept the connection without use for longer than it may (monotonic seconds)."""
        idle = now - self._since
        if self._paused:
            return idle > SEND_STALL_S
        if self._receiving:
            return idle > HEADER_TIMEOUT_S
        return self._current is None and idle > IDLE_TIMEOUT_S

    def drop(self) -> None:
        """Ends the connection at once, whatever is still unsent."""
        self._transport.abort()

    def finish(self) -> None:
        """Ends the connection after what is being sent; a stream ends here."""
        if self._stream is not None:
            self._stream.close()
        elif self._current is None:
            self._transport.close()

    def info(self) -> dict[str, Any]:
        """What diagnostics show of a connection."""
        return {"peer": self._peer.address, "user": self._peer.common_name, "busy": self._current is not None}
