"""Sends pods' statuses to the API server, one after the other, and deletes pods that have ended.

Source: k8s.io/kubernetes/pkg/kubelet/status/status_manager.go. Not modelled: the read before each patch; the patch is
made against the status that was last sent.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from seatrial.sim.apiserver.client import Unreachable
from seatrial.sim.kernel.clock import Process, Signal
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.nodes.conditions import OWNED, condition
from seatrial.sim.nodes.cri import SandboxRecord
from seatrial.sim.nodes.worker import FINISHED, PodWorker

if TYPE_CHECKING:
    from seatrial.sim.nodes.kubelet import Kubelet

Object = Mapping[str, Any]
STRATEGIC = "application/strategic-merge-patch+json"


def patch_of(old: Object, new: Object) -> dict[str, Any]:
    """The strategic merge patch that makes the kubelet's part of a status what it is to be."""
    patch: dict[str, Any] = {key: value for key, value in new.items() if key != "conditions" and old.get(key) != value}
    for key in ("message", "reason", "podIP", "podIPs", "allocatedResources"):
        if key in old and key not in new:
            patch[key] = None
    for key in ("podIPs", "hostIPs"):
        if patch.get(key):
            patch[key] = _addresses(old.get(key) or (), new[key])
    if "resources" in patch:
        patch["resources"] = _replacing(old.get("resources") or {}, new["resources"])
    changed = _conditions(old.get("conditions") or (), new.get("conditions") or ())
    if changed:
        patch["$setElementOrder/conditions"] = [{"type": made["type"]} for made in new.get("conditions") or ()]
        patch["conditions"] = changed
    return patch


def _addresses(old: Any, new: Any) -> list[Any]:
    """A patch of addresses, which are merged by their ip: those that are gone are deleted."""
    kept = [entry["ip"] for entry in new]
    return [*new, *({"$patch": "delete", "ip": entry["ip"]} for entry in old if entry["ip"] not in kept)]


def _replacing(old: Object, new: Object) -> dict[str, Any]:
    """A patch of nested maps: what is gone becomes null."""
    patch: dict[str, Any] = dict(new)
    for key, value in old.items():
        if key not in new:
            patch[key] = None
        elif isinstance(value, Mapping):
            patch[key] = _replacing(value, new[key])
    return patch


def _conditions(old: Any, new: Any) -> list[dict[str, Any]]:
    before = {found["type"]: found for found in old}
    changed: list[dict[str, Any]] = []
    for made in new:
        if made["type"] not in OWNED:
            continue
        found = before.pop(made["type"], None)
        if found == made:
            continue
        gone = {key: None for key in found or () if key not in made}
        changed.append({**made, **gone})
    changed += [{"$patch": "delete", "type": kind} for kind in before if kind in OWNED]
    return changed


def differs(ours: Object, theirs: Object) -> bool:
    """Whether somebody else changed a condition that the kubelet reports."""
    mine = {found["type"]: found["status"] for found in ours.get("conditions") or () if found["type"] in OWNED}
    others = {found["type"]: found["status"] for found in theirs.get("conditions") or ()}
    return any(others.get(kind) != status for kind, status in mine.items())


def _newest(worker: PodWorker, stored: Object | None) -> Object | None:
    """The pod as the server has it, from its answer or from the watch; None when nothing newer is known."""
    pod = worker.mirror if worker.mirror is not None else worker.pod
    if int(pod["metadata"].get("resourceVersion") or 0) > worker.stored_version:
        return pod if worker.stored_version else stored
    return stored


class Statuses:
    """The status manager of one kubelet."""

    def __init__(self, kubelet: Kubelet) -> None:
        self.kubelet = kubelet
        self._dirty: dict[str, PodWorker] = {}
        self._more = Signal(kubelet.clock)
        self._process: Process | None = None

    def start(self) -> None:
        self._process = self.kubelet.spawn(self._send(), f"statuses/{self.kubelet.node_name}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None
        self._dirty.clear()

    def busy(self) -> bool:
        return bool(self._dirty)

    def changed(self, worker: PodWorker) -> None:
        self._dirty[worker.uid] = worker
        self._more.fire()

    def sandbox_ready(self, worker: PodWorker, record: SandboxRecord) -> None:
        """Says at once that a pod's sandbox is there, before the containers start."""
        stamp = self.kubelet.clock.stamp()
        generation = worker.pod["metadata"].get("generation", 0)
        made = condition("PodReadyToStartContainers", True, generation)
        made["lastTransitionTime"] = stamp
        conditions = [
            made if found["type"] == "PodReadyToStartContainers" else found
            for found in worker.status.get("conditions") or ()
        ]
        worker.status = {**worker.status, "conditions": conditions}
        self.changed(worker)

    def _send(self) -> Generator[Any, Any, None]:
        while True:
            while self._dirty:
                uid = next(iter(self._dirty))
                worker = self._dirty[uid]
                yield from self._one(worker)
                if self._dirty.get(uid) is worker and self._settled(worker):
                    del self._dirty[uid]
            yield self._more.wait()

    def _settled(self, worker: PodWorker) -> bool:
        return worker.deleted or worker.status_sent is worker.status

    def _one(self, worker: PodWorker) -> Generator[Any, Any, None]:
        kubelet = self.kubelet
        status = worker.status
        if worker.deleted and not worker.static:
            return  # upstream's read before the patch finds nothing
        if worker.static and worker.mirror is None:
            worker.status_sent = worker.status = {**status}
            return
        pod = worker.mirror if worker.mirror is not None else worker.pod
        metadata = pod["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        before = worker.status_sent if worker.status_sent is not None else pod.get("status") or {}
        patch = patch_of(before, status)
        cause = (f"kubelet/{kubelet.client.host}", (namespace, name), int(metadata["resourceVersion"]))
        try:
            if patch:
                body = {"metadata": {"uid": metadata["uid"]}, "status": patch}
                stored = yield from kubelet.client.patch(
                    kubelet.pods, namespace, name, body, STRATEGIC, "status", cause
                )
                worker.stored_version = int(stored["metadata"]["resourceVersion"])
            else:
                stored = None
            worker.status_sent = status
            newest = _newest(worker, stored)
            if newest is not None and worker.state != FINISHED and differs(status, newest.get("status") or {}):
                worker.status_sent = newest["status"]
                return
            if worker.state == FINISHED and worker.pod["metadata"].get("deletionTimestamp") is not None:
                options = {"gracePeriodSeconds": 0, "preconditions": {"uid": worker.uid}}
                yield from kubelet.client.delete(kubelet.pods, namespace, name, options, cause)
                worker.deleted = True
        except ApiError as error:
            if error.code in (404, 409):
                worker.status_sent = status
                worker.deleted = worker.deleted or error.code == 404
                return
            yield kubelet.clock.sleep(kubelet.settings.status_update_us)
        except Unreachable:
            yield kubelet.clock.sleep(kubelet.settings.status_update_us)
