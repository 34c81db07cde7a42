"""exec, attach and port-forward from a terminal: numbered channels over WebSocket.

Source: k8s.io/client-go/tools/remotecommand/websocket.go (v5.channel.k8s.io); port-forward goes the older way, a
WebSocket for each connection with the channels of k8s.io/kubelet/pkg/cri/streaming/portforward/websocket.go.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    RejectConnection,
    RejectData,
    TextMessage,
)
from wsproto.events import Request as Handshake
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError

from seatrial.scenarios.kubectl.failures import BROKEN_OFF, Failure, error_of
from seatrial.scenarios.kubectl.session import Object, Streams
from seatrial.sim.apiserver.request import Request

if TYPE_CHECKING:
    from seatrial.api.cli.connection import HttpsSession

STDIN, STDOUT, STDERR, OUTCOME, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
PIECE = 65536


class Channel:
    """A WebSocket as a client holds it; sends may come from any thread."""

    def __init__(self, session: HttpsSession, request: Request, protocol: str) -> None:
        self._socket = session.socket(request)
        self._socket.settimeout(None)
        self._wire = WSConnection(ConnectionType.CLIENT)
        self._lock = threading.Lock()
        self._message = bytearray()
        headers = [(key.encode(), value.encode()) for key, value in session.headers(request) if key != "Accept"]
        host = urlsplit(session.address()).netloc
        self._send(Handshake(host, session.target(request), extra_headers=headers, subprotocols=[protocol]))
        self._events = self._received()
        self._shake()

    def _send(self, event: Handshake | BytesMessage | CloseConnection) -> None:
        with self._lock:
            self._socket.sendall(self._wire.send(event))

    def send(self, channel: int, content: bytes) -> None:
        try:
            self._send(BytesMessage(bytes([channel]) + content))
        except (OSError, LocalProtocolError):
            return

    def close(self) -> None:
        with suppress(OSError, LocalProtocolError):
            self._send(CloseConnection(1000))
        self._socket.close()

    def _received(self) -> Iterator[object]:
        while True:
            try:
                content = self._socket.recv(PIECE)
            except OSError:
                content = b""
            self._wire.receive_data(content or None)
            yield from self._wire.events()
            if not content:
                return

    def _shake(self) -> None:
        """Waits for the server's consent. Raises ApiError when it refuses."""
        code, body = 0, bytearray()
        for event in self._events:
            if isinstance(event, AcceptConnection):
                return
            if isinstance(event, RejectConnection):
                code = event.status_code
                if event.has_body:
                    continue
            elif isinstance(event, RejectData):
                body += event.data
                if not event.body_finished:
                    continue
            else:
                continue
            try:
                raise error_of(json.loads(bytes(body)), code)
            except ValueError:
                raise Failure(f"unable to upgrade connection: {body.decode(errors='replace').strip()}") from None
        raise Failure("unable to upgrade connection: the server hung up")

    def messages(self) -> Iterator[bytes]:
        """What the server sends, whole messages, until it closes. Raises Failure when it is gone without a word."""
        for event in self._events:
            if isinstance(event, BytesMessage):
                self._message += event.data
                if event.message_finished:
                    yield bytes(self._message)
                    self._message.clear()
            elif isinstance(event, TextMessage):
                yield event.data.encode()
            elif isinstance(event, Ping):
                with self._lock:
                    self._socket.sendall(self._wire.send(event.response()))
            elif isinstance(event, CloseConnection):
                if event.code == CloseReason.ABNORMAL_CLOSURE:
                    raise Failure(BROKEN_OFF)
                return


def connect(session: HttpsSession, request: Request, streams: Streams) -> Object:
    """exec and attach; the Status of the process. Raises ApiError."""
    channel = Channel(session, request, V5)
    try:
        with _terminal(streams.tty and session.stdin is sys.stdin, channel):
            if streams.read is not None:
                threading.Thread(target=_feed, args=(channel, streams.read), daemon=True).start()
            for message in channel.messages():
                number, content = message[0] if message else STDOUT, message[1:]
                if number == STDOUT:
                    streams.stdout(content)
                elif number == STDERR:
                    streams.stderr(content)
                elif number == OUTCOME:
                    outcome: Object = json.loads(content)
                    return outcome
    finally:
        channel.close()
    return {"status": "Success"}


def _feed(channel: Channel, read: Callable[[], bytes]) -> None:
    while piece := read():
        channel.send(STDIN, piece)
    channel.send(CLOSE, bytes([STDIN]))


@contextmanager
def _terminal(wanted: bool, channel: Channel) -> Iterator[None]:
    """The user's terminal, handing on every key as it is, while a session with a terminal goes on."""
    if not wanted or not sys.stdin.isatty():
        yield
        return
    import signal
    import termios
    import tty

    def resized(*_: object) -> None:
        size = os.get_terminal_size()
        channel.send(RESIZE, json.dumps({"Width": size.columns, "Height": size.lines}).encode())

    before = termios.tcgetattr(sys.stdin)
    handler = signal.signal(signal.SIGWINCH, resized)
    try:
        tty.setraw(sys.stdin)
        resized()
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, handler)


def forward(
    session: HttpsSession, request: Request, ports: list[tuple[str, int, int]], ready: Callable[[str], None]
) -> None:
    """Listens and carries connections until it is interrupted. Raises Failure when no port can be listened at."""
    listening = selectors.DefaultSelector()
    for address, local, remote in ports:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, local))
        except OSError as problem:
            text = f"Unable to listen on port {local}: Listeners failed to create with the following errors: "
            text += f"[unable to create listener: Error listen tcp4 {address}:{local}: bind: {problem.strerror}]"
            raise Failure(text) from None
        listener.listen()
        listening.register(listener, selectors.EVENT_READ, remote)
        shown = f"[{address}]" if ":" in address else address
        ready(f"Forwarding from {shown}:{listener.getsockname()[1]} -> {remote}")
    while True:
        for key, _ in listening.select():
            accepted, _address = key.fileobj.accept()  # type: ignore[union-attr]
            ready(f"Handling connection for {accepted.getsockname()[1]}")
            threading.Thread(target=_carry, args=(session, request, accepted, key.data), daemon=True).start()


def _carry(session: HttpsSession, request: Request, client: socket.socket, port: int) -> None:
    """One connection from its beginning to its end."""
    asked = Request(
        "GET", request.path, {"ports": (str(port),)}, user_agent=request.user_agent, headers=request.headers
    )
    try:
        channel = Channel(session, asked, V4)
    except Exception as problem:
        session.stderr.write(f"error: {problem}\n")
        client.close()
        return
    threading.Thread(target=_upstream, args=(client, channel), daemon=True).start()
    seen: set[int] = set()
    try:
        for message in channel.messages():
            number, content = message[0], message[1:]
            if number not in seen:
                seen.add(number)  # the first message of a channel names its port
            elif number == 0:
                client.sendall(content)
            elif content:
                session.stderr.write(f"an error occurred forwarding: {content.decode(errors='replace')}\n")
    except (OSError, Failure):
        pass
    finally:
        channel.close()
        client.close()


def _upstream(client: socket.socket, channel: Channel) -> None:
    try:
        while content := client.recv(PIECE):
            channel.send(0, content)
    except OSError:
        pass
