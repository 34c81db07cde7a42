"""Watches and logs over WebSocket."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, TextMessage
from wsproto.events import Request as Handshake

from seatrial.api.kubernetes.wsstreams import BASE64, BINARY, Whole, streamed
from seatrial.api.server.message import Answer, Incoming, Outgoing
from tests.api.server.harness import DEADLINE_S, edge, story


class Told:
    """A stream that says one thing after the other and ends."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = list(parts)

    def read(self) -> bytes:
        return self.parts.pop(0) if self.parts and self.parts[0] else b""

    @property
    def closed(self) -> bool:
        return not self.parts

    def on_ready(self, call: Callable[[], None]) -> None:
        self.parts.pop(0)
        asyncio.get_running_loop().call_soon(call)

    def close(self) -> None:
        self.parts.clear()


def heard(stream: Any, events: bool, offered: list[str]) -> list[Any]:
    """What a client hears, the handshake and the farewell included."""
    found: list[Any] = []

    def app(incoming: Incoming, answer: Answer) -> None:
        answer(streamed(incoming, stream, events) or Outgoing(200, [], b"plain"))

    async def main() -> None:
        async with edge(app) as listener:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            socket = WSConnection(ConnectionType.CLIENT)
            writer.write(socket.send(Handshake(host="x", target="/log", subprotocols=offered)))
            while not any(isinstance(event, CloseConnection) for event in found):
                data = await asyncio.wait_for(reader.read(65536), DEADLINE_S)
                socket.receive_data(data or None)
                found.extend(socket.events())
            writer.close()

    story(main)
    return found


@pytest.mark.parametrize(
    ("offered", "messages"),
    [
        ([], [b"", b"one\n", b"two\n"]),
        ([BINARY], [b"", b"one\n", b"two\n"]),
        ([BASE64], ["", base64.b64encode(b"one\n").decode(), base64.b64encode(b"two\n").decode()]),
    ],
)
def test_a_log_begins_with_an_empty_message(offered: list[str], messages: list[Any]) -> None:
    first, *said, last = heard(Told(b"one\n", b"", b"two\n"), False, offered)
    assert isinstance(first, AcceptConnection)
    assert first.subprotocol == (offered[0] if offered else None)
    assert [message.data for message in said] == messages
    assert all(isinstance(message, BytesMessage | TextMessage) for message in said)
    assert last.code == 1000


def test_a_log_that_is_all_there() -> None:
    _, *said, _ = heard(Whole(b"one\ntwo\n"), False, [BINARY])
    assert [message.data for message in said] == [b"", b"one\ntwo\n"]


def test_a_watch_is_a_message_per_event() -> None:
    _, *said, _ = heard(Told(b'{"a":1}\n{"b":2}\n'), True, [])
    assert [message.data for message in said] == ['{"a":1}\n', '{"b":2}\n']
