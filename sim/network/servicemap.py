"""Services and their endpoints as a proxy sees them on one node.

Source: k8s.io/kubernetes/pkg/proxy/{serviceport,endpoints,endpointslicecache,topology}.go. Not modelled: IPv6, and
services that name another proxy in ``service.kubernetes.io/service-proxy-name``, which are left out as upstream's are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Object = Mapping[str, Any]
HEADLESS_LABEL = "service.kubernetes.io/headless"
PROXY_LABEL = "service.kubernetes.io/service-proxy-name"
SERVICE_LABEL = "kubernetes.io/service-name"
ZONE_LABEL = "topology.kubernetes.io/zone"
LOCAL = "Local"
AFFINITY_TIMEOUT_S = 10800


class ServicePort(NamedTuple):
    """One port of one service."""

    namespace: str
    name: str
    port_name: str
    protocol: str
    """Lower case."""
    cluster_ip: str
    port: int
    node_port: int
    external_ips: tuple[str, ...]
    balancer_ips: tuple[str, ...]
    source_ranges: tuple[str, ...]
    external_local: bool
    internal_local: bool
    affinity_s: int
    """Of session affinity by client address; 0: none."""
    health_port: int

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" + (f":{self.port_name}" if self.port_name else "")

    @property
    def externally_accessible(self) -> bool:
        return bool(self.node_port or self.balancer_ips or self.external_ips)

    @property
    def uses_cluster(self) -> bool:
        return not self.internal_local or self.externally_accessible

    @property
    def uses_local(self) -> bool:
        return self.internal_local or (self.external_local and self.externally_accessible)


class Endpoint(NamedTuple):
    """One address behind a service port."""

    address: str
    port: int
    ready: bool
    serving: bool
    terminating: bool
    node: str
    zones: tuple[str, ...]
    """Hints: zones that are to use it."""
    nodes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


class Chosen(NamedTuple):
    """The endpoints that a node uses for a service port."""

    cluster: list[Endpoint]
    local: list[Endpoint]
    reachable: list[Endpoint]
    any: bool
    """Whether there is a usable endpoint anywhere."""


def proxied(service: Object) -> bool:
    """Whether a proxy looks after the service at all."""
    spec = service["spec"]
    labels = service["metadata"].get("labels") or {}
    return (
        spec.get("type") != "ExternalName"
        and spec.get("clusterIP", "") not in ("", "None")
        and PROXY_LABEL not in labels
        and HEADLESS_LABEL not in labels
    )


def service_ports(service: Object) -> list[ServicePort]:
    """The ports of a service; none of one that is not proxied."""
    if not proxied(service):
        return []
    spec, metadata = service["spec"], service["metadata"]
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    balancers = tuple(entry["ip"] for entry in ingress if entry.get("ip") and entry.get("ipMode", "VIP") == "VIP")
    config = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds", AFFINITY_TIMEOUT_S)
    return [
        ServicePort(
            metadata["namespace"],
            metadata["name"],
            port.get("name", ""),
            port.get("protocol", "TCP").lower(),
            spec["clusterIP"],
            port["port"],
            port.get("nodePort", 0),
            tuple(spec.get("externalIPs") or ()),
            balancers,
            tuple(text.strip() for text in spec.get("loadBalancerSourceRanges") or ()),
            spec.get("externalTrafficPolicy") == LOCAL,
            spec.get("internalTrafficPolicy") == LOCAL,
            config if spec.get("sessionAffinity") == "ClientIP" else 0,
            spec.get("healthCheckNodePort", 0),
        )
        for port in spec.get("ports") or ()
    ]


def endpoints_of(slices: Iterable[Object], port_name: str, protocol: str) -> list[Endpoint]:
    """The endpoints that a service's slices give for one port, one of each address, in the order of their text."""
    found: dict[str, Endpoint] = {}
    for piece in slices:
        if piece.get("addressType", "IPv4") != "IPv4":
            continue
        for port in piece.get("ports") or ():
            if port.get("name", "") != port_name or port.get("protocol", "TCP").lower() != protocol:
                continue
            if port.get("port") is None:
                continue
            for entry in piece.get("endpoints") or ():
                endpoint = _endpoint(entry, port["port"])
                if endpoint is not None:
                    found[str(endpoint)] = endpoint
    return [found[key] for key in sorted(found)]


def _endpoint(entry: Object, port: int) -> Endpoint | None:
    addresses = entry.get("addresses") or ()
    if not addresses:
        return None
    conditions, hints = entry.get("conditions") or {}, entry.get("hints") or {}
    ready = conditions.get("ready", True)
    return Endpoint(
        addresses[0],
        port,
        ready,
        conditions.get("serving", ready),
        conditions.get("terminating", False),
        entry.get("nodeName", ""),
        tuple(zone["name"] for zone in hints.get("forZones") or ()),
        tuple(node["name"] for node in hints.get("forNodes") or ()),
    )


def choose(endpoints: list[Endpoint], service: ServicePort, node: str, zone: str) -> Chosen:
    """What a node uses: ready endpoints, of its zone where hints say so, terminating ones when there are no others."""
    cluster: list[Endpoint] = []
    hinted = False
    if service.uses_cluster:
        ready = [each for each in endpoints if each.ready]
        cluster = _hinted(ready, node, zone)
        hinted = len(cluster) != len(ready)
        if not cluster:
            cluster = [each for each in endpoints if each.serving and each.terminating]
            hinted = True
    if not service.uses_local:
        return Chosen(cluster, [], cluster, bool(cluster))
    here = [each for each in endpoints if each.node == node]
    local = [each for each in here if each.ready] or [each for each in here if each.serving and each.terminating]
    usable = any(each.ready or (each.serving and each.terminating) for each in endpoints)
    if not service.uses_cluster:
        return Chosen(cluster, local, local, usable)
    reachable = cluster
    if hinted:
        reachable = [*cluster, *(each for each in local if each not in cluster)]
    return Chosen(cluster, local, reachable, usable)


def _hinted(ready: list[Endpoint], node: str, zone: str) -> list[Endpoint]:
    """Those meant for this node or zone; all of them when a hint is missing or none is meant for it."""
    for where, names in ((node, "nodes"), (zone, "zones")):
        if where and ready and all(getattr(each, names) for each in ready):
            meant = [each for each in ready if where in getattr(each, names)]
            if meant:
                return meant
    return ready
