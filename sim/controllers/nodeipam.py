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
HOLDERS, FIRST = "holders", "first"
"""What is remembered: who has a range, and up to which one all are taken."""
TTL = "node.alpha.kubernetes.io/ttl"
TTL_BY_SIZE = ((100, 0), (500, 15), (1000, 30), (2000, 60))
"""Nodes up to which objects of pods may be cached for so many seconds; 300 beyond."""


def reconcile(turn: Turn) -> Steps:
    """Gives a new node the first free range."""
    _, name = turn.key
    node = turn.view("nodes").get("", name)
    if node is None or node["spec"].get("podCIDR"):
        return None
    held: dict[str, str] = turn.memory.setdefault("held", {})
    cidr = held.get(name) or _free_range(turn)
    if cidr is None:
        text = f"Node {name} status is now: CIDRNotAvailable"
        yield Record(node, "Normal", "CIDRNotAvailable", text)
        return Outcome(retry=True)
    held[name] = cidr
    turn.memory[HOLDERS][cidr] = name
    yield from ignoring(Patch("nodes", "", name, {"spec": {"podCIDR": cidr, "podCIDRs": [cidr]}}), 404)
    return None


def _free_range(turn: Turn) -> str | None:
    """The first range of the cluster's that nobody has."""
    memory = turn.memory
    if HOLDERS not in memory:
        nodes = turn.view("nodes").list()
        memory[HOLDERS] = {each["spec"].get("podCIDR"): each["metadata"]["name"] for each in nodes}
        memory[FIRST] = 0
    network, holders = ip_network(turn.settings.network.pod_cidr), memory[HOLDERS]
    assert isinstance(network, IPv4Network)
    prefix = max(MASK_SIZE, network.prefixlen)
    for number in range(memory[FIRST], 1 << prefix - network.prefixlen):
        cidr = f"{network.network_address + (number << 32 - prefix)}/{prefix}"
        if cidr not in holders:
            memory[FIRST] = number
            return cidr
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
    node, name = seen.new, seen.obj["metadata"]["name"]
    memory, cidr = seen.memory, seen.obj["spec"].get("podCIDR")
    if node is None:
        cidr = memory.get("held", {}).pop(name, cidr)
        if memory.get(HOLDERS, {}).get(cidr) == name:
            del memory[HOLDERS][cidr]
            memory[FIRST] = 0
        return ()
    if not cidr:
        return (("", name),)
    if HOLDERS in memory:
        memory[HOLDERS][cidr] = name
    return ()


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
