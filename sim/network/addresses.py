"""What can be reached from outside the cluster: nodes with their ports, load balancers, hosts of Ingresses.

What the edge gives twins on the machine that the simulation runs on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from seatrial.sim.network.announcer import balancer_addresses

Object = Mapping[str, Any]
Scheme = Literal["http", "https", "tcp", "udp", "dns"]
Port = tuple[int, str]
"""A number and TCP or UDP."""
WEB: tuple[tuple[int, Scheme], ...] = ((80, "http"), (443, "https"))
DNS_PORT = 53
SECURE_PORTS = (443, 6443, 8443, 9443)
NO_RULES: tuple[Object, ...] = ({},)
"""Everything goes to the default backend."""


class Reachable(NamedTuple):
    """A port of an address on which something may answer."""

    kind: str
    """node, balancer, ingress or dns."""
    name: str
    """A node, namespace/service, or the host of an Ingress (* for all others)."""
    address: str
    port: int
    behind: str
    """What answers there: a service, a pod, a component of the machine, an Ingress."""
    scheme: Scheme = "http"
    """What is most likely spoken."""
    protocol: str = "TCP"


def reachable(
    nodes: Iterable[Object],
    services: Iterable[Object],
    ingresses: Iterable[Object],
    pods: Iterable[Object] = (),
    machines: Mapping[str, Mapping[int, tuple[str, bool]]] | None = None,
    nameserver: str = "",
) -> list[Reachable]:
    """Everything that is reachable from outside: Ingresses, then balancers, then nodes, and the cluster's name server.
    ``pods`` are those with ports of their machines; ``machines`` says what else listens on a machine, by name and port,
    and whether it speaks TLS; ``nameserver`` is the address at which the cluster asks for names."""
    services = list(services)
    on_nodes = list(_node_ports(services))
    host_ports: dict[str, list[tuple[Port, str, Scheme]]] = {}
    for pod in pods:
        host_ports.setdefault(pod["spec"].get("nodeName", ""), []).extend(_host_ports(pod))
    found = [*_ingresses(ingresses), *_balancers(services)]
    for node in nodes:
        name = node["metadata"]["name"]
        ports = {port: (behind, scheme) for port, behind, scheme in on_nodes}
        for number, (what, is_secure) in sorted(((machines or {}).get(name) or {}).items()):
            ports.setdefault((number, "TCP"), (what, "https" if is_secure else "http"))
        for port, behind, scheme in sorted(host_ports.get(name, ())):
            ports.setdefault(port, (behind, scheme))
        for entry in (node.get("status") or {}).get("addresses") or ():
            if entry["type"] == "InternalIP":
                found += [
                    Reachable("node", name, entry["address"], port, behind, scheme, protocol)
                    for (port, protocol), (behind, scheme) in ports.items()
                ]
    return [*found, *_name_servers(services, nameserver)]


def _name_servers(services: Iterable[Object], address: str) -> Iterator[Reachable]:
    for service in services:
        if address and service["spec"].get("clusterIP") == address:
            for port in service["spec"].get("ports") or ():
                if port["port"] == DNS_PORT:
                    name = _name(service)
                    yield Reachable("dns", name, address, DNS_PORT, name, "dns", _protocol(port))


def _protocol(port: Object) -> str:
    return str(port.get("protocol", "TCP"))


def _is_carried(port: Object) -> bool:
    return _protocol(port) in ("TCP", "UDP")


def _node_ports(services: Iterable[Object]) -> Iterator[tuple[Port, str, Scheme]]:
    rows = [
        ((port["nodePort"], _protocol(port)), _name(service), _scheme(port["port"], port))
        for service in services
        for port in service["spec"].get("ports") or ()
        if port.get("nodePort") and _is_carried(port)
    ]
    yield from sorted(rows)


def _host_ports(pod: Object) -> Iterator[tuple[Port, str, Scheme]]:
    """Of a pod that runs."""
    if (pod.get("status") or {}).get("phase") != "Running":
        return
    for container in pod["spec"].get("containers") or ():
        for port in container.get("ports") or ():
            everywhere = (pod["status"].get("hostIP"), "0.0.0.0")
            if port.get("hostPort") and _is_carried(port) and (port.get("hostIP") or "0.0.0.0") in everywhere:
                yield (port["hostPort"], _protocol(port)), f"pod {_name(pod)}", _scheme(port["hostPort"], port)


def has_host_ports(pod: Object) -> bool:
    """Whether a pod may listen on ports of its machine that its specification names."""
    return any(
        port.get("hostPort")
        for container in pod["spec"].get("containers") or ()
        for port in container.get("ports") or ()
    )


def _balancers(services: Iterable[Object]) -> Iterator[Reachable]:
    for service in services:
        for address in balancer_addresses(service):
            for port in service["spec"].get("ports") or ():
                if _is_carried(port):
                    name, scheme = _name(service), _scheme(port["port"], port)
                    yield Reachable("balancer", name, address, port["port"], name, scheme, _protocol(port))


def _ingresses(ingresses: Iterable[Object]) -> Iterator[Reachable]:
    seen: dict[tuple[str, str], str] = {}
    for ingress in ingresses:
        for rule in ingress["spec"].get("rules") or NO_RULES:
            for address in balancer_addresses(ingress):
                seen.setdefault((rule.get("host", "*"), address), _name(ingress))
    for (host, address), name in seen.items():
        yield from (Reachable("ingress", host, address, port, name, scheme) for port, scheme in WEB)


def _name(obj: Object) -> str:
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


def _scheme(number: int, port: Object) -> Scheme:
    if _protocol(port) == "UDP":
        return "udp"
    said = f"{port.get('appProtocol') or ''} {port.get('name') or ''}"
    if "https" in said or number in SECURE_PORTS:
        return "https"
    return "tcp" if port.get("appProtocol") == "tcp" or said.split("-")[0].strip() == "tcp" else "http"


def ingress_address(ingresses: Iterable[Object], host: str) -> str | None:
    """Where a host is that an Ingress names, wildcards included, as a user outside writes it into his hosts file; None
    when no Ingress does that has an address."""
    _, _, parent = host.partition(".")
    for ingress in ingresses:
        named = [rule.get("host", "") for rule in ingress["spec"].get("rules") or ()]
        addresses = balancer_addresses(ingress)
        if addresses and (host in named or f"*.{parent}" in named):
            return addresses[0]
    return None
