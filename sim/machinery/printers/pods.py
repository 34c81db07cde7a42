"""Pods and pod templates: what state a pod is in, in one word."""

from __future__ import annotations

from typing import Any

from seatrial.sim.machinery.durations import since
from seatrial.sim.machinery.printers.cells import EMPTY, NONE, Cells, Object, age, containers, deleting, labels, name_of

TERMINAL = ("Succeeded", "Failed")
NODE_LOST = "NodeLost"
COMPLETED = {
    "Succeeded": "The pod has completed successfully.",
    "Failed": "The pod failed.",
}


def row_conditions(pod: Object) -> list[dict[str, Any]] | None:
    """What marks the row of a pod that has ended."""
    phase = (pod.get("status") or EMPTY).get("phase", "")
    if phase not in COMPLETED:
        return None
    return [{"type": "Completed", "status": "True", "reason": phase, "message": COMPLETED[phase]}]


def pod(obj: Object, now_us: int) -> Cells:
    spec, status = obj["spec"], obj.get("status") or EMPTY
    state = _State(spec, status)
    text = state.text
    if deleting(obj):
        if status.get("reason") == NODE_LOST:
            text = "Unknown"
        elif status.get("phase") not in TERMINAL:
            text = "Terminating"
    restarts = str(state.restarts)
    if state.restarts and state.restarted_at:
        restarts = f"{restarts} ({since(state.restarted_at, now_us)} ago)"
    ips = status.get("podIPs")
    return [
        name_of(obj),
        f"{state.ready}/{state.total}",
        text,
        restarts,
        age(obj, now_us),
        (ips[0].get("ip") if ips else None) or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _gates(spec, status),
    ]


def _gates(spec: Object, status: Object) -> str:
    gates = spec.get("readinessGates")
    if not gates:
        return NONE
    true = [each["type"] for each in status.get("conditions") or () if each.get("status") == "True"]
    return f"{sum(gate['conditionType'] in true for gate in gates)}/{len(gates)}"


def _ending(terminated: Object) -> str:
    """Why a container ended, in its own words or by number."""
    reason = terminated.get("reason")
    if reason:
        return str(reason)
    signal = terminated.get("signal")
    return f"Signal:{signal}" if signal else f"ExitCode:{terminated.get('exitCode', 0)}"


class _State:
    """READY, STATUS and RESTARTS of a pod, read from its container statuses."""

    __slots__ = ("ready", "restarted_at", "restarts", "text", "total")

    def __init__(self, spec: Object, status: Object) -> None:
        self.ready = 0
        self.restarts = 0
        self.restarted_at = ""
        self.text = str(status.get("reason") or status.get("phase", ""))
        conditions = status.get("conditions") or ()
        for each in conditions:
            if each["type"] == "PodScheduled" and each.get("reason") == "SchedulingGated":
                self.text = "SchedulingGated"
        inits = spec.get("initContainers") or ()
        sidecars = [each["name"] for each in inits if each.get("restartPolicy") == "Always"]
        self.total = len(spec["containers"]) + len(sidecars)
        begun = status.get("initContainerStatuses") or ()
        initializing = self._initialize(begun, sidecars, len(inits)) if begun else False
        if not initializing or any(
            each["type"] == "Initialized" and each.get("status") == "True" for each in conditions
        ):
            self.restarts, self.restarted_at = 0, ""
            for each in begun:
                if each["name"] in sidecars:
                    self._count(each)
            self._run(status.get("containerStatuses") or (), conditions)

    def _count(self, container: Object) -> None:
        self.restarts += container.get("restartCount", 0)
        ended = (container.get("lastState") or EMPTY).get("terminated")
        if ended:
            self.restarted_at = max(self.restarted_at, ended.get("finishedAt") or "")

    def _initialize(self, begun: Any, sidecars: list[str], count: int) -> bool:
        """Walks the init containers up to the first that holds the pod up; whether there is one."""
        for position, each in enumerate(begun):
            self._count(each)
            state = each.get("state") or EMPTY
            ended, waiting = state.get("terminated"), state.get("waiting") or EMPTY
            if ended and not ended.get("exitCode", 0):
                continue
            if each["name"] in sidecars and each.get("started"):
                self.ready += bool(each.get("ready"))
                continue
            if ended:
                self.text = f"Init:{_ending(ended)}"
            elif waiting.get("reason", "PodInitializing") not in ("PodInitializing", ""):
                self.text = f"Init:{waiting['reason']}"
            else:
                self.text = f"Init:{position}/{count}"
            return True
        return False

    def _run(self, statuses: Any, conditions: Any) -> None:
        running, failed = False, ""
        for each in reversed(statuses):
            self._count(each)
            state = each.get("state") or EMPTY
            waiting, ended = state.get("waiting") or EMPTY, state.get("terminated")
            if waiting.get("reason"):
                self.text = str(waiting["reason"])
            elif ended:
                self.text = _ending(ended)
                failed = self.text if ended.get("exitCode", 0) else failed
            elif each.get("ready") and "running" in state:
                running = True
                self.ready += 1
        if self.text == "Completed" and running:
            ready = any(each["type"] == "Ready" and each.get("status") == "True" for each in conditions)
            self.text = "Running" if ready else "NotReady"
        elif self.text == "Completed" and failed:
            self.text = failed


def pod_template(obj: Object, now_us: int) -> Cells:
    template = obj.get("template") or EMPTY
    names, images = containers(template.get("spec") or EMPTY)
    return [name_of(obj), names, images, labels((template.get("metadata") or EMPTY).get("labels"))]
