"""exec and attach over WebSocket: numbered channels for the streams of a process.

The first byte of a message is the channel: 0 stdin, 1 stdout, 2 stderr, 3 the outcome as a Status, 4 the terminal's
size; 255 closes the channel that its second byte names (v5). Source: k8s.io/apimachinery/pkg/util/remotecommand and
k8s.io/kubelet/pkg/cri/streaming/remotecommand/websocket.go.

Not modelled: the base64 subprotocols of browsers, and exec and attach over SPDY; both are refused with 400. kubectl
tries WebSocket first.
"""

from __future__ import annotations

import orjson

from seatrial.api.kubernetes.portforward import PROTOCOL, TUNNELLED, Bare, Forwards, Tunnel
from seatrial.api.server.driver import Driver
from seatrial.api.server.message import Incoming, Outgoing
from seatrial.api.server.websocket import WebSocket, handshake, offered
from seatrial.sim.apiserver.connecting import Connect
from seatrial.sim.apiserver.kubelets import ExecError, Session
from seatrial.sim.machinery import errors

STDIN, STDOUT, STDERR, OUTCOME, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
CHANNEL_OF = {"stdout": STDOUT, "stderr": STDERR}
V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"


def upgrade(incoming: Incoming, connect: Connect, driver: Driver) -> Outgoing:
    """The answer that turns a request's connection into a session; 400 when the client speaks nothing we know."""
    known = (TUNNELLED,) if connect.kind == "portforward" else (V5, V4)
    chosen = next((name for name in offered(incoming) if name in known), "")
    if incoming.upgrade == "websocket" and chosen:
        headers = handshake(incoming, chosen)
        if connect.kind == "portforward":
            return Outgoing(101, headers, upgrade=lambda _: WebSocket(Tunnel(Forwards(connect, driver))))
        return Outgoing(101, headers, upgrade=lambda _: WebSocket(Channels(connect, driver)))
    if incoming.upgrade == "spdy/3.1" and connect.kind == "portforward":
        headers = [("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"), ("X-Stream-Protocol-Version", PROTOCOL)]
        return Outgoing(101, headers, upgrade=lambda _: Bare(Forwards(connect, driver)))
    what = incoming.upgrade or "no protocol"
    body = errors.bad_request(f"unable to upgrade: {what} is not supported for {connect.kind}").status()
    return Outgoing(400, [("Content-Type", "application/json")], orjson.dumps(body) + b"\n")


class Channels:
    """A process in a container, and the client at its streams."""

    def __init__(self, connect: Connect, driver: Driver) -> None:
        self._connect = connect
        self._driver = driver
        self._socket: WebSocket | None = None
        self._session: Session | None = None

    def opened(self, socket: WebSocket) -> None:
        """Starts the process; a first empty message tells the client that the streams are there."""
        self._socket = socket
        connect = self._connect
        self._driver.enter()
        socket.send(bytes([STDOUT]))
        kubelet, place = connect.kubelet, (connect.namespace, connect.pod, connect.container)
        try:
            if connect.kind == "exec":
                command = list(connect.command)
                self._session = kubelet.exec(
                    *place, command, self._output, self._exited, stdin=connect.stdin, tty=connect.tty
                )
            else:
                self._session = kubelet.attach(*place, self._output, self._exited)
        except ExecError as problem:
            self._finish(errors.internal(f"error executing command in container: {problem}").status())
        except errors.ApiError as problem:
            self._finish(problem.status())
        self._driver.look()

    def message(self, data: bytes) -> None:
        """Something from the client: input, a new size, or the end of a channel."""
        session = self._session
        if session is None or not data:
            return
        self._driver.enter()
        channel, content = data[0], data[1:]
        if channel == STDIN and content:
            session.write_stdin(content)
        elif channel == RESIZE:
            try:
                size = orjson.loads(content)
                session.resize(int(size["Width"]), int(size["Height"]))
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                return
        elif channel == CLOSE and content[:1] == bytes([STDIN]):
            session.close_stdin()
        self._driver.look()

    def closed(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._driver.enter()
            session.close()
            self._driver.look()

    def _output(self, stream: str, data: bytes) -> None:
        socket, frame = self._socket, bytes([CHANNEL_OF[stream]]) + data
        if socket is not None:
            self._driver.release(lambda: socket.send(frame))

    def _exited(self, code: int) -> None:
        if code == 0:
            self._finish({"metadata": {}, "status": "Success"})
            return
        text = f"command terminated with non-zero exit code: exit code {code}"
        details = {"causes": [{"reason": "ExitCode", "message": str(code)}]}
        self._finish(
            {"metadata": {}, "status": "Failure", "message": text, "reason": "NonZeroExitCode", "details": details}
        )

    def _finish(self, status: object) -> None:
        """Tells the outcome and closes; whatever was written before goes first."""
        socket, self._session = self._socket, None

        def leave() -> None:
            if socket is not None:
                socket.send(bytes([OUTCOME]) + orjson.dumps(status))
                socket.close()

        self._driver.release(leave)
