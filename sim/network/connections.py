"""Connections that enter the cluster from outside: from a program on the machine that the simulation runs on.

A connection is opened at *now*, walks the tables of the data plane once, and keeps its way from then on, whatever
becomes of the rules. Its bytes take the latency of the links; while these are cut they are sent again, as TCP does. Of
UDP a connection is what conntrack takes for one: the datagrams between two sockets; what is sent over a cut link is
lost. It is a session: what enters is written down, and a replay lets it enter again. Not modelled: windows, a limit to
the bytes on the way, and that a datagram is told of that nobody takes.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Generator, Mapping
from itertools import pairwise
from typing import Any, Final, Protocol

from seatrial.sim.apiserver.sessions import Held, Say, Sessions
from seatrial.sim.kernel.clock import Clock, Timer
from seatrial.sim.network.dataplane import Arrival, DataPlane, Routed
from seatrial.sim.network.hosts import timed_out
from seatrial.sim.network.requests import CONNECT_TIMEOUT_US, Requests, wait_us
from seatrial.sim.network.resolver import is_address, resolve

KIND: Final = "connection"
"""The kind of session that a connection is."""
RETRANSMIT_US, RETRANSMIT_MAX_US = 200_000, 120_000_000
"""TCP_RTO_MIN, TCP_RTO_MAX."""
DNS_TIMEOUT_US = 10_000_000
"""Two attempts of five seconds (resolv.conf(5))."""
RETRANSMITS_MAX = 15
"""net.ipv4.tcp_retries2."""


class Caller(Protocol):
    """The program's end of a connection."""

    def connected(self, listener: Any) -> None:
        """It stands; ``listener`` is what answers. Before anything else."""

    def data(self, data: bytes) -> None: ...

    def ended(self) -> None:
        """The other end sends nothing more."""

    def failed(self, problem: OSError) -> None:
        """It did not come about, or broke. Nothing follows."""


class Connections:
    """Where connections enter; ``domain`` is the cluster's, ``subnet`` that of its machines."""

    def __init__(self, requests: Requests, clock: Clock, sessions: Sessions, domain: str, subnet: str) -> None:
        self.requests, self.clock = requests, clock
        self._sessions = sessions
        self._domain, self._subnet = domain, subnet
        sessions.provide(KIND, self._open)

    @property
    def plane(self) -> DataPlane:
        return self.requests.plane

    def knows(self, host: str) -> bool:
        """Whether a name or address is the cluster's by its form; short names may be anybody's."""
        if is_address(host):
            plane = self.plane
            inside = plane.is_inside(host) or host.startswith(f"{self._subnet}.") or plane.owner(host) is not None
            return inside or any(host == address for address, _, _ in plane.outside.listeners)
        return host in self.plane.hosts or len(self.full_names(host)) == 1

    def full_names(self, name: str) -> list[str]:
        """The cluster's names that a name may stand for: ``web``, ``web.shop``, ``web.shop.svc`` and whole ones."""
        name = name.rstrip(".").lower()
        if name == self._domain or name.endswith(f".{self._domain}"):
            return [name]
        if name.endswith(".svc"):
            return [f"{name}.{self._domain}"]
        return [f"{name}.{search}.{self._domain}" for search in ("default.svc", "svc")] if name.count(".") < 2 else []

    def open(self, host: str, port: int, caller: Caller, protocol: str = "TCP") -> Held:
        """Begins a connection to a name or an address at this moment; it is written, half closed and closed as a
        session is."""

        def tell(what: str, *about: Any) -> None:
            getattr(caller, what)(*about)

        value = {"host": host, "port": port, **({"protocol": protocol} if protocol != "TCP" else {})}
        return self._sessions.open(KIND, value, tell, caller.failed)

    def _open(self, value: Mapping[str, Any], on_output: Say, on_end: Say) -> Connection:
        made = Connection(self, on_output, on_end, value.get("protocol", "TCP"))
        host, port = value["host"], value["port"]
        self.clock.spawn(made.steps(host, port), f"connection to {host}:{port}")
        return made

    def find(self, host: str) -> str:
        """The address of a name. Raises OSError."""
        if is_address(host):
            return host
        if host in self.plane.hosts:
            return self.plane.hosts[host].address
        asks, last = self.requests.inside(host), OSError(errno.ENOENT, "Name or service not known", host)
        config = {"servers": [self.requests.nameserver]}
        for name in self.full_names(host):
            try:
                return resolve(f"{name}.", config, lambda at: self.plane.name_server(asks, at))[0].value
            except TimeoutError:
                raise
            except OSError as problem:
                last = problem
        raise last

    def latency(self, arrival: Arrival) -> int:
        """One way along the path of a connection that stands. Raises TimeoutError while it is cut."""
        plane = self.plane
        for place in arrival.path:
            host = plane.hosts.get(place)
            if host is not None and not host.up():
                raise timed_out()
        end = plane.hosts.get(arrival.host)
        if end is not None and not end.plugged and end.has_pod(arrival.address):
            raise timed_out()
        return sum(plane.way(a, b) for a, b in pairwise(arrival.path) if a != b)


class Connection:
    """One connection from outside. ``tell`` says what happens to it, by the names of ``Caller``; ``end`` that it is
    over, and why."""

    def __init__(self, connections: Connections, tell: Say, end: Say, protocol: str) -> None:
        self._connections, self._say, self._over, self._protocol = connections, tell, end, protocol
        self._inner: Any = None
        self._alive = True
        self._there: _Way | None = None
        self._back: _Way | None = None

    # The program's side

    def write(self, data: bytes) -> None:
        if self._alive and self._there is not None:
            self._there.send(lambda: self._deliver(data))

    def close_write(self) -> None:
        """Nothing more is sent."""
        if self._alive and self._there is not None:
            self._there.send(lambda: self._inner.close_write())

    def close(self) -> None:
        """The program hung up."""
        if not self._alive:
            return
        self._alive = False
        if self._there is not None and self._inner is not None:
            self._there.send(self._inner.close)

    # The cluster's side

    def steps(self, host: str, port: int) -> Generator[Any, Any, None]:
        connections, clock = self._connections, self._connections.clock
        try:
            if not is_address(host):
                yield clock.sleep(connections.plane.lookup_us)
            address = connections.find(host)
        except OSError as problem:
            yield clock.sleep(DNS_TIMEOUT_US if isinstance(problem, TimeoutError) else 0)
            self._fail(OSError(problem.errno, problem.strerror, host))
            return
        try:
            origin = connections.requests.way_in(address)
            arrival = connections.plane.reach(origin, address, port, self._protocol)
        except OSError as problem:
            yield clock.sleep(min(wait_us(problem), CONNECT_TIMEOUT_US))
            self._fail(problem)
            return
        is_tcp = self._protocol == "TCP"
        yield clock.sleep(2 * arrival.latency_us if is_tcp else 0)
        if not self._alive:
            return
        self._there = _Way(connections, arrival, self._fail, is_tcp)
        self._back = back = _Way(connections, arrival, self._fail, is_tcp)
        self._say("connected", arrival.listener)
        if not self._alive or getattr(arrival.listener, "beyond", None) is not None:
            # What is elsewhere in truth is reached there.
            return
        try:
            self._inner = Routed(arrival).open(
                self._thinking(arrival, lambda data: back.send(lambda: self._tell(data))),
                lambda: back.send(self._ended),
                arrival.client,
            )
        except OSError as problem:
            self._fail(problem)

    def _thinking(self, arrival: Arrival, say: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """A name server takes its time."""
        plane, clock = self._connections.plane, self._connections.clock
        if not hasattr(arrival.listener, "ask"):
            return say

        def later(data: bytes) -> None:
            clock.after(plane.lookup_us, lambda: say(data))

        return later

    def _deliver(self, data: bytes) -> None:
        try:
            self._inner.write(data)
        except OSError as problem:
            self._fail(problem)

    def _tell(self, data: bytes) -> None:
        if self._alive:
            self._say("data", data)

    def _ended(self) -> None:
        if self._alive:
            self._say("ended")

    def _fail(self, problem: OSError) -> None:
        if self._alive:
            self._alive = False
            self._over(problem)


class _Way:
    """One direction of a connection: what is sent arrives in its order, and again and again until it does, unless it is
    not sent again."""

    def __init__(
        self, connections: Connections, arrival: Arrival, fail: Callable[[OSError], None], is_sent_again: bool
    ) -> None:
        self._connections, self._arrival, self._fail = connections, arrival, fail
        self._is_sent_again = is_sent_again
        self._queue: deque[Callable[[], None]] = deque()
        self._again: Timer | None = None
        self._tries, self._due = 0, 0

    def send(self, call: Callable[[], None]) -> None:
        self._queue.append(call)
        if self._again is None:
            self._carry()

    def _carry(self) -> None:
        self._again, clock = None, self._connections.clock
        while self._queue:
            try:
                latency = self._connections.latency(self._arrival)
            except TimeoutError as problem:
                if not self._is_sent_again:
                    self._queue.clear()
                    return
                if self._tries >= RETRANSMITS_MAX:
                    self._queue.clear()
                    self._fail(problem)
                    return
                wait = min(RETRANSMIT_US << self._tries, RETRANSMIT_MAX_US)
                self._tries += 1
                self._again = clock.after(wait, self._carry)
                return
            self._tries = 0
            self._due = max(self._due, clock.now + latency)
            clock.at(self._due, self._queue.popleft())
