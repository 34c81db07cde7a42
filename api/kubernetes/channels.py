"""exec and attach: a process in a container with a client at its streams, over WebSocket.

The streams are numbered channels; in a WebSocket the first byte of a message names one: 0 stdin, 1 stdout, 2 stderr, 3
the outcome as a Status, 4 the terminal's size; 255 closes the channel that its second byte names (v5). Source:
k8s.io/apimachinery/pkg/util/remotecommand and k8s.io/kubelet/pkg/cri/streaming/remotecommand/websocket.go.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import suppress

import orjson

from seatrial.api.server.driver import Driver
from seatrial.api.server.websocket import WebSocket
from seatrial.sim.apiserver.connecting import Connect
from seatrial.sim.apiserver.kubelets import ExecError, OnExit, OnOutput, Session
from seatrial.sim.machinery import errors

STDIN, STDOUT, STDERR, OUTCOME, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
CHANNEL_OF = {"stdout": STDOUT, "stderr": STDERR}
V5, V4, V1 = "v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io"
V4_BASE64, V1_BASE64 = "v4.base64.channel.k8s.io", "base64.channel.k8s.io"
PROTOCOLS = (V5, V4, V1, V4_BASE64, V1_BASE64)
IN_BASE64 = (V4_BASE64, V1_BASE64)
"""Messages are text: the channel's digit, and the content in base64."""


Begin = Callable[[OnOutput, OnExit], Session]
"""Starts the process that a client is to be connected to. Raises ExecError, ApiError."""


def begin(connect: Connect, on_output: OnOutput, on_exit: OnExit) -> Session:
    """What an exec or attach starts or joins."""
    kubelet, place = connect.kubelet, (connect.namespace, connect.pod, connect.container)
    if connect.kind == "exec":
        command = list(connect.command)
        return kubelet.exec(*place, command, on_output, on_exit, stdin=connect.stdin, tty=connect.tty)
    return kubelet.attach(*place, on_output, on_exit)


class Attached:
    """A process and its client, whatever carries the channels: ``write`` sends on one, ``end`` closes them all."""

    def __init__(
        self, begin: Begin, driver: Driver, write: Callable[[int, bytes], None], end: Callable[[], None]
    ) -> None:
        self._begin = begin
        self._driver = driver
        self._write = write
        self._end = end
        self._session: Session | None = None

    def start(self) -> None:
        """Starts the process, or joins the one that runs."""
        self._driver.enter()
        try:
            self._session = self._begin(self._output, self._exited)
        except ExecError as problem:
            self._finish(errors.internal(f"error executing command in container: {problem}").status())
        except errors.ApiError as problem:
            self._finish(problem.status())
        self._driver.look()

    def receive(self, channel: int, content: bytes) -> None:
        """Something from the client: input, or a new size."""
        session = self._session
        if session is None:
            return
        self._driver.enter()
        if channel == STDIN and content:
            session.write_stdin(content)
        elif channel == RESIZE:
            try:
                size = orjson.loads(content)
                session.resize(int(size["Width"]), int(size["Height"]))
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                return
        self._driver.look()

    def end_input(self) -> None:
        """The client will send no more input."""
        session = self._session
        if session is None:
            return
        # The process may end while the simulation catches up with the client.
        self._driver.enter()
        session.close_stdin()
        self._driver.look()

    def hang_up(self) -> None:
        """The client is gone."""
        session, self._session = self._session, None
        if session is not None:
            self._driver.enter()
            session.close()
            self._driver.look()

    def _output(self, stream: str, data: bytes) -> None:
        self._driver.release(lambda: self._write(CHANNEL_OF[stream], data))

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
        self._session = None

        def leave() -> None:
            self._write(OUTCOME, orjson.dumps(status))
            self._end()

        self._driver.release(leave)


class Channels:
    """The channels as messages of a WebSocket; see ``websocket.Messages``."""

    def __init__(self, begin: Begin, driver: Driver, protocol: str = V5) -> None:
        self._attached = Attached(begin, driver, self._write, self._end)
        self._socket: WebSocket | None = None
        self._in_base64 = protocol in IN_BASE64
        self._in_words = protocol in ("", V1, V1_BASE64)
        """The outcome is a failure's message, not a Status."""

    def opened(self, socket: WebSocket) -> None:
        """A first empty message tells the client that the streams are there."""
        self._socket = socket
        self._send(STDOUT, b"")
        self._attached.start()

    def message(self, data: bytes) -> None:
        if self._in_base64:
            with suppress(ValueError):
                self._attached.receive(int(data[:1]), base64.b64decode(data[1:]))
        elif data[:1] == bytes([CLOSE]):
            if data[1:2] == bytes([STDIN]):
                self._attached.end_input()
        elif data:
            self._attached.receive(data[0], data[1:])

    def closed(self) -> None:
        self._attached.hang_up()

    def _write(self, channel: int, content: bytes) -> None:
        if channel == OUTCOME and self._in_words:
            content = orjson.loads(content).get("message", "").encode()
            if not content:
                return
        self._send(channel, content)

    def _send(self, channel: int, content: bytes) -> None:
        if self._socket is None:
            return
        if self._in_base64:
            self._socket.send(b"%d%b" % (channel, base64.b64encode(content)), text=True)
        else:
            self._socket.send(bytes([channel]) + content)

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
