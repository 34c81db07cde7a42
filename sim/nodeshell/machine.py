"""One machine as its operating system knows it: units, their journal, processes, and what its files change.

It is there from the beginning and small; the file system comes when somebody looks for the first time (``userland``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from seatrial.sim.apiserver.client import Unreachable
from seatrial.sim.apiserver.request import Request
from seatrial.sim.faults.fault import Fault
from seatrial.sim.faults.machines import KubeletStop, RuntimeStop
from seatrial.sim.nodeshell import unitlog
from seatrial.sim.nodeshell.manifests import Manifests
from seatrial.sim.nodeshell.site import Site
from seatrial.sim.nodeshell.unitlog import UnitLog
from seatrial.sim.nodeshell.units import ACTIVE, INACTIVE, WAITING, Systemd, Unit

if TYPE_CHECKING:
    from seatrial.sim.nodeshell.userland import Userland
    from seatrial.sim.workloads.process import Proc

CONTAINERD_PID, FIRST_PID = 612, 730
KUBELET_COMMAND = (
    "/usr/bin/kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf "
    "--kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml"
)


class Machine:
    """A node, seen from inside."""

    def __init__(self, site: Site, name: str) -> None:
        self.site = site
        self.node = site.nodes[name]
        self.name = name
        self.address = self.node.spec.address
        self.clock = site.wiring.clock
        self.log = UnitLog(lambda: self.clock.now)
        self._last_pid = FIRST_PID
        self._pids: dict[str, int] = {}
        self.systemd = Systemd(self.clock, self.log, self.next_pid)
        self.containerd = self.systemd.add(
            Unit(
                "containerd",
                "containerd container runtime",
                "/usr/bin/containerd",
                documentation="https://containerd.io",
                memory=42 * 1024 * 1024,
                pid=CONTAINERD_PID,
                since_us=self.clock.now,
            )
        )
        self.kubelet = self.systemd.add(
            Unit(
                "kubelet",
                "kubelet: The Kubernetes Node Agent",
                f"{KUBELET_COMMAND} --node-ip={self.address}",
                drop_in="10-kubeadm.conf",
                documentation="https://kubernetes.io/docs/",
                memory=36 * 1024 * 1024,
                state=INACTIVE,
                start=self._retry,
            )
        )
        self.manifests = Manifests(self)
        self._userland: Userland | None = None
        self._prepared: dict[tuple[str, str], Callable[[], object]] = {}
        self._failing = False
        self.node.on_kubelet = self._kubelet
        self.node.configure = self._configure
        self._stopped: dict[tuple[str, str], str] = {}
        """What systemctl stopped: the seam → the fault's kind."""
        self.node.on_power_off.append(self._dark)
        kubelet = self.node.kubelet
        kubelet.recorder.heard = self._heard
        kubelet.volume_manager.on_timeout = self._gave_up
        kubelet.client.on_lost = self._lost

    @property
    def is_control_plane(self) -> bool:
        return self.name == self.site.control_plane

    def next_pid(self) -> int:
        self._last_pid += 7
        return self._last_pid

    def pid_of(self, key: str) -> int:
        """The number of a process, given when somebody first asks."""
        found = self._pids.get(key)
        if found is None:
            found = self._pids[key] = self.next_pid()
        return found

    @property
    def userland(self) -> Userland:
        """Its file system and shells."""
        if self._userland is None:
            from seatrial.sim.nodeshell.userland import Userland

            self._userland = Userland(self)
            self._userland.begin()
            for call in self._prepared.values():
                with suppress(ValueError):
                    call()
            self._prepared.clear()
        return self._userland

    @property
    def looked_at(self) -> bool:
        """Whether anybody has been on the machine: until then its files are as they were installed."""
        return self._userland is not None

    def prepare(self, key: tuple[str, str], call: Callable[[], object]) -> None:
        """Calls once somebody looks at the disk, which may be now; one call per key (hostpath.Machine)."""
        if self.looked_at:
            call()
        else:
            self._prepared.setdefault(key, call)

    # The kubelet

    def _configure(self) -> bool:
        """The kubelet's process reads its files; it ends when they are wrong."""
        self._failing = False
        if not self.looked_at:
            return True
        from seatrial.sim.nodeshell import kubeletconfig

        problem = kubeletconfig.load(self)
        if problem is None:
            return True
        unit = self.kubelet
        self.systemd.began(unit)
        for source, text in problem.lines:
            self.log.klog(unit.pid, "E", source, text)
        self.systemd.failed(unit, problem.status)
        return False

    def _retry(self) -> None:
        """systemd starts the kubelet again, unless somebody stopped it meanwhile."""
        if not self.site.seams.holds(("kubelet", self.name)):
            self.node.start()

    def _kubelet(self, begins: bool) -> None:
        if not begins:
            if not self._failing:
                self.systemd.ended(self.kubelet)
            return
        self.systemd.began(self.kubelet)
        say = self.say
        version = self.site.spec.kubernetes_version
        say("I", "server.go:525", f'"Kubelet version" kubeletVersion="{version}"')
        say("I", "server.go:527", '"Golang settings" GOGC="" GOMAXPROCS="" GOTRACEBACK=""')
        say("I", "server.go:939", '"Client rotation is on, will bootstrap in background"')
        say("I", "kubelet.go:475", '"Attempting to sync node with API server"')
        say("I", "kubelet.go:376", '"Adding static pod path" path="/etc/kubernetes/manifests"')
        say("I", "kubelet.go:2430", '"Starting kubelet main sync loop"')
        say("I", "kubelet_node_status.go:75", f'"Attempting to register node" node="{self.name}"')

    def say(self, severity: str, source: str, text: str) -> None:
        """A line of the kubelet in the journal."""
        self.log.klog(self.kubelet.pid, severity, source, text)

    def _heard(self, about: Mapping[str, Any], kind: str, reason: str, message: str) -> None:
        severity, source, text = unitlog.of_event(self.name, about, kind, reason, message)
        if severity:
            self.say(severity, source, text)
        elif about.get("kind") == "Node" and reason == "Starting":
            self.say("I", "kubelet_node_status.go:78", f'"Successfully registered node" node="{self.name}"')

    def _gave_up(self, about: Mapping[str, Any], missing: str) -> None:
        self.say("E", *unitlog.of_failed_sync(about, missing))

    def _lost(self, request: Request, lost: Unreachable) -> None:
        right = f"{self.site.api_address}:6443"
        address = self.node.kubelet.client.elsewhere or right
        reason = lost.reason.replace(f"{self.site.control_plane}:6443", right)
        url = f"https://{address}{request.path}"
        self.say(*unitlog.of_lost_request(self.name, request.method, url, reason))

    def kill(self, unit: Unit, signal: str, number: int) -> None:
        """A signal ends a daemon's process; systemd starts it again."""
        if unit is self.kubelet:
            self._failing = True
            self.node.stop()
            self._failing = False
        self.systemd.failed(unit, number, signal)

    # What systemctl does

    def start(self, unit: Unit) -> None:
        self.start_kubelet() if unit is self.kubelet else self.start_containerd()

    def stop(self, unit: Unit) -> None:
        self.stop_kubelet() if unit is self.kubelet else self.stop_containerd()

    def restart(self, unit: Unit) -> None:
        if unit is self.kubelet:
            self.restart_kubelet()
        else:
            self.stop_containerd()
            self.start_containerd()

    def enable(self, unit: Unit, enabled: bool) -> None:
        """Whether it starts when the machine boots."""
        unit.enabled = enabled
        if unit is self.kubelet:
            self.node.starts_at_boot = enabled

    def stop_containerd(self) -> None:
        """The fault *runtime-stop*."""
        self._break(("runtime", self.name), RuntimeStop(node=self.name))
        self.look()

    def start_containerd(self) -> None:
        """Heals it, whoever made it."""
        self._mend(("runtime", self.name), RuntimeStop.kind)
        self.look()

    def look(self) -> None:
        """containerd's unit follows what faults did to it."""
        stopped = self.site.seams.holds(("runtime", self.name))
        if stopped and self.containerd.state == ACTIVE:
            self.systemd.ended(self.containerd)
        elif not stopped and self.containerd.state == INACTIVE:
            self.systemd.began(self.containerd)

    def _break(self, key: tuple[str, str], fault: Fault) -> None:
        if not self.site.seams.holds(key):
            self._stopped[key] = fault.kind
            name, taken = f"{fault.kind}-{self.name}", [each["name"] for each in self.site.faults.list()]
            while name in taken:
                name += "-again"
            self.site.faults.add(fault, name)

    def _mend(self, key: tuple[str, str], kind: str) -> None:
        self._stopped.pop(key, None)
        for each in self.site.faults.list():
            if each["fault"]["kind"] == kind and each["fault"].get("node") == self.name and each["started"]:
                self.site.faults.remove(each["name"])
        self.site.seams.release(key)

    def stop_kubelet(self) -> None:
        """``systemctl stop kubelet``: the fault of that name, in the list of faults until it is started again."""
        self.systemd.give_up(self.kubelet)
        self._break(("kubelet", self.name), KubeletStop(node=self.name))

    def start_kubelet(self) -> None:
        """``systemctl start kubelet``: heals the fault, whoever made it."""
        self._mend(("kubelet", self.name), KubeletStop.kind)
        self.systemd.give_up(self.kubelet)
        self.node.start()

    def restart_kubelet(self) -> None:
        """``systemctl restart kubelet``."""
        if self.kubelet.state == ACTIVE:
            self.node.stop()
        self.start_kubelet()

    @property
    def kubelet_waits(self) -> bool:
        """Whether the kubelet failed and will be tried again."""
        return self.kubelet.state == WAITING

    # Power

    def _dark(self) -> None:
        """The machine lost its power: the journal is on disk, everything else begins anew, what is enabled with it."""
        self.systemd.power_off()
        for key, kind in list(self._stopped.items()):
            if (self.kubelet if kind == KubeletStop.kind else self.containerd).enabled:
                self._mend(key, kind)
        self._pids.clear()
        if self._userland is not None:
            self._userland.power_off()


def machine_of(proc: Proc) -> Machine:
    """The machine that a program runs on."""
    container: Any = proc.container
    machine: Machine = container.machine
    return machine
