"""What the registry does to pods (k8s.io/kubernetes/pkg/registry/core/pod/strategy.go)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from seatrial.sim.apiserver.context import Context
from seatrial.sim.apiserver.request import Object
from seatrial.sim.machinery.quantity import parse

COMPUTE = ("cpu", "memory")
"""The resources that decide the QoS class (k8s.io/kubernetes/pkg/apis/core/v1/helper/qos)."""


def containers(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Init containers, then containers."""
    yield from spec.get("initContainers") or ()
    yield from spec.get("containers") or ()


def qos_class(spec: Mapping[str, Any]) -> str:
    """Guaranteed, Burstable or BestEffort (qos.ComputePodQOS)."""
    holders = [container.get("resources") or {} for container in containers(spec)]
    pod_level = spec.get("resources") or {}
    if pod_level.get("requests") or pod_level.get("limits"):
        holders = [pod_level]
    requested = limited = False
    guaranteed = True
    for resources in holders:
        requests = _compute(resources.get("requests"))
        limits = _compute(resources.get("limits"))
        requested = requested or bool(requests)
        limited = limited or bool(limits)
        if len(limits) != len(COMPUTE) or any(requests.get(name, limits[name]) != limits[name] for name in limits):
            guaranteed = False
    if not requested and not limited:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _compute(quantities: Mapping[str, str] | None) -> dict[str, int]:
    values = ((name, parse(text).milli_value()) for name, text in (quantities or {}).items() if name in COMPUTE)
    return {name: value for name, value in values if value > 0}


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
