"""Pod address ranges and cache lifetimes of nodes.

Source: k8s.io/kubernetes/pkg/controller/nodeipam/ipam (range_allocator.go) and pkg/controller/ttl/ttl_controller.go.
*Not modelled*: a second address family.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, ip_network
from typing import Any

from seatrial.sim.controllers.actions import Outcome, Patch, Record, Steps, Turn, ignoring
from seatrial.sim.controllers.controller import Controller, Seen

MASK_SIZE = 24
"""--node-cidr-mask-size-ipv4."""
TTL = "node.alpha.kubernetes.io/ttl"
TTL_BY_SIZE = ((100, 0), (500, 15), (1000, 30), (2000, 60))
"""Nodes up to which objects of pods may be cached for so many seconds; 300 beyond."""


def reconcile(turn: Turn) -> Steps:
    """Gives a new node the first free range."""
    _, name = turn.key
    node = turn.view("nodes").get("", name)
    if node is None or node["spec"].get("podCIDR"):
        return None
    taken = {each["spec"].get("podCIDR") for each in turn.view("nodes").list()}
    held: dict[str, str] = turn.memory.setdefault("held", {})
    taken |= {cidr for owner, cidr in held.items() if owner != name}
    cidr = held.get(name) or free_range(turn.settings.network.pod_cidr, taken)
    if cidr is None:
        text = f"Node {name} status is now: CIDRNotAvailable"
        yield Record(node, "Normal", "CIDRNotAvailable", text)
        return Outcome(retry=True)
    held[name] = cidr
    yield from ignoring(Patch("nodes", "", name, {"spec": {"podCIDR": cidr, "podCIDRs": [cidr]}}), 404)
    return None


def free_range(cluster_cidr: str, taken: Iterable[Any]) -> str | None:
    """The first range of the cluster's that nobody has."""
    network = ip_network(cluster_cidr)
    assert isinstance(network, IPv4Network)
    used = set(taken)
    for subnet in network.subnets(new_prefix=max(MASK_SIZE, network.prefixlen)):
        if str(subnet) not in used:
            return str(subnet)
    return None


def reconcile_ttl(turn: Turn) -> Steps:
    """Notes on every node how long its kubelet may cache, by the size of the cluster."""
    _, name = turn.key
    nodes = turn.view("nodes")
    node = nodes.get("", name)
    if node is None:
        return None
    wanted = str(next((ttl for size, ttl in TTL_BY_SIZE if len(nodes) <= size), 300))
    if (node["metadata"].get("annotations") or {}).get(TTL) != wanted:
        patch = {"metadata": {"annotations": {TTL: wanted}}}
        yield from ignoring(Patch("nodes", "", name, patch), 404)
    return None


def node_keys(seen: Seen) -> Iterable[Any]:
    node = seen.new
    if node is None:
        seen.memory.get("held", {}).pop(seen.obj["metadata"]["name"], None)
        return ()
    return () if node["spec"].get("podCIDR") else (("", node["metadata"]["name"]),)


def added_keys(seen: Seen) -> Iterable[Any]:
    new, old = seen.new, seen.old
    if new is None or (old is not None and TTL in (new["metadata"].get("annotations") or {})):
        return ()
    return (("", new["metadata"]["name"]),)


CONTROLLER = Controller(
    name="node-ipam-controller",
    account="node-controller",
    component="cidrAllocator",
    reconcile=reconcile,
    watches=(("nodes", node_keys),),
    workers=1,
)
TTL_CONTROLLER = Controller(
    name="ttl-controller",
    reconcile=reconcile_ttl,
    watches=(("nodes", added_keys),),
)
