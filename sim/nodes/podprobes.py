"""What the probes of a pod come to: which of its containers are started, ready, or to be restarted.

Source: k8s.io/kubernetes/pkg/kubelet/prober/prober_manager.go. What was known of a container stays when its kubelet
restarts, until it is probed (ChangeContainerStatusOnKubeletRestart is off).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from seatrial.sim.nodes.cri import RUNNING, ContainerRecord
from seatrial.sim.nodes.probes import FIELDS, NONE, Probe, outlived
from seatrial.sim.nodes.spec import is_sidecar
from seatrial.sim.nodes.status import Probed

if TYPE_CHECKING:
    from seatrial.sim.nodes.worker import PodWorker

Object = Mapping[str, Any]


class Probes:
    """The probes of one pod (prober.Manager's part for it)."""

    __slots__ = ("by_container", "worker")

    def __init__(self, worker: PodWorker) -> None:
        self.worker = worker
        self.by_container: dict[str, dict[str, Probe]] = {}

    def add(self) -> None:
        """Starts a process per probe of the spec, once."""
        for container in self._containers():
            name = container["name"]
            if name in self.by_container:
                continue
            kinds = [kind for kind, field in FIELDS.items() if container.get(field)]
            self.by_container[name] = {kind: Probe(self.worker, container, kind) for kind in kinds}

    def stop(self, kinds: tuple[str, ...] = ("startup", "liveness", "readiness")) -> None:
        for probes in self.by_container.values():
            for kind in kinds:
                probe = probes.pop(kind, None)
                if probe is not None:
                    probe.stop()

    def stir(self) -> None:
        """Something about the pod may be different from now on."""
        for probes in self.by_container.values():
            for probe in probes.values():
                probe.stir()

    def go_on(self) -> None:
        """All rests of the pod are over. Those who ask at one instant next do it in the order in which they asked
        last."""
        every = [probe for probes in self.by_container.values() for probe in probes.values()]
        for probe in sorted(every, key=lambda each: each.asked_us):
            probe.go_on()

    def settle(self) -> None:
        """Counts what would have been asked by now."""
        for probes in self.by_container.values():
            for probe in probes.values():
                probe.settle()

    def started(self, name: str, record: ContainerRecord) -> bool:
        """Whether a running container is past its startup probe."""
        probe = self.by_container.get(name, {}).get("startup")
        if probe is None:
            return True
        if probe.container_id == record.id and probe.result != NONE:
            return probe.result == "success"
        return outlived(self.worker, record) and bool(self.worker.reported(name).get("started"))

    def probed(self, poke: bool) -> dict[str, Probed]:
        """What the probes say of the running containers; ``poke``: those not known to be ready are probed at once."""
        found: dict[str, Probed] = {}
        for container in self._containers():
            name = container["name"]
            record, probes = self.worker.record.latest(name), self.by_container.get(name)
            if record is None or record.state != RUNNING or probes == {}:
                continue
            if probes is None:
                # The kubelet has begun and not come to the probes: what was reported of the container holds.
                started = "startupProbe" not in container or bool(self.worker.reported(name).get("started"))
                found[name] = Probed(started, started and ("readinessProbe" not in container or self._was_ready()))
                continue
            started, readiness = self.started(name, record), probes.get("readiness")
            found[name] = Probed(started, started and (readiness is None or self._ready(record, readiness, poke)))
        return found

    def _ready(self, record: ContainerRecord, probe: Probe, poke: bool) -> bool:
        known = probe.result if probe.container_id == record.id else NONE
        if known != "success" and poke:
            probe.poke()
        if known == NONE and outlived(self.worker, record):
            return self._was_ready()
        return known == "success"

    def _was_ready(self) -> bool:
        conditions = self.worker.status.get("conditions") or ()
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def _containers(self) -> Iterator[Object]:
        """Those that may have probes."""
        spec = self.worker.pod["spec"]
        yield from spec["containers"]
        yield from (container for container in spec.get("initContainers") or () if is_sidecar(container))

    def failed(self) -> dict[str, str]:
        """Running containers that a probe wants restarted → the probe."""
        found: dict[str, str] = {}
        for name, probes in self.by_container.items():
            record = self.worker.record.latest(name)
            for kind in ("liveness", "startup"):
                probe = probes.get(kind)
                if probe is None or record is None or record.state != RUNNING:
                    continue
                if probe.container_id == record.id and probe.result == "failure":
                    found[name] = kind
                    break
        return found
