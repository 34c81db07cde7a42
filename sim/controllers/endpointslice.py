"""EndpointSlices of services with a selector.

Source: k8s.io/kubernetes/pkg/controller/endpointslice and k8s.io/endpointslice (reconciler.go, utils.go,
trafficdist/). *Not modelled*: the CPU-proportional hints of the topology-mode annotation; a service that carries it
gets no hints. Traffic distribution (PreferSameZone, PreferClose, PreferSameNode) is.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers import servicepods
from seatrial.sim.controllers.actions import Action, Create, Outcome, Record, Steps, Turn, Update, delete_of, ignoring
from seatrial.sim.controllers.conditions import namespace_is_terminating
from seatrial.sim.controllers.controller import Controller, Seen, object_key
from seatrial.sim.controllers.endpointslice_fill import fill
from seatrial.sim.controllers.ownership import Owner, labels_of
from seatrial.sim.controllers.podstate import is_ready, is_terminating
from seatrial.sim.machinery.errors import ApiError

SLICES = "endpointslices.discovery.k8s.io"
SERVICE = Owner("services", "v1", "Service")
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
ZONE = "topology.kubernetes.io/zone"
SIZE_MAX = 100
"""--max-endpoints-per-slice."""
RESERVED_LABELS = (SERVICE_NAME, MANAGED_BY, servicepods.HEADLESS_LABEL)
Ports = tuple[tuple[tuple[str, Any], ...], ...]


def reconcile(turn: Turn) -> Steps:
    namespace, name = turn.key
    service = turn.view("services").get(namespace, name)
    if service is None:
        turn.memory.pop(("trigger", namespace, name), None)
        return None
    if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
        return None  # a service that is another name for something outside has no endpoints
    pods = [pod for pod in turn.view("pods").list(namespace) if servicepods.selects(service, labels_of(pod))]
    mine = [
        each
        for each in turn.view(SLICES).indexed("service", f"{namespace}/{name}")
        if labels_of(each).get(MANAGED_BY) == MANAGER and not is_terminating(each)
    ]
    stamp = servicepods.trigger_time(turn.memory, service, pods)
    families = service["spec"].get("ipFamilies") or ["IPv4"]
    stale = [each for each in mine if each["addressType"] not in families]
    retry = False
    try:
        for family in families:
            desired, lost = endpoints_by_ports(turn, service, pods, family)
            retry = retry or lost
            there = [each for each in mine if each["addressType"] == family]
            yield from _write_all(turn, service, family, there, desired, stamp)
        for each in stale:
            yield from ignoring(delete_of(SLICES, each), 404)
    except ApiError as error:
        if namespace_is_terminating(error):
            return None
        text = f"Error updating Endpoint Slices for Service {namespace}/{name}: {error}"
        yield Record(service, "Warning", "FailedToUpdateEndpointSlices", text)
        raise
    return Outcome(retry=retry)


def endpoints_by_ports(
    turn: Turn, service: Object, pods: Iterable[Object], family: str
) -> tuple[dict[Ports, list[dict[str, Any]]], bool]:
    """Endpoints of one address family by the ports they offer, and whether a pod's node is not known yet."""
    found: dict[Ports, list[dict[str, Any]]] = {}
    lost = False
    nodes = turn.view("nodes")
    tolerant = service["spec"].get("publishNotReadyAddresses", False)
    for pod in pods:
        ips = [ip for ip in servicepods.pod_ips(pod) if servicepods.is_ipv6(ip) == (family == "IPv6")]
        if not ips or not servicepods.belongs(pod, True):
            continue
        node_name = pod["spec"].get("nodeName")
        node = nodes.get("", node_name) if node_name else None
        if node_name and node is None and not tolerant:
            lost = True
            continue
        ports = endpoint_ports(service, pod)
        found.setdefault(ports, []).append(_endpoint(service, pod, ips, node))
    hint_by = service["spec"].get("trafficDistribution")
    if hint_by:
        for ports, endpoints in found.items():
            found[ports] = _hinted(endpoints, hint_by)
    return found, lost


def endpoint_ports(service: Object, pod: Object) -> Ports:
    ports = []
    for service_port in service["spec"].get("ports") or ():
        number = servicepods.target_port(service_port, pod)
        if number is None:
            continue
        port = {
            "name": service_port.get("name", ""),
            "port": number,
            "protocol": service_port.get("protocol", "TCP"),
            "appProtocol": service_port.get("appProtocol"),
        }
        ports.append(tuple((key, value) for key, value in port.items() if value is not None))
    return tuple(ports)


def _endpoint(service: Object, pod: Object, ips: list[str], node: Object | None) -> dict[str, Any]:
    serving, terminating = is_ready(pod), is_terminating(pod)
    ready = bool(service["spec"].get("publishNotReadyAddresses")) or (serving and not terminating)
    endpoint: dict[str, Any] = {
        "addresses": ips,
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": servicepods.target_ref(pod),
    }
    if pod["spec"].get("nodeName"):
        endpoint["nodeName"] = pod["spec"]["nodeName"]
    zone = labels_of(node).get(ZONE) if node is not None else None
    if zone:
        endpoint["zone"] = zone
    name = servicepods.hostname(pod, service)
    if name:
        endpoint["hostname"] = name
    return endpoint


def _hinted(endpoints: list[dict[str, Any]], distribution: str) -> list[dict[str, Any]]:
    """Endpoints with hints, if every ready one can have them (trafficdist.ReconcileHints)."""
    ready = [each for each in endpoints if each["conditions"]["ready"]]
    if any(not each.get("zone") for each in ready):
        return endpoints
    result = []
    for each in endpoints:
        hints: dict[str, Any] = {}
        if each["conditions"]["ready"]:
            hints = {"forZones": [{"name": each["zone"]}]}
            if distribution == "PreferSameNode" and each.get("nodeName"):
                hints["forNodes"] = [{"name": each["nodeName"]}]
        result.append({**each, "hints": hints} if hints else each)
    return result


def slice_labels(service: Object, manager: str = MANAGER) -> dict[str, str]:
    """The service's own labels and those that say whose slice it is (setEndpointSliceLabels)."""
    labels = {key: value for key, value in labels_of(service).items() if key not in RESERVED_LABELS}
    if servicepods.is_headless(service):
        labels[servicepods.HEADLESS_LABEL] = ""
    return {**labels, SERVICE_NAME: service["metadata"]["name"], MANAGED_BY: manager}


def _ports_of(existing: Object) -> Ports:
    order = ("name", "port", "protocol", "appProtocol")
    return tuple(
        tuple((key, port[key]) for key in order if port.get(key) is not None) for port in existing.get("ports") or ()
    )


def _write_all(
    turn: Turn, service: Object, family: str, existing: list[Object], desired: dict[Ports, list[Any]], stamp: str | None
) -> Generator[Action, Any, None]:
    labels = slice_labels(service)
    by_name = {each["metadata"]["name"]: each for each in existing}
    relabelled = {name: labels_of(each) != labels for name, each in by_name.items()}
    by_ports: dict[Ports, list[Object]] = {}
    for each in existing:
        by_ports.setdefault(_ports_of(each), []).append(each)
    create: list[tuple[Ports, list[Any]]] = []
    update: list[tuple[Object, Ports, list[Any]]] = []
    delete: list[Object] = []
    for ports, endpoints in desired.items():
        changes = fill(by_ports.pop(ports, []), endpoints, SIZE_MAX, relabelled)
        create += [(ports, found) for found in changes.create]
        update += [(by_name[name], ports, found) for name, found in changes.update.items()]
        delete += [by_name[name] for name in changes.delete]
    delete += [each for unused in by_ports.values() for each in unused]
    if len(existing) == len(delete) and not create:
        if len(delete) == 1 and _is_placeholder(delete[0]) and not relabelled[delete[0]["metadata"]["name"]]:
            delete = []
        else:
            create.append(((), []))
    while delete and create:
        update.append((delete.pop(0), *create.pop()))
    for ports, found in create:
        if not is_terminating(service):
            fresh = _slice(service, family, None, labels, ports, found, stamp)
            written = yield Create(SLICES, fresh)
            _remember(turn, written)
    for before, ports, found in update:
        written = yield Update(SLICES, _slice(service, family, before, labels, ports, found, stamp))
        _remember(turn, written)
    for each in delete:
        yield from ignoring(delete_of(SLICES, each), 404)


def _is_placeholder(each: Object) -> bool:
    return not each.get("endpoints") and not each.get("ports")


def _remember(turn: Turn, written: Object) -> None:
    """What this controller wrote itself does not concern it when it comes back (EndpointSliceTracker)."""
    turn.memory["written", written["metadata"]["uid"]] = written["metadata"].get("generation")


def _slice(
    service: Object,
    family: str,
    before: Object | None,
    labels: Mapping[str, str],
    ports: Ports,
    endpoints: list[Any],
    stamp: str | None,
) -> dict[str, Any]:
    metadata = service["metadata"]
    if before is None:
        name = metadata["name"]
        base: dict[str, Any] = {"generateName": f"{name}-", "namespace": metadata["namespace"]}
        base["ownerReferences"] = [SERVICE.reference(service)]
    else:
        base = dict(before["metadata"])
    annotations = {
        key: value for key, value in (base.get("annotations") or {}).items() if key != servicepods.TRIGGER_TIME
    }
    if stamp is not None:
        annotations[servicepods.TRIGGER_TIME] = stamp
    base["labels"] = dict(labels)
    base["annotations"] = annotations
    if not annotations:
        del base["annotations"]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": base,
        "addressType": family,
        "endpoints": endpoints or None,
        "ports": [dict(port) for port in ports] or None,
    }


def slice_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    """A slice that somebody else changed or deleted concerns its service."""
    metadata = seen.obj["metadata"]
    name = labels_of(seen.obj).get(SERVICE_NAME)
    if name is None or labels_of(seen.obj).get(MANAGED_BY) != MANAGER:
        return ()
    key = ("written", metadata["uid"])
    if seen.verb == "DELETED":
        seen.memory.pop(key, None)
    elif seen.verb == "ADDED" or seen.memory.get(key, 0) >= metadata.get("generation", 0):
        return ()
    return ((metadata["namespace"], name),)


def node_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    """A node that appears or moves to another zone concerns the services of its pods."""
    new, old = seen.new, seen.old
    if new is None or seen.verb == "DELETED":
        return ()
    if old is not None and labels_of(new).get(ZONE) == labels_of(old).get(ZONE):
        return ()
    services = seen.view("services")
    pods = seen.view("pods").indexed("node", new["metadata"]["name"])
    return dict.fromkeys(key for pod in pods for key in servicepods.services_of(pod, services))


CONTROLLER = Controller(
    name="endpointslice-controller",
    reconcile=reconcile,
    watches=(
        ("services", object_key),
        ("pods", servicepods.pod_keys),
        (SLICES, slice_keys),
        ("nodes", node_keys),
    ),
    component="endpoint-slice-controller",
    retries_max=15,
    backoff_base_us=1_000_000,
)
