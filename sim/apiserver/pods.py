"""What the registry does to pods (k8s.io/kubernetes/pkg/registry/core/pod/strategy.go)."""

from __future__ import annotations

from typing import Any

from seatrial.sim.apiserver.context import Context
from seatrial.sim.apiserver.request import Object
from seatrial.sim.machinery.pods import qos_class


def prepare_create(context: Context, obj: Object) -> Object:
    """A new pod is Pending, of the QoS class its resources give it, and says so when gates hold it back."""
    spec = obj["spec"]
    status: dict[str, Any] = {"phase": "Pending", "qosClass": qos_class(spec)}
    if spec.get("schedulingGates"):
        status["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "lastProbeTime": None,
                "lastTransitionTime": context.stamp,
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            }
        ]
    return {**obj, "status": status}


def prepare_update(context: Context, obj: Object, old: Object) -> Object:
    """A pod whose last scheduling gate went is no longer held back, and says so."""
    if not old["spec"].get("schedulingGates") or obj["spec"].get("schedulingGates"):
        return obj
    status = obj.get("status") or {}
    kept = [one for one in status.get("conditions") or () if one.get("reason") != "SchedulingGated"]
    new = {key: value for key, value in status.items() if key != "conditions"}
    return {**obj, "status": {**new, "conditions": kept} if kept else new}


def grace_s(obj: Object, asked: int | None) -> int:
    """Seconds that a deletion may take (podStrategy.CheckGracefulDelete)."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    period = asked if asked is not None else spec.get("terminationGracePeriodSeconds", 0)
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    return 1 if period < 0 else int(period)


def resized(new: Object, old: Object) -> Object:
    """The stored pod with the sent resources and resize policies of its containers (dropNonResizeUpdates)."""
    spec, given = dict(old["spec"]), new["spec"]
    for key in ("containers", "initContainers"):
        sent = {container["name"]: container for container in given.get(key) or ()}
        if spec.get(key):
            spec[key] = [_resized_container(container, sent.get(container["name"])) for container in spec[key]]
    if "resources" in given:
        spec["resources"] = given["resources"]
    return {**old, "metadata": new["metadata"], "spec": spec}


def _resized_container(container: Object, sent: Object | None) -> Object:
    if sent is None:
        return container
    kept = {key: value for key, value in container.items() if key not in ("resources", "resizePolicy")}
    return {**kept, **{key: sent[key] for key in ("resources", "resizePolicy") if key in sent}}
