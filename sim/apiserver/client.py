"""A component's way to the API server: over the network, at the pace its limits allow.

Source: k8s.io/client-go/rest, k8s.io/client-go/util/flowcontrol (a token bucket) and, for what a broken connection
looks like, net.Dialer and golang.org/x/net/http2 with the timeouts that client-go and k8s.io/apimachinery set.

Not modelled: connections as such. A message that meets a broken link is sent again as TCP would, until HTTP/2's pings
would have noticed; the first request after that finds nobody for the dialler's time. Both are counted from the moment
of the request, so the error may come up to half a minute later than upstream's.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from functools import lru_cache
from random import Random
from typing import Any, Final, NamedTuple

from seatrial.sim.apiserver.request import Object, Request, Response, User
from seatrial.sim.apiserver.server import Apiserver
from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.kernel.clock import TIMEOUT, Clock, Signal
from seatrial.sim.kernel.listeners import Listeners
from seatrial.sim.kernel.topology import Topology
from seatrial.sim.machinery import errors
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.machinery.metrics import Meters

Steps = Generator[Any, Any, Any]

DIAL_TIMEOUT_US: Final = 30_000_000
"""Of net.Dialer in k8s.io/client-go/transport/cache.go."""
PING_TIMEOUT_US: Final = 45_000_000
"""HTTP2_READ_IDLE_TIMEOUT_SECONDS (30) and HTTP2_PING_TIMEOUT_SECONDS (15) of k8s.io/apimachinery/pkg/util/net."""
SERVER: Final = "kubernetes.default.svc:443"
"""The label by which components' metrics name the API server."""
RETRANSMIT_US: Final = 200_000
"""TCP's least time to a retransmission, doubled each time (Linux TCP_RTO_MIN)."""


class Unreachable(Exception):
    """The API server gave no answer; whether it did what was asked is unknown unless ``refused``."""

    def __init__(self, reason: str, refused: bool = False) -> None:
        super().__init__(reason, refused)
        self.reason = reason
        self.refused = refused

    def __str__(self) -> str:
        return self.reason


class Verdict(NamedTuple):
    """What a fault does to a request that reached the server."""

    delay_us: int = 0
    response: Response | None = None
    """Answered in the server's place."""


class Endpoint:
    """The API server as something to be reached: a host, and a process that may be down."""

    def __init__(self, server: Apiserver, clock: Clock, topology: Topology, host: str) -> None:
        self.server = server
        self.host = host
        self._judge: Callable[[Request], Verdict | None] | None = None
        self.is_meddled: Callable[[], bool] = lambda: False
        """Whether a fault holds up or doubles what is on its way."""
        self.late_until = 0
        """When the last of what a lag held up arrives."""
        self.moved = Signal(clock)
        """Fires when the network or the process changes."""
        self._listeners = Listeners()
        self._up = True
        self._clock = clock
        topology.on_change(self.changed)
        server.standing.attach(self, topology)

    @property
    def judge(self) -> Callable[[Request], Verdict | None] | None:
        """The seam for faults: looks at each request before the server does."""
        return self._judge

    @judge.setter
    def judge(self, judge: Callable[[Request], Verdict | None] | None) -> None:
        if judge is not self._judge:
            self._judge = judge
            self.changed()

    @property
    def quiet(self) -> bool:
        """Whether the server runs and no fault meddles with requests or watches."""
        meddled = self._judge is not None or self.is_meddled() or self._clock.now < self.late_until
        return self._up and not meddled

    @property
    def up(self) -> bool:
        """Whether the process runs. A process that goes down breaks all connections."""
        return self._up

    @up.setter
    def up(self, up: bool) -> None:
        if up != self._up:
            self._up = up
            self.changed()

    def on_change(self, call: Callable[[], None]) -> Callable[[], None]:
        """Calls whenever the way here may have changed; returns what ends that."""
        return self._listeners.add(call)

    def changed(self) -> None:
        """Something about the way here, or about what comes of it, is different now."""
        self._listeners.tell()
        self.moved.fire()

    def serve(self, request: Request, wiring: Wiring) -> Steps:
        """The server's answer, with the calls that it makes out of the simulation; returns a Response."""
        if self._judge is not None:
            verdict = self._judge(request)
            if verdict is not None:
                if verdict.delay_us:
                    yield self._clock.sleep(verdict.delay_us)
                if verdict.response is not None:
                    return verdict.response
        steps = self.server.serve(request)
        try:
            call = next(steps)
            while True:
                answer = yield from wiring.external(call)
                call = steps.send(answer)
        except StopIteration as done:
            return done.value


class TokenBucket:
    """client-go's rate limit: ``burst`` requests at once, then ``qps`` per second, first come, first served."""

    __slots__ = ("_ahead_us", "_free_at", "_interval_us")

    def __init__(self, qps: float, burst: int) -> None:
        self._interval_us = round(1_000_000 / qps)
        self._ahead_us = max(burst - 1, 0) * self._interval_us
        self._free_at = 0

    def take(self, now: int) -> int:
        """µs to wait for the token that is now taken."""
        free_at = max(self._free_at, now)
        self._free_at = free_at + self._interval_us
        return max(free_at - self._ahead_us - now, 0)


class Prefix(NamedTuple):
    """The path of a collection in two halves: the namespace goes in between."""

    root: str
    plural: str

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        parts = [self.root]
        if namespace:
            parts.append(f"/namespaces/{namespace}")
        parts.append(self.plural)
        if name:
            parts.append(f"/{name}")
        if subresource:
            parts.append(f"/{subresource}")
        return "".join(parts)


@lru_cache(maxsize=4096)
def prefix_of(resource: Resource) -> Prefix:
    """Where a kind's objects are."""
    group = f"apis/{resource.group}" if resource.group else "api"
    return Prefix(f"/{group}/{resource.version}", f"/{resource.plural}")


class Client:
    """One client of one component: every method is a generator for a process of the clock.

    ``qps`` 0 means no limit. The verbs raise ApiError for what the server refuses and Unreachable when no answer
    comes; ``timeout_us`` 0 waits for one as long as upstream's transport does.
    """

    def __init__(
        self,
        wiring: Wiring,
        host: str,
        user: User,
        user_agent: str,
        qps: float = 0,
        burst: int = 0,
        timeout_us: int = 0,
    ) -> None:
        self._wiring = wiring
        self._endpoint = wiring.endpoint
        self._clock = wiring.clock
        self._topology = wiring.topology
        self.host = host
        self.user = user
        self.user_agent = user_agent
        self._bucket = TokenBucket(qps, burst) if qps > 0 else None
        self._timeout_us = timeout_us
        self.meters: Meters | None = None
        """Where its requests are counted, of a component that tells of them."""
        self._luck: Random | None = None
        self._connected = False
        self.on_lost: Callable[[Request, Unreachable], None] | None = None
        """Also told of each request that got no answer."""
        self.elsewhere = ""
        """An address at which it looks for the API server and finds nobody; empty: it knows the right one."""

    def call(self, request: Request) -> Steps:
        """Sends a request and returns the Response, whatever its code. Raises Unreachable."""
        if self.meters is None:
            return self._call(request)
        return self._counted(request, self.meters)

    def _counted(self, request: Request, meters: Meters) -> Steps:
        began, code = self._clock.now, "<error>"
        try:
            response = yield from self._call(request)
            code = str(response.code)
            return response
        finally:
            meters.count("rest_client_requests_total", (code, SERVER, request.method))
            meters.observe("rest_client_request_duration_seconds", self._clock.now - began, (SERVER, request.method))

    def _call(self, request: Request) -> Steps:
        clock = self._clock
        frozen = self._wiring.frozen
        while frozen is not None and frozen(self.host, self.user_agent):
            yield self._wiring.released.wait(periodic=True)
            frozen = self._wiring.frozen
        if self._bucket is not None:
            wait = self._bucket.take(clock.now)
            if wait:
                yield clock.sleep(wait)
        request.user = self.user
        if not request.user_agent:
            request.user_agent = self.user_agent
        deadline = clock.now + self._patience()
        try:
            way = self._topology.way(self.host, self._endpoint.host)
            if way is not None and way.passes == 1.0:
                yield clock.sleep(way.latency_us)  # as _cross does, which hardly any message needs
            else:
                yield from self._cross(self.host, self._endpoint.host, deadline)
            if self.elsewhere or not self._endpoint.up:
                self._connected = False
                yield from self._cross(self._endpoint.host, self.host, deadline)
                address = self.elsewhere or f"{self._endpoint.host}:6443"
                raise Unreachable(f"dial tcp {address}: connect: connection refused", refused=True)
            response = yield from self._endpoint.serve(request, self._wiring)
            way = self._topology.way(self._endpoint.host, self.host)
            if way is not None and way.passes == 1.0:
                yield clock.sleep(way.latency_us)
            else:
                yield from self._cross(self._endpoint.host, self.host, deadline)
        except Unreachable as lost:
            if self.on_lost is not None:
                self.on_lost(request, lost)
            raise
        self._connected = True
        return response

    def _patience(self) -> int:
        """How long a silent server is waited for, in µs."""
        transport = PING_TIMEOUT_US if self._connected else DIAL_TIMEOUT_US
        return min(self._timeout_us, transport) if self._timeout_us else transport

    def _cross(self, a: str, b: str, deadline: int) -> Steps:
        """One message's way. While there is none, it is sent again and again, as TCP does."""
        clock, began, wait = self._clock, self._clock.now, RETRANSMIT_US
        while True:
            way = self._topology.way(a, b)
            if way is not None and (way.passes == 1.0 or self._arrives(way.passes)):
                yield clock.sleep(way.latency_us)
                return
            while way is None:
                if clock.now >= deadline:
                    raise self._gone()
                moved = yield self._endpoint.moved.wait(deadline - clock.now)
                if moved is TIMEOUT:
                    raise self._gone()
                way = self._topology.way(a, b)
            while began + wait <= clock.now:
                wait *= 2
            yield clock.sleep(began + wait - clock.now)

    def _arrives(self, share: float) -> bool:
        if self._luck is None:
            self._luck = self._wiring.streams(f"loss/{self.host}/{self.user.name}")
        return self._luck.random() < share

    def _gone(self) -> Unreachable:
        if self._connected and not self._timeout_us:
            self._connected = False
            return Unreachable("http2: client connection lost")
        self._connected = False
        return Unreachable(f"dial tcp {self._endpoint.host}:6443: i/o timeout")

    def _answer(self, request: Request) -> Steps:
        response = yield from self.call(request)
        if response.code < 400:
            return response.body
        raise error_of(response)

    def get(self, resource: Resource, namespace: str, name: str) -> Steps:
        """The object as the server has it now."""
        path = prefix_of(resource).path(namespace, name)
        return (yield from self._answer(Request("GET", path)))

    def list(
        self,
        resource: Resource,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
    ) -> Steps:
        """(objects, revision of the list)."""
        query = selectors_query(label_selector, field_selector)
        if resource_version:
            query["resourceVersion"] = (resource_version,)
        body = yield from self._answer(Request("GET", prefix_of(resource).path(namespace), query))
        return body["items"], int(body["metadata"]["resourceVersion"])

    def create(self, resource: Resource, obj: Object, subresource: str = "", cause: Any = None) -> Steps:
        """The object as stored. With a subresource (binding, eviction, token) ``obj`` names its parent."""
        metadata = obj["metadata"]
        name = metadata["name"] if subresource else ""
        path = prefix_of(resource).path(metadata.get("namespace", ""), name, subresource)
        return (yield from self._answer(Request("POST", path, body=obj, cause=cause)))

    def update(self, resource: Resource, obj: Object, subresource: str = "", cause: Any = None) -> Steps:
        """The object as stored; its resourceVersion must be the current one."""
        metadata = obj["metadata"]
        path = prefix_of(resource).path(metadata.get("namespace", ""), metadata["name"], subresource)
        return (yield from self._answer(Request("PUT", path, body=obj, cause=cause)))

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Any,
        content_type: str,
        subresource: str = "",
        cause: Any = None,
        query: Mapping[str, tuple[str, ...]] | None = None,
    ) -> Steps:
        """The object as stored."""
        path = prefix_of(resource).path(namespace, name, subresource)
        request = Request("PATCH", path, query or {}, patch, content_type, cause=cause)
        return (yield from self._answer(request))

    def delete(
        self, resource: Resource, namespace: str, name: str, options: Object | None = None, cause: Any = None
    ) -> Steps:
        """What the server answers: the object, or a Status."""
        path = prefix_of(resource).path(namespace, name)
        return (yield from self._answer(Request("DELETE", path, body=options, cause=cause)))


def selectors_query(label_selector: str, field_selector: str) -> dict[str, tuple[str, ...]]:
    """Query parameters of a list or watch."""
    query: dict[str, tuple[str, ...]] = {}
    if label_selector:
        query["labelSelector"] = (label_selector,)
    if field_selector:
        query["fieldSelector"] = (field_selector,)
    return query


def error_of(response: Response) -> errors.ApiError:
    """The ApiError that an answer stands for (apimachinery's errors.FromObject)."""
    body = response.body
    if isinstance(body, Mapping):
        return errors.ApiError(response.code, body.get("reason", ""), body.get("message", ""), body.get("details"))
    text = bytes(body).decode().strip() if isinstance(body, bytes | bytearray) else str(body)
    return errors.ApiError(response.code, "", text)
