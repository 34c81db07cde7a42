"""WebSocket on a connection that HTTP has handed over: whole messages in, whole messages out.

Framing is wsproto's. The handshake's answer is made here, because the HTTP side has read the request already.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import TYPE_CHECKING, Protocol, cast

from seatrial.api.server.message import Headers, Incoming, Upgraded

if TYPE_CHECKING:
    from wsproto.connection import Connection

ACCEPT_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, section 1.3."""
MESSAGE_BYTES_MAX = 32 * 1024 * 1024
NORMAL_CLOSURE = 1000


def offered(incoming: Incoming) -> list[str]:
    """The subprotocols that the client offers, in its order."""
    listed = incoming.headers.get("sec-websocket-protocol", "").replace("\x00", ",")
    return [name.strip() for name in listed.split(",") if name.strip()]


def handshake(incoming: Incoming, subprotocol: str) -> Headers:
    """The headers of the 101 that accepts the upgrade."""
    key = incoming.headers.get("sec-websocket-key", "")
    accept = base64.b64encode(hashlib.sha1((key + ACCEPT_SUFFIX).encode()).digest()).decode()
    headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)]
    return [*headers, ("Sec-WebSocket-Protocol", subprotocol)] if subprotocol else headers


class Messages(Protocol):
    """Who speaks over a WebSocket."""

    def opened(self, socket: WebSocket) -> None: ...
    def message(self, data: bytes) -> None: ...
    def closed(self) -> None:
        """The other side has closed or is gone; called once."""


class WebSocket(Upgraded):
    """The server's end."""

    def __init__(self, speaker: Messages) -> None:
        self._speaker = speaker
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._connection: Connection = cast("Connection", None)
        self._parts: list[bytes] = []
        self._size = 0
        self._open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        from wsproto.connection import Connection, ConnectionType

        self._transport = cast(asyncio.Transport, transport)
        self._connection = Connection(ConnectionType.SERVER)
        self._speaker.opened(self)

    def data_received(self, data: bytes) -> None:
        from wsproto import events
        from wsproto.utilities import ProtocolError

        try:
            self._connection.receive_data(data)
            for event in self._connection.events():
                if isinstance(event, events.Message):
                    self._part(event.data, event.message_finished)
                elif isinstance(event, events.Ping):
                    self._transport.write(self._connection.send(event.response()))
                elif isinstance(event, events.CloseConnection):
                    self._transport.write(self._connection.send(event.response()))
                    self._end()
        except ProtocolError:
            self._end()

    def _part(self, data: str | bytes | bytearray, finished: bool) -> None:
        part = data.encode() if isinstance(data, str) else bytes(data)
        self._parts.append(part)
        self._size += len(part)
        if self._size > MESSAGE_BYTES_MAX:
            self._end()
            return
        if finished:
            whole, self._parts, self._size = b"".join(self._parts), [], 0
            self._speaker.message(whole)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()

    def break_off(self) -> None:
        """Without a word, which clients call an abnormal closure (1006)."""
        self._end()

    def _end(self) -> None:
        if self._open:
            self._open = False
            self._speaker.closed()
            self._transport.close()

    def send(self, data: bytes, text: bool = False) -> None:
        """One message, binary or text in UTF-8; nothing after the end."""
        from wsproto.events import BytesMessage, TextMessage

        if self._open:
            event = TextMessage(data=data.decode(errors="replace")) if text else BytesMessage(data=data)
            self._transport.write(self._connection.send(event))

    def close(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Says goodbye; what was sent before still arrives."""
        from wsproto.events import CloseConnection

        if self._open:
            self._open = False
            self._transport.write(self._connection.send(CloseConnection(code=code, reason=reason)))
            self._transport.close()
