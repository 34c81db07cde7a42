"""HTTP on one connection: framing, order, limits, back-pressure, and the handing over of the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import cast

import httpx
import pytest

from seatrial.api.server import pki, protocol
from seatrial.api.server.message import Answer, Incoming, Outgoing
from tests.api.server.harness import DEADLINE_S, client_context, edge, exchange, keys, still, story, until


def echo(incoming: Incoming, answer: Answer) -> None:
    text = f"{incoming.method} {incoming.target} {len(incoming.body)}"
    answer(Outgoing(413 if incoming.too_large else 200, [("Content-Type", "text/plain")], text.encode()))


def bodies(raw: bytes) -> list[bytes]:
    return [part.split(b"\r\n\r\n", 1)[1] for part in raw.split(b"HTTP/1.1 ")[1:]]


def test_requests_on_one_connection_are_answered_in_order() -> None:
    later: list[tuple[Answer, Outgoing]] = []

    def app(incoming: Incoming, answer: Answer) -> None:
        outgoing = Outgoing(200, [], incoming.target.encode())
        if incoming.target == "/slow":
            later.append((answer, outgoing))
            asyncio.get_running_loop().call_later(0.05, lambda: answer(outgoing))
        else:
            answer(outgoing)

    async def run() -> None:
        async with edge(app) as listener:
            raw = await exchange(
                listener,
                b"GET /slow HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\nConnection: close\r\n\r\n",
            )
            assert bodies(raw) == [b"/slow", b"/b", b"/c"]

    story(run)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"nonsense\r\n\r\n", b"400 Bad Request"),
        (b"GET / HTTP/9\r\n\r\n", b"400 Bad Request"),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", b"400 Bad Request"),
        (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400 Bad Request"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * (protocol.HEADER_BYTES_MAX + 1), b"431 Request Header Fields Too Large"),
        (b"\x16\x03\x01\x00\xa5\x01\x00\x00", b"400 Bad Request"),
    ],
    ids=["no-http", "version", "header", "length", "too-much", "tls"],
)
def test_what_is_not_http_is_refused_in_plain_words(raw: bytes, code: bytes) -> None:
    async def run() -> None:
        async with edge(echo) as listener:
            received = await exchange(listener, raw)
            assert received.startswith(b"HTTP/1.1 " + code)
            assert received.endswith(code)

    story(run)


def test_a_head_has_no_body() -> None:
    async def run() -> None:
        async with edge(echo) as listener:
            received = await exchange(listener, b"HEAD /x HTTP/1.1\r\n\r\nGET /y HTTP/1.1\r\nConnection: close\r\n\r\n")
            first, second = received.split(b"HTTP/1.1 ")[1:]
            assert first.endswith(b"Content-Length: 9\r\n\r\n")
            assert second.endswith(b"GET /y 0")

    story(run)


def test_a_body_over_the_limit_is_not_kept() -> None:
    size = protocol.BODY_BYTES_MAX + 1

    async def run() -> None:
        async with (
            edge(echo) as listener,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.port}", timeout=DEADLINE_S) as client,
        ):
            assert (await client.post("/a", content=b"x" * (size - 1))).text == f"POST /a {size - 1}"
            refused = await client.post("/b", content=b"x" * size)
            assert (refused.status_code, refused.text) == (413, "POST /b 0")
            chunked = await client.post("/c", content=parts(size))
            assert chunked.status_code == 413

    async def parts(total: int) -> object:
        for start in range(0, total, 65536):
            yield b"x" * min(65536, total - start)

    story(run)


def test_a_client_that_waits_for_continue_gets_it() -> None:
    async def run() -> None:
        async with edge(echo) as listener:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"ok")
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
            writer.close()

    story(run)


def test_a_slow_reader_makes_pieces_wait_and_holds_up_nobody() -> None:
    made = [0]

    def pieces() -> Iterator[bytes]:
        for _ in range(400):
            made[0] += 1
            yield b"x" * 65536

    def app(incoming: Incoming, answer: Answer) -> None:
        if incoming.target == "/long":
            answer(Outgoing(200, pieces=pieces()))
        else:
            echo(incoming, answer)

    async def run() -> None:
        async with edge(app) as listener:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, limit=1024)
            writer.write(b"GET /long HTTP/1.1\r\n\r\n")
            waiting = await still(lambda: made[0])
            assert 0 < waiting < 200
            async with httpx.AsyncClient(timeout=DEADLINE_S) as client:
                assert (await client.get(f"http://127.0.0.1:{listener.port}/quick")).text == "GET /quick 0"
            assert made[0] == waiting
            total = 0
            while not (part := await reader.read(1 << 20)).endswith(b"0\r\n\r\n"):
                total += len(part)
            assert made[0] == 400
            assert total > 26_000_000
            writer.close()

    story(run)


class Ticker:
    """A stream that the test feeds."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.closed = self.broken = False
        self.gone = False
        self._call: Callable[[], None] | None = None

    def read(self) -> bytes:
        lines, self.lines = self.lines, []
        return b"".join(lines)

    def on_ready(self, call: Callable[[], None]) -> None:
        self._call = call

    def close(self) -> None:
        self.gone = True

    def feed(self, line: bytes, last: bool = False) -> None:
        if line:
            self.lines.append(line)
        self.closed = last
        call, self._call = self._call, None
        if call is not None:
            call()


def test_a_stream_is_sent_as_it_comes_and_ends_with_its_source() -> None:
    ticker = Ticker()

    async def run() -> None:
        async with (
            edge(lambda incoming, answer: answer(Outgoing(200, stream=ticker))) as listener,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.port}", timeout=DEADLINE_S) as client,
            client.stream("GET", "/") as response,
        ):
            lines = response.aiter_lines()
            for line in ("one", "two"):
                ticker.feed(line.encode() + b"\n")
                assert await anext(lines) == line
            ticker.feed(b"", last=True)
            assert [line async for line in lines] == []

    story(run)


def test_a_stream_that_breaks_ends_the_connection_without_an_end() -> None:
    ticker = Ticker()

    async def run() -> None:
        async with edge(lambda incoming, answer: answer(Outgoing(200, stream=ticker))) as listener:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            ticker.feed(b"half")
            ticker.broken = True
            ticker.feed(b"")
            assert await reader.read() == b"4\r\nhalf\r\n"
            writer.close()

    story(run)


def test_a_stream_is_closed_when_its_reader_goes() -> None:
    ticker = Ticker()

    async def run() -> None:
        async with edge(lambda incoming, answer: answer(Outgoing(200, stream=ticker))) as listener:
            _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            await until(lambda: listener.connections == 1)
            writer.close()
            await until(lambda: ticker.gone and listener.connections == 0)

    story(run)


def test_overdue_connections_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        connection = protocol.Connection(echo, set())

        class Transport:
            def set_write_buffer_limits(self, high: int) -> None:
                pass

            def get_extra_info(self, name: str) -> None:
                return None

            def write(self, data: bytes) -> None:
                pass

        connection.connection_made(cast(asyncio.Transport, Transport()))
        now = connection._since
        assert not connection.overdue(now + protocol.IDLE_TIMEOUT_S - 1)
        assert connection.overdue(now + protocol.IDLE_TIMEOUT_S + 1)
        connection.data_received(b"GET / HTTP/1.1\r\nX: ")
        assert connection.overdue(connection._since + protocol.HEADER_TIMEOUT_S + 1)
        connection.data_received(b"y\r\n\r\n")
        connection.pause_writing()
        assert not connection.overdue(connection._since + protocol.SEND_STALL_S - 1)
        assert connection.overdue(connection._since + protocol.SEND_STALL_S + 1)

    story(run)


@pytest.mark.parametrize("known", [True, False])
def test_the_application_knows_the_clients_certificate(known: bool) -> None:
    peers = []

    def app(incoming: Incoming, answer: Answer) -> None:
        peers.append(incoming.peer)
        answer(Outgoing(200))

    pair = pki.issue(keys().authority, "jane", ("devs", "ops")) if known else None

    async def run() -> None:
        async with (
            edge(app, secure=True) as listener,
            httpx.AsyncClient(verify=client_context(pair), timeout=DEADLINE_S) as client,
        ):
            assert (await client.get(f"https://localhost:{listener.port}/")).status_code == 200

    story(run)
    found = peers[0]
    assert (found.common_name, found.organizations) == (("jane", ("devs", "ops")) if known else ("", ()))


class Mirror(asyncio.Protocol):
    """What gets the connection: sends back, in capitals."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(b"hello\n")

    def data_received(self, data: bytes) -> None:
        self.transport.write(data.upper())
        if b"bye" in data:
            self.transport.close()


@pytest.mark.parametrize("secure", [False, True])
def test_an_upgraded_connection_belongs_to_another_protocol(secure: bool) -> None:
    def app(incoming: Incoming, answer: Answer) -> None:
        assert incoming.upgrade == "spdy/3.1"
        headers = [("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1")]
        answer(Outgoing(101, headers, upgrade=lambda _: Mirror()))

    async def run() -> None:
        async with edge(app, secure) as listener:
            context = client_context(keys().admin) if secure else None
            reader, writer = await asyncio.open_connection("localhost", listener.port, ssl=context)
            head = b"POST /exec HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n\r\n"
            writer.write(head + b"early ")
            assert b"101 Switching Protocols" in await reader.readuntil(b"\r\n\r\n")
            assert await reader.readline() == b"hello\n"
            writer.write(b"and late bye")
            assert await reader.read() == b"EARLY AND LATE BYE"
            writer.close()

    story(run)


def test_a_declined_upgrade_is_an_ordinary_answer() -> None:
    async def run() -> None:
        async with edge(echo) as listener:
            received = await exchange(listener, b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            assert received.startswith(b"HTTP/1.1 200 OK")
            assert b"Connection: close" in received

    story(run)
