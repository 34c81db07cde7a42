"""Faults of machines: power, kubelet, proxy, network plug-in, pressure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from seatrial.sim.apiserver.client import Verdict
from seatrial.sim.apiserver.request import Request
from seatrial.sim.config import S
from seatrial.sim.faults.control import READS
from seatrial.sim.faults.fault import Fault, OnNodes
from seatrial.sim.faults.seams import Heal, Seams, nothing, together
from seatrial.sim.kernel.clock import micro_stamp_of, parse_stamp, stamp_of
from seatrial.sim.nodes.machine import RUNTIME_SILENCE_US
from seatrial.sim.nodes.thresholds import DISK, MEMORY, PIDS

NEVER_US = 1 << 62


def power_off(seams: Seams, name: str) -> Heal:
    """Keeps a machine dark."""
    node = seams.nodes[name]

    def on() -> None:
        node.power_on()
        if seams.holds(("kubelet", name)):
            node.stop()

    return seams.hold(("power", name), node.power_off, on)


def stop_kubelet(seams: Seams, name: str) -> Heal:
    node = seams.nodes[name]
    return seams.hold(("kubelet", name), node.stop, node.start)


class NodeCrash(OnNodes):
    """A machine loses its power: kubelet, containers, memory and packet filter are gone; its disks stay."""

    kind = "node-crash"
    opposite = "The machine is switched on and boots; its kubelet starts again what it finds."
    symptom = (
        "The node is NotReady after 40 to 60 s; its pods leave the endpoints then and are evicted after 300 s. Volumes "
        "attached to it stay so until its pods are deleted by force and 6 min longer, or it is tainted out of service."
    )

    def start(self, seams: Seams) -> Heal:
        return together([power_off(seams, name) for name in seams.node_names(self.node, self.selector)])


class NodeReboot(OnNodes):
    """A machine loses its power and boots again."""

    kind = "node-reboot"
    symptom = "The containers of the machine's pods start again; the node has a new boot id."
    once = True
    boot_s: int = Field(default=30, ge=1, description="How long it takes to boot, in seconds.")

    def start(self, seams: Seams) -> Heal:
        for name in seams.node_names(self.node, self.selector):
            seams.wiring.clock.after(self.boot_s * S, power_off(seams, name))
        return nothing


class NodeShutdown(OnNodes):
    """A machine is shut down in an orderly way, as ``systemctl poweroff`` does."""

    kind = "node-shutdown"
    opposite = "The machine is switched on and boots."
    symptom = "Pods end within the node's shutdown grace period, if it has one; then as node-crash."

    def start(self, seams: Seams) -> Heal:
        heals = []
        for name in seams.node_names(self.node, self.selector):
            node = seams.nodes[name]
            heals.append(seams.hold(("power", name), node.shut_down, node.power_on))
        return together(heals)


class NodePause(OnNodes):
    """A machine stands still (a suspended VM): nobody hears of it, its memory stays. Its containers' clocks go on."""

    kind = "node-pause"
    opposite = "The machine goes on where it stood."
    symptom = "As node-crash; afterwards the same containers go on, with the restart counts that they had."

    def start(self, seams: Seams) -> Heal:
        heals = []
        for name in seams.node_names(self.node, self.selector):
            heals += [stop_kubelet(seams, name), seams.cut(name, seams.edge)]
        return together(heals)


class ZoneOutage(Fault):
    """Every machine of a zone loses its power."""

    kind = "zone-outage"
    opposite = "The machines are switched on and boot."
    subject = "zone"
    symptom = "As node-crash, for all nodes of the zone at once; a zone without a ready node is evicted from slowly."
    zone: str = Field(min_length=1, description="The value of topology.kubernetes.io/zone.")

    def start(self, seams: Seams) -> Heal:
        names = seams.node_names("", f"topology.kubernetes.io/zone={self.zone}")
        return together([power_off(seams, name) for name in names])


class NodeFlapping(OnNodes):
    """A machine's link fails and comes back, again and again."""

    kind = "node-flapping"
    opposite = "The link stays up."
    symptom = "The node changes between Ready and Unknown when it is away for longer than 40 s at a time."
    up_s: int = Field(default=30, ge=1, description="How long it is there, in seconds.")
    down_s: int = Field(default=60, ge=1, description="How long it is away, in seconds.")

    def start(self, seams: Seams) -> Heal:
        return together([_flap(seams, name, self) for name in seams.node_names(self.node, self.selector)])


def _flap(seams: Seams, name: str, fault: NodeFlapping) -> Heal:
    clock = seams.wiring.clock
    state: list[Heal] = []

    def down() -> None:
        state[:] = [seams.cut(name, seams.edge), clock.after(fault.down_s * S, up, periodic=True).cancel]

    def up() -> None:
        state[0]()
        state[:] = [clock.after(fault.up_s * S, down, periodic=True).cancel]

    down()
    return lambda: together(list(state))()


class KubeletStop(OnNodes):
    """The kubelet's process ends (``systemctl stop kubelet``); containers go on."""

    kind = "kubelet-stop"
    opposite = "``systemctl start kubelet``: it finds its containers and carries out what it missed."
    symptom = "Pods stay as they are, deletions hang; the node is NotReady after 40 to 60 s."

    def start(self, seams: Seams) -> Heal:
        return together([stop_kubelet(seams, name) for name in seams.node_names(self.node, self.selector)])


class KubeProxyStop(OnNodes):
    """kube-proxy's process stands still; its rules stay as they are."""

    kind = "kube-proxy-stop"
    opposite = "kube-proxy starts, lists and writes its rules."
    symptom = "Unchanged services work, changed endpoints are not noticed by connections that begin on the node."

    def start(self, seams: Seams) -> Heal:
        names = seams.node_names(self.node, self.selector)
        return together([seams.stop(f"kube-proxy/{name}") for name in names])


class KubeProxyRulesFlushed(OnNodes):
    """The packet filter is emptied, and kube-proxy kept from filling it again."""

    kind = "kube-proxy-flushed"
    opposite = "kube-proxy starts and writes its rules again."
    symptom = "No service is reached through the node; pods answer at their own addresses."

    def start(self, seams: Seams) -> Heal:
        heals = []
        for name in seams.node_names(self.node, self.selector):
            heals.append(seams.stop(f"kube-proxy/{name}"))
            seams.plane.hosts[name].packets.flush()
        return together(heals)


class CniBroken(OnNodes):
    """The network plug-in of a machine fails: its pods are cut off, new ones get no address."""

    kind = "cni-broken"
    opposite = "The plug-in works: pods are reachable, the node is Ready."
    symptom = (
        "The node is NotReady (NetworkPluginNotReady); new pods stay in ContainerCreating, FailedCreatePodSandBox."
    )

    def start(self, seams: Seams) -> Heal:
        return together([_unplug(seams, name) for name in seams.node_names(self.node, self.selector)])


def _unplug(seams: Seams, name: str) -> Heal:
    node, host = seams.nodes[name], seams.plane.hosts[name]

    def begin() -> None:
        host.plugged = node.runtime.plugged = False
        node.registration.ready_from_us = NEVER_US
        node.registration.changed()

    def end() -> None:
        host.plugged = node.runtime.plugged = True
        node.registration.ready_from_us = seams.wiring.clock.now
        node.registration.changed()

    return seams.hold(("cni", name), begin, end)


class RuntimeStop(OnNodes):
    """The container runtime's process ends (``systemctl stop containerd``); containers go on."""

    kind = "runtime-stop"
    opposite = "containerd starts; the kubelet sees what has happened and does what it could not do."
    symptom = "The node is NotReady (container runtime is down) after 30 s; nothing is started or stopped, exec fails."
    hangs: ClassVar[bool] = False

    def start(self, seams: Seams) -> Heal:
        return together([_silence(seams, name, self.hangs) for name in seams.node_names(self.node, self.selector)])


class RuntimeHang(RuntimeStop):
    """The container runtime takes requests and does not answer them; containers go on."""

    kind = "runtime-hang"
    opposite = "containerd answers what it was asked."
    symptom = "As runtime-stop, but new pods fail only after four minutes, with context deadline exceeded."
    hangs = True


def _silence(seams: Seams, name: str, hangs: bool) -> Heal:
    node, clock = seams.nodes[name], seams.wiring.clock
    runtime, registration = node.runtime, node.registration

    def begin() -> None:
        runtime.fall_silent(hangs)
        registration.runtime_lost_us = clock.now
        clock.after(RUNTIME_SILENCE_US, registration.changed, periodic=True)

    def end() -> None:
        registration.runtime_lost_us = None
        runtime.answer_again()
        registration.changed()

    return seams.hold(("runtime", name), begin, end)


class DiskFull(OnNodes):
    """A machine's disk is full: nothing can be written, no image fetched."""

    kind = "disk-full"
    opposite = "There is room again; DiskPressure ends five minutes later."
    symptom = (
        "DiskPressure and its taint; images that the node lacks fail to be pulled, containers get `no space left on "
        "device`. Unused images go, then pods are evicted one by one, and new ones rejected."
    )

    def start(self, seams: Seams) -> Heal:
        heals = []
        for name in seams.node_names(self.node, self.selector):
            heals.append(_take(seams, name, DISK, 0))
            heals.append(_fill(seams, name))
        return together(heals)


def _fill(seams: Seams, name: str) -> Heal:
    images, full = seams.nodes[name].runtime.images, seams.world.full

    def begin() -> None:
        images.full = True
        full[name] = None

    def end() -> None:
        images.full = False
        del full[name]

    return seams.hold(("disk", name), begin, end)


class ClockSkew(OnNodes):
    """A machine's clock is wrong: what its kubelet writes down bears wrong times."""

    kind = "clock-skew"
    opposite = "The clock is right again."
    symptom = (
        "The node's lease, heartbeats and events are of another time. A clock that goes back (at the beginning of a "
        "negative skew, at the end of a positive one) makes the node controller overlook renewals until it has caught "
        "up: the node flaps between Ready and Unknown for that long, as upstream's does. Times in pods' statuses are "
        "not wrong."
    )
    by_s: int = Field(default=300, description="By how much, in seconds; negative: it is late.")

    def start(self, seams: Seams) -> Heal:
        names = seams.node_names(self.node, self.selector)
        users = {f"system:node:{name}": None for name in names}

        def judge(request: Request) -> Verdict | None:
            written = request.method not in READS and request.user is not None and request.user.name in users
            if written and any(part in request.path for part in SKEWED):
                request.body = skewed(request.body, self.by_s * S)
            return None

        return seams.judge(judge)


SKEWED = ("/leases/", "/events", "/nodes/")
"""Paths of what the fault reaches."""


def skewed(value: Any, by_us: int) -> Any:
    """A body whose times are of another clock."""
    if isinstance(value, Mapping):
        return {key: each if key == "metadata" else skewed(each, by_us) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [skewed(each, by_us) for each in value]
    if isinstance(value, str) and TIME.fullmatch(value):
        moved = parse_stamp(value) + by_us
        return micro_stamp_of(moved) if "." in value else stamp_of(moved)
    return value


TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


class NodePressure(OnNodes):
    """A machine runs short of something that other processes than the pods' take, and take again when it is freed."""

    kind = "node-pressure"
    opposite = "It is there again; the condition is False and the taint goes five minutes later."
    symptom = (
        "The condition is True and the node tainted, so that no new pod is placed there; its pods are evicted one by "
        "one, those first that use more than they requested, then by priority. Critical ones stay."
    )
    RESOURCES: ClassVar[dict[str, str]] = {"memory": MEMORY, "disk": DISK, "pid": PIDS}
    resource: Literal["memory", "disk", "pid"] = Field(default="disk", description="What is short.")

    def start(self, seams: Seams) -> Heal:
        names = seams.node_names(self.node, self.selector)
        return together([_take(seams, name, self.RESOURCES[self.resource], SHORT) for name in names])


SHORT = 0.5
"""How much a machine under pressure has left of what its kubelet wants to be there."""


def _take(seams: Seams, name: str, resource: str, leaves: float) -> Heal:
    eviction, key = seams.nodes[name].eviction, f"{resource}/{leaves}"
    return seams.hold(
        ("taken", name, key), lambda: eviction.take(key, resource, leaves), lambda: eviction.give_back(key)
    )


MACHINES = (
    NodeCrash, NodeReboot, NodeShutdown, NodePause, ZoneOutage, NodeFlapping, KubeletStop, KubeProxyStop,
    KubeProxyRulesFlushed, CniBroken, RuntimeStop, RuntimeHang, NodePressure, DiskFull, ClockSkew,
)  # fmt: skip
