"""A machine of the cluster: a host on the network, its container runtime, and a kubelet that can be stopped alone."""

from __future__ import annotations

from collections.abc import Callable

from seatrial.sim.apiserver.kubelets import Served
from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.config import S
from seatrial.sim.nodes.cri import Workloads
from seatrial.sim.nodes.endpoint import Server
from seatrial.sim.nodes.eviction import Eviction
from seatrial.sim.nodes.garbage import ImageGarbage
from seatrial.sim.nodes.images import ImageStore, normalise
from seatrial.sim.nodes.kubelet import Kubelet
from seatrial.sim.nodes.machine import MachineSpec, Registration
from seatrial.sim.nodes.runtime import Runtime
from seatrial.sim.nodes.settings import KubeletSettings
from seatrial.sim.nodes.spec import grace_s

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
CONTROL_PLANE_TAINT = {"key": CONTROL_PLANE, "effect": "NoSchedule"}


SHUTDOWN_MESSAGE = "Pod was terminated in response to imminent node shutdown."


class Node:
    """A machine that is switched on and off, with the kubelet as its component.

    ``start`` and ``stop`` are the kubelet's; ``power_on`` and ``power_off`` the machine's. The host must be in the
    topology, linked to the API server's.
    """

    def __init__(
        self, wiring: Wiring, spec: MachineSpec, workloads: Workloads, settings: KubeletSettings | None = None
    ) -> None:
        settings = settings or KubeletSettings()
        self.wiring = wiring
        self.spec = spec
        self.host = spec.name
        store = ImageStore(settings.pull_bytes_per_s, settings.pull_overhead_us)
        for name in settings.preloaded:
            store.add(workloads.find_image(normalise(name)), wiring.clock.now, imported=True)
        rng = wiring.streams(f"runtime/{spec.name}")
        self.runtime = Runtime(wiring.clock, rng, spec.name, workloads, store, spec.pod_cidr)
        self.kubelet = Kubelet(wiring, spec.name, spec.address, self.runtime, settings)
        self.registration = Registration(self.kubelet, spec)
        self.garbage = ImageGarbage(self.registration)
        self.eviction = Eviction(self.registration, self.garbage)
        workloads.on_memory(spec.name, self.eviction.note)
        workloads.on_written(spec.name, self.eviction.wrote)
        store.on_change = self._images_changed
        self.server = Server(self.kubelet)
        self.name = self.kubelet.name
        self.powered = True
        self.on_power_off: list[Callable[[], None]] = []
        """What else is lost when the machine goes dark."""
        self.booted_us = wiring.clock.now
        self.starts_at_boot = True
        """Whether the kubelet is started when the machine boots (systemctl enable)."""
        self.configure: Callable[[], bool] = _as_it_is
        """Asked when the kubelet's process begins: it reads its files. False: it ends at once."""
        self.on_kubelet: Callable[[bool], None] = _nobody
        """Told when the kubelet's process begins and ends."""
        served = Served(self.server, spec.name, spec.address, settings.port, lambda: self.running)
        wiring.kubelets.serve(spec.name, served)

    @property
    def running(self) -> bool:
        return self.kubelet.running and self.powered

    def start(self) -> None:
        """Starts the kubelet."""
        if not self.powered or self.kubelet.running or not self.configure():
            return
        self.on_kubelet(True)
        self.kubelet.start()
        self.registration.start()
        self.eviction.start()
        self.garbage.start()

    def stop(self) -> None:
        """Stops the kubelet; the containers go on."""
        if self.kubelet.running:
            self.on_kubelet(False)
        self.garbage.stop()
        self.eviction.stop()
        self.registration.stop()
        self.kubelet.stop()

    def _images_changed(self) -> None:
        self.registration.changed()
        self.garbage.note()
        self.eviction.note()

    def shut_down(self) -> None:
        """The machine is asked to go down: pods end within the shutdown's grace, then it goes dark."""
        grace = self.kubelet.settings.graceful_shutdown_us
        if not grace or not self.running:
            self.power_off()
            return
        self.kubelet.shutting_down = self.registration.shutting_down = True
        self.registration.changed()
        for worker in list(self.kubelet.workers.values()):
            worker.disruption = ("TerminationByKubelet", SHUTDOWN_MESSAGE)
            worker.end(("Terminated", SHUTDOWN_MESSAGE), grace_us=min(grace, grace_s(worker.pod) * S))
        self.wiring.clock.after(grace, self.power_off)

    def power_off(self) -> None:
        """The machine goes dark: kubelet and containers end at once."""
        self.stop()
        self.powered = False
        self.runtime.power_off()
        for call in self.on_power_off:
            call()

    def power_on(self) -> None:
        """The machine boots: a new boot id, empty memory, the kubelet starts."""
        if self.powered:
            return
        self.powered = True
        self.booted_us = self.wiring.clock.now
        self.runtime.power_on()
        self.kubelet.shutting_down = self.registration.shutting_down = False
        self.registration.rebooted()
        if self.starts_at_boot:
            self.start()

    def busy(self) -> list[str]:
        return self.kubelet.busy()


def _as_it_is() -> bool:
    return True


def _nobody(begins: bool) -> None:
    return None
