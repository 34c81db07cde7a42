"""The conditions of a pod that the kubelet owns.

Source: k8s.io/kubernetes/pkg/kubelet/status/generate.go and …/pkg/kubelet/types/pod_status.go (PodConditionByKubelet,
PodConditionSharedByKubelet).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seatrial.sim.nodes.cri import PodRecord
from seatrial.sim.nodes.spec import is_sidecar

Object = Mapping[str, Any]
Condition = dict[str, Any]

OWNED = frozenset(
    {
        "PodScheduled",
        "Ready",
        "Initialized",
        "ContainersReady",
        "PodReadyToStartContainers",
        "PodResizePending",
        "PodResizeInProgress",
    }
)
"""Conditions that the kubelet alone writes; all others belong to somebody else and are kept."""
SHARED = frozenset({"DisruptionTarget"})
"""Conditions that the kubelet writes for pods that it ends itself, as others do for theirs."""

ENDED = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}


def condition(kind: str, status: bool, generation: int, reason: str = "", message: str = "") -> Condition:
    """A condition as the kubelet writes it; the transition time is filled in by ``timed``."""
    made: Condition = {"type": kind}
    if generation:
        made["observedGeneration"] = generation
    made["status"] = "True" if status else "False"
    made["lastProbeTime"] = None
    made["lastTransitionTime"] = None
    if reason:
        made["reason"] = reason
    if message:
        made["message"] = message
    return made


def _named(text: str, names: Sequence[str]) -> str:
    return f"{text}: [{' '.join(names)}]"


def sandbox(record: PodRecord, generation: int) -> Condition:
    """PodReadyToStartContainers."""
    kind = "PodReadyToStartContainers"
    if record.sandbox is None:
        return condition(kind, False, generation, "PodSandboxNotReady", "no pod sandbox exists")
    if not record.sandbox.ready:
        return condition(kind, False, generation, "PodSandboxNotReady", "pod sandbox is not ready")
    return condition(kind, True, generation)


def initialized(pod: Object, statuses: Sequence[Object], phase: str, begun: bool, generation: int) -> Condition:
    """Initialized; ``begun``: a regular container was started before."""
    sidecars = {c["name"] for c in pod["spec"].get("initContainers") or () if is_sidecar(c)}
    known = {status["name"]: status for status in statuses}
    unknown, incomplete = [], []
    for container in pod["spec"].get("initContainers") or ():
        name = container["name"]
        status = known.get(name)
        if status is None:
            unknown.append(name)
        elif not (status.get("started") if name in sidecars else status["ready"]):
            incomplete.append(name)
    if phase == "Succeeded" and not unknown:
        return condition("Initialized", True, generation, "PodCompleted")
    if begun or (not unknown and not incomplete):
        return condition("Initialized", True, generation)
    parts = [_named("containers with unknown status", unknown)] if unknown else []
    if incomplete:
        parts.append(_named("containers with incomplete status", incomplete))
    return condition("Initialized", False, generation, "ContainersNotInitialized", ", ".join(parts))


def containers_ready(
    pod: Object, init: Sequence[Object], regular: Sequence[Object], phase: str, generation: int
) -> Condition:
    """ContainersReady."""
    kind = "ContainersReady"
    if phase in ENDED:
        return condition(kind, False, generation, ENDED[phase])
    sidecars = {c["name"] for c in pod["spec"].get("initContainers") or () if is_sidecar(c)}
    known = {status["name"] for status in regular}
    unready = [status["name"] for status in init if status["name"] in sidecars and not status["ready"]]
    unready += [status["name"] for status in regular if not status["ready"]]
    unknown = [c["name"] for c in pod["spec"]["containers"] if c["name"] not in known]
    if not unready and not unknown:
        return condition(kind, True, generation)
    parts = [_named("containers with unknown status", unknown)] if unknown else []
    if unready:
        parts.append(_named("containers with unready status", unready))
    return condition(kind, False, generation, "ContainersNotReady", ", ".join(parts))


def ready(pod: Object, containers: Condition, present: Sequence[Object], generation: int) -> Condition:
    """Ready: the containers are, and every readiness gate."""
    if containers["status"] != "True":
        return {**containers, "type": "Ready"}
    by_type = {found["type"]: found for found in present}
    messages = []
    for gate in pod["spec"].get("readinessGates") or ():
        kind = gate["conditionType"]
        found = by_type.get(kind)
        if found is None:
            messages.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif found["status"] != "True":
            messages.append(f'the status of pod readiness gate "{kind}" is not "True", but {found["status"]}')
    if messages:
        return condition("Ready", False, generation, "ReadinessGatesNotReady", ", ".join(messages))
    return condition("Ready", True, generation)


def timed(new: Sequence[Condition], old: Sequence[Object], stamp: str) -> list[Condition]:
    """Fills in when each condition last changed: now, unless it says what it said before."""
    before = {found["type"]: found for found in old}
    for made in new:
        found = before.get(made["type"])
        if found is not None and found["status"] == made["status"]:
            made["lastTransitionTime"] = found.get("lastTransitionTime")
        elif made["lastTransitionTime"] is None:
            made["lastTransitionTime"] = stamp
    return list(new)
