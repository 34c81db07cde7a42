"""A load-balancer provider with a pool of addresses: what MetalLB gives to clusters on bare metal.

Source: go.universe.tf/metallb (controller/service.go, internal/allocator). *Not modelled*: several pools, sharing keys
and the announcement itself, which the network module answers for. An add-on: it does not run where only the control
plane does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from ipaddress import ip_address

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers.actions import Outcome, Record, Steps, Turn, update_status
from seatrial.sim.controllers.controller import Controller, Seen, object_key
from seatrial.sim.controllers.podstate import is_terminating

WANTED = "metallb.io/loadBalancerIPs"
EXHAUSTED = ("exhausted", "")
"""The key of services that wait for an address."""


def ingress_of(service: Object) -> list[str]:
    listed = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return [each["ip"] for each in listed if each.get("ip")]


def is_ours(service: Object) -> bool:
    spec = service["spec"]
    return bool(spec.get("type") == "LoadBalancer" and not spec.get("loadBalancerClass"))


def pool(first: str, last: str) -> list[str]:
    low, high = int(ip_address(first)), int(ip_address(last))
    return [str(ip_address(number)) for number in range(low, high + 1)]


def reconcile(turn: Turn) -> Steps:
    if turn.key == EXHAUSTED:
        waiting = [each for each in turn.view("services").list() if is_ours(each) and not ingress_of(each)]
        return Outcome(also=tuple((each["metadata"]["namespace"], each["metadata"]["name"]) for each in waiting))
    namespace, name = turn.key
    held: dict[object, str] = turn.memory.setdefault("held", {})
    service = turn.view("services").get(namespace, name)
    if service is None or is_terminating(service) or not is_ours(service):
        freed = held.pop(turn.key, None)
        if service is not None and ingress_of(service) and service["spec"].get("type") != "LoadBalancer":
            yield update_status("services", service, {**service["status"], "loadBalancer": {}})
        return Outcome(also=(EXHAUSTED,)) if freed else None
    has = ingress_of(service)
    if has:
        held[turn.key] = has[0]
        return None
    chosen = _free(turn, service)
    if chosen is None:
        text = f'Failed to allocate IP for "{namespace}/{name}": no available IPs'
        yield Record(service, "Warning", "AllocationFailed", text)
        return None
    held[turn.key] = chosen
    balancer = {"ingress": [{"ip": chosen, "ipMode": "VIP"}]}
    yield update_status("services", service, {**(service.get("status") or {}), "loadBalancer": balancer})
    yield Record(service, "Normal", "IPAllocated", f"Assigned IP {json.dumps([chosen])}")
    return None


def _free(turn: Turn, service: Object) -> str | None:
    """The address the service asks for, or the first that nobody has."""
    taken = {ip for each in turn.view("services").list() if is_ours(each) for ip in ingress_of(each)}
    taken |= set(turn.memory["held"].values())
    annotations = service["metadata"].get("annotations") or {}
    wanted = annotations.get(WANTED) or service["spec"].get("loadBalancerIP")
    addresses = pool(*turn.settings.network.load_balancer_pool)
    if wanted:
        return wanted if wanted in addresses and wanted not in taken else None
    return next((each for each in addresses if each not in taken), None)


def service_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    new, old = seen.new, seen.old
    if (new is not None and is_ours(new)) or (old is not None and is_ours(old)):
        return object_key(seen)
    return ()


CONTROLLER = Controller(
    name="load-balancer-provider",
    account="service-controller",
    component="metallb-controller",
    reconcile=reconcile,
    watches=(("services", service_keys),),
    workers=1,
    addon=True,
)
