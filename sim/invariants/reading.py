"""What rules and goals ask of objects, by the field names of the API and nothing that a controller computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.sim.history import World, controller_of
from seatrial.sim.machinery.quantity import parse as quantity

Object = Mapping[str, Any]

PODS, NODES, BUDGETS, QUOTAS = "pods", "nodes", "poddisruptionbudgets.policy", "resourcequotas"
REPLICASETS, DEPLOYMENTS, SETS = "replicasets.apps", "deployments.apps", "statefulsets.apps"
DAEMONS, JOBS, SCALERS = "daemonsets.apps", "jobs.batch", "horizontalpodautoscalers.autoscaling"
SLICES, SERVICES = "endpointslices.discovery.k8s.io", "services"
VOLUMES, ATTACHMENTS = "persistentvolumes", "volumeattachments.storage.k8s.io"
GARBAGE_COLLECTOR = "garbage-collector-controller"
EVICTED = "EvictionByEvictionAPI"
SERVICE_LABEL = "kubernetes.io/service-name"


def called(obj: Object) -> str:
    metadata = obj["metadata"]
    return f"{obj.get('kind', 'object')} {metadata.get('namespace', '')}/{metadata['name']}"


def stays(obj: Object) -> bool:
    return "deletionTimestamp" not in obj["metadata"]


def active(pod: Object) -> bool:
    return stays(pod) and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")


def condition(obj: Object, kind: str) -> str:
    """A condition's status; empty when there is none."""
    found = (obj.get("status") or {}).get("conditions") or ()
    return next((str(each["status"]) for each in found if each["type"] == kind), "")


def ready(pod: Object) -> bool:
    return condition(pod, "Ready") == "True"


def requests(pod: Object, resource: str) -> int:
    """What the containers of a pod ask for together, in thousandths."""
    asked = [(each.get("resources") or {}).get("requests") or {} for each in pod["spec"]["containers"]]
    return sum(quantity(each[resource]).milli_value() for each in asked if resource in each)


def place(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def owner_lately(world: World, storage: str, child: Object) -> list[Object]:
    """The child's controller as it was at any moment of late; empty for one of another kind."""
    reference = controller_of(child)
    if reference is None:
        return []
    found = world.lately(storage, child["metadata"].get("namespace", ""), reference["name"])
    return [each for each in found if each["metadata"]["uid"] == reference["uid"]]
