"""Answers that go on, over WebSocket instead of a body: a watch, one message per event, and a container's log.

Source: k8s.io/apiserver/pkg/endpoints/handlers/watch.go (HandleWS) and k8s.io/streaming/pkg/httpstream/wsstream
(Reader): what the client sends is ignored, a log begins with an empty message.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from seatrial.api.server.message import Incoming, Outgoing, Stream
from seatrial.api.server.websocket import WebSocket, handshake, offered

BINARY, BASE64 = "binary.k8s.io", "base64.binary.k8s.io"


class Whole:
    """Bytes that are all there; see ``message.Stream``."""

    broken = False

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self) -> bytes:
        data, self._data = self._data, b""
        return data

    @property
    def closed(self) -> bool:
        return True

    def on_ready(self, call: Callable[[], None]) -> None:
        """There is nothing to wait for."""

    def close(self) -> None:
        """Nothing is kept."""


class Streamed:
    """A stream as messages of a WebSocket; see ``websocket.Messages``."""

    def __init__(self, stream: Stream, events: bool, in_base64: bool) -> None:
        self._stream, self._events, self._in_base64 = stream, events, in_base64
        self._socket: WebSocket | None = None

    def opened(self, socket: WebSocket) -> None:
        self._socket = socket
        if not self._events:
            socket.send(b"", text=self._in_base64)
        self._pump()

    def message(self, data: bytes) -> None:
        """A client has nothing to say."""

    def closed(self) -> None:
        self._socket = None
        self._stream.close()

    def _pump(self) -> None:
        while self._socket is not None:
            data = self._stream.read()
            if data:
                self._send(self._socket, data)
            elif self._stream.closed:
                self._socket.close()
                return
            else:
                self._stream.on_ready(self._pump)
                return

    def _send(self, socket: WebSocket, data: bytes) -> None:
        if self._events:
            for line in data.splitlines(keepends=True):
                socket.send(line, text=True)
        else:
            socket.send(base64.b64encode(data) if self._in_base64 else data, text=self._in_base64)


def streamed(incoming: Incoming, stream: Stream, events: bool) -> Outgoing | None:
    """The answer that turns a request's connection into messages; None when the client asks for no subprotocol that
    there is, and gets an ordinary body."""
    wishes = offered(incoming)
    known = () if events else (BINARY, BASE64)
    chosen = next((name for name in wishes if name in known), "")
    if incoming.upgrade != "websocket" or (wishes and not chosen and not events):
        return None
    speaker = Streamed(stream, events, chosen == BASE64)
    return Outgoing(101, handshake(incoming, chosen), upgrade=lambda _: WebSocket(speaker))
