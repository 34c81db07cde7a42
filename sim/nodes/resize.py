"""In-place resize of running pods: allocate, tell, change the cgroups, tell again.

Source: k8s.io/kubernetes/pkg/kubelet/allocation/allocation_manager.go and …/kuberuntime (doPodResizeAction). Not
modelled: restarts that a container's resizePolicy asks for; memory limits below what a container uses are applied.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from seatrial.sim.config import MS
from seatrial.sim.machinery.quantity import parse
from seatrial.sim.nodes import admission
from seatrial.sim.nodes.conditions import condition
from seatrial.sim.nodes.cri import RUNNING
from seatrial.sim.nodes.spec import is_sidecar

if TYPE_CHECKING:
    from seatrial.sim.nodes.kubelet import Kubelet
    from seatrial.sim.nodes.worker import PodWorker

Object = Mapping[str, Any]
ACTUATE_US = 30 * MS


def _resizable(pod: Object) -> list[Object]:
    spec = pod["spec"]
    return [*spec["containers"], *(c for c in spec.get("initContainers") or () if is_sidecar(c))]


class Resizes:
    """The allocations of a kubelet's pods."""

    def __init__(self, kubelet: Kubelet) -> None:
        self.kubelet = kubelet

    def allocate(self, worker: PodWorker) -> None:
        """Takes over what the spec asks for, if the node can give it; says so in the pod's conditions."""
        pod = worker.pod
        wanted = {c["name"]: c.get("resources") or {} for c in _resizable(pod)}
        if not worker.allocated:
            worker.allocated = dict(wanted)
            return
        if wanted == worker.allocated:
            if worker.resize_conditions and worker.resize_conditions[0]["type"] == "PodResizePending":
                worker.resize_conditions = ()
            return
        refusal = self._refusal(worker)
        if refusal is not None:
            self._refuse(worker, *refusal)
            return
        worker.allocated = dict(wanted)
        worker.resize_conditions = (self._condition(worker, "PodResizeInProgress"),)
        worker.event(None, "Normal", "ResizeStarted", f"Pod resize started: {self._described(worker)}")

    def _refusal(self, worker: PodWorker) -> tuple[str, str] | None:
        node = self.kubelet.node
        assert node is not None
        alone = admission.admit(worker.pod, node, ())
        if alone is not None:
            text = alone.message.replace("enough resource", "enough capacity").replace(", used: 0", "")
            return "Infeasible", text
        beside = admission.admit(worker.pod, node, self.kubelet.beside(worker))
        return None if beside is None else ("Deferred", beside.message)

    def _refuse(self, worker: PodWorker, reason: str, message: str) -> None:
        before = worker.resize_conditions[0] if worker.resize_conditions else {}
        if before.get("reason") == reason and before.get("message") == message:
            return
        made = self._condition(worker, "PodResizePending")
        made.update(reason=reason, message=message)
        worker.resize_conditions = (made,)
        text = f"Pod resize {reason}: {self._described(worker, message)}"
        worker.event(None, "Warning", f"Resize{reason}", text)

    def _condition(self, worker: PodWorker, kind: str) -> dict[str, Any]:
        made = condition(kind, True, worker.pod["metadata"].get("generation", 0))
        made["lastProbeTime"] = made["lastTransitionTime"] = self.kubelet.clock.stamp()
        return made

    def _described(self, worker: PodWorker, error: str = "") -> str:
        pod = worker.pod
        containers = [{"name": c["name"], "resources": c["resources"]} for c in _resizable(pod) if c.get("resources")]
        shown: dict[str, Any] = {"containers": containers, "generation": pod["metadata"].get("generation", 0)}
        if error:
            shown["error"] = error
        return json.dumps(shown, separators=(",", ":"), sort_keys=True)

    def actuate(self, worker: PodWorker) -> Generator[Any, Any, bool]:
        """Changes the cgroups of running containers that differ from their allocation; whether any did."""
        runtime, changed = self.kubelet.runtime, []
        for name, resources in worker.allocated.items():
            found = runtime.record(worker.uid).latest(name)
            if found is not None and found.state == RUNNING and found.resources != resources:
                changed.append((name, resources))
        if not changed:
            return False
        yield self.kubelet.clock.sleep(ACTUATE_US)
        for name, resources in changed:
            limit = (resources.get("limits") or {}).get("memory")
            runtime.resize(worker.uid, name, resources, parse(limit).value() if limit else None)
        worker.resize_conditions = ()
        worker.event(None, "Normal", "ResizeCompleted", f"Pod resize completed: {self._described(worker)}")
        return True
