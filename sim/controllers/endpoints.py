"""Endpoints of services with a selector, for clients that do not know EndpointSlices.

Source: k8s.io/kubernetes/pkg/controller/endpoint/endpoints_controller.go. *Not modelled*: the batching of updates that
--endpoint-updates-batch-period asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers import servicepods
from seatrial.sim.controllers.actions import Create, Delete, Outcome, Record, Steps, Turn, Update, ignoring
from seatrial.sim.controllers.conditions import namespace_is_terminating
from seatrial.sim.controllers.controller import Controller, Tick, object_key
from seatrial.sim.controllers.ownership import labels_of
from seatrial.sim.controllers.podstate import is_ready
from seatrial.sim.machinery.errors import ApiError

CAPACITY = 1000
"""Addresses of one Endpoints object (maxCapacity)."""
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
LEFTOVERS = "leftovers"
"""Due once at the start: services may have been deleted while nobody watched."""
LEADER = "control-plane.alpha.kubernetes.io/leader"
MANAGED_BY = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}


def reconcile(turn: Turn) -> Steps:
    if turn.key == LEFTOVERS:
        return Outcome(also=_leftovers(turn))
    namespace, name = turn.key
    service = turn.view("services").get(namespace, name)
    if service is None:
        turn.memory.pop(("trigger", namespace, name), None)
        if turn.view("endpoints").get(namespace, name) is not None:
            yield from ignoring(Delete("endpoints", namespace, name), 404)
        return None
    if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
        return None  # a service that is another name for something outside has no endpoints
    pods = [pod for pod in turn.view("pods").list(namespace) if servicepods.selects(service, labels_of(pod))]
    subsets = subsets_of(service, pods)
    current = turn.view("endpoints").get(namespace, name)
    stamp = servicepods.trigger_time(turn.memory, service, pods)
    wanted, changed = _wanted(service, current, *_truncated(subsets), stamp)
    if not changed:
        return None
    try:
        yield Create("endpoints", wanted) if current is None else Update("endpoints", wanted)
    except ApiError as error:
        if namespace_is_terminating(error):
            return None
        verb, reason = ("create", "FailedToCreateEndpoint") if current is None else ("update", "FailedToUpdateEndpoint")
        text = f"Failed to {verb} endpoint for service {namespace}/{name}: {error}"
        if current is not None:
            text = f"Failed to update endpoint {namespace}/{name}: {error}"
        yield Record(wanted, "Warning", reason, text)
        raise
    return None


def _leftovers(turn: Turn) -> tuple[tuple[str, str], ...]:
    """All Endpoints, but for those that were locks of leaders (checkLeftoverEndpoints)."""
    found = [each["metadata"] for each in turn.view("endpoints").list()]
    return tuple((each["namespace"], each["name"]) for each in found if LEADER not in (each.get("annotations") or {}))


def subsets_of(service: Object, pods: list[Object]) -> list[dict[str, Any]]:
    """Addresses grouped by the ports they offer, ready and not ready apart (RepackSubsets)."""
    spec = service["spec"]
    tolerant = spec.get("publishNotReadyAddresses", False)
    v6 = (spec.get("ipFamilies") or ["IPv4"])[0] == "IPv6"
    groups: dict[tuple[Any, ...], tuple[list[Any], dict[str, list[Any]]]] = {}
    for pod in pods:
        ip = next((ip for ip in servicepods.pod_ips(pod) if servicepods.is_ipv6(ip) == v6), None)
        if ip is None or not servicepods.belongs(pod, tolerant):
            continue
        ports = _ports(service, pod)
        if not ports and spec.get("ports"):
            continue
        key = tuple((port["port"], port["protocol"], port.get("name", "")) for port in ports)
        _, sides = groups.setdefault(key, (ports, {"addresses": [], "notReadyAddresses": []}))
        sides["addresses" if tolerant or is_ready(pod) else "notReadyAddresses"].append(_address(pod, service, ip))
    result = []
    for key in sorted(groups):
        ports, sides = groups[key]
        subset: dict[str, Any] = {side: sorted(found, key=_by_ip) for side, found in sides.items() if found}
        if ports:
            subset["ports"] = ports
        result.append(subset)
    return result


def _by_ip(address: Mapping[str, Any]) -> tuple[int, str]:
    return (len(address["ip"]), address["ip"])


def _ports(service: Object, pod: Object) -> list[dict[str, Any]]:
    ports = []
    for service_port in service["spec"].get("ports") or ():
        number = servicepods.target_port(service_port, pod)
        if number is None:
            continue
        port = {"name": service_port.get("name", ""), "port": number, "protocol": service_port.get("protocol", "TCP")}
        if "appProtocol" in service_port:
            port["appProtocol"] = service_port["appProtocol"]
        ports.append({key: value for key, value in port.items() if value})
    return sorted(ports, key=lambda port: (port["port"], port.get("name", "")))


def _address(pod: Object, service: Object, ip: str) -> dict[str, Any]:
    address: dict[str, Any] = {"ip": ip}
    name = servicepods.hostname(pod, service)
    if name:
        address["hostname"] = name
    if pod["spec"].get("nodeName"):
        address["nodeName"] = pod["spec"]["nodeName"]
    address["targetRef"] = servicepods.target_ref(pod)
    return address


def _truncated(subsets: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
    """At most ``CAPACITY`` addresses, ready ones first."""
    total = sum(len(subset.get(side, ())) for subset in subsets for side in ("addresses", "notReadyAddresses"))
    if total <= CAPACITY:
        return subsets, False
    room, kept = CAPACITY, [dict(subset) for subset in subsets]
    for side in ("addresses", "notReadyAddresses"):
        for subset in kept:
            found = subset.pop(side, [])[:room]
            room -= len(found)
            if found:
                subset[side] = found
    return [subset for subset in kept if "addresses" in subset or "notReadyAddresses" in subset], True


def _wanted(
    service: Object, current: Object | None, subsets: list[dict[str, Any]], truncated: bool, stamp: str | None
) -> tuple[dict[str, Any], bool]:
    """The Endpoints as they should be, and whether they differ from what is there."""
    metadata = service["metadata"]
    labels = {key: value for key, value in labels_of(service).items() if key != servicepods.HEADLESS_LABEL}
    labels.update(MANAGED_BY)
    if servicepods.is_headless(service):
        labels[servicepods.HEADLESS_LABEL] = ""
    base = (
        dict(current["metadata"])
        if current is not None
        else {"name": metadata["name"], "namespace": metadata["namespace"]}
    )
    annotations = dict(base.get("annotations") or {})
    marked = OVER_CAPACITY in annotations
    changed = (
        current is None
        or (current.get("subsets") or []) != subsets
        or labels_of(current) != labels
        or marked != truncated
    )
    annotations.pop(OVER_CAPACITY, None)
    annotations.pop(servicepods.TRIGGER_TIME, None)
    if truncated:
        annotations[OVER_CAPACITY] = "truncated"
    if stamp is not None:
        annotations[servicepods.TRIGGER_TIME] = stamp
    base["labels"] = labels
    if annotations:
        base["annotations"] = annotations
    else:
        base.pop("annotations", None)
    wanted: dict[str, Any] = {"apiVersion": "v1", "kind": "Endpoints", "metadata": base}
    if subsets:
        wanted["subsets"] = subsets
    return wanted, changed


CONTROLLER = Controller(
    name="endpoints-controller",
    account="endpoint-controller",
    reconcile=reconcile,
    watches=(("services", object_key), ("pods", servicepods.pod_keys)),
    reads=("endpoints",),
    ticks=(Tick(0, LEFTOVERS),),
    retries_max=15,
    backoff_base_us=1_000_000,
)
