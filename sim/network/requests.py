"""Requests by URL, from wherever somebody stands: what a client sees, how long it takes, and the walk step by step.

An origin is written ``outside``, ``outside/ADDRESS``, ``node/NAME`` or ``pod/NAMESPACE/NAME``.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from seatrial.sim.kernel.clock import Clock
from seatrial.sim.network.dataplane import Arrival, DataPlane, Origin, Routed, Step
from seatrial.sim.network.resolver import is_address, resolve

KINDS = ("outside", "node", "nodes", "pod", "pods")
PORTS = {"http": 80, "https": 443, "tcp": 0}
OUTSIDE_ADDRESS = "192.168.1.1"
"""Who asks from outside, when nothing else is said: the machine on which the cluster's machines run."""
CONNECT_TIMEOUT_US = 130_000_000
"""How long Linux tries to connect (tcp_syn_retries 6)."""
ARP_TIMEOUT_US = 3_000_000
"""From a first packet to ``no route to host``."""


class Target(NamedTuple):
    """What a URL means."""

    scheme: str
    host: str
    port: int
    path: str


class Trace(NamedTuple):
    """A walk and how it ended."""

    steps: tuple[Step, ...]
    outcome: str
    """``200 OK``-like, or the error that a client sees."""
    code: int
    """Of the HTTP answer; 0 without one."""
    address: str = ""
    """Where it ended."""
    latency_us: int = 0
    """Until the answer is there."""


def target_of(url: str) -> Target:
    """Raises ValueError."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if not parts.hostname or parts.scheme not in PORTS:
        raise ValueError(f"{url!r} is no URL that the cluster's network carries")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme], path)


def origin_of(plane: DataPlane, text: str) -> Origin:
    """Raises ValueError for who does not exist. A machine's or pod's bare name will do, and NAMESPACE/NAME."""
    kind, _, name = text.partition("/")
    if kind not in KINDS:
        kind, name = ("node" if text in plane.hosts else "pod"), text
    if kind == "outside":
        return Origin(name or OUTSIDE_ADDRESS)
    if kind in ("node", "nodes") and name in plane.hosts:
        return plane.of_host(name)
    if kind in ("pod", "pods"):
        namespace, slash, pod = name.partition("/")
        sandbox = plane.sandboxes.sandbox_named(*((namespace, pod) if slash else ("default", namespace)))
        if sandbox is not None:
            return plane.of_sandbox(sandbox)._replace(sandbox=sandbox)
    raise ValueError(f"nobody is at {text!r}: say outside, node/NAME or pod/NAMESPACE/NAME of a pod that runs")


class Requests:
    """Requests over a cluster's network. ``request`` and ``nameserver`` are how an HTTP request is made and where the
    cluster's names are asked for by who has no pod."""

    def __init__(self, plane: DataPlane, clock: Clock, request: Callable[..., Any], nameserver: str) -> None:
        self.plane, self.clock = plane, clock
        self.hosts_file: Callable[[str], str | None] = lambda name: None
        """Names beside those of the DNS that who stands outside knows, with their addresses."""
        self._request, self.nameserver = request, nameserver

    def resolve(self, origin: Origin, name: str, log: list[Step] | None = None) -> str:
        """The first address of a name. Raises OSError."""
        return self.addresses(origin, name, log)[0]

    def addresses(self, origin: Origin, name: str, log: list[Step] | None = None) -> list[str]:
        """The addresses of a name. Raises OSError."""
        if is_address(name):
            return [name]
        if origin.sandbox is not None:
            return self.plane.addresses(origin, origin.sandbox, name, log)
        host = self.plane.hosts.get(name)
        if host is not None:
            return [host.address]
        known = self.hosts_file(name) if origin.host is None else None
        if known is not None:
            return [known]
        # Who stands outside uses the cluster's names through the control plane's machine, as over an SSH tunnel.
        asks = origin if origin.host is not None else self.inside(name)

        def note(text: str) -> None:
            if log is not None:
                log.append(Step("resolver", text))

        config: Mapping[str, list[str]] = {"servers": [self.nameserver]}
        dial = lambda at: self.plane.name_server(asks, at, log)  # noqa: E731
        return [record.value for record in resolve(name, config, dial, note)]

    def inside(self, name: str = "") -> Origin:
        """A process on a machine that is switched on. Raises OSError(EHOSTUNREACH)."""
        host = next((host for host in self.plane.hosts.values() if host.up()), None)
        if host is None:
            raise OSError(errno.EHOSTUNREACH, "No route to host", name)
        return Origin(host.address, host)

    def way_in(self, address: str) -> Origin:
        """From where the edge reaches an address: from outside where that is possible, else from a machine."""
        return self.inside(address) if self.plane.is_inside(address) else Origin(OUTSIDE_ADDRESS)

    def fetch(
        self,
        origin: Origin,
        url: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_us: int = CONNECT_TIMEOUT_US,
    ) -> Generator[Any, Any, Any]:
        """The answer to an HTTP request, after the time it takes; so does the OSError. Raises ValueError."""
        target, clock = target_of(url), self.clock
        yield clock.sleep(self.plane.lookup_us if not is_address(target.host) else 0)
        try:
            arrival = self._arrive(origin, target, None)
        except OSError as problem:
            yield clock.sleep(min(wait_us(problem), timeout_us))
            raise
        yield clock.sleep(3 * arrival.latency_us)
        answer = self.ask(arrival, target, method, headers, body)
        if answer.later is not None:
            answer = yield answer.later.wait()
        yield clock.sleep(arrival.latency_us + _worked_us(answer))
        return answer

    def call(self, origin: Origin, url: str, done: Callable[[Any, OSError | None], None], **about: Any) -> None:
        """``fetch`` for who cannot wait: ``done`` gets the answer or the error."""

        def steps() -> Generator[Any, Any, None]:
            try:
                answer = yield from self.fetch(origin, url, **about)
            except OSError as problem:
                done(None, problem)
            else:
                done(answer, None)

        self.clock.spawn(steps(), f"request {url}")

    def open(
        self,
        origin: Origin,
        address: str,
        port: int,
        on_data: Callable[[bytes], None],
        on_close: Callable[[], None],
    ) -> Any:
        """A TCP connection at this instant: write, close_write, close. Raises OSError."""
        arrival = self.plane.reach(origin, self.resolve(origin, address), port)
        return Routed(arrival).open(on_data, on_close, origin.address)

    def trace(self, origin: Origin, url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Trace:
        """The walk of one request at this instant. Raises ValueError for what is no URL."""
        target = target_of(url)
        steps: list[Step] = []
        try:
            arrival = self._arrive(origin, target, steps)
        except OSError as problem:
            return Trace(tuple(steps), problem.strerror or str(problem), 0)
        at = f"{arrival.address}:{arrival.port}"
        if target.scheme == "tcp":
            return Trace(tuple(steps), "connected", 0, at, 2 * arrival.latency_us)
        # What an ingress controller does for this request belongs to its walk.
        self.plane.tracing = steps
        try:
            answer = self.ask(arrival, target, method, headers, b"")
        except OSError as problem:
            return Trace(tuple(steps), problem.strerror or str(problem), 0, at)
        finally:
            self.plane.tracing = None
        took = 4 * arrival.latency_us + _worked_us(answer)
        return Trace(tuple(steps), f"HTTP {answer.code}", answer.code, at, took)

    def _arrive(self, origin: Origin, target: Target, log: list[Step] | None) -> Arrival:
        return self.reach(origin, self.resolve(origin, target.host, log), target.port, log)

    def reach(self, origin: Origin, address: str, port: int, log: list[Step] | None = None) -> Arrival:
        """A TCP connection's end at this instant. Raises OSError."""
        if origin.sandbox is not None and (address.startswith("127.") or address == origin.address):
            return self.plane.reach_itself(origin, address, port)
        return self.plane.reach(origin, address, port, log=log)

    def ask(
        self,
        arrival: Arrival,
        target: Target,
        method: str,
        headers: Mapping[str, str] | None,
        body: bytes,
        over_us: int = 0,
        window: int = 0,
    ) -> Any:
        """The answer to a request, or to the many for which it stands, which come over a span of time and are under way
        ``window`` at a time. Raises OSError."""
        usual = target.port == PORTS[target.scheme]
        given = {"Host": target.host if usual else f"{target.host}:{target.port}", **(headers or {})}
        if target.scheme == "https":
            given.setdefault("X-Scheme", "https")
        count = self.plane.chance.count
        return arrival.listener.http(
            self._request(method, target.path, given, body, arrival.client, count, over_us, window)
        )


def _worked_us(answer: Any) -> int:
    """How long one request was waited for and worked on."""
    work = getattr(answer, "work", None)
    return max((us for _, us in work.waits), default=0) if work is not None else 0


def wait_us(problem: OSError) -> int:
    """How long a client waits for an error."""
    if isinstance(problem, TimeoutError):
        return CONNECT_TIMEOUT_US
    return ARP_TIMEOUT_US if problem.errno == errno.EHOSTUNREACH else 0
