"""Connections between containers: who listens where, and how a client gets there.

``Network`` is the seam: the data plane of a cluster (services, DNS, policies) takes the place of ``Direct``, which
knows pods' own addresses alone. Not modelled: bytes in flight; a request is answered in the instant in which it
arrives.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from seatrial.sim.workloads.resting import Rest, Trace

if TYPE_CHECKING:
    from seatrial.sim.workloads.world import World

LOOPBACK = ("127.0.0.1", "localhost", "::1", "0.0.0.0")


class Work(NamedTuple):
    """What requests cost the container that answers them."""

    waits: tuple[tuple[int, int], ...]
    """(how many, µs until they are answered)."""
    lost: int
    """How many found no place in its queue: nobody ever answers."""
    held: int
    """How many were never sent, because of the request's window."""
    ended_us: Callable[[], int | None]
    """When the process ended; what was under way then is cut off."""


class HttpRequest(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    client: str
    """The client's address."""
    copies: int = 1
    """How many alike requests this one stands for."""
    over_us: int = 0
    """The span of time over which they come; 0: all at this instant."""
    window: int = 0
    """How many of them are under way at the same time at most; 0: any number."""
    certificates: tuple[bytes, ...] = ()
    """Those that the client showed when TLS began, DER, its own first."""


class HttpResponse(NamedTuple):
    code: int
    headers: Mapping[str, str]
    body: bytes
    work: Work | None = None
    """What it took; None: no time."""
    later: Any = None
    """Fires (kernel.clock.Signal) with the answer itself, which somebody outside has to give first."""


NEVER_US = 1 << 62


def answered_after_us(response: HttpResponse) -> int:
    """How long a single client waits for it; NEVER_US when it was lost."""
    if response.work is None:
        return 0
    return response.work.waits[0][1] if response.work.waits else NEVER_US


class Listener(Protocol):
    """What listens on a port."""

    def http(self, request: HttpRequest) -> HttpResponse:
        """Answers a request. Raises OSError when it speaks no HTTP."""

    def open(self, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str) -> Any:
        """A connection: write(bytes), close_write(), close()."""


class Steady(Protocol):
    """A listener that may know that an answer is the same until something happens to its container."""

    def traces(self, request: HttpRequest) -> tuple[Trace | None] | None:
        """What each further request like one that was just answered leaves behind, in a tuple; None when the answer
        may become another by itself."""


class Network(Protocol):
    """The way from a container to whatever it wants to reach."""

    lookup_us: int
    """How long a name server takes to answer."""

    def resolve(self, sandbox: Any, name: str) -> list[str]:
        """Addresses of a name. Raises OSError(ENOENT) for one that does not exist."""

    def records(self, sandbox: Any, name: str, kind: str) -> list[tuple[str, str, int, str]]:
        """(name, type, TTL in seconds, value) of a name. Raises as ``resolve``."""

    def connect(self, sandbox: Any, address: str, port: int, protocol: str = "TCP") -> Listener:
        """Raises ConnectionRefusedError, TimeoutError or OSError(EHOSTUNREACH)."""

    def probe(self, sandbox: Any, address: str, port: int) -> Listener:
        """As ``connect``, for the kubelet of the sandbox's machine."""


class Ports:
    """What listens in one network namespace."""

    __slots__ = ("listeners", "rest")

    def __init__(self) -> None:
        self.listeners: dict[tuple[str, int], Listener] = {}
        self.rest = Rest()
        """Who asks them the same again and again."""


def ports_of(sandbox: Any) -> Ports:
    """The listeners of a sandbox; the containers of a pod share them."""
    if sandbox.shared is None:
        sandbox.shared = Ports()
    found: Ports = sandbox.shared
    return found


def refused() -> ConnectionRefusedError:
    return ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


class Direct:
    """Pods reach themselves and each other by address; names come from /etc/hosts alone."""

    lookup_us = 0

    def __init__(self, world: World) -> None:
        self._world = world

    def resolve(self, sandbox: Any, name: str) -> list[str]:
        if name in ("localhost", sandbox.hostname):
            return ["127.0.0.1" if name == "localhost" else sandbox.ip]
        if name.replace(".", "").isdigit():
            return [name]
        for line in sandbox.hosts.splitlines():
            words = line.partition("#")[0].split()
            if name in words[1:]:
                return [words[0]]
        raise OSError(errno.ENOENT, "Name or service not known", name)

    def records(self, sandbox: Any, name: str, kind: str) -> list[tuple[str, str, int, str]]:
        if kind != "A":
            raise OSError(errno.ENOENT, "Name or service not known", name)
        return [(name, "A", 30, address) for address in self.resolve(sandbox, name)]

    def connect(self, sandbox: Any, address: str, port: int, protocol: str = "TCP") -> Listener:
        target = sandbox if address in LOOPBACK or address == sandbox.ip else self._world.sandboxes.get(address)
        if target is None:
            raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
        found = ports_of(target).listeners.get((protocol, port))
        if found is None:
            raise refused()
        return found

    def probe(self, sandbox: Any, address: str, port: int) -> Listener:
        return self.connect(sandbox, address, port)


class Bound:
    """A listener on its port: the connections to it end when it is gone."""

    __slots__ = ("_open", "certificate", "health", "http", "listener")

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.http = listener.http
        """Answers a request; a stopped process answers none."""
        self.certificate = getattr(listener, "certificate", None)
        """Of a listener that speaks TLS: (certificate, key) for a host, in PEM; None: one that nobody trusts."""
        self.health = getattr(listener, "health", None)
        """Of a gRPC server: the status of a service, as its health protocol has it."""
        self._open: dict[int, Callable[[], None]] = {}

    def open(self, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str) -> Any:
        def closed() -> None:
            if self._open.pop(id(closed), None) is not None:
                on_close()

        self._open[id(closed)] = closed
        made = self.listener.open(on_data, closed, client)
        return _Tracked(made, lambda: self._open.pop(id(closed), None))

    def hang(self, hangs: bool) -> None:
        """The process stands still, or goes on: the kernel takes connections, and nobody answers them."""
        self.http = _silent if hangs else self.listener.http
        self.health = _mute if hangs else getattr(self.listener, "health", None)

    def end(self) -> None:
        """The process is gone: whoever was connected learns it."""
        for close in list(self._open.values()):
            close()


def _silent(request: HttpRequest) -> HttpResponse:
    raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


def _mute(service: str) -> str:
    raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


class _Tracked:
    """A connection whose end is noted."""

    __slots__ = ("_forget", "_inner", "close_write", "write")

    def __init__(self, inner: Any, forget: Callable[[], object]) -> None:
        self._inner, self._forget = inner, forget
        self.write, self.close_write = inner.write, inner.close_write

    def close(self) -> None:
        self._forget()
        self._inner.close()


def dialled(address: str, port: int, error: OSError) -> OSError:
    """An error of ``connect`` in the words of Go's dialler, as the kubelet has them."""
    if isinstance(error, TimeoutError):
        return OSError(f"dial tcp {address}:{port}: i/o timeout")
    text = {errno.ECONNREFUSED: "connection refused", errno.EHOSTUNREACH: "no route to host"}.get(error.errno or 0)
    return OSError(f"dial tcp {address}:{port}: connect: {text or error.strerror or error}")
