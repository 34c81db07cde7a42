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
                "observedGeneration": 1,
                "status": "False",
                "lastProbeTime": None,
                "lastTransitionTime": None,
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            }
        ]
    return {**obj, "status": status}


def prepare_update(context: Context, obj: Object, old: Object) -> Object:
    """The status is the kubelet's; a scheduling gate that goes takes its condition along."""
    return obj


def grace_s(obj: Object, asked: int | None) -> int:
    """Seconds that a deletion may take (podStrategy.CheckGracefulDelete)."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    period = asked if asked is not None else spec.get("terminationGracePeriodSeconds", 0)
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    return 1 if period < 0 else int(period)
