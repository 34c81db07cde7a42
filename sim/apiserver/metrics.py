"""What the API server counts of its requests, and what its ``/metrics`` tells.

Source: k8s.io/apiserver/pkg/endpoints/metrics/metrics.go (labels of verbs and scopes). Not modelled: the size of
responses, time spent in filters, the watch cache; a watch is counted when it begins, upstream's when it ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from seatrial.sim.apiserver.routing import RequestInfo
from seatrial.sim.machinery.metrics import Distribution, Labels, Meters, Rows, families, standing

if TYPE_CHECKING:
    from seatrial.sim.apiserver.request import Request
    from seatrial.sim.apiserver.server import Apiserver

COMPONENT: Final = "kube-apiserver"
VERBS: Final = {
    "get": "GET", "list": "LIST", "watch": "WATCH", "create": "POST", "update": "PUT", "patch": "PATCH",
    "delete": "DELETE", "deletecollection": "DELETECOLLECTION",
}  # fmt: skip
CONNECTS: Final = frozenset({"attach", "exec", "portforward", "proxy"})
PLAIN_PATHS: Final = ("/healthz", "/livez", "/metrics", "/readyz", "/version")
"""Paths without a resource that have series of their own."""
APPLY: Final = "application/apply-patch+yaml"
UNTIMED: Final = ("WATCH", "CONNECT")
REQUESTS, DURATION, SLI = (
    "apiserver_request_total",
    "apiserver_request_duration_seconds",
    "apiserver_request_sli_duration_seconds",
)


class Counted:
    """The requests of one server process."""

    def __init__(self) -> None:
        self.requests: dict[Labels, int] = {}
        """By code, component, dry_run, group, resource, scope, subresource, verb, version."""
        self.slow: dict[Labels, list[int]] = {}
        """µs of requests that took simulated time, by the same labels without the code."""

    def add(self, info: RequestInfo, request: Request, code: int, took_us: int) -> None:
        """One request that was answered."""
        labels = labels_of(info, request)
        key = (str(code), *labels)
        self.requests[key] = self.requests.get(key, 0) + 1
        if took_us:
            self.slow.setdefault(labels, []).append(took_us)

    def meters(self) -> Meters:
        """The same as counters and histograms."""
        made = Meters(COMPONENT)
        made.counters[REQUESTS] = dict(self.requests)
        bounds = {name: families(COMPONENT)[name].buckets for name in (DURATION, SLI)}
        durations: dict[Labels, Distribution] = {}
        slis: dict[Labels, Distribution] = {}
        counts: dict[Labels, int] = {}
        for key, count in self.requests.items():
            counts[key[1:]] = counts.get(key[1:], 0) + count
        for labels, count in counts.items():
            slow = self.slow.get(labels) or []
            component, _, group, resource, scope, subresource, verb, version = labels
            places = [durations.setdefault(labels, Distribution(bounds[DURATION]))]
            if verb not in UNTIMED:
                short = (component, group, resource, scope, subresource, verb, version)
                places.append(slis.setdefault(short, Distribution(bounds[SLI])))
            for place in places:
                place.add(0, count - len(slow))
                for us in slow:
                    place.add(us / 1_000_000)
        made.distributions.update({DURATION: durations, SLI: slis})
        return made


def labels_of(info: RequestInfo, request: Request) -> Labels:
    """The labels of a request, without its code."""
    if not info.is_resource:
        path = info.path if info.path in PLAIN_PATHS else ""
        return ("apiserver", "", "", "", "", path, request.method, "")
    verb = VERBS.get(info.verb, info.verb.upper())
    if info.subresource in CONNECTS:
        verb = "CONNECT"
    elif verb == "PATCH" and request.content_type == APPLY:
        verb = "APPLY"
    named = info.name or info.verb == "create"
    scope = "resource" if named else "namespace" if info.namespace else "cluster"
    dry_run = ",".join(request.query.get("dryRun") or ())
    return ("apiserver", dry_run, info.group, info.resource, scope, info.subresource, verb, info.version)


def page(server: Apiserver) -> bytes:
    """/metrics."""
    gauges: dict[str, Rows | float] = {**standing(server.spec.kubernetes_version, server.began_us), **_stored(server)}
    codes: dict[str, int] = {}
    for key, count in server.counted.requests.items():
        codes[key[0]] = codes.get(key[0], 0) + count
    forbidden, unknown = codes.get("403", 0), codes.get("401", 0)
    total = sum(codes.values())
    gauges["authorization_attempts_total"] = {("allowed",): total - forbidden - unknown, ("no-opinion",): forbidden}
    gauges["apiserver_current_inflight_requests"] = {("mutating",): 0, ("readOnly",): 0}
    gauges["apiserver_current_inqueue_requests"] = {("mutating",): 0, ("readOnly",): 0}
    return server.counted.meters().text(gauges)


def _stored(server: Apiserver) -> dict[str, Rows | float]:
    store = server.store
    objects: dict[Labels, float] = {}
    for storage in store.storages():
        resource, _, group = storage.partition(".")
        objects[group, resource] = store.count(storage)
    services = store.list("services")
    cidr = server.spec.network.service_cidr
    addresses = sum(service["spec"].get("clusterIP") not in (None, "", "None") for service in services)
    ports = sum("nodePort" in port for service in services for port in service["spec"].get("ports") or ())
    first, last = server.spec.network.node_port_range
    unavailable: dict[Labels, float] = {}
    for service in store.list("apiservices.apiregistration.k8s.io"):
        unavailable[(service["metadata"]["name"],)] = float(not _available(service))
    return {
        "apiserver_resource_objects": objects,
        "apiserver_storage_objects": {(f"{plural}.{group}".rstrip("."),): n for (group, plural), n in objects.items()},
        "aggregator_unavailable_apiservice": unavailable,
        "kube_apiserver_clusterip_allocator_allocated_ips": {(cidr,): addresses},
        "kube_apiserver_clusterip_allocator_available_ips": {
            (cidr,): (1 << 32 - int(cidr.partition("/")[2])) - 2 - addresses
        },
        "kube_apiserver_nodeport_allocator_allocated_ports": ports,
        "kube_apiserver_nodeport_allocator_available_ports": last - first + 1 - ports,
    }


def _available(service: Any) -> bool:
    conditions = (service.get("status") or {}).get("conditions") or ()
    return all(each["status"] == "True" for each in conditions if each["type"] == "Available")
