"""Loopback twins: for each address and port that is reachable from outside, a socket on this machine.

192.168.1.101 is 127.168.1.101, with the same port where that is permitted and free, else with one 8000 higher, else
with any. Each running cluster has a second byte of its own, 168 first: it belongs to whose forward proxy listens on
127.168.0.1:3128. Where the machine has no such loopback addresses (macOS), all twins are ports of 127.0.0.1. Sockets
follow the cluster's objects.
"""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, cast

from seatrial.api.addresses.datagrams import TwinnedDatagrams
from seatrial.api.addresses.gate import End, Gate, reset
from seatrial.api.addresses.twin import Twin
from seatrial.api.server.listener import PortInUse, bind
from seatrial.sim.network.addresses import Reachable, has_host_ports, ingress_address, reachable
from seatrial.sim.store.log import Change
from seatrial.sim.store.store import Store

BLOCKS = range(168, 248)
"""The second bytes that clusters may have."""
PROXY_PORT = 3128
HIGHER = 8000
"""What is added to a port that must not be taken as it is: 80 becomes 8080."""
PLAIN = "127.0.0.1"
LOOK_S = 0.05
"""After a change others are waited for before sockets are opened."""
SOCKETS_MAX = 2000
SERVICES, NODES, INGRESSES, PODS = "services", "nodes", "ingresses.networking.k8s.io", "pods"
Machines = dict[str, dict[int, tuple[str, bool]]]
"""What listens on a machine itself, by its name and port: what it is, and whether it speaks TLS."""
Key = tuple[str, int, str]
"""An address of the cluster, a port, and TCP or UDP."""


def claim() -> tuple[int, socket.socket]:
    """A second byte that no other cluster has (0: this machine has one loopback address only), and the socket of its
    forward proxy. Raises PortInUse."""
    for block in BLOCKS:
        try:
            return block, bind(f"127.{block}.0.1", PROXY_PORT)
        except PortInUse:
            continue
    try:
        return 0, bind(PLAIN, PROXY_PORT)
    except PortInUse:
        return 0, bind(PLAIN, 0)


class Book:
    """What is reachable now; ``changed`` is called when that may have changed."""

    def __init__(
        self,
        store: Store,
        machines: Machines,
        knows: Callable[[str], bool],
        nameserver: str,
        changed: Callable[[], None],
    ) -> None:
        self._store, self._machines, self._knows, self._changed = store, machines, knows, changed
        self._nameserver = nameserver
        self._found: list[Reachable] | None = None
        store.observe(self._look)

    def _look(self, change: Change) -> None:
        if change.storage not in (SERVICES, NODES, INGRESSES, PODS):
            return
        if change.storage == PODS and not has_host_ports(change.obj):
            return
        self._found = None
        self._changed()

    @property
    def found(self) -> list[Reachable]:
        if self._found is None:
            list_of = self._store.list
            pods = [pod for pod in list_of(PODS) if has_host_ports(pod)]
            self._found = reachable(
                list_of(NODES), list_of(SERVICES), list_of(INGRESSES), pods, self._machines, self._nameserver
            )
        return self._found

    def inside(self, host: str) -> str | None:
        """The cluster's name or address of a host of a URL; None for what is not the cluster's."""
        found = ingress_address(self._store.list(INGRESSES), host)
        if found is None and (self._knows(host) or self._is_short(host)):
            found = host
        return found

    def _is_short(self, host: str) -> bool:
        """Whether it is a service's name, in its namespace or with it, or a pod's with its service."""
        get, parts = self._store.get, host.split(".")
        if len(parts) == 1:
            return get(SERVICES, "default", host) is not None
        first, second = parts[0], parts[1]
        return len(parts) == 2 and (get(SERVICES, second, first) or get(SERVICES, "default", second)) is not None


class Twins:
    """The sockets of one cluster. All methods are for the loop's thread."""

    def __init__(self, gate: Gate, store: Store, machines: Machines, block: int) -> None:
        self._gate, self._block = gate, block
        self._open: dict[Key, tuple[Twin, Any]] = {}
        self._taken: dict[str, str] = {}
        self._due: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._max = min(SOCKETS_MAX, max(64, soft // 4))
        connections = gate.connections
        self.book = Book(store, machines, connections.knows, connections.requests.nameserver, self._soon)

    def _soon(self) -> None:
        if self._due is None and not self._closed:
            self._due = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _look(self) -> None:
        self._due = None
        if self._closed:
            return
        if self._task is not None and not self._task.done():
            self._soon()
            return
        self._task = asyncio.get_running_loop().create_task(self.follow())

    async def follow(self) -> None:
        """Opens what came, closes what went."""
        wanted = dict.fromkeys((each.address, each.port, each.protocol) for each in self.book.found)
        for key in [key for key in self._open if key not in wanted]:
            server = self._open.pop(key)[1]
            if server is not None:
                server.close()
        for key in wanted:
            if key not in self._open:
                self._open[key] = await self._opened(key)

    async def _opened(self, key: Key) -> tuple[Twin, Any]:
        address, port, protocol = key
        host = self.host_of(address)
        if sum(server is not None for _, server in self._open.values()) >= self._max:
            return Twin(host, 0, f"more than {self._max} sockets: use the proxy"), None
        try:
            listening, why = _listen(host, port, protocol)
        except PortInUse as problem:
            return Twin(host, 0, problem.args[2]), None
        twin = Twin(host, listening.getsockname()[1], why)
        loop, gate = asyncio.get_running_loop(), self._gate
        if protocol == "UDP":
            made = await loop.create_datagram_endpoint(lambda: TwinnedDatagrams(gate, address, port), sock=listening)
            return twin, made[0]
        return twin, await loop.create_server(lambda: Twinned(gate, address, port), sock=listening)

    def host_of(self, address: str) -> str:
        """The loopback address that stands for one of the cluster's."""
        if not self._block:
            return PLAIN
        known = self._taken.get(address)
        if known is not None:
            return known
        _, _, third, fourth = (int(part) for part in address.split("."))
        number, used = third << 8 | fourth, self._taken.values()
        # Two addresses may end alike; .0.1 is the proxy's.
        while number & 0xFFFF <= 1 or self._numbered(number) in used:
            number += 1
        self._taken[address] = made = self._numbered(number)
        return made

    def _numbered(self, number: int) -> str:
        return f"127.{self._block}.{number >> 8 & 255}.{number & 255}"

    def rows(self) -> Iterator[tuple[Reachable, Twin]]:
        """What is reachable, and where."""
        for each in self.book.found:
            held = self._open.get((each.address, each.port, each.protocol))
            yield each, held[0] if held is not None else Twin(self.host_of(each.address), 0, "not open yet")

    async def close(self) -> None:
        self._closed = True
        if self._due is not None:
            self._due.cancel()
        if self._task is not None and not self._task.done():
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        for _, server in self._open.values():
            if server is not None:
                server.close()
        self._open.clear()


def _listen(host: str, port: int, protocol: str) -> tuple[socket.socket, str]:
    """The best socket that is to be had, and why it is not the one. Raises PortInUse."""
    try:
        return bind(host, port, protocol), ""
    except PortInUse as problem:
        why = f"{port}: {problem.args[2]}"
    with suppress(PortInUse, OverflowError):
        return bind(host, port + HIGHER, protocol), why
    return bind(host, 0, protocol), why


class Twinned(asyncio.Protocol):
    """A program's connection to a twin."""

    def __init__(self, gate: Gate, address: str, port: int) -> None:
        self._gate, self._address, self._port = gate, address, port
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._end: End = cast(End, None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._end = self._gate.open(self._address, self._port, self)

    def data_received(self, data: bytes) -> None:
        self._end.write(data)

    def eof_received(self) -> bool:
        self._end.close_write()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._end.close()

    def stands(self) -> None: ...

    def receive(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def finished(self) -> None:
        self._transport.close()

    def broken(self, problem: OSError) -> None:
        reset(self._transport)
