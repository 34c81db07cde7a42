"""ServiceCIDRs: ready when they may be used, held by a finalizer while addresses of theirs are in use.

Source: k8s.io/kubernetes/pkg/controller/servicecidrs/servicecidrs_controller.go.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from ipaddress import ip_address, ip_network
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers.actions import Action, Steps, Turn, Update, update_status
from seatrial.sim.controllers.controller import Controller, Seen, object_key
from seatrial.sim.controllers.podstate import is_terminating

CIDRS = "servicecidrs.networking.k8s.io"
ADDRESSES = "ipaddresses.networking.k8s.io"
FINALIZER = "networking.k8s.io/service-cidr-finalizer"


def reconcile(turn: Turn) -> Steps:
    _, name = turn.key
    cidr = turn.view(CIDRS).get("", name)
    if cidr is None:
        return None
    metadata = cidr["metadata"]
    finalizers = metadata.get("finalizers") or []
    if is_terminating(cidr):
        if FINALIZER not in finalizers:
            return None
        yield from _say(turn, cidr, "False", "Terminating", "There are still IPAddresses referencing the ServiceCIDR")
        if _in_use(turn, cidr):
            return None
        left = [each for each in finalizers if each != FINALIZER]
        yield Update(CIDRS, {**cidr, "metadata": {**metadata, "finalizers": left}})
        return None
    if FINALIZER not in finalizers:
        cidr = yield Update(CIDRS, {**cidr, "metadata": {**metadata, "finalizers": [*finalizers, FINALIZER]}})
    yield from _say(turn, cidr, "True", "", "Kubernetes Service CIDR is ready")
    return None


def _say(turn: Turn, cidr: Object, status: str, reason: str, message: str) -> Generator[Action, Any, None]:
    listed = (cidr.get("status") or {}).get("conditions") or []
    current = next((each for each in listed if each["type"] == "Ready"), None)
    if current is not None and (current["status"], current.get("reason", "")) == (status, reason):
        return
    fresh = {"type": "Ready", "status": status, "reason": reason, "message": message}
    fresh["lastTransitionTime"] = turn.stamp
    others = [each for each in listed if each["type"] != "Ready"]
    yield update_status(CIDRS, cidr, {**(cidr.get("status") or {}), "conditions": [*others, fresh]})


def _in_use(turn: Turn, cidr: Object) -> bool:
    """Whether an address of the range would be in no range once this one is gone."""
    mine = [ip_network(each) for each in cidr["spec"].get("cidrs") or ()]
    name = cidr["metadata"]["name"]
    others = [
        ip_network(each)
        for other in turn.view(CIDRS).list()
        if other["metadata"]["name"] != name and not is_terminating(other)
        for each in other["spec"].get("cidrs") or ()
    ]
    for address in turn.view(ADDRESSES).list():
        ip = ip_address(address["metadata"]["name"])
        if any(ip in network for network in mine) and not any(ip in network for network in others):
            return True
    return False


def address_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    if seen.verb != "DELETED":
        return ()
    terminating = (each for each in seen.view(CIDRS).list() if is_terminating(each))
    return [("", each["metadata"]["name"]) for each in terminating]


CONTROLLER = Controller(
    name="service-cidr-controller",
    account="service-cidrs-controller",
    reconcile=reconcile,
    watches=((CIDRS, object_key), (ADDRESSES, address_keys)),
)
