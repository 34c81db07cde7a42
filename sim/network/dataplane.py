"""The data plane: a connection's way from who begins it to what answers.

Each one walks the same things in the same order: the source's machine and its packet filter, NetworkPolicies, the
topology's links, the machine at the other end, the pod. ``connect`` is the seam for containers; a request from a
container, a probe, a load generator or outside ends at the same ``reach``.

Not modelled: packets after the first one of a connection, MTU, overlays. An answer travels the links that the request
took. A connection to a machine that is off ends in a time-out; an ARP failure that a neighbour would see as ``no route
to host`` is not told apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any, NamedTuple

from seatrial.sim.kernel.chance import Chance
from seatrial.sim.kernel.topology import Topology
from seatrial.sim.network import policies as np
from seatrial.sim.network.hosts import Host, Sandboxes, no_route, refused, rejected, timed_out
from seatrial.sim.network.iptables import written
from seatrial.sim.network.names import NameServer
from seatrial.sim.network.netfilter import DROP, REJECT, Hop, Packet, network_of, number_of, within
from seatrial.sim.network.outside import Outside
from seatrial.sim.network.policies import Policies
from seatrial.sim.network.resolver import hosts_entry, is_address, resolve

MACHINES_MAX = 4
"""Machines that a connection passes before it is taken to go in a circle."""
DNS_PORT = 53
LOOPBACK = "127.0.0.1"
"""What a machine's own process calls itself when it calls its own machine."""
LOOKUP_US = 1_000
LOOKUP_PATIENCE_US = 5_000_000
"""How long a resolver waits for a name server (resolv.conf's timeout)."""
RETRANSMIT_US, RETRANSMIT_MAX_US = 1_000_000, 64_000_000
"""When a lost first packet is sent again, doubled each time (tcp_syn_retries 6)."""


class Origin(NamedTuple):
    """Who begins a connection: a pod, a process of a machine, or somebody outside (without a machine)."""

    address: str
    host: Host | None = None
    sandbox: Any = None
    """The pod's; None for a process of the machine."""


class Arrival(NamedTuple):
    """Where a connection ended."""

    listener: Any
    client: str
    """The address that the listener sees."""
    address: str
    """Where it arrived in the end."""
    port: int
    latency_us: int
    """One way."""
    host: str = ""
    path: tuple[str, ...] = ()
    """The places of the topology that it passed, the first one's own included."""


class Step(NamedTuple):
    """One thing that happened on the way."""

    where: str
    what: str


class Routed:
    """A listener as seen from the other end: the client has the address that its packets bear."""

    __slots__ = ("_client", "_listener", "certificate", "health", "latency_us")

    def __init__(self, arrival: Arrival) -> None:
        self._listener, self._client = arrival.listener, arrival.client
        self.latency_us = arrival.latency_us
        self.certificate = getattr(arrival.listener, "certificate", None)
        self.health = getattr(arrival.listener, "health", None)
        """Of a listener that speaks TLS, and of a gRPC server (workloads.net.Bound)."""

    def http(self, request: Any) -> Any:
        return self._listener.http(request._replace(client=self._client))

    def open(self, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str) -> Any:
        return self._listener.open(on_data, on_close, self._client)


Balancers = Callable[[str], str | None]
"""The machine that takes packets for a load balancer's address."""


class DataPlane:
    """The network of a cluster. ``edge`` is the place in the topology where the outside begins."""

    def __init__(
        self,
        topology: Topology,
        hosts: Iterable[Host],
        sandboxes: Sandboxes,
        policies: Policies,
        outside: Outside,
        announced: Balancers,
        ranges: tuple[str, str],
        edge: str,
        rng: Random,
        chance: Chance,
    ) -> None:
        self.topology = topology
        self.chance = chance
        self.hosts: dict[str, Host] = {host.name: host for host in hosts}
        self.sandboxes = sandboxes
        self.policies, self.outside = policies, outside
        self.announced = announced
        self._ranges = ranges
        self._edge = edge
        self._rng = rng
        self.lookup_us = LOOKUP_US
        """How long a name server takes to answer."""
        self.tracing: list[Step] | None = None
        """Where connections that somebody else makes on behalf of a traced one note their steps."""
        self.services: dict[tuple[str, str, int], Any] = {}
        """What listens on (machine, protocol, port) beside containers: kubelets, an API server; each has a ``name`` and
        says whether it is ``listening``."""
        self._by_address = {host.address: host for host in self.hosts.values()}
        self._by_range: dict[int, dict[int, Host]] = {}
        """Machines by the mask and the network of their pods' addresses."""
        for host in self.hosts.values():
            if host.pod_cidr:
                network, mask = network_of(host.pod_cidr)
                self._by_range.setdefault(mask, {})[network] = host

    # Names

    def resolve(self, sandbox: Any, name: str) -> list[str]:
        """Addresses of a name as a pod finds them. Raises OSError(ENOENT) for one that does not exist, TimeoutError."""
        return self.addresses(self.of_sandbox(sandbox), sandbox, name, None)

    def addresses(self, origin: Origin, sandbox: Any, name: str, log: list[Step] | None) -> list[str]:
        """``resolve``, noting each question in ``log``."""
        if name == "localhost":
            return ["127.0.0.1"]
        if is_address(name):
            return [name]
        if name == sandbox.hostname:
            return [sandbox.ip]
        known = hosts_entry(sandbox.hosts, name)
        if known is not None:
            return [known]

        def note(text: str) -> None:
            if log is not None:
                log.append(Step("resolver", text))

        return [
            record.value for record in resolve(name, sandbox.dns, lambda at: self.name_server(origin, at, log), note)
        ]

    def records(self, sandbox: Any, name: str, kind: str) -> list[tuple[str, str, int, str]]:
        """(name, type, TTL in seconds, value) of a name. Raises as ``resolve``."""
        origin = self.of_sandbox(sandbox)
        found = resolve(name, sandbox.dns, lambda at: self.name_server(origin, at), kind=kind)
        return [(record.name, record.type, record.ttl_s, record.value) for record in found]

    def name_server(self, origin: Origin, address: str, log: list[Step] | None = None) -> NameServer:
        """The name server at an address. Raises OSError, having noted in ``log`` how far the question came."""
        steps: list[Step] = []
        try:
            listener = self.reach(origin, address, DNS_PORT, "UDP", None if log is None else steps).listener
        except OSError:
            if log is not None:
                log += steps
            raise
        if not hasattr(listener, "ask"):
            raise refused()
        if self.lookup_us >= LOOKUP_PATIENCE_US:
            raise timed_out()
        server: NameServer = listener
        return server

    # Connections

    def of_sandbox(self, sandbox: Any) -> Origin:
        return Origin(sandbox.ip, self.hosts.get(sandbox.host), None if sandbox.host_network else sandbox)

    def of_host(self, name: str) -> Origin:
        """A process on a machine. Raises KeyError."""
        host = self.hosts[name]
        return Origin(host.address, host)

    def connect(self, sandbox: Any, address: str, port: int, protocol: str = "TCP") -> Any:
        """What answers a container. Raises ConnectionRefusedError, TimeoutError or OSError(EHOSTUNREACH)."""
        origin = self.of_sandbox(sandbox)
        if origin.sandbox is not None and (address.startswith("127.") or address in (sandbox.ip, "localhost")):
            return self.reach_itself(origin, address, port, protocol).listener
        return Routed(self.reach(origin, address, port, protocol))

    def reach_itself(self, origin: Origin, address: str, port: int, protocol: str = "TCP") -> Arrival:
        """A pod's connection to itself, which leaves nothing. Raises ConnectionRefusedError."""
        found = self.sandboxes.listeners_of(origin.sandbox).get((protocol, port))
        if found is None:
            raise refused()
        return Arrival(found, address, address, port, 0, origin.sandbox.host)

    def probe(self, sandbox: Any, address: str, port: int) -> Any:
        """What answers the kubelet of the sandbox's machine. Raises as ``connect``."""
        host = self.hosts.get(sandbox.host)
        if address == sandbox.ip and not sandbox.host_network and host is not None:
            if not host.plugged:
                raise timed_out()
            found = self.sandboxes.listeners_of(sandbox).get(("TCP", port))
            if found is None:
                raise refused()
            return found
        return Routed(self.reach(self.of_host(sandbox.host), address, port))

    def reach(
        self, origin: Origin, address: str, port: int, protocol: str = "TCP", log: list[Step] | None = None
    ) -> Arrival:
        """Takes a connection to its end, noting each step in ``log``. Raises as ``connect``."""
        return _Trip(self, origin, protocol, self.tracing if log is None else log).go(address, port)

    def owner(self, address: str) -> Host | None:
        """The machine to which packets for an address are sent."""
        found = self._by_address.get(address)
        for mask, hosts in self._by_range.items() if found is None else ():
            found = hosts.get(number_of(address) & mask)
            if found is not None:
                break
        if found is None:
            name = self.announced(address)
            found = self.hosts.get(name) if name else None
        return found

    def is_inside(self, address: str) -> bool:
        """Whether an address belongs to the cluster's ranges, so that the world has nothing there."""
        return any(within(address, cidr) for cidr in self._ranges)

    def way(self, a: str, b: str) -> int:
        """Latency from one place to another, both ways open. Raises TimeoutError."""
        there, back = self.topology.way(a, b), self.topology.way(b, a)
        if there is None or back is None or there.passes <= 0 or back.passes <= 0:
            raise timed_out()
        latency, wait = there.latency_us, RETRANSMIT_US
        share = there.passes * back.passes
        while share < 1.0 and not self.chance.happens(self._rng, share):
            if wait > RETRANSMIT_MAX_US:
                raise timed_out()
            latency, wait = latency + wait, wait * 2
        return latency

    @property
    def edge(self) -> str:
        return self._edge


class _Trip:
    """One connection on its way."""

    def __init__(self, plane: DataPlane, origin: Origin, protocol: str, log: list[Step] | None) -> None:
        self.plane, self.origin, self.protocol, self.log = plane, origin, protocol, log
        self.latency_us = 0
        self.source = origin.address
        self.path = [origin.host.name if origin.host is not None else plane.edge]
        self.unmasked = origin.address
        """The source before the current machine put its own in its place."""

    def note(self, where: str, what: str) -> None:
        if self.log is not None:
            self.log.append(Step(where, what))

    def lost(self, where: str, why: str, error: OSError) -> OSError:
        self.note(where, why)
        return error

    def go(self, address: str, port: int) -> Arrival:
        origin = self.origin
        at, local = origin.host, origin.sandbox is None
        if local and at is not None and address.startswith("127."):
            self.source = self.unmasked = LOOPBACK
        if at is None:
            at, local = self._enter(address), False
        elif origin.sandbox is not None:
            self.note(at.name, f"pod {origin.sandbox.namespace}/{origin.sandbox.name} ({origin.address}) sends")
            if not at.plugged:
                raise self.lost(at.name, "the pod's network leads nowhere: time-out", timed_out())
        for turn in range(MACHINES_MAX):
            address, port = self._filter(at, address, port, local)
            if turn == 0 and origin.sandbox is not None:
                self._judge(np.EGRESS, origin.address, address, port)
            following = self._follow(at, address, port)
            if isinstance(following, Arrival):
                return following
            at, local = following, False
        raise self.lost(at.name, "goes in a circle: time-out", timed_out())

    def _enter(self, address: str) -> Host:
        """The machine at which somebody outside arrives."""
        plane = self.plane
        owner = plane.owner(address)
        if owner is None or owner.has_pod(address):
            raise self.lost("outside", f"no route to {address}: time-out", timed_out())
        self.note("outside", f"{self.origin.address} sends to {address}, which is {owner.name}'s")
        self._cross(plane.edge, owner)
        return owner

    def _cross(self, place: str, to: Host) -> None:
        try:
            latency = self.plane.way(place, to.name)
        except TimeoutError:
            self.note(place, f"no way to {to.name}: time-out")
            raise
        if not to.up():
            raise self.lost(to.name, "the machine does not answer: time-out", timed_out())
        self.latency_us += latency
        self.path.append(to.name)

    def _filter(self, at: Host, address: str, port: int, local: bool) -> tuple[str, int]:
        hops: list[Hop] | None = [] if self.log is not None else None
        packet = Packet(self.source, address, self.protocol.lower(), port, local)
        outcome = at.packets.walk(packet, hops)
        for hop in hops or ():
            self.note(at.name, f"{hop.table}: {written(hop.chain, hop.rule)}")
        if outcome.verdict == REJECT:
            raise self.lost(at.name, "rejected: connection refused", rejected())
        if outcome.verdict == DROP:
            raise self.lost(at.name, "dropped: time-out", timed_out())
        self.unmasked = self.source
        if outcome.masqueraded:
            self.source = at.address
            self.note(at.name, f"source becomes {at.address}")
        return outcome.destination, outcome.port

    def _follow(self, at: Host, address: str, port: int) -> Arrival | Host:
        """The next machine, or the end."""
        plane = self.plane
        if at.packets.is_local(address):
            return self._at_machine(at, port)
        owner = plane.owner(address)
        if owner is None:
            return self._leave(at, address, port)
        if owner is not at:
            self.note(at.name, f"{address} is on {owner.name}")
            self._cross(at.name, owner)
            self.unmasked = self.source
            if not owner.has_pod(address):
                return owner
        elif not owner.has_pod(address):
            # A balancer's address that this machine announces but has no rules for.
            raise self.lost(at.name, f"nobody takes {address}: time-out", timed_out())
        return self._at_pod(owner, address, port)

    def _at_pod(self, host: Host, address: str, port: int) -> Arrival:
        plane = self.plane
        sandbox = plane.sandboxes.sandbox_at(address)
        if sandbox is None:
            raise self.lost(host.name, f"no pod has {address}: no route to host", no_route())
        if not host.plugged:
            raise self.lost(host.name, "the pod's network leads nowhere: time-out", timed_out())
        from_own_machine = self.origin.host is host and self.origin.sandbox is None
        if not from_own_machine:
            self._judge(np.INGRESS, self.unmasked, address, port)
        found = plane.sandboxes.listeners_of(sandbox).get((self.protocol, port))
        where = f"pod {sandbox.namespace}/{sandbox.name}"
        if found is None:
            raise self.lost(where, f"nothing listens on {port}: connection refused", refused())
        self.note(where, f"{address}:{port} answers")
        return Arrival(found, self.source, address, port, self.latency_us, host.name, tuple(self.path))

    def _at_machine(self, host: Host, port: int) -> Arrival:
        plane = self.plane
        found = plane.sandboxes.listeners_on(host.name).get((self.protocol, port))
        if found is None:
            found = plane.services.get((host.name, self.protocol, port))
            if found is not None and not found.listening():
                found = None
        if found is None:
            raise self.lost(host.name, f"nothing listens on {port}: connection refused", refused())
        self.note(host.name, f"{host.address}:{port} answers")
        return Arrival(found, self.source, host.address, port, self.latency_us, host.name, tuple(self.path))

    def _leave(self, at: Host, address: str, port: int) -> Arrival:
        plane = self.plane
        if plane.is_inside(address):
            raise self.lost(at.name, f"nobody takes {address}: time-out", timed_out())
        try:
            self.latency_us += plane.way(at.name, plane.edge)
            self.path.append(plane.edge)
            found = plane.outside.connect(address, self.protocol, port)
        except OSError as problem:
            raise self.lost("outside", f"{address}:{port}: {problem.strerror}", problem) from None
        self.note("outside", f"{address}:{port} answers")
        return Arrival(found, at.address, address, port, self.latency_us, path=tuple(self.path))

    def _judge(self, direction: str, source: str, address: str, port: int) -> None:
        if self.protocol == "ICMP":
            return
        verdict = self.plane.policies.judge(direction, source, address, self.protocol, port)
        if verdict.policies:
            what = "allowed" if verdict.allowed else "dropped: time-out"
            self.note("network policies", f"{direction} by {', '.join(verdict.policies)}: {what}")
        if not verdict.allowed:
            raise timed_out()
