"""The aggregation layer: APIServices whose group and version another server answers for.

Such a group is merged into discovery, its requests are passed on with who asks in X-Remote headers, and a look every
half minute, or as soon as something behind it changes, says whether it is available.

Source: k8s.io/kube-aggregator/pkg/apiserver (handler_proxy.go, handler_discovery.go) and
pkg/controllers/status/remote. *Not modelled*: the front proxy's client certificate, so that a server which insists on
one sees an anonymous user; the other server's OpenAPI documents; watches and upgraded connections through the layer;
protobuf from the other server; the five attempts that one look makes.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

import orjson

from seatrial.sim.apiserver import loopback
from seatrial.sim.apiserver.context import Answered, ExternalCall, Steps
from seatrial.sim.apiserver.request import Object, Request, Response, User
from seatrial.sim.apiserver.routing import RequestInfo
from seatrial.sim.machinery import errors
from seatrial.sim.machinery.discovery import discovered_rows
from seatrial.sim.machinery.fields import quoted

if TYPE_CHECKING:
    from collections.abc import Generator

    from seatrial.sim.apiserver.server import Apiserver

STORAGE = "apiservices.apiregistration.k8s.io"
PATH = "/apis/apiregistration.k8s.io/v1/apiservices"
SLICES = "endpointslices.discovery.k8s.io"
WATCHED = frozenset({STORAGE, "services", SLICES})
"""The kinds on which availability hangs."""
SERVICE_NAME = "kubernetes.io/service-name"
S = 1_000_000
NOTICE_US = 1_000
"""From a commit to the controller's reaction: a watch inside the process."""
RESYNC_US = 30 * S
"""Between two looks at a service that nothing has happened to."""
BACKOFF_MIN_US, BACKOFF_MAX_US = 5_000, 30 * S
"""Of looks that failed (workqueue's exponential limiter)."""
DISCOVERY_TIMEOUT_US = 5 * S
REQUEST_TIMEOUT_US = 60 * S
"""--request-timeout."""
UNAVAILABLE = "service unavailable\n"

Perform = Callable[[ExternalCall], "Generator[Any, Any, Answered]"]


class Verdict(NamedTuple):
    """What a look found: the condition's status, reason and message."""

    available: bool
    reason: str
    message: str
    rows: tuple[Mapping[str, Any], ...] | None = None
    """What the other server serves, as aggregated discovery shows it."""


class Aggregation:
    """The aggregator of one API server."""

    def __init__(self, server: Apiserver) -> None:
        self._server = server
        self._perform: Perform | None = None
        self._is_up: Callable[[], bool] = bool
        self._behind: dict[str, tuple[str, str]] = {}
        """Names of the APIServices of other servers, with namespace and name of the service behind each."""
        self._due: dict[str, Any] = {}
        self._looking: dict[str, bool] = {}
        """Looks that are under way, and whether something has changed since they began."""
        self._failures: dict[str, int] = {}

    def connect(self, perform: Perform, is_up: Callable[[], bool]) -> None:
        """Begins to look at what the store holds. ``perform`` makes calls, ``is_up`` says whether the server runs."""
        self._perform, self._is_up = perform, is_up
        for found in self._server.store.list(STORAGE):
            self.notice(STORAGE, found)

    # availability

    def notice(self, storage: str, obj: Object) -> None:
        """An object of a watched kind was written."""
        metadata = obj["metadata"]
        if storage == STORAGE:
            name = metadata["name"]
            if obj["spec"].get("service") or name in self._behind:
                self._register(name)
                self._schedule(name, NOTICE_US)
            return
        if not self._behind:
            return
        service = metadata["name"] if storage == "services" else (metadata.get("labels") or {}).get(SERVICE_NAME)
        for name, behind in self._behind.items():
            if behind == (metadata["namespace"], service):
                self._schedule(name, NOTICE_US)

    def _register(self, name: str) -> None:
        """Brings the table of kinds to what the APIService says."""
        kinds = self._server.kinds
        version, _, group = name.partition(".")
        found = self._server.store.get(STORAGE, "", name)
        service = None if found is None else found["spec"].get("service")
        if service is None:
            self._behind.pop(name, None)
            kinds.disaggregate(group, version)
            return
        self._behind[name] = (service["namespace"], service["name"])
        if (group, version) not in kinds.aggregated:
            kinds.aggregate(group, version, None)

    def _schedule(self, name: str, after_us: int) -> None:
        if name in self._looking:
            self._looking[name] = True
            return
        due = self._due.pop(name, None)
        if due is not None:
            due.cancel()
        # A service that is not there yet must not keep a cluster from being settled.
        self._due[name] = self._server.clock.after(after_us, lambda: self._begin(name), periodic=after_us > NOTICE_US)

    def perform(self, call: ExternalCall) -> Steps[Any]:
        """Makes a call for a process of the server's own; refused where nobody is connected."""
        if self._perform is None:
            return OSError(f"dial {call.url}: connection refused")
        return (yield from self._perform(call))

    def _begin(self, name: str) -> None:
        self._due.pop(name, None)
        if name not in self._behind or self._perform is None:
            return
        if not self._is_up():
            self._schedule(name, RESYNC_US)
            return
        self._looking[name] = False
        self._server.clock.spawn(self._look(name, self._perform), f"availability of {name}")

    def _look(self, name: str, perform: Perform) -> Generator[Any, Any, None]:
        found = self._server.store.get(STORAGE, "", name)
        if found is None:
            self._looking.pop(name, None)
            return
        verdict = self._without_asking(found["spec"])
        if verdict is None:
            answered = yield from perform(self._discovery_call(found["spec"]))
            verdict = _judged(found["spec"], self._url(found["spec"]), answered)
        self._take(name, verdict)
        changed = self._looking.pop(name, False)
        self._schedule(name, NOTICE_US if changed else self._pause(name, verdict))

    def _pause(self, name: str, verdict: Verdict) -> int:
        """How long until the next look."""
        if verdict.reason != "FailedDiscoveryCheck":
            self._failures.pop(name, None)
            return RESYNC_US
        count = self._failures.get(name, 0)
        self._failures[name] = count + 1
        return min(BACKOFF_MIN_US << min(count, 20), BACKOFF_MAX_US)

    def _take(self, name: str, verdict: Verdict) -> None:
        found = self._server.store.get(STORAGE, "", name)
        if found is None or name not in self._behind:
            return
        version, _, group = name.partition(".")
        kinds = self._server.kinds
        rows = list(verdict.rows) if verdict.rows is not None else None
        if kinds.aggregated.get((group, version)) != rows:
            kinds.aggregate(group, version, rows)
        changed = _with_available(found, verdict, self._server.clock.stamp())
        if changed is not found:
            loopback.send(self._server, "PUT", f"{PATH}/{name}/status", changed)

    def _without_asking(self, spec: Object) -> Verdict | None:
        """What the cluster's own objects say against the service; None when it is to be asked."""
        store, service = self._server.store, spec["service"]
        namespace, name, port = service["namespace"], service["name"], service.get("port", 443)
        found = store.get("services", namespace, name)
        what = f"service/{name} in {quoted(namespace)}"
        if found is None:
            return Verdict(False, "ServiceNotFound", f"{what} is not present")
        if found["spec"].get("type", "ClusterIP") != "ClusterIP":
            return None
        ports = [entry for entry in found["spec"].get("ports") or () if entry["port"] == port]
        if not ports:
            return Verdict(False, "ServicePortError", f"{what} is not listening on port {port}")
        slices = self._slices(namespace, name)
        if not slices:
            return Verdict(False, "EndpointsNotFound", f"cannot find endpointslices for {what}")
        wanted = ports[0].get("name", "")
        if not _ready_addresses(slices, wanted):
            why = f"endpointslices for {what} have no addresses with port name {quoted(wanted)}"
            return Verdict(False, "MissingEndpoints", why)
        return None

    def _slices(self, namespace: str, service: str) -> list[Object]:
        found = self._server.store.list(SLICES, namespace)
        return [each for each in found if (each["metadata"].get("labels") or {}).get(SERVICE_NAME) == service]

    # calls

    def _place(self, spec: Object) -> tuple[str, tuple[str, ...]]:
        """Host and port as URLs name them, and where to connect to; no address when there is nobody."""
        service = spec["service"]
        namespace, name, port = service["namespace"], service["name"], service.get("port", 443)
        found = self._server.store.get("services", namespace, name)
        if found is None:
            return f"{name}.{namespace}.svc:{port}", ()
        if found["spec"].get("type") == "ExternalName":
            place = f"{found['spec'].get('externalName', '')}:{port}"
            return place, (place,)
        ports = [entry for entry in found["spec"].get("ports") or () if entry["port"] == port]
        wanted = ports[0].get("name", "") if ports else ""
        return f"{found['spec'].get('clusterIP', '')}:{port}", _ready_addresses(self._slices(namespace, name), wanted)

    def _call(self, spec: Object, method: str, target: str, timeout_us: int, **more: Any) -> ExternalCall:
        place, addresses = self._place(spec)
        service = spec["service"]
        return ExternalCall(
            f"https://{place}{target}",
            more.get("body", b""),
            timeout_us,
            base64.b64decode(spec.get("caBundle") or ""),
            method,
            more.get("headers", ()),
            f"{service['name']}.{service['namespace']}.svc",
            addresses,
            bool(spec.get("insecureSkipTLSVerify")),
        )

    def _url(self, spec: Object) -> str:
        return f"https://{self._place(spec)[0]}/apis/{spec['group']}/{spec['version']}"

    def _discovery_call(self, spec: Object) -> ExternalCall:
        headers = _remote(loopback.API_SERVER, spec)
        target = f"/apis/{spec['group']}/{spec['version']}"
        return self._call(spec, "GET", target, DISCOVERY_TIMEOUT_US, headers=headers)

    # requests

    def target(self, info: RequestInfo) -> Object | None:
        """The APIService whose server answers a request; None for this server's own."""
        group, version = info.group, info.version
        if not info.is_resource:
            parts = [part for part in info.path.split("/") if part]
            if len(parts) < 3 or parts[0] != "apis":
                return None
            group, version = parts[1:3]
        name = f"{version}.{group}"
        return self._server.store.get(STORAGE, "", name) if name in self._behind else None

    def answer(self, service: Object, request: Request, user: User) -> Steps[Response]:
        """Passes a request on. Raises PlainError 503 while nobody is there to answer."""
        spec = service["spec"]
        if not is_available(service):
            raise errors.PlainError(503, UNAVAILABLE)
        query = urlencode(request.query, doseq=True)
        body = request.body if request.body is not None else b""
        headers = _remote(user, spec)
        if body:
            headers = (("Content-Type", request.content_type), *headers)
        call = self._call(
            spec,
            request.method,
            request.path + (f"?{query}" if query else ""),
            REQUEST_TIMEOUT_US,
            body=body if isinstance(body, bytes) else orjson.dumps(body),
            headers=headers,
        )
        if not call.addresses:
            raise errors.PlainError(503, UNAVAILABLE)
        answered = yield call
        if isinstance(answered, OSError):
            raise errors.PlainError(503, f"error trying to reach service: {answered}\n")
        return _response(request, *answered)


def _response(request: Request, code: int, raw: bytes) -> Response:
    """The other server's answer; components of the simulation are given objects."""
    if raw[:1] not in (b"{", b"["):
        return Response(code, raw, "text/plain; charset=utf-8")
    if request.credentials is None:
        return Response(code, orjson.loads(raw))
    return Response(code, raw)


def _ready_addresses(slices: list[Object], port_name: str) -> tuple[str, ...]:
    found: list[str] = []
    for piece in slices:
        numbers = [entry["port"] for entry in piece.get("ports") or () if (entry.get("name") or "") == port_name]
        for endpoint in piece.get("endpoints") or ():
            if numbers and (endpoint.get("conditions") or {}).get("ready", True):
                addresses = endpoint.get("addresses") or ()
                found += [f"{f'[{each}]' if ':' in each else each}:{numbers[0]}" for each in addresses]
    return tuple(found)


def _remote(user: User, spec: Object) -> tuple[tuple[str, str], ...]:
    """Who asks, as the front proxy says it (--requestheader-*)."""
    extra = ((f"X-Remote-Extra-{key}", value) for key, values in user.extra.items() for value in values)
    uid = (("X-Remote-Uid", user.uid),) if user.uid else ()
    return (("X-Remote-User", user.name), *(("X-Remote-Group", group) for group in user.groups), *uid, *extra)


def _judged(spec: Object, url: str, answered: Answered) -> Verdict:
    """What the answer to a request for discovery says."""
    if isinstance(answered, OSError):
        text = str(answered)
        problem = text if text.startswith("Get ") else f'Get "{url}": {text}'
        return Verdict(False, "FailedDiscoveryCheck", f"failing or missing response from {url}: {problem}")
    status, body = answered
    if not 200 <= status < 300:
        text = f"failing or missing response from {url}: bad status from {url}: {status}"
        return Verdict(False, "FailedDiscoveryCheck", text)
    try:
        listed = orjson.loads(body).get("resources") or []
        rows = tuple(discovered_rows(listed, spec["group"], spec["version"]))
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        rows = None
    return Verdict(True, "Passed", "all checks passed", rows)


def is_available(service: Object) -> bool:
    conditions = (service.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Available" and each["status"] == "True" for each in conditions)


def _with_available(service: Object, verdict: Verdict, stamp: str) -> Object:
    """The APIService with its condition; the same object when nothing changes."""
    status = service.get("status") or {}
    conditions = list(status.get("conditions") or ())
    new = {
        "type": "Available",
        "status": "True" if verdict.available else "False",
        "lastTransitionTime": stamp,
        "reason": verdict.reason,
        "message": verdict.message,
    }
    for index, old in enumerate(conditions):
        if old["type"] != "Available":
            continue
        if old["status"] == new["status"]:
            new["lastTransitionTime"] = old["lastTransitionTime"]
        if old == new:
            return service
        conditions[index] = new
        break
    else:
        conditions.append(new)
    return {**service, "status": {**status, "conditions": conditions}}
