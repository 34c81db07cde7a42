"""What an object is at a moment, in a word: for pods the word that kubectl shows, for others the like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.scenarios.timeline.model import Tone

Object = Mapping[str, Any]
State = tuple[str, Tone]
COUNTED = ("Deployment", "ReplicaSet", "StatefulSet", "ReplicationController")
WAITS_WELL = ("ContainerCreating", "PodInitializing")


def state_of(obj: Object) -> State:
    """The word and its tone."""
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating", "gone"
    kind = obj.get("kind")
    if kind == "Pod":
        return _pod(obj)
    if kind == "Node":
        return _node(obj)
    if kind in COUNTED:
        return _counted(obj)
    if kind == "DaemonSet":
        status = obj.get("status") or {}
        return _share(status.get("numberReady", 0), status.get("desiredNumberScheduled", 0))
    if kind == "Job":
        return _job(obj)
    phase = (obj.get("status") or {}).get("phase")
    if isinstance(phase, str) and phase:
        return phase, "good" if phase in ("Bound", "Active", "Available") else "busy"
    return "there", "plain"


def _condition(obj: Object, name: str) -> str:
    for each in (obj.get("status") or {}).get("conditions") or ():
        if each.get("type") == name:
            return str(each.get("status", "Unknown"))
    return ""


def _pod(pod: Object) -> State:
    status = pod.get("status") or {}
    phase = status.get("phase", "Pending")
    if phase == "Succeeded":
        return "Completed", "plain"
    if phase == "Failed":
        return str(status.get("reason") or "Failed"), "bad"
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state = container.get("state") or {}
        reason = (state.get("waiting") or {}).get("reason", "")
        if reason and reason not in WAITS_WELL:
            return str(reason), "bad"
        ended = state.get("terminated") or {}
        if ended.get("exitCode"):
            return str(ended.get("reason") or "Error"), "bad"
    if phase == "Running":
        return ("Ready", "good") if _condition(pod, "Ready") == "True" else ("Running", "busy")
    return ("Starting", "busy") if pod["spec"].get("nodeName") else ("Unscheduled", "busy")


def _node(node: Object) -> State:
    ready = _condition(node, "Ready")
    if ready != "True":
        return "NotReady", "bad"
    if (node.get("spec") or {}).get("unschedulable"):
        return "Cordoned", "busy"
    return "Ready", "good"


def _counted(obj: Object) -> State:
    wanted = (obj.get("spec") or {}).get("replicas", 1)
    return _share((obj.get("status") or {}).get("readyReplicas", 0), wanted)


def _share(ready: int, wanted: int) -> State:
    if not wanted:
        return "0/0", "plain"
    return f"{ready}/{wanted}", "good" if ready >= wanted else "bad" if not ready else "busy"


def _job(job: Object) -> State:
    if _condition(job, "Complete") == "True":
        return "Complete", "plain"
    return ("Failed", "bad") if _condition(job, "Failed") == "True" else ("Running", "busy")
