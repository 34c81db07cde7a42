"""Sends pods' statuses to the API server, one after the other, and deletes pods that have ended.

A new report goes out at once; what failed, and what somebody else overwrote, goes out again at the next of the ticks
that come every ten seconds. Ticks at which nothing is to be done are not executed. Source:
k8s.io/kubernetes/pkg/kubelet/status/status_manager.go (syncBatch, needsReconcile). Not modelled: the read before each
patch; the patch is made against the newest version of the pod that the kubelet has seen, in an answer or by its watch.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from seatrial.sim.apiserver.client import Unreachable
from seatrial.sim.kernel.clock import Process, Signal, Timer
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.nodes.conditions import OWNED, SHARED, condition
from seatrial.sim.nodes.cri import SandboxRecord
from seatrial.sim.nodes.worker import FINISHED, PodWorker

if TYPE_CHECKING:
    from seatrial.sim.nodes.kubelet import Kubelet

Object = Mapping[str, Any]
STRATEGIC = "application/strategic-merge-patch+json"
COMPARED = ("status", "reason", "message")
"""What of a condition has to be as the kubelet reports it."""


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
    before, made = old.get("conditions") or (), new.get("conditions") or ()
    changed = _conditions(before, made)
    if changed:
        ours = [each["type"] for each in made]
        foreign = [each["type"] for each in before if each["type"] not in OWNED and each["type"] not in ours]
        patch["$setElementOrder/conditions"] = [{"type": kind} for kind in (*foreign, *ours)]
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
        if made["type"] not in OWNED and made["type"] not in SHARED:
            continue
        found = before.pop(made["type"], None)
        if found == made:
            continue
        gone = {key: None for key in found or () if key not in made}
        changed.append({**made, **gone})
    changed += [{"$patch": "delete", "type": kind} for kind in before if kind in OWNED]
    return changed


def overwritten(ours: Object, theirs: Object) -> bool:
    """Whether the server's status is not what the kubelet reports (the opposite of isPodStatusByKubeletEqual).

    Conditions of others do not count, nor when a condition last changed.
    """
    known = {found["type"]: found for found in theirs.get("conditions") or ()}
    for made in ours.get("conditions") or ():
        kind = made["type"]
        if kind in OWNED:
            found = known.get(kind)
            if found is None:
                return True
            if found != made and any((found.get(key) or "") != (made.get(key) or "") for key in COMPARED):
                return True
    for key, value in ours.items():
        if key != "conditions":
            found = theirs.get(key)
            if value != found and not _equal(value, found):
                return True
    return False


def _equal(ours: Any, theirs: Any) -> bool:
    """Semantic equality: what is empty is as good as absent."""
    if ours == theirs:
        return True
    if isinstance(ours, Mapping) and isinstance(theirs or {}, Mapping):
        theirs = theirs or {}
        return all(_equal(ours.get(key), theirs.get(key)) for key in {**ours, **theirs})
    if isinstance(ours, list | tuple) and isinstance(theirs, list | tuple) and len(ours) == len(theirs):
        return all(_equal(mine, other) for mine, other in zip(ours, theirs, strict=True))
    return not ours and not theirs and not isinstance(ours, bool) and not isinstance(theirs, bool)


class Statuses:
    """The status manager of one kubelet."""

    def __init__(self, kubelet: Kubelet) -> None:
        self.kubelet = kubelet
        self._dirty: dict[str, PodWorker] = {}
        """Reports that are to be sent."""
        self._failed: dict[str, PodWorker] = {}
        """Reports that could not be sent, or are said to be something else: for the next tick."""
        self._agreed: dict[str, tuple[Object, Object]] = {}
        """By pod, the report and the server's status that were last found to agree."""
        self._more = Signal(kubelet.clock)
        self._process: Process | None = None
        self._tick: Timer | None = None
        self._begun_us = 0
        self._writer = f"kubelet/{kubelet.client.host}"

    def start(self) -> None:
        self._begun_us = self.kubelet.clock.now
        self._process = self.kubelet.spawn(self._send(), f"statuses/{self.kubelet.node_name}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        self._dirty.clear()
        self._failed.clear()
        self._agreed.clear()

    def busy(self) -> bool:
        return bool(self._dirty or self._failed)

    def changed(self, worker: PodWorker) -> None:
        """There is a new report, or the pod may be deleted now."""
        self._dirty[worker.uid] = worker
        self._more.fire()

    def seen(self, worker: PodWorker) -> None:
        """A version of the pod came: what somebody else overwrote is said again at the next tick (needsReconcile)."""
        if worker.sent is worker.status and self._is_overwritten(worker):
            self._again(worker)

    def _is_overwritten(self, worker: PodWorker) -> bool:
        """Whether the server says something else; of the same two statuses that is asked once."""
        ours, theirs = worker.status, newest(worker).get("status") or {}
        agreed = self._agreed.get(worker.uid)
        if agreed is not None and agreed[0] is ours and agreed[1] is theirs:
            return False
        if overwritten(ours, theirs):
            return True
        self._agreed[worker.uid] = ours, theirs
        return False

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        self._agreed.pop(uid, None)

    def _again(self, worker: PodWorker) -> None:
        self._failed[worker.uid] = worker
        if self._tick is None:
            clock, period = self.kubelet.clock, self.kubelet.settings.status_sync_us
            left = period - (clock.now - self._begun_us) % period
            self._tick = clock.after(left, self._all)

    def _all(self) -> None:
        """A tick of the rhythm: everything that is not as it was reported (syncBatch)."""
        self._tick = None
        failed, self._failed = self._failed, {}
        for worker in failed.values():
            if not self._settled(worker):
                self.changed(worker)
            elif not worker.deleted and self._is_overwritten(worker):
                worker.sent = None
                self.changed(worker)

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
                worker = self._dirty.pop(uid)
                done = yield from self._one(worker)
                if not done:
                    self._dirty.pop(uid, None)
                    self._again(worker)
                elif not self._settled(worker):
                    self._dirty[uid] = worker
                else:
                    self._dirty.pop(uid, None)
                    self.seen(worker)
            yield self._more.wait()

    def _settled(self, worker: PodWorker) -> bool:
        return worker.deleted or (worker.sent is worker.status and not _to_delete(worker))

    def _one(self, worker: PodWorker) -> Generator[Any, Any, bool]:
        """Sends a pod's report and deletes the pod when it has ended; returns whether that succeeded."""
        kubelet = self.kubelet
        status = worker.status
        if worker.deleted:
            return True  # upstream's read before the patch finds nothing, or the mirror of what the file says now
        if worker.static and worker.mirror is None:
            worker.sent = worker.status = {**status}
            return True
        pod = newest(worker)
        metadata = pod["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        patch = patch_of(pod.get("status") or {}, status)
        cause = (self._writer, (namespace, name), int(metadata["resourceVersion"]))
        try:
            if patch:
                body = {"metadata": {"uid": metadata["uid"]}, "status": patch}
                worker.answered = yield from kubelet.client.patch(
                    kubelet.pods, namespace, name, body, STRATEGIC, "status", cause
                )
            worker.sent = status
            if _to_delete(worker):
                options = {"gracePeriodSeconds": 0, "preconditions": {"uid": worker.uid}}
                yield from kubelet.client.delete(kubelet.pods, namespace, name, options, cause)
                worker.deleted = True
        except ApiError as error:
            worker.deleted = worker.deleted or error.code == 404
            return worker.deleted
        except Unreachable:
            return False
        return True


def newest(worker: PodWorker) -> Object:
    """The pod, or the mirror of a static one, as the server was last seen to have it."""
    seen = worker.mirror if worker.mirror is not None else worker.pod
    answered = worker.answered
    if answered is None or answered["metadata"]["uid"] != seen["metadata"]["uid"]:
        return seen
    newer = int(answered["metadata"]["resourceVersion"]) > int(seen["metadata"].get("resourceVersion") or 0)
    return answered if newer else seen


def _to_delete(worker: PodWorker) -> bool:
    """Whether nothing is left of a pod but its object (canBeDeleted)."""
    ended = worker.state == FINISHED and not worker.static
    return ended and worker.pod["metadata"].get("deletionTimestamp") is not None and not worker.deleted
