"""Which services a pod stands behind, and what of a pod a service shows.

Source: k8s.io/kubernetes/pkg/controller/util/endpoint and k8s.io/endpointslice/util (controller_utils.go,
trigger_time_tracker.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers.controller import Seen
from seatrial.sim.controllers.ownership import labels_of
from seatrial.sim.controllers.podstate import is_ready, is_terminal, is_terminating
from seatrial.sim.kernel.clock import parse_stamp
from seatrial.sim.store.view import View

HEADLESS_LABEL = "service.kubernetes.io/headless"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"


def selects(service: Object, labels: Mapping[str, str]) -> bool:
    selector: Mapping[str, str] | None = service["spec"].get("selector")
    return bool(selector) and selector.items() <= labels.items()  # type: ignore[union-attr]


def services_of(pod: Object, services: View) -> list[tuple[str, str]]:
    """Keys of the services whose selector matches the pod."""
    namespace, labels = pod["metadata"]["namespace"], labels_of(pod)
    if not labels:
        return []
    return [
        (namespace, service["metadata"]["name"]) for service in services.list(namespace) if selects(service, labels)
    ]


def pod_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    """The services that a change of a pod concerns (GetServicesToUpdateOnPodChange)."""
    new, old = seen.new, seen.old
    services = seen.view("services")
    if new is None or old is None or seen.verb != "MODIFIED":
        return services_of(seen.obj, services)
    moved = labels_of(new) != labels_of(old) or any(
        new["spec"].get(field) != old["spec"].get(field) for field in ("hostname", "subdomain")
    )
    if not moved and shown(new) == shown(old):
        return ()
    found = services_of(new, services)
    if moved:
        found = list(dict.fromkeys([*found, *services_of(old, services)]))
    return found


def shown(pod: Object) -> tuple[Any, ...]:
    """What services show of a pod; equal means that no endpoint changes."""
    status = pod.get("status") or {}
    ips = status.get("podIPs") or status.get("podIP")
    return is_terminating(pod), is_ready(pod), is_terminal(pod), ips, pod["spec"].get("nodeName")


def belongs(pod: Object, terminating_too: bool) -> bool:
    """Whether the pod has an endpoint at all (ShouldPodBeInEndpoints)."""
    status = pod.get("status") or {}
    if is_terminal(pod) or not (status.get("podIP") or status.get("podIPs")):
        return False
    return terminating_too or not is_terminating(pod)


def pod_ips(pod: Object) -> list[str]:
    status = pod.get("status") or {}
    several = [entry["ip"] for entry in status.get("podIPs") or ()]
    return several or ([status["podIP"]] if status.get("podIP") else [])


def is_ipv6(ip: str) -> bool:
    return ":" in ip


def target_port(service_port: Mapping[str, Any], pod: Object) -> int | None:
    """The pod's port behind a service's port; None when the pod has none of that name (FindPort)."""
    target = service_port.get("targetPort", service_port["port"])
    if isinstance(target, int):
        return target or service_port["port"]
    protocol = service_port.get("protocol", "TCP")
    spec = pod["spec"]
    sidecars = [each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"]
    for container in (*spec.get("containers", ()), *sidecars):
        for port in container.get("ports") or ():
            if port.get("name") == target and port.get("protocol", "TCP") == protocol:
                number: int = port["containerPort"]
                return number
    return None


def hostname(pod: Object, service: Object) -> str:
    """The name under which DNS lists the pod behind the service; empty if it has none."""
    spec = pod["spec"]
    mine = spec.get("subdomain") == service["metadata"]["name"]
    name: str = spec.get("hostname", "") if mine else ""
    return name


def target_ref(pod: Object) -> dict[str, Any]:
    metadata = pod["metadata"]
    return {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}


def is_headless(service: Object) -> bool:
    return bool(service["spec"].get("clusterIP") == "None")


def trigger_time(memory: dict[Any, Any], service: Object, pods: Iterable[Object]) -> str | None:
    """When the first of the changes happened that have not been written yet; None if none is known
    (TriggerTimeTracker). ``memory`` remembers what has been seen."""
    key = ("trigger", service["metadata"]["namespace"], service["metadata"]["name"])
    before: dict[str, str] = memory.get(key) or {}
    after = {"": service["metadata"]["creationTimestamp"]}
    for pod in pods:
        for each in (pod.get("status") or {}).get("conditions") or ():
            if each["type"] == "Ready" and each.get("lastTransitionTime"):
                after[pod["metadata"]["uid"]] = each["lastTransitionTime"]
    memory[key] = after
    changed = [stamp for uid, stamp in after.items() if before.get(uid) != stamp]
    return min(changed, key=parse_stamp, default=None)
