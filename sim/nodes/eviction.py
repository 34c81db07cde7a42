"""Node-pressure eviction: when memory runs short, pods that use more than they asked for go first.

Source: k8s.io/kubernetes/pkg/kubelet/eviction (eviction_manager.go, helpers.go). Looks at which nothing has changed are
not executed. Not modelled: disk and process signals, soft thresholds, reclaiming of images before pods.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from seatrial.sim.config import S
from seatrial.sim.kernel.clock import Process, Signal
from seatrial.sim.machinery.quantity import of, parse
from seatrial.sim.machinery.usage import pod_amounts
from seatrial.sim.nodes import metrics
from seatrial.sim.nodes.cri import RUNNING
from seatrial.sim.nodes.statistics import NODE_MEMORY
from seatrial.sim.nodes.worker import FINISHED, SYNC, TERMINATED, PodWorker

if TYPE_CHECKING:
    from seatrial.sim.nodes.machine import Registration

Object = Mapping[str, Any]
MONITORING_US = 10 * S
TRANSITION_US = 300 * S
"""evictionPressureTransitionPeriod: how long a pressure is reported after it was last met."""
CLEANUP_S_MAX = 30
"""podCleanupTimeout."""
CRITICAL_PRIORITY = 2_000_000_000
BINARY = "BinarySI"


class Ranked(NamedTuple):
    """A pod with what decides its turn."""

    worker: PodWorker
    usage: int
    request: int
    priority: int

    def order(self) -> tuple[bool, int, int]:
        """Those above their request first, then lower priority, then the largest excess."""
        return (self.usage <= self.request, self.priority, -(self.usage - self.request))


class Eviction:
    """The eviction manager of one kubelet."""

    def __init__(self, registration: Registration) -> None:
        self.registration = registration
        self.kubelet = registration.kubelet
        self._news = Signal(self.kubelet.clock)
        self._process: Process | None = None
        self._met_us = 0

    def start(self) -> None:
        self._process = self.kubelet.spawn(self._watch(), f"{self.kubelet.name}/eviction")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None

    def note(self) -> None:
        """What runs on the machine uses more or less memory than before."""
        self._news.fire()

    def _watch(self) -> Generator[Any, Any, None]:
        clock = self.kubelet.clock
        while True:
            under = "MemoryPressure" in self.registration.pressure
            yield self._news.wait(MONITORING_US if under else None, periodic=True)
            yield clock.sleep(MONITORING_US - (clock.now - self.kubelet.begun_us) % MONITORING_US, periodic=True)
            while (victim := self._look()) is not None:
                for _ in range(CLEANUP_S_MAX):
                    if victim.state in (TERMINATED, FINISHED):
                        break
                    yield clock.sleep(1 * S)

    def _look(self) -> PodWorker | None:
        """One look at the node; the pod that was evicted, whose end is waited for before the next look."""
        available, threshold = self.available(), parse(self.kubelet.settings.reserved_memory).value()
        now, pressure = self.kubelet.clock.now, self.registration.pressure
        if available >= threshold:
            if "MemoryPressure" in pressure and now - self._met_us >= TRANSITION_US:
                del pressure["MemoryPressure"]
                self._changed("NodeHasSufficientMemory")
            return None
        self._met_us = now
        if "MemoryPressure" not in pressure:
            pressure["MemoryPressure"] = (
                "KubeletHasInsufficientMemory",
                "kubelet has insufficient memory available",
            )
            self._changed("NodeHasInsufficientMemory")
        about = self.registration.about()
        self.kubelet.recorder.event(about, "Warning", "EvictionThresholdMet", "Attempting to reclaim memory")
        victims = sorted(self._ranked(), key=Ranked.order)
        if not victims:
            return None
        self._evict(victims[0], available, threshold)
        return victims[0].worker

    def _changed(self, reason: str) -> None:
        text = f"Node {self.kubelet.node_name} status is now: {reason}"
        self.kubelet.recorder.event(self.registration.about(), "Normal", reason, text)
        self.registration.changed()

    def available(self) -> int:
        """memory.available: bytes that neither the node's own processes nor the pods use."""
        capacity = parse(self.registration.capacity()["memory"]).value()
        return capacity - NODE_MEMORY - sum(self._usage(worker) for worker in self.kubelet.workers.values())

    def _usage(self, worker: PodWorker) -> int:
        runtime, total = self.kubelet.runtime, 0
        for record in runtime.record(worker.uid).containers:
            live = runtime.live.get(record.id)
            if record.state == RUNNING and live is not None and live.process is not None:
                total += live.process.usage()[1]
        return total

    def _ranked(self) -> list[Ranked]:
        found = []
        for worker in self.kubelet.workers.values():
            spec = worker.pod["spec"]
            priority = int(spec.get("priority") or 0)
            if worker.state != SYNC or worker.static or priority >= CRITICAL_PRIORITY:
                continue
            request = pod_amounts(spec, "requests").get("memory")
            found.append(Ranked(worker, self._usage(worker), request.value() if request is not None else 0, priority))
        return found

    def _evict(self, victim: Ranked, available: int, threshold: int) -> None:
        worker = victim.worker
        text = (
            f"The node was low on resource: memory. Threshold quantity: {of(threshold, BINARY)}, "
            f"available: {of(available // 1024 * 1024, BINARY)}. "
        )
        if victim.usage > victim.request:
            for record in self.kubelet.runtime.record(worker.uid).containers:
                live = self.kubelet.runtime.live.get(record.id)
                if record.state != RUNNING or live is None or live.process is None:
                    continue
                used = of(live.process.usage()[1] // 1024 * 1024, BINARY)
                asked = (record.resources.get("requests") or {}).get("memory", "0")
                text += (
                    f"Container {record.name} was using {used}, request is {asked}, has larger consumption of memory. "
                )
        worker.event(None, "Warning", "Evicted", text)
        metrics.evicted(self.kubelet.meters, "memory.available")
        worker.disruption = ("TerminationByKubelet", text)
        worker.end(("Evicted", text), grace_us=0)
