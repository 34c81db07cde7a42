"""Facts about a pod that several components read from its spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

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


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether the pod's Ready condition is true (podutil.IsPodReady)."""
    return condition_status(pod, "Ready") == "True"


def condition_status(obj: Mapping[str, Any], kind: str) -> str:
    """The status of a condition; empty when the object does not have it."""
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition.get("type") == kind:
            return str(condition.get("status", ""))
    return ""


def is_terminal(pod: Mapping[str, Any]) -> bool:
    """Whether the pod has run its course (podutil.IsPodTerminal)."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
