"""port-forward: TCP connections into a pod, as pairs of SPDY streams, bare or in a WebSocket.

For each connection the client opens an error stream and a data stream with the same requestID; the error stream carries
one message at most, and both are closed when the connection is. Source:
k8s.io/kubelet/pkg/cri/streaming/portforward/httpstream.go and k8s.io/apimachinery/pkg/util/portforward (the subprotocol
that tunnels SPDY through a WebSocket).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from seatrial.api.server.driver import Driver
from seatrial.api.server.message import Upgraded
from seatrial.api.server.spdy import Malformed, Session
from seatrial.api.server.websocket import WebSocket
from seatrial.sim.apiserver.connecting import Connect
from seatrial.sim.apiserver.kubelets import Connection
from seatrial.sim.machinery.errors import ApiError

PROTOCOL = "portforward.k8s.io"
TUNNELLED = f"SPDY/3.1+{PROTOCOL}"


@dataclass(slots=True)
class Pair:
    """One forwarded connection."""

    port: int
    error: int = 0
    data: int = 0
    connection: Connection | None = None
    over: bool = False
    """One side has ended; what listens in the pod may do so while it is dialled."""


class Forwards:
    """All connections that one client forwards to one pod; see ``spdy.Streams``."""

    def __init__(self, connect: Connect, driver: Driver) -> None:
        self._connect = connect
        self._driver = driver
        self._pairs: dict[str, Pair] = {}
        self._by_stream: dict[int, Pair] = {}
        self.session: Session | None = None

    def opened(self, stream: int, headers: Mapping[str, str]) -> None:
        """A stream of a pair; with the second one the connection is dialled."""
        port = headers.get("port", "")
        pair = self._pairs.setdefault(headers.get("requestid", ""), Pair(int(port) if port.isdigit() else 0))
        self._by_stream[stream] = pair
        if headers.get("streamtype") == "error":
            pair.error = stream
        else:
            pair.data = stream
        if pair.error and pair.data:
            self._dial(pair)

    def _dial(self, pair: Pair) -> None:
        connect = self._connect
        self._driver.enter()
        try:
            connection = connect.kubelet.port_forward(
                connect.namespace,
                connect.pod,
                pair.port,
                lambda data: self._send(pair.data, data),
                lambda: self._close(pair),
            )
            pair.connection = None if pair.over else connection
        except (OSError, ApiError) as problem:
            text = f"error forwarding port {pair.port} to pod {connect.pod}, uid : {problem}"
            self._send(pair.error, text.encode(), last=True)
            self._send(pair.data, b"", last=True)
        self._driver.look()

    def _send(self, stream: int, content: bytes, last: bool = False) -> None:
        session = self.session
        if session is not None:
            self._driver.release(lambda: session.write(stream, content, last))

    def _close(self, pair: Pair) -> None:
        """The pod's side has ended."""
        if not pair.over:
            pair.over, pair.connection = True, None
            self._send(pair.data, b"", last=True)
            self._send(pair.error, b"", last=True)

    def data(self, stream: int, content: bytes) -> None:
        pair = self._by_stream.get(stream)
        if pair is not None and stream == pair.data and pair.connection is not None:
            self._driver.enter()
            pair.connection.write(content)
            self._driver.look()

    def ended(self, stream: int) -> None:
        """The client's side has ended."""
        pair = self._by_stream.get(stream)
        if pair is not None and stream == pair.data and pair.connection is not None:
            self._driver.enter()
            pair.connection.close_write()
            self._driver.look()

    def reset(self, stream: int) -> None:
        pair = self._by_stream.pop(stream, None)
        if pair is not None and pair.connection is not None:
            connection, pair.connection, pair.over = pair.connection, None, True
            self._driver.enter()
            connection.close()
            self._driver.look()

    def hang_up(self) -> None:
        """The client is gone, with all its connections."""
        self.session = None
        for stream in list(self._by_stream):
            self.reset(stream)


class Tunnel:
    """SPDY inside the messages of a WebSocket; see ``websocket.Messages``."""

    def __init__(self, forwards: Forwards) -> None:
        self._forwards = forwards
        self._socket: WebSocket | None = None

    def opened(self, socket: WebSocket) -> None:
        self._socket = socket
        self._forwards.session = Session(self._forwards, socket.send)

    def message(self, data: bytes) -> None:
        session, socket = self._forwards.session, self._socket
        if session is not None and socket is not None:
            try:
                session.feed(data)
            except Malformed as problem:
                socket.close(1002, str(problem))
                self._forwards.hang_up()

    def closed(self) -> None:
        self._forwards.hang_up()


class Bare(Upgraded):
    """SPDY on the connection itself, as older clients ask for it."""

    def __init__(self, forwards: Forwards) -> None:
        self._forwards = forwards
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._forwards.session = Session(self._forwards, self._transport.write)

    def data_received(self, data: bytes) -> None:
        session = self._forwards.session
        if session is not None:
            try:
                session.feed(data)
            except Malformed:
                self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forwards.hang_up()

    def break_off(self) -> None:
        self._forwards.hang_up()
        self._transport.close()
