"""The ingress controller: what ingress-nginx does in its pod.

It watches Ingresses of its class, services, slices and secrets, takes changes up when its queue lets it (a reload), and
answers on ports 80 and 443. Source: k8s.io/ingress-nginx (internal/ingress/controller/{controller,nginx,store}).

Not modelled: nginx itself beyond routing (buffers, limits, keep-alive); the leader among several replicas: each writes
the status, which comes to the same; TLS between controller and backends.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from seatrial.sim.apiserver.client import Unreachable
from seatrial.sim.apiserver.events import reference
from seatrial.sim.apiserver.informer import Informer
from seatrial.sim.apiserver.recorder import Recorder
from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.kernel.chance import Chance
from seatrial.sim.kernel.clock import Timer
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.network.agent import Agent, Steps, service_account
from seatrial.sim.network.ingress_routes import PREFIX, Backend, Location, Routes, Site, flag, routes
from seatrial.sim.network.proxy import service_of

Object = Mapping[str, Any]
SYNC_PERIOD_US = 3_333_333
"""--sync-rate-limit 0.3 per second."""
RELOAD_US = 100_000
"""From a sync's beginning until nginx has its new configuration."""
TRIES_MAX = 3
"""proxy_next_upstream_tries."""
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
CONTROLLER = "k8s.io/ingress-nginx"
DEFAULT_CLASS = "nginx"
"""Of versions 0.x, for Ingresses that name none (internal/ingress/annotations/class)."""
HTML = {"Content-Type": "text/html"}
TITLES = {
    308: "308 Permanent Redirect", 301: "301 Moved Permanently", 302: "302 Found", 404: "404 Not Found",
    502: "502 Bad Gateway", 503: "503 Service Temporarily Unavailable", 504: "504 Gateway Time-out",
}  # fmt: skip


class Settings(NamedTuple):
    """The controller's command line."""

    ingress_class: str = "nginx"
    controller: str = CONTROLLER
    without_class: bool = False
    publish_service: str = ""
    """namespace/name of the service whose addresses Ingresses get."""
    version: str = "v1.14.0"

    @property
    def before_v1(self) -> bool:
        """Versions 0.x: classes are annotations, none is the default one, and addresses come from Endpoints."""
        return self.version.removeprefix("v").startswith("0.")


def settings_of(argv: list[str], namespace: str, version: str = "v1.14.0") -> Settings:
    """What flags mean; variables in them are those of the pod. ``version`` is the image's tag."""
    flags = dict(word.lstrip("-").partition("=")[::2] for word in argv[1:])
    return Settings(
        flags.get("ingress-class", "nginx"),
        flags.get("controller-class", CONTROLLER),
        flags.get("watch-ingress-without-class", "") == "true",
        flags.get("publish-service", "").replace("$(POD_NAMESPACE)", namespace),
        version,
    )


Upstreams = Mapping[Backend, list[tuple[str, int]]]
Dial = Callable[[str, int], Any]
"""What listens at an address or a name, reached from the controller's pod. Raises OSError."""


class IngressController(Agent):
    """One controller pod. ``answer(code, headers, body)`` makes an HTTP response."""

    def __init__(
        self,
        wiring: Wiring,
        namespace: str,
        instance: str,
        host: str,
        settings: Settings,
        dial: Dial,
        answer: Callable[[int, Mapping[str, str], bytes], Any],
        chance: Chance | None = None,
        account: str = "ingress-nginx",
    ) -> None:
        user = service_account(namespace, account)
        super().__init__(
            wiring, f"ingress-nginx/{instance}", host, user, f"nginx-ingress-controller/{settings.version}"
        )
        self.settings = settings
        self._dial, self._answer = dial, answer
        self._chance = chance or Chance()
        self._rng = wiring.streams(f"ingress/{instance}")
        self.routes = Routes()
        self._upstreams: dict[Backend, list[tuple[str, int]]] = {}
        self._turns: dict[Backend, int] = {}
        self._timer: Timer | None = None
        self._synced_us: int | None = None
        self._informers: list[Informer] = []
        events = wiring.kinds.resource("events")
        self._recorder = Recorder(wiring.clock, self.client, events, "nginx-ingress-controller", "")

    # The component

    def _begin(self) -> None:
        self.routes, self._synced_us = Routes(), None
        changed = self._changed
        self._ingresses = self.watch("ingresses.networking.k8s.io", self._ingress_changed)
        modern = not self.settings.before_v1
        if modern:
            self._classes = self.watch("ingressclasses.networking.k8s.io", changed)
        self._services = self.watch("services", changed)
        indexers = {"service": lambda piece: (service_of(piece),)}
        if modern:
            self._slices = self.watch("endpointslices.discovery.k8s.io", changed, indexers=indexers)
        else:
            self._places = self.watch("endpoints", changed)
        self._secrets = self.watch("secrets", changed, field_selector="type=kubernetes.io/tls")
        places = [self._classes, self._slices] if modern else [self._places]
        self._informers = [self._ingresses, self._services, *places, self._secrets]
        self._recorder.start()
        self.spawn(self._first(), "first")

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._informers = []
        self._recorder.stop()

    def _first(self) -> Steps:
        yield from self.synced(self._informers)
        for ingress in self._ingresses.view.list():
            self._tell("CREATE", ingress)
        self._schedule()

    @property
    def ready(self) -> bool:
        return self.running and self._synced_us is not None

    def busy(self) -> list[str]:
        waiting = {"reload": self._timer is not None, "events": self._recorder.busy()}
        return [f"{self.name}: {what}" for what, is_due in waiting.items() if is_due]

    def _is_synced(self) -> bool:
        return bool(self._informers) and all(informer.synced for informer in self._informers)

    def _changed(self, verb: str, new: Object | None, old: Object | None) -> None:
        if self._is_synced():
            self._schedule()

    def _ingress_changed(self, verb: str, new: Object | None, old: Object | None) -> None:
        ingress = new or old
        if self._is_synced() and ingress is not None:
            self._tell("DELETE" if new is None else "CREATE" if old is None else "UPDATE", ingress)
        self._changed(verb, new, old)

    def _tell(self, what: str, ingress: Object) -> None:
        """The event of a change (store.New's handlers): one for each sort in versions 0.x, one word for all later."""
        if not self._is_ours(ingress):
            return
        reason, text = "Sync", "Scheduled for sync"
        if self.settings.before_v1:
            metadata = ingress["metadata"]
            reason, text = what, f"Ingress {metadata['namespace']}/{metadata['name']}"
        elif what == "DELETE":
            return
        self._recorder.event(reference(ingress), "Normal", reason, text)

    def _schedule(self) -> None:
        if self._timer is None:
            now, last = self.clock.now, self._synced_us
            due = now if last is None else max(now, last + SYNC_PERIOD_US)
            self._timer = self.clock.at(due + RELOAD_US, self._sync)

    def _sync(self) -> None:
        """Takes up what is known now."""
        self._timer = None
        self._synced_us = self.clock.now - RELOAD_US
        ours = [each for each in self._ingresses.view.list() if self._is_ours(each)]
        self.routes = routes(ours)
        self._upstreams = {backend: self._endpoints(backend) for backend in self._backends()}
        addresses = self._published()
        late = [each for each in ours if addresses and _addresses(each) != addresses]
        if late:
            self.spawn(self._publish(late, addresses), "status")

    def _is_ours(self, ingress: Object) -> bool:
        settings = self.settings
        annotation = (ingress["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
        if settings.before_v1:
            return (annotation or DEFAULT_CLASS) == settings.ingress_class
        name = ingress["spec"].get("ingressClassName")
        if name is None:
            return annotation == settings.ingress_class if annotation is not None else settings.without_class
        found = self._classes.view.get("", name)
        return found is not None and found["spec"].get("controller") == settings.controller

    def _backends(self) -> dict[Backend, None]:
        found: dict[Backend, None] = {}
        for site in self.routes.sites.values():
            for location in site.locations:
                found[location.backend] = None
                found.update(dict.fromkeys(canary.backend for canary in location.canaries))
        if self.routes.default is not None:
            found[self.routes.default] = None
        return found

    def _endpoints(self, backend: Backend) -> list[tuple[str, int]]:
        """The ready addresses behind a service's port; an ExternalName's is a name, and needs no such port."""
        service = self._services.view.get(backend.namespace, backend.service)
        spec = (service or {}).get("spec", {})
        port = next(
            (each for each in spec.get("ports") or () if backend.port in (each["port"], each.get("name"))), None
        )
        if spec.get("type") == "ExternalName":
            wanted = backend.port if port is None else port.get("targetPort") or port["port"]
            return [(spec["externalName"], wanted)] if isinstance(wanted, int) else []
        if port is None:
            return []
        if self.settings.before_v1:
            places = self._places.view.get(backend.namespace, backend.service)
            return _addresses_of(places or {}, port.get("name", ""))
        found: dict[tuple[str, int], None] = {}
        for piece in self._slices.view.indexed("service", f"{backend.namespace}/{backend.service}"):
            for each in piece.get("ports") or ():
                if each.get("name", "") != port.get("name", ""):
                    continue
                for entry in piece.get("endpoints") or ():
                    if (entry.get("conditions") or {}).get("ready", True):
                        found.update(dict.fromkeys((address, each["port"]) for address in entry["addresses"]))
        return sorted(found)

    def _published(self) -> list[dict[str, str]]:
        """What the status of Ingresses is to say."""
        namespace, _, name = self.settings.publish_service.partition("/")
        service = self._services.view.get(namespace, name)
        if service is None:
            return []
        ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        if ingress:
            return [{"ip": entry["ip"]} for entry in ingress if entry.get("ip")]
        address = service["spec"].get("clusterIP", "")
        return [{"ip": address}] if address not in ("", "None") else []

    def _publish(self, ingresses: list[Object], addresses: list[dict[str, str]]) -> Steps:
        for ingress in ingresses:
            status = {**(ingress.get("status") or {}), "loadBalancer": {"ingress": addresses}}
            try:
                yield from self.client.update(self._ingresses.resource, {**ingress, "status": status}, "status")
            except (ApiError, Unreachable):
                continue

    # Requests

    def certificate(self, host: str) -> tuple[str, str] | None:
        """Certificate and key (PEM) for a host; None: nginx's own, which nobody trusts."""
        site = self.routes.site(host)
        secret = self._secrets.view.get(*site.secret) if site is not None and site.secret is not None else None
        data = (secret or {}).get("data") or {}
        if "tls.crt" not in data or "tls.key" not in data:
            return None
        return base64.b64decode(data["tls.crt"]).decode(), base64.b64decode(data["tls.key"]).decode()

    def serve(self, request: Any, secure: bool) -> Any:
        """Answers a request that arrived on port 80 or, ``secure``, on 443."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        host = headers.get("host", "").partition(":")[0].lower()
        path = request.path.partition("?")[0]
        site, location = self.routes.locate(host, path)
        if location is None:
            if self.routes.default is not None and self._upstreams.get(self.routes.default):
                return self._pass(self.routes.default, request, request.path, headers, secure)
            return self._page(404)
        moved = _redirect(site, location, host, request.path, secure)
        if moved is not None:
            code, target = moved
            return self._page(code, {"Location": target})
        backend = location.backend
        for canary in location.canaries:
            if canary.takes(headers, self._lucky):
                backend = canary.backend
                break
        query = request.path[len(path) :]
        return self._pass(backend, request, location.rewritten(path) + query, headers, secure)

    def _pass(self, backend: Backend, request: Any, path: str, headers: Mapping[str, str], secure: bool) -> Any:
        """Hands a request on to an endpoint, and to the next when that one cannot be reached."""
        upstreams = self._upstreams.get(backend) or []
        if not upstreams:
            return self._page(503)
        scheme = "https" if secure else "http"
        given = {
            **headers,
            "x-real-ip": request.client,
            "x-forwarded-for": request.client,
            "x-forwarded-host": headers.get("host", ""),
            "x-forwarded-port": "443" if secure else "80",
            "x-forwarded-proto": scheme,
            "x-forwarded-scheme": scheme,
            "x-scheme": scheme,
            "x-request-id": f"{self._rng.getrandbits(128):032x}",
        }
        code = 502
        turn = self._chance.turn(len(upstreams), self._turns.get(backend, 0))
        for number in range(min(TRIES_MAX, len(upstreams))):
            address, port = upstreams[(turn + number) % len(upstreams)]
            self._turns[backend] = turn + number + 1
            try:
                listener = self._dial(address, port)
                count = self._chance.count
                window = -(-request.window * count // max(request.copies, 1))
                return listener.http(request._replace(path=path, headers=given, copies=count, window=window))
            except TimeoutError:
                code = 504
            except OSError:
                code = 502
        return self._page(code)

    def _lucky(self, share: float) -> bool:
        return self._chance.happens(self._rng, share)

    def _page(self, code: int, more: Mapping[str, str] | None = None) -> Any:
        title = TITLES[code]
        body = (
            f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
            "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
        )
        return self._answer(code, {**HTML, **(more or {})}, body.encode())


def _addresses_of(endpoints: Object, port: str) -> list[tuple[str, int]]:
    """The ready addresses of Endpoints at a port of that name."""
    return sorted(
        (address["ip"], each["port"])
        for subset in endpoints.get("subsets") or ()
        for each in subset.get("ports") or ()
        if each.get("name", "") == port
        for address in subset.get("addresses") or ()
    )


def _addresses(ingress: Object) -> list[dict[str, str]]:
    listed = ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return [{"ip": entry["ip"]} for entry in listed if entry.get("ip")]


def _redirect(site: Site | None, location: Location, host: str, path: str, secure: bool) -> tuple[int, str] | None:
    """(status, target) where nginx answers itself."""
    annotations = location.annotations
    for name, code in (("permanent-redirect", 301), ("temporal-redirect", 302)):
        target = annotations.get(PREFIX + name)
        if target:
            return code, target
    root = annotations.get(f"{PREFIX}app-root")
    if root and path == "/":
        return 302, f"{'https' if secure else 'http'}://{host}{root}"
    has_tls = site is not None and site.tls and flag(annotations, "ssl-redirect", True)
    if not secure and (has_tls or flag(annotations, "force-ssl-redirect")):
        return 308, f"https://{host}{path}"
    return None
