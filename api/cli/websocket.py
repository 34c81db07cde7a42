"""A WebSocket to the control API of a running cluster, with the administrator's certificate.

Blocking, for commands that read a terminal and a socket in turns.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
from collections.abc import Iterator

from wsproto import events
from wsproto.connection import Connection, ConnectionState, ConnectionType

from seatrial.api.cli.remote import BASE, context_of, running
from seatrial.api.problem import Problem
from seatrial.api.server.state import Home

READ_BYTES = 65536
HEAD_BYTES_MAX = 65536


class WebSocket:
    """The client's end: whole binary messages."""

    def __init__(self, connected: ssl.SSLSocket, rest: bytes) -> None:
        self._socket = connected
        self._connection = Connection(ConnectionType.CLIENT)
        self._parts: list[bytes] = []
        self._first = rest

    def fileno(self) -> int:
        return self._socket.fileno()

    def pending(self) -> bool:
        """Whether something has come already that ``select`` does not see."""
        return bool(self._first) or self._socket.pending() > 0

    def send(self, data: bytes) -> None:
        if self._connection.state is ConnectionState.OPEN:
            self._socket.sendall(self._connection.send(events.BytesMessage(data=data)))

    def receive(self) -> Iterator[bytes] | None:
        """The messages that the next bytes bring; None at the end."""
        data, self._first = self._first, b""
        if not data:
            try:
                data = self._socket.recv(READ_BYTES)
            except ssl.SSLWantReadError:
                return iter(())
            except OSError:
                return None
        if not data:
            return None
        self._connection.receive_data(data)
        found = []
        for event in self._connection.events():
            if isinstance(event, events.Message):
                self._parts.append(event.data.encode() if isinstance(event.data, str) else bytes(event.data))
                if event.message_finished:
                    found.append(b"".join(self._parts))
                    self._parts = []
            elif isinstance(event, events.Ping):
                self._socket.sendall(self._connection.send(event.response()))
            elif isinstance(event, events.CloseConnection) and not found:
                return None
        return iter(found)

    def close(self) -> None:
        self._socket.close()


def connect(home: Home, path: str, subprotocol: str) -> WebSocket:
    """Opens a WebSocket below /seatrial/v1. Raises Problem."""
    process = running(home)
    what = f"cluster {home.name}"
    key = base64.b64encode(os.urandom(16)).decode()
    request = (
        f"GET {BASE}{path} HTTP/1.1\r\nHost: 127.0.0.1:{process['port']}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        f"Sec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
    )
    try:
        plain = socket.create_connection(("127.0.0.1", process["port"]))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected = context_of(home).wrap_socket(plain, server_hostname="127.0.0.1")
        connected.sendall(request.encode())
        head = b""
        while b"\r\n\r\n" not in head and len(head) < HEAD_BYTES_MAX:
            data = connected.recv(READ_BYTES)
            if not data:
                break
            head += data
    except OSError as problem:
        why = f"its server (process {process['pid']}) does not answer: {problem}"
        raise Problem(what, why, f"see seatrial logs {home.name}; seatrial halt {home.name} stops it") from None
    first, _, rest = head.partition(b"\r\n\r\n")
    status = first.split(b" ", 2)[1:2]
    if status != [b"101"]:
        connected.close()
        raise Problem(what, _reason(first, rest), "seatrial ssh --help shows what can be asked")
    return WebSocket(connected, rest)


def _reason(head: bytes, body: bytes) -> str:
    try:
        value = json.loads(body)
        return str(value.get("detail") or value.get("message") or value)
    except (ValueError, AttributeError):
        line = head.split(b"\r\n", 1)[0].decode(errors="replace")
        return f"its server does not open a session: {line or 'it hung up'}"
