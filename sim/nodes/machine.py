"""What a kubelet says of its machine: the Node object, its status and its lease.

Source: k8s.io/kubernetes/pkg/kubelet/{kubelet_node_status.go,nodestatus/setters.go,nodelease}. Leases of a healthy node
and status reports that say nothing new are a rhythm: their timers do not keep a cluster from being settled.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from seatrial.sim.apiserver.client import Client, Unreachable
from seatrial.sim.apiserver.informer import Informer
from seatrial.sim.apiserver.request import User
from seatrial.sim.apiserver.standing import Beat, renewed, retimed
from seatrial.sim.config import S
from seatrial.sim.kernel.clock import Process, Signal, micro_stamp_of, stamp_of
from seatrial.sim.kernel.streams import uid_from
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.quantity import parse
from seatrial.sim.nodes.thresholds import amount_of

if TYPE_CHECKING:
    from seatrial.sim.nodes.kubelet import Kubelet

Object = Mapping[str, Any]
STRATEGIC = "application/strategic-merge-patch+json"
LEASE_NAMESPACE = "kube-node-lease"
RENEW_FRACTION = 4
RETRY_US = 200_000
"""Between attempts to register; upstream doubles it from 100 ms up to 7 s."""
RETRY_MAX_US = 7 * S
READY_DELAY_US = 400_000
"""From a kubelet's start until its runtime and network are up."""

INSTALLER = User("kubernetes-admin", ("system:masters", "system:authenticated"))

PRESSURES = (
    ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)
REPORTED = ("Ready", *(kind for kind, _, _ in PRESSURES))
"""Conditions that a kubelet reports."""
FEATURES = (
    "ExtendWebSocketsToKubelet",
    "InPlacePodLevelResourcesVerticalScaling",
    "InPlacePodVerticalScalingInitContainers",
    "RestartAllContainersOnContainerExits",
)


class MachineSpec(NamedTuple):
    """The hardware and what it is called."""

    name: str
    address: str
    cpus: int = 2
    memory: str = "4Gi"
    ephemeral_storage: str = "50Gi"
    pods: int = 110
    labels: Mapping[str, str] = {}
    taints: Sequence[Mapping[str, str]] = ()
    pod_cidr: str = ""


RUNTIME_SILENCE_US = 30 * S
"""baseRuntimeSyncThreshold: after so long without an answer the container runtime is down."""


class Registration:
    """Keeps the Node object and the lease of one kubelet."""

    def __init__(self, kubelet: Kubelet, spec: MachineSpec) -> None:
        self.kubelet = kubelet
        self.spec = spec
        kinds = kubelet.wiring.kinds
        self.nodes = kinds.resource("nodes")
        self.leases = kinds.resource("leases.coordination.k8s.io")
        rng = kubelet.wiring.streams(f"machine/{spec.name}")
        self.machine_id = f"{rng.getrandbits(128):032x}"
        self.boot_id = uid_from(rng)
        self._rng = rng
        self.conditions: dict[str, dict[str, Any]] = {}
        """Conditions as last reported, by type."""
        self.pressure = kubelet.pressure
        """Pressures that the eviction manager sees: type → (reason, message)."""
        self.ready_from_us = 0
        self.runtime_lost_us: int | None = None
        """Since when the container runtime has not answered."""
        self.shutting_down = False
        self.node: Object | None = None
        self._processes: list[Process] = []
        self._news = Signal(kubelet.clock)
        self._pending = False
        """Something is different since the machine was last looked at."""
        self._beat: Beat | None = None
        self._standing = kubelet.wiring.endpoint.server.standing
        self._informer: Informer | None = None
        kubelet.volume_manager.on_change = self.changed

    def rebooted(self) -> None:
        self.boot_id = uid_from(self._rng)

    def start(self) -> None:
        kubelet = self.kubelet
        self.ready_from_us = kubelet.clock.now + READY_DELAY_US
        self.node = None
        self._beat = None
        self.conditions = {}
        self._informer = Informer(
            kubelet.wiring, kubelet.client, self.nodes, field_selector=f"metadata.name={self.spec.name}", heedless=True
        )
        self._informer.on_change(self._changed)
        self._processes = [
            kubelet.spawn(self._informer.run(), f"{kubelet.name}/node"),
            kubelet.spawn(self._register(), f"{kubelet.name}/register"),
        ]

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
        self._processes = []

    def _changed(self, verb: str, new: Object | None, old: Object | None) -> None:
        if new is not None and self.node is not None:
            self.node = new
            self.kubelet.registered(new)
            if self._is_overwritten(new):
                self.changed()

    def _is_overwritten(self, node: Object) -> bool:
        """Whether the Node says something else than was reported last: the node controller's ``Unknown``."""
        said = {each["type"]: each["status"] for each in (node.get("status") or {}).get("conditions") or ()}
        return any(said.get(kind, each["status"]) != each["status"] for kind, each in self.conditions.items())

    # The Node

    def capacity(self) -> dict[str, str]:
        spec = self.spec
        return {
            "cpu": str(spec.cpus),
            "ephemeral-storage": str(parse(spec.ephemeral_storage).value() // 1024) + "Ki",
            "hugepages-1Gi": "0",
            "hugepages-2Mi": "0",
            "memory": str(parse(spec.memory).value() // 1024) + "Ki",
            "pods": str(spec.pods),
        }

    def allocatable(self) -> dict[str, str]:
        capacity = self.capacity()
        memory, storage = parse(capacity["memory"]).value(), parse(capacity["ephemeral-storage"]).value()
        hard = self.kubelet.settings.eviction_hard
        kept_memory = amount_of(hard.get("memory.available", "0")).of(memory)
        kept_storage = amount_of(hard.get("nodefs.available", "0")).of(storage)
        return {
            **capacity,
            "ephemeral-storage": str(storage - kept_storage),
            "memory": str((memory - kept_memory) // 1024) + "Ki",
        }

    def conditions_now(self, stamp: str) -> list[dict[str, Any]]:
        """All conditions; the heartbeat is now, the transition when the status last changed."""
        wanted = []
        for kind, reason, message in PRESSURES:
            pressed = self.pressure.get(kind)
            wanted.append((kind, "True", *pressed) if pressed else (kind, "False", reason, message))
        lost = self.runtime_lost_us
        if self.shutting_down:
            wanted.append(("Ready", "False", "KubeletNotReady", "node is shutting down"))
        elif lost is not None and self.kubelet.clock.now >= lost + RUNTIME_SILENCE_US:
            wanted.append(("Ready", "False", "KubeletNotReady", "container runtime is down"))
        elif self.kubelet.clock.now < self.ready_from_us:
            text = (
                "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network "
            )
            wanted.append(
                ("Ready", "False", "KubeletNotReady", text + "plugin returns error: cni plugin not initialized")
            )
        else:
            wanted.append(("Ready", "True", "KubeletReady", "kubelet is posting ready status"))
        return [self._condition(*each, stamp) for each in wanted]

    def _condition(self, kind: str, status: str, reason: str, message: str, stamp: str) -> dict[str, Any]:
        before = self._said(kind)
        since = before["lastTransitionTime"] if before is not None and before["status"] == status else stamp
        return {
            "type": kind,
            "status": status,
            "lastHeartbeatTime": stamp,
            "lastTransitionTime": since,
            "reason": reason,
            "message": message,
        }

    def _said(self, kind: str) -> Object | None:
        """A condition as the Node has it, whoever wrote it: what a kubelet reports is a change of that, or none."""
        conditions = ((self.node or {}).get("status") or {}).get("conditions") or ()
        return next((found for found in conditions if found["type"] == kind), None)

    def status(self) -> dict[str, Any]:
        kubelet, spec = self.kubelet, self.spec
        return {
            "capacity": self.capacity(),
            "allocatable": self.allocatable(),
            "conditions": self.conditions_now(kubelet.clock.stamp()),
            "addresses": [
                {"type": "InternalIP", "address": spec.address},
                {"type": "Hostname", "address": spec.name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.settings.port}},
            "nodeInfo": self.info(),
            "images": kubelet.runtime.images.wire(),
            "declaredFeatures": list(FEATURES),
            **kubelet.volume_manager.status(),
        }

    def info(self) -> dict[str, Any]:
        return {
            "machineID": self.machine_id,
            "systemUUID": self.machine_id,
            "bootID": self.boot_id,
            "kernelVersion": "6.12.57+deb13-amd64",
            "osImage": "Debian GNU/Linux 13 (trixie)",
            "containerRuntimeVersion": "containerd://2.2.0",
            "kubeletVersion": self.kubelet.wiring.spec.kubernetes_version,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": "amd64",
        }

    def fresh(self) -> dict[str, Any]:
        """The Node as a kubelet registers it."""
        spec = self.spec
        labels = {
            "beta.kubernetes.io/arch": "amd64",
            "beta.kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": spec.name,
            "kubernetes.io/os": "linux",
        }
        made: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": spec.name,
                "labels": labels,
                "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
            },
            "spec": {},
            "status": self.status(),
        }
        if spec.taints:
            made["spec"]["taints"] = [dict(taint) for taint in spec.taints]
        return made

    def _register(self) -> Generator[Any, Any, None]:
        """Creates the Node or takes over the one that is there, then keeps the rhythms going."""
        kubelet, delay = self.kubelet, RETRY_US
        while True:
            try:
                made = self.fresh()
                self.conditions = {found["type"]: found for found in made["status"]["conditions"]}
                stored = yield from kubelet.client.create(self.nodes, made)
                break
            except ApiError as error:
                if error.code == 409:
                    self.conditions = {}
                    try:
                        stored = yield from kubelet.client.get(self.nodes, "", self.spec.name)
                        break
                    except (ApiError, Unreachable):
                        pass
            except Unreachable:
                pass
            yield kubelet.clock.sleep(delay, periodic=True)
            delay = min(delay * 2, RETRY_MAX_US)
        self.node = stored
        about = self.about()
        kubelet.recorder.event(about, "Normal", "Starting", "Starting kubelet.")
        for kind in ("NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID"):
            kubelet.recorder.event(about, "Normal", kind, f"Node {self.spec.name} status is now: {kind}")
        text = "Updated Node Allocatable limit across pods"
        kubelet.recorder.event(about, "Normal", "NodeAllocatableEnforced", text)
        kubelet.registered(stored)
        if self.spec.labels:
            self._processes.append(kubelet.spawn(self._label(), f"{kubelet.name}/labels"))
        self._processes.append(kubelet.spawn(self._lease(), f"{kubelet.name}/lease"))
        self._processes.append(kubelet.spawn(self._report(), f"{kubelet.name}/status"))

    def _label(self) -> Generator[Any, Any, None]:
        """Labels that a kubelet may not give itself: whoever set the machine up does (kubeadm)."""
        kubelet = self.kubelet
        patch = {"metadata": {"labels": dict(self.spec.labels)}}
        installer = Client(kubelet.wiring, kubelet.host, INSTALLER, "kubeadm/v1.37.2 (linux/amd64)")
        while True:
            try:
                yield from installer.patch(self.nodes, "", self.spec.name, patch, STRATEGIC)
                return
            except (ApiError, Unreachable):
                yield kubelet.clock.sleep(RETRY_MAX_US, periodic=True)

    def about(self) -> dict[str, Any]:
        """A reference to the Node, for events."""
        return {"kind": "Node", "name": self.spec.name, "uid": self.spec.name, "apiVersion": "v1"}

    def changed(self) -> None:
        """Something about the machine is different: the next look at it will say so."""
        self._pending = True
        self.kubelet.stir()
        if self._beat is not None:
            self._standing.wake(self.nodes.storage, "", self.spec.name)
        self._news.fire()

    def _report(self) -> Generator[Any, Any, None]:
        """Status reports: at once, when something changes, and every five minutes.

        The machine is looked at every ten seconds; looks at which nothing has changed are not executed.
        """
        kubelet, settings = self.kubelet, self.kubelet.settings
        yield kubelet.clock.sleep(max(self.ready_from_us - kubelet.clock.now, 0))
        begun, look = kubelet.clock.now, settings.status_update_us
        last: dict[str, Any] = {}
        last_us = 0
        while True:
            self._pending, pace = False, None
            status = self.status()
            now = kubelet.clock.now
            overwritten = self.node is not None and self._is_overwritten(self.node)
            news = overwritten or not _same(last, status)
            if news or now - last_us >= settings.status_report_us:
                ready = self._announce(status)
                try:
                    patch = {"status": status}
                    stored = yield from kubelet.client.patch(
                        self.nodes, "", self.spec.name, patch, STRATEGIC, subresource="status"
                    )
                    last, last_us = status, now
                    self.conditions = {found["type"]: found for found in status["conditions"]}
                    kubelet.volume_manager.reported(stored)
                    for reason in ready:
                        text = f"Node {self.spec.name} status is now: {reason}"
                        kubelet.recorder.event(self.about(), "Normal", reason, text)
                    if not news and not settings.status_report_us % look:
                        # One like it was made: what it owns of the Node, and all else, will stay as it is.
                        pace = self._standing.pace(kubelet.host, self.nodes.storage, now, settings.status_report_us)
                except (ApiError, Unreachable):
                    last = {}
            if pace is not None and not self._pending and not (now - begun) % look:
                pace = pace._replace(period_us=settings.status_report_us + look)
                self._beat = Beat(kubelet.wiring, kubelet.host, self.nodes, stored, pace, _reported, False)
                yield self._beat
                last_us, self._beat = self._beat.pace.sent_us, None
            left = last_us + settings.status_report_us - kubelet.clock.now if last else 0
            if left > 0 and not self._pending:
                yield self._news.wait(left, periodic=True)
            yield kubelet.clock.sleep(look - (kubelet.clock.now - begun) % look, periodic=True)

    def _announce(self, status: Mapping[str, Any]) -> list[str]:
        """Events that go with a change of the Ready condition."""
        for found in status["conditions"]:
            if found["type"] != "Ready":
                continue
            before = self._said("Ready")
            if before is not None and before["status"] != found["status"]:
                return ["NodeReady" if found["status"] == "True" else "NodeNotReady"]
        return []

    # The lease

    def _lease(self) -> Generator[Any, Any, None]:
        kubelet, name = self.kubelet, self.spec.name
        seconds = kubelet.settings.lease_duration_s
        lease: Object | None = None
        while True:
            spec = {
                "holderIdentity": name,
                "leaseDurationSeconds": seconds,
                "renewTime": micro_stamp_of(kubelet.clock.now),
            }
            sent, pause, pace = kubelet.clock.now, seconds * S // RENEW_FRACTION, None
            try:
                if lease is None:
                    lease = yield from self._first_lease(spec)
                else:
                    lease = yield from kubelet.client.update(self.leases, {**lease, "spec": {**lease["spec"], **spec}})
                    pace = self._standing.pace(kubelet.host, self.leases.storage, sent, pause)
            except (ApiError, Unreachable):
                lease = None
            if pace is not None and lease is not None:
                beat = Beat(kubelet.wiring, kubelet.host, self.leases, lease, pace, renewed("kubelet"), True)
                yield beat
                lease, pause = beat.stored, beat.left_us()
            yield kubelet.clock.sleep(pause, periodic=True)

    def _first_lease(self, spec: dict[str, Any]) -> Generator[Any, Any, Object]:
        kubelet, name = self.kubelet, self.spec.name
        assert self.node is not None
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": self.node["metadata"]["uid"]}
        made = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]},
            "spec": spec,
        }
        try:
            stored: Object = yield from kubelet.client.create(self.leases, made)
        except ApiError as error:
            if error.code != 409:
                raise
            found = yield from kubelet.client.get(self.leases, LEASE_NAMESPACE, name)
            stored = yield from kubelet.client.update(self.leases, {**found, "spec": {**found["spec"], **spec}})
        return stored


def _reported(node: Object, sent_us: int, arrived_us: int) -> Object:
    """The Node after a report that says nothing new."""
    beat = stamp_of(sent_us)
    conditions = [
        {**found, "lastHeartbeatTime": beat} if found["type"] in REPORTED else found
        for found in node["status"]["conditions"]
    ]
    metadata = retimed(node["metadata"], "kubelet", "status", arrived_us)
    return {**node, "metadata": metadata, "status": {**node["status"], "conditions": conditions}}


def _same(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether two reports differ in their heartbeats alone."""
    if before.keys() != now.keys():
        return False
    for key, value in now.items():
        if key != "conditions" and before[key] != value:
            return False
    pairs = zip(before["conditions"], now["conditions"], strict=True)
    return all(a["status"] == b["status"] and a["reason"] == b["reason"] for a, b in pairs)
