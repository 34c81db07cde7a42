"""port-forward as numbered channels of a WebSocket, as client libraries without SPDY ask for it.

Each port of the request has two channels, 2n for its data and 2n+1 for an error message; the server opens each with the
port's number, two bytes, the lower first. A channel is one connection: when the last has ended, so does the WebSocket.
Source: k8s.io/kubelet/pkg/cri/streaming/portforward/websocket.go. Not modelled: the base64 subprotocol of browsers.
"""

from __future__ import annotations

from seatrial.api.server.driver import Driver
from seatrial.api.server.websocket import WebSocket
from seatrial.sim.apiserver.connecting import Connect
from seatrial.sim.apiserver.kubelets import Connection
from seatrial.sim.machinery.errors import ApiError


class PortChannels:
    """All ports of one request; see ``websocket.Messages``."""

    def __init__(self, connect: Connect, driver: Driver) -> None:
        self._connect = connect
        self._driver = driver
        self._socket: WebSocket | None = None
        self._connections: dict[int, Connection] = {}
        self._over: dict[int, None] = {}
        """Connections that the pod's side has ended, which may be while it is dialled."""

    def opened(self, socket: WebSocket) -> None:
        """Announces every port, then dials them."""
        self._socket = socket
        ports = list(enumerate(self._connect.ports))
        for number, port in ports:
            for channel in (2 * number, 2 * number + 1):
                socket.send(bytes([channel]) + port.to_bytes(2, "little"))
        self._driver.enter()
        for number, port in ports:
            self._dial(number, port)
        self._driver.look()
        if not self._connections:
            self._driver.release(socket.close)

    def _dial(self, number: int, port: int) -> None:
        connect = self._connect
        try:
            connection = connect.kubelet.port_forward(
                connect.namespace,
                connect.pod,
                port,
                lambda data: self._send(2 * number, data),
                lambda: self._ended(number),
            )
            if number not in self._over:
                self._connections[number] = connection
        except (OSError, ApiError) as problem:
            text = f"error forwarding port {port} to pod {connect.pod}, uid : {problem}"
            self._send(2 * number + 1, text.encode())

    def message(self, data: bytes) -> None:
        number, error = divmod(data[0], 2) if data else (0, 1)
        connection = self._connections.get(number)
        if connection is not None and not error:
            self._driver.enter()
            connection.write(data[1:])
            self._driver.look()

    def closed(self) -> None:
        connections, self._connections = self._connections, {}
        self._socket = None
        if connections:
            self._driver.enter()
            for connection in connections.values():
                connection.close()
            self._driver.look()

    def _send(self, channel: int, content: bytes) -> None:
        socket = self._socket
        if socket is not None:
            self._driver.release(lambda: socket.send(bytes([channel]) + content))

    def _ended(self, number: int) -> None:
        """The pod's side has ended."""
        socket = self._socket
        self._over[number] = None
        if self._connections.pop(number, None) is not None and not self._connections and socket is not None:
            self._driver.release(socket.close)
