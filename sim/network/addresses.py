"""What can be reached from outside the cluster: nodes with their node ports, balancers, hosts of Ingresses.

What the edge gives twins on the machine that the simulation runs on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from seatrial.sim.network.announcer import balancer_addresses

Object = Mapping[str, Any]
WEB = (80, 443)


class Reachable(NamedTuple):
    """An address with the TCP ports on which something may answer."""

    name: str
    """A node, namespace/service, or the host of an Ingress."""
    kind: str
    """node, balancer or ingress."""
    address: str
    ports: tuple[int, ...]


def reachable(nodes: Iterable[Object], services: Iterable[Object], ingresses: Iterable[Object]) -> list[Reachable]:
    """Everything that is reachable from outside, nodes first."""
    services = list(services)
    node_ports = sorted(
        port["nodePort"]
        for service in services
        for port in service["spec"].get("ports") or ()
        if port.get("nodePort") and port.get("protocol", "TCP") == "TCP"
    )
    found = []
    for node in nodes:
        entries = (node.get("status") or {}).get("addresses") or ()
        found += [
            Reachable(node["metadata"]["name"], "node", entry["address"], tuple(node_ports))
            for entry in entries
            if entry["type"] == "InternalIP"
        ]
    for service in services:
        metadata = service["metadata"]
        ports = tuple(
            port["port"] for port in service["spec"].get("ports") or () if port.get("protocol", "TCP") == "TCP"
        )
        found += [
            Reachable(f"{metadata['namespace']}/{metadata['name']}", "balancer", address, ports)
            for address in balancer_addresses(service)
        ]
    hosts: dict[tuple[str, str], None] = {}
    for ingress in ingresses:
        for rule in ingress["spec"].get("rules") or ():
            for address in balancer_addresses(ingress):
                hosts[rule.get("host", "*"), address] = None
    return [*found, *(Reachable(host, "ingress", address, WEB) for host, address in hosts)]


def ingress_address(ingresses: Iterable[Object], host: str) -> str | None:
    """Where a host is that an Ingress names, wildcards included; None when none does that has an address."""
    _, _, parent = host.partition(".")
    for ingress in ingresses:
        named = [rule.get("host", "") for rule in ingress["spec"].get("rules") or ()]
        addresses = balancer_addresses(ingress)
        if addresses and (host in named or f"*.{parent}" in named):
            return addresses[0]
    return None
