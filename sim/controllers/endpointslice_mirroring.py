"""EndpointSlices for Endpoints that somebody made by hand.

Source: k8s.io/kubernetes/pkg/controller/endpointslicemirroring. *Not modelled*: more than one thousand addresses per
subset are cut off without the annotation on the slices.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers.actions import Action, Create, Steps, Turn, Update, delete_of, ignoring
from seatrial.sim.controllers.controller import Controller, Seen, object_key
from seatrial.sim.controllers.endpointslice import MANAGED_BY, SERVICE_NAME, SLICES
from seatrial.sim.controllers.endpointslice_fill import fill
from seatrial.sim.controllers.ownership import Owner, labels_of
from seatrial.sim.controllers.servicepods import TRIGGER_TIME, is_ipv6

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP_MIRROR = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
SUBSET_MAX = 1000
"""--mirroring-max-endpoints-per-subset."""
ENDPOINTS = Owner("endpoints", "v1", "Endpoints")
NOT_COPIED = (TRIGGER_TIME, "kubectl.kubernetes.io/last-applied-configuration", "endpoints.kubernetes.io/over-capacity")
Group = tuple[str, tuple[Any, ...]]
"""Address family and ports."""


def reconcile(turn: Turn) -> Steps:
    namespace, name = turn.key
    endpoints = turn.view("endpoints").get(namespace, name)
    service = turn.view("services").get(namespace, name)
    mine = [
        each
        for each in turn.view(SLICES).indexed("service", f"{namespace}/{name}")
        if labels_of(each).get(MANAGED_BY) == MANAGER
    ]
    wanted: dict[Group, list[dict[str, Any]]] = {}
    if endpoints is not None and service is not None and not service["spec"].get("selector") and _mirrored(endpoints):
        wanted = groups(endpoints)
    elif not mine:
        return None
    by_group: dict[Group, list[Object]] = {}
    for each in mine:
        by_group.setdefault(_group_of(each), []).append(each)
    for group, addresses in wanted.items():
        assert endpoints is not None
        yield from _write(endpoints, group, by_group.pop(group, []), addresses)
    for unused in by_group.values():
        for each in unused:
            yield from ignoring(delete_of(SLICES, each), 404)
    return None


def _mirrored(endpoints: Object) -> bool:
    metadata = endpoints["metadata"]
    if (metadata.get("labels") or {}).get(SKIP_MIRROR) == "true":
        return False
    return LEADER not in (metadata.get("annotations") or {})


def groups(endpoints: Object) -> dict[Group, list[dict[str, Any]]]:
    """Slice endpoints by address family and ports."""
    found: dict[Group, list[dict[str, Any]]] = {}
    for subset in endpoints.get("subsets") or ():
        ports = tuple(_port(port) for port in subset.get("ports") or ())
        sides = (("addresses", True), ("notReadyAddresses", False))
        listed = [(address, ready) for side, ready in sides for address in subset.get(side) or ()]
        for address, ready in listed[:SUBSET_MAX]:
            family = "IPv6" if is_ipv6(address["ip"]) else "IPv4"
            found.setdefault((family, ports), []).append(_endpoint(address, ready))
    return found


def _port(port: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    full = {"name": "", "protocol": "TCP", **port}
    return tuple((key, full[key]) for key in ("name", "port", "protocol", "appProtocol") if key in full)


def _endpoint(address: Mapping[str, Any], ready: bool) -> dict[str, Any]:
    endpoint: dict[str, Any] = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    for key in ("hostname", "nodeName", "targetRef"):
        if address.get(key):
            endpoint[key] = address[key]
    return endpoint


def _group_of(each: Object) -> Group:
    return each["addressType"], tuple(_port(port) for port in each.get("ports") or ())


def _write(
    endpoints: Object, group: Group, existing: list[Object], addresses: list[dict[str, Any]]
) -> Generator[Action, Any, None]:
    metadata = endpoints["metadata"]
    labels = {**labels_of(endpoints), SERVICE_NAME: metadata["name"], MANAGED_BY: MANAGER}
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key not in NOT_COPIED}
    by_name = {each["metadata"]["name"]: each for each in existing}
    relabelled = {name: labels_of(each) != labels for name, each in by_name.items()}
    changes = fill(existing, addresses, SUBSET_MAX, relabelled)
    family, ports = group
    body = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family}
    body["ports"] = [dict(port) for port in ports]  # type: ignore[assignment]
    for found in changes.create:
        fresh: dict[str, Any] = {"generateName": f"{metadata['name']}-", "namespace": metadata["namespace"]}
        fresh["labels"] = labels
        fresh["ownerReferences"] = [ENDPOINTS.reference(endpoints)]
        if annotations:
            fresh["annotations"] = annotations
        yield Create(SLICES, {**body, "metadata": fresh, "endpoints": found})
    for name, found in changes.update.items():
        there = by_name[name]
        changed = {**there, "metadata": {**there["metadata"], "labels": labels}, "endpoints": found}
        yield Update(SLICES, changed)
    for name in changes.delete:
        yield from ignoring(delete_of(SLICES, by_name[name]), 404)


def slice_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    """Slices of this controller that somebody else touched."""
    labels = labels_of(seen.obj)
    if seen.verb == "ADDED" or labels.get(MANAGED_BY) != MANAGER:
        return ()
    return ((seen.obj["metadata"]["namespace"], labels.get(SERVICE_NAME, "")),)


CONTROLLER = Controller(
    name="endpointslice-mirroring-controller",
    account="endpointslicemirroring-controller",
    component="endpoint-slice-mirroring-controller",
    reconcile=reconcile,
    watches=(("endpoints", object_key), ("services", object_key), (SLICES, slice_keys)),
)
