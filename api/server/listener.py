"""The listening socket: TLS with the cluster's certificates, connections, housekeeping, a clean end."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import tempfile
import time
from pathlib import Path

from seatrial.api.server.message import App
from seatrial.api.server.pki import Pki
from seatrial.api.server.protocol import Connection

SWEEP_S = 5.0
"""How often connections that are overdue are looked for, while there are any."""
BACKLOG = 1024
FINISH_S = 2.0
"""How long answers that are being sent may take when the server stops."""


class PortInUse(Exception):
    """The address cannot be listened on; ``args``: host, port, reason."""


def bind(host: str, port: int, protocol: str = "TCP") -> socket.socket:
    """A listening socket, or one for datagrams; port 0 takes any that is free. Raises PortInUse."""
    is_tcp = protocol == "TCP"
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM if is_tcp else socket.SOCK_DGRAM)
    try:
        if is_tcp:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        if is_tcp:
            listening.listen(BACKLOG)
    except OSError as problem:
        listening.close()
        raise PortInUse(host, port, problem.strerror or str(problem)) from None
    listening.setblocking(False)
    return listening


def tls(pki: Pki) -> ssl.SSLContext:
    """The server's side: its certificate, and client certificates of its own authority are welcome.

    Not modelled: a certificate of a foreign authority ends the handshake, where upstream answers 401.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=pki.authority.certificate.decode())
    context.set_alpn_protocols(["http/1.1"])
    with tempfile.TemporaryDirectory() as folder:
        # The ssl module loads a chain from files only; this one is readable by its owner and gone at once.
        path = Path(folder) / "server.pem"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(pki.server.certificate + pki.server.key)
        context.load_cert_chain(path)
    return context


class Listener:
    """Accepts connections for an application until it is closed."""

    def __init__(self, app: App, listening: socket.socket, context: ssl.SSLContext | None) -> None:
        self._app = app
        self._socket = listening
        self._context = context
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def start(self) -> None:
        """Begins to accept."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accepted, sock=self._socket, ssl=self._context)

    def _accepted(self) -> Connection:
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_S, self._look_around)
        return Connection(self._app, self._connections)

    def _look_around(self) -> None:
        now = time.monotonic()
        for connection in list(self._connections):
            if connection.overdue(now):
                connection.drop()
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(SWEEP_S, self._look_around) if self._connections else None

    async def close(self) -> None:
        """Accepts nothing new, ends streams, and gives what is being sent a moment."""
        if self._sweep is not None:
            self._sweep.cancel()
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.finish()
        until = time.monotonic() + FINISH_S
        while self._connections and time.monotonic() < until:
            await asyncio.sleep(0.01)
        for connection in list(self._connections):
            connection.drop()
