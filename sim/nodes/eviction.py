"""Node-pressure eviction: when a machine runs short of memory, disk, inodes or processes, pods have to go, one by one.

Source: k8s.io/kubernetes/pkg/kubelet/eviction (eviction_manager.go). Looks at which nothing can be different are not
executed: what pods write is noticed by the mebibyte, and at once where a pod has a limit of its own.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from seatrial.sim.config import S
from seatrial.sim.kernel.clock import Process, Signal
from seatrial.sim.machinery.quantity import parse
from seatrial.sim.nodes import metrics
from seatrial.sim.nodes.admission import CRITICAL_PRIORITY
from seatrial.sim.nodes.consumption import PodUse, Space, is_limited, left_behind, pod_use
from seatrial.sim.nodes.cri import EXITED
from seatrial.sim.nodes.garbage import NODE_DISK, ImageGarbage
from seatrial.sim.nodes.machine import PRESSURES
from seatrial.sim.nodes.ranking import Standing, eviction_message, over_limit, turn
from seatrial.sim.nodes.spec import grace_s
from seatrial.sim.nodes.statistics import NODE_MEMORY
from seatrial.sim.nodes.thresholds import (
    CONDITIONS,
    DISK,
    INODES,
    PIDS,
    RESOURCES,
    Amount,
    Observation,
    Threshold,
    first_of,
    met,
    thresholds_of,
)
from seatrial.sim.nodes.worker import FINISHED, SYNC, PodWorker

if TYPE_CHECKING:
    from seatrial.sim.nodes.machine import Registration

MONITORING_US = 10 * S
"""evictionMonitoringPeriod."""
CLEANUP_S_MAX = 30
"""podCleanupTimeout."""
GRACE_S = 1
"""immediateEvictionGracePeriodSeconds."""
NOTICED_BYTES = 1024 * 1024
BYTES_PER_INODE = 16 * 1024
"""mke2fs' inode_ratio: how many inodes a disk has."""
BYTES_PER_THREAD = 128 * 1024
"""The kernel's threads-max: an eighth of the memory in stacks of 16 KiB."""
NODE_PROCESSES, NODE_INODES = 120, 90_000
"""What a machine's own system takes."""
IMAGE_BYTES_PER_INODE = 64 * 1024
SHORT_OF_PIDS = Threshold("pid.available", Amount(0, 0.05))
"""What counts as short of processes on a machine that somebody fills with them when its kubelet has no threshold."""
SAID: Mapping[str, tuple[str, str, str, str]] = {
    "MemoryPressure": (
        "KubeletHasInsufficientMemory", "kubelet has insufficient memory available",
        "NodeHasInsufficientMemory", "NodeHasSufficientMemory",
    ),
    "DiskPressure": (
        "KubeletHasDiskPressure", "kubelet has disk pressure", "NodeHasDiskPressure", "NodeHasNoDiskPressure",
    ),
    "PIDPressure": (
        "KubeletHasInsufficientPID", "kubelet has insufficient PID available",
        "NodeHasInsufficientPID", "NodeHasSufficientPID",
    ),
}  # fmt: skip
"""Condition → its reason and message, the events when it begins and ends (nodestatus/setters.go)."""


class Eviction:
    """The eviction manager of one kubelet."""

    def __init__(self, registration: Registration, garbage: ImageGarbage) -> None:
        self.registration = registration
        self.kubelet = registration.kubelet
        self.garbage = garbage
        self._news = Signal(self.kubelet.clock)
        self._process: Process | None = None
        self._outsiders: dict[str, tuple[str, float]] = {}
        self._limited: dict[str, bool] = {}
        self._forget()

    def _forget(self) -> None:
        self._first_us: dict[Threshold, int] = {}
        """Since when each threshold has been met."""
        self._met: tuple[Threshold, ...] = ()
        self._observed_us: dict[str, int] = {}
        """When each condition was last seen to hold."""
        self._unseen = 0
        self._limited.clear()
        self.registration.pressure.clear()

    def start(self) -> None:
        self._forget()
        self._process = self.kubelet.spawn(self._watch(), f"{self.kubelet.name}/eviction")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None

    def note(self) -> None:
        """What runs on the machine uses notably more or less than before."""
        self._news.fire()

    def wrote(self, uid: str, size: int) -> None:
        """A pod wrote so many bytes to a file or its log."""
        self._unseen += size
        limited = self._limited.get(uid)
        if limited is None:
            worker = self.kubelet.workers.get(uid)
            limited = worker is not None and is_limited(worker.pod)
            if worker is not None:
                self._limited[uid] = limited
        if limited or self._unseen >= NOTICED_BYTES:
            self.note()

    def take(self, who: str, resource: str, leaves: float) -> None:
        """The seam for faults: something beside the pods takes what there is of a resource, and what is freed of it,
        down to this share of the threshold at which the kubelet acts."""
        self._outsiders[who] = (resource, leaves)
        self.note()

    def give_back(self, who: str) -> None:
        self._outsiders.pop(who, None)
        self.note()

    def _watch(self) -> Generator[Any, Any, None]:
        clock = self.kubelet.clock
        first = bool(self._outsiders)
        while True:
            if not first:
                yield self._news.wait(MONITORING_US if self.registration.pressure else None, periodic=True)
            first = False
            yield clock.sleep(MONITORING_US - (clock.now - self.kubelet.begun_us) % MONITORING_US, periodic=True)
            while victims := self._look():
                for _ in range(CLEANUP_S_MAX):
                    if not any(victim.active for victim in victims):
                        break
                    yield clock.sleep(1 * S)

    def thresholds(self) -> tuple[Threshold, ...]:
        """What the kubelet is configured to act upon."""
        settings = self.kubelet.settings
        found = thresholds_of(
            settings.eviction_hard,
            settings.eviction_soft,
            settings.eviction_soft_grace_us,
            settings.eviction_minimum_reclaim,
        )
        taken = any(resource == PIDS for resource, _ in self._outsiders.values())
        if taken and not any(threshold.resource == PIDS for threshold in found):
            found = (*found, SHORT_OF_PIDS)
        return found

    def observe(self, thresholds: Iterable[Threshold], uses: Iterable[PodUse]) -> dict[str, Observation]:
        """What there is of everything, by signal."""
        capacity, runtime = self.registration.capacity(), self.kubelet.runtime
        memory, disk = parse(capacity["memory"]).value(), parse(capacity["ephemeral-storage"]).value()
        images = runtime.images.used_bytes()
        space = Space(NODE_DISK + images, NODE_INODES + images // IMAGE_BYTES_PER_INODE)
        for record in runtime.pods.values():
            space = space.and_(left_behind(runtime, record))
        used_memory, processes = NODE_MEMORY, NODE_PROCESSES
        for use in uses:
            space = space.and_(Space(use.used(DISK), use.used(INODES)))
            used_memory += use.used("memory")
            processes += use.processes
        inodes, pids = disk // BYTES_PER_INODE, memory // BYTES_PER_THREAD
        free_bytes = Observation(max(disk - space.used, 0), disk)
        free_inodes = Observation(max(inodes - space.inodes, 0), inodes)
        seen = {
            "memory.available": Observation(max(memory - used_memory, 0) // 1024 * 1024, memory),
            "nodefs.available": free_bytes,
            "nodefs.inodesFree": free_inodes,
            "imagefs.available": free_bytes,
            "imagefs.inodesFree": free_inodes,
            "pid.available": Observation(max(pids - processes, 0), pids),
        }
        for resource, leaves in self._outsiders.values():
            shared = [signal for signal, kind in RESOURCES.items() if kind == resource]
            wanted = [each.amount.of(seen[each.signal].capacity) for each in thresholds if each.resource == resource]
            left = int(min(wanted, default=0) * leaves)
            for signal in shared:
                seen[signal] = seen[signal]._replace(available=min(seen[signal].available, left))
        return seen

    def _uses(self) -> dict[str, PodUse]:
        kubelet = self.kubelet
        return {
            uid: pod_use(kubelet.runtime, worker.pod, worker.volumes.mounted) for uid, worker in kubelet.workers.items()
        }

    def _look(self) -> list[PodWorker]:
        """One look at the node; the pods that were evicted, whose end is waited for before the next look."""
        now, thresholds, uses = self.kubelet.clock.now, self.thresholds(), self._uses()
        self._unseen = 0
        self._limited = {uid: known for uid, known in self._limited.items() if uid in uses}
        seen = self.observe(thresholds, uses.values())
        low = tuple(dict.fromkeys((*met(thresholds, seen), *met(self._met, seen, reclaim=True))))
        self._first_us = {each: self._first_us.get(each, now) for each in low}
        self._press(low)
        self._met = tuple(each for each, since in self._first_us.items() if now - since >= each.grace_us)
        candidates = [
            (worker, Standing(worker.pod, uses[uid]))
            for uid, worker in self.kubelet.workers.items()
            if worker.state == SYNC and not self._critical(worker)
        ]
        over = [(worker, found) for worker, standing in candidates if (found := over_limit(standing)) is not None]
        for worker, (signal, text) in over:
            self._evict(worker, signal, text, GRACE_S)
        if over:
            return [worker for worker, _ in over]
        if not self._met:
            return []
        worst = first_of(self._met)
        text = f"Attempting to reclaim {worst.resource}"
        self.kubelet.recorder.event(self.registration.about(), "Warning", "EvictionThresholdMet", text)
        if worst.resource in (DISK, INODES) and self._reclaim(thresholds):
            return []
        if not candidates:
            return []
        worker, standing = min(candidates, key=lambda candidate: turn(candidate[1], worst.resource))
        grace = GRACE_S
        if worst.grace_us:
            grace = max(min(self.kubelet.settings.eviction_max_pod_grace_s, grace_s(worker.pod)), GRACE_S)
        text = eviction_message(standing, worst.resource, self._met, seen)
        worker.disruption = ("TerminationByKubelet", text)
        self._evict(worker, worst.signal, text, grace)
        return [worker]

    @staticmethod
    def _critical(worker: PodWorker) -> bool:
        """Static pods and those that the system needs are not evicted."""
        return worker.static or int(worker.pod["spec"].get("priority") or 0) >= CRITICAL_PRIORITY

    def _press(self, low: tuple[Threshold, ...]) -> None:
        """A condition holds from when it is seen until nobody has seen it for the transition period."""
        now, pressure = self.kubelet.clock.now, self.registration.pressure
        for threshold in low:
            self._observed_us[CONDITIONS[threshold.resource]] = now
        for kind, _, _ in PRESSURES:
            since = self._observed_us.get(kind)
            holds = since is not None and now - since < self.kubelet.settings.eviction_transition_us
            reason, message, begins, ends = SAID[kind]
            if holds and kind not in pressure:
                pressure[kind] = (reason, message)
                self._changed(begins)
            elif not holds and kind in pressure:
                del pressure[kind]
                self._changed(ends)

    def _changed(self, reason: str) -> None:
        text = f"Node {self.kubelet.node_name} status is now: {reason}"
        self.kubelet.recorder.event(self.registration.about(), "Normal", reason, text)
        self.registration.changed()

    def _reclaim(self, thresholds: tuple[Threshold, ...]) -> bool:
        """Removes what no pod needs: ended containers, unused images. Whether that was enough."""
        runtime = self.kubelet.runtime
        for uid, record in list(runtime.pods.items()):
            worker = self.kubelet.workers.get(uid)
            kept: set[str] = set()
            for each in record.containers:
                ended = each.state == EXITED
                if ended and (worker is None or worker.state == FINISHED or each.name in kept):
                    runtime.remove_container(each.id)
                kept.add(each.name)
        self.garbage.remove_unused()
        return not met(thresholds, self.observe(thresholds, self._uses().values()), reclaim=True)

    def _evict(self, worker: PodWorker, signal: str, text: str, grace: int) -> None:
        worker.event(None, "Warning", "Evicted", text)
        metrics.evicted(self.kubelet.meters, signal)
        worker.end(("Evicted", text), grace_us=grace * S)
