"""From a program's socket into the cluster, and out again to what really listens on this machine.

``Gate.open`` begins a connection to a name or an address. What the cluster knows is reached through its data plane, TLS
ending here where the server there speaks it; what is somewhere else in truth (the API server's own port, a process that
somebody put behind a Service, the world outside) is reached by a real connection, byte for byte.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import Any, Protocol, cast

from seatrial.api.addresses.secure import Secure, Session
from seatrial.api.server.driver import Driver
from seatrial.sim.apiserver.sessions import Held
from seatrial.sim.network.connections import Connections

CONNECT_TIMEOUT_S = 30.0
"""How long a real connection may take to come about."""
PLAIN_TO_TLS = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
"""What Go's server says."""


class Program(Protocol):
    """The end of a program that connects. All are called from the loop, in this order."""

    def stands(self) -> None:
        """The connection came about."""

    def receive(self, data: bytes) -> None: ...

    def finished(self) -> None:
        """The other end sends nothing more."""

    def broken(self, problem: OSError) -> None:
        """It did not come about, or broke. Nothing follows."""


class End(Protocol):
    """What a program does to its connection."""

    def write(self, data: bytes) -> None: ...

    def close_write(self) -> None: ...

    def close(self) -> None: ...


class Gate:
    """Where programs enter the cluster."""

    def __init__(self, driver: Driver, connections: Connections, secure: Secure) -> None:
        self.driver, self.connections, self.secure = driver, connections, secure

    def open(self, host: str, port: int, program: Program, protocol: str = "TCP") -> End:
        """Begins a connection to what the cluster knows; of UDP each ``write`` and ``receive`` is a datagram."""
        return Inward(self, host, port, program, protocol)


class Inward:
    """A connection into the cluster; see ``connections.Caller`` for what the cluster calls."""

    def __init__(self, gate: Gate, host: str, port: int, program: Program, protocol: str) -> None:
        self._gate, self._program = gate, program
        self._waiting: list[bytes] = []
        self._ends = False
        self._stands = self._closed = False
        self._tls: Session | None = None
        self._through: Outward | None = None
        gate.driver.enter()
        self._connection: Held = gate.connections.open(host, port, self, protocol)
        gate.driver.look()

    # The program's side

    def write(self, data: bytes) -> None:
        if self._through is not None:
            self._through.write(data)
        elif not self._stands:
            self._waiting.append(data)
        elif self._tls is None:
            self._enter(data)
        else:
            self._decrypt(self._tls, data)

    def _decrypt(self, tls: Session, data: bytes) -> None:
        if tls.is_new and data[:1] != b"\x16":
            self._program.receive(PLAIN_TO_TLS)
            self._program.finished()
            return
        plain, answer = tls.received(data)
        if answer:
            self._program.receive(answer)
        if plain:
            self._enter(plain)
        if tls.broken is not None:
            self._program.broken(ConnectionResetError(errno.ECONNRESET, tls.broken))
        elif tls.ended:
            self.close_write()

    def _enter(self, data: bytes) -> None:
        self._gate.driver.enter()
        self._connection.write(data)
        self._gate.driver.look()

    def close_write(self) -> None:
        if self._through is not None:
            self._through.close_write()
        elif self._stands:
            self._gate.driver.enter()
            self._connection.close_write()
            self._gate.driver.look()
        else:
            self._ends = True

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._through is not None:
            self._through.close()
            return
        self._gate.driver.enter()
        self._connection.close()
        self._gate.driver.look()

    # The cluster's side: within a slice of the simulation

    def connected(self, listener: Any) -> None:
        beyond = getattr(listener, "beyond", None)
        certificate = getattr(listener, "certificate", None)
        if beyond is not None:
            self._gate.driver.release(lambda: self._go_beyond(beyond))
            return
        if certificate is not None:
            self._tls = self._gate.secure.session(certificate)
        self._gate.driver.release(self._connected)

    def _go_beyond(self, where: tuple[str, int]) -> None:
        if self._closed:
            return
        self._connection.close()
        self._through = Outward(*where, self._program)
        self._flush()

    def _connected(self) -> None:
        if self._closed:
            return
        self._stands = True
        self._program.stands()
        self._flush()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            self.write(data)
        if self._ends:
            self.close_write()

    def data(self, data: bytes) -> None:
        self._gate.driver.release(lambda: self._tell(data))

    def _tell(self, data: bytes) -> None:
        if not self._closed:
            self._program.receive(data if self._tls is None else self._tls.sent(data))

    def ended(self) -> None:
        self._gate.driver.release(self._end)

    def _end(self) -> None:
        if self._closed:
            return
        if self._tls is not None and (last := self._tls.close()):
            self._program.receive(last)
        self._program.finished()

    def failed(self, problem: OSError) -> None:
        self._gate.driver.release(lambda: None if self._closed else self._program.broken(problem))


class Outward(asyncio.Protocol):
    """A real connection, byte for byte."""

    def __init__(self, host: str, port: int, program: Program) -> None:
        self._program = program
        self._transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = []
        self._ends = self._closed = False
        self._task = asyncio.get_running_loop().create_task(self._connect(host, port))

    async def _connect(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            await asyncio.wait_for(loop.create_connection(lambda: self, host, port), CONNECT_TIMEOUT_S)
        except OSError as problem:
            if not self._closed:
                self._program.broken(problem)
        except Exception as problem:
            if not self._closed:
                self._program.broken(OSError(errno.EHOSTUNREACH, str(problem)))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = made = cast(asyncio.Transport, transport)
        if self._closed:
            made.close()
            return
        self._program.stands()
        for data in self._waiting:
            made.write(data)
        self._waiting = []
        if self._ends:
            made.write_eof()

    def data_received(self, data: bytes) -> None:
        self._program.receive(data)

    def eof_received(self) -> bool:
        self._program.finished()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._closed:
            self._closed = True
            if exc is None:
                self._program.finished()
            else:
                self._program.broken(exc if isinstance(exc, OSError) else OSError(errno.ECONNRESET, str(exc)))

    def write(self, data: bytes) -> None:
        if self._transport is None:
            self._waiting.append(data)
        elif not self._transport.is_closing():
            self._transport.write(data)

    def close_write(self) -> None:
        self._ends = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()

    def close(self) -> None:
        self._closed = True
        if self._transport is not None:
            self._transport.close()
        else:
            self._task.cancel()


def reset(transport: asyncio.Transport) -> None:
    """Ends a connection as a machine does on which nobody listens: with RST."""
    connected = transport.get_extra_info("socket")
    if connected is not None:
        linger = (1).to_bytes(4, "little") + bytes(4)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


def told(problem: OSError) -> str:
    """A failure in one line."""
    return problem.strerror or (os.strerror(problem.errno) if problem.errno else str(problem) or "broken")
