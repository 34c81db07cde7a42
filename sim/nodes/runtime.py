"""The container runtime of one machine: sandboxes, containers, their processes and logs.

It outlives the kubelet, which only looks at it from time to time. Upstream: containerd behind k8s.io/cri-api. Not
modelled: cgroup drivers, snapshotters, runtime classes other than the default.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Network
from random import Random
from typing import Any

from seatrial.sim.kernel.clock import Clock, Signal, Timer
from seatrial.sim.nodes.cri import (
    CREATED,
    EXITED,
    NOTHING,
    RUNNING,
    ContainerConfig,
    ContainerRecord,
    Exit,
    LogSource,
    PodRecord,
    PortMapper,
    Process,
    Sandbox,
    SandboxRecord,
    Workloads,
)
from seatrial.sim.nodes.images import ImageStore
from seatrial.sim.nodes.spec import cpu_shares, nanocores

START_ERROR = 128
UNKNOWN = 255
"""The exit code of what ended while nobody looked: containerd found its process gone when it started."""
MESSAGE_MAX = 4096
LOG_MESSAGE_BYTES, LOG_MESSAGE_LINES = 2048, 80
"""How much of a log becomes a termination message."""


SOCKET_GONE = (
    "rpc error: code = Unavailable desc = connection error: desc = "
    '"transport: Error while dialing: dial unix /run/containerd/containerd.sock: connect: no such file or directory"'
)
EXCEEDED = "rpc error: code = DeadlineExceeded desc = context deadline exceeded"
REQUEST_TIMEOUT_US = 240_000_000
"""Twice the kubelet's runtimeRequestTimeout, as RunPodSandbox has it."""


class Unavailable(RuntimeError):
    """The runtime does not answer: ``args`` is gRPC's message."""


class StartError(Exception):
    """A container's process that could not be started: ``args`` is the runtime's message."""


@dataclass(slots=True)
class Live:
    """What the runtime holds of one container beside its record."""

    uid: str
    config: ContainerConfig
    process: Process | None = None
    log: LogSource | None = None
    ended: Signal | None = None
    kill_timer: Timer | None = None


@dataclass(slots=True)
class Addresses:
    """Addresses of a node's pods: the next free one after the last given out (the host-local IPAM plug-in)."""

    cidr: str
    used: dict[int, None] = field(default_factory=dict)
    last: int = 1

    def take(self) -> str:
        network = IPv4Network(self.cidr)
        size = network.num_addresses
        first = int(network.network_address)
        for step in range(1, size):
            offset = (self.last + step) % size
            if 1 < offset < size - 1 and offset not in self.used:
                self.used[offset] = None
                self.last = offset
                return _dotted(first + offset)
        raise RuntimeError(f"no IP addresses available in range set: {self.cidr}")

    def give_back(self, address: str) -> None:
        network = IPv4Network(self.cidr)
        a, b, c, d = (int(part) for part in address.split("."))
        self.used.pop((a << 24 | b << 16 | c << 8 | d) - int(network.network_address), None)


def _dotted(number: int) -> str:
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


class Runtime:
    """Sandboxes and containers of a machine; ``on_change(uid)`` is told of everything that happens to a pod."""

    def __init__(
        self, clock: Clock, rng: Random, host: str, workloads: Workloads, images: ImageStore, pod_cidr: str = ""
    ) -> None:
        self.clock = clock
        self.rng = rng
        self.host = host
        self.workloads = workloads
        self.images = images
        self.addresses = Addresses(pod_cidr) if pod_cidr else None
        self.plugged = True
        """Whether the network plug-in works."""
        self.port_mapper: PortMapper | None = None
        self.pods: dict[str, PodRecord] = {}
        self.sandboxes: dict[str, Sandbox] = {}
        self.live: dict[str, Live] = {}
        self.attached: dict[str, tuple[str, ...]] = {}
        """Attached volumes that the machine uses, by the pod's uid: a kubelet finds them again when it starts."""
        self.on_change: Callable[[str], None] = _nobody
        self.on_operation: Callable[[str], None] = _nobody
        """Told of each thing that the runtime is asked for, by the name that the kubelet counts it under."""
        self._silence = ""
        """What its clients hear instead of an answer; empty: it answers."""
        self._answers = Signal(clock)
        self._stops: list[tuple[str, int]] = []
        self._lost: list[str] = []
        """Containers that ran when the power went."""

    @property
    def silence(self) -> str:
        return self._silence

    def fall_silent(self, hangs: bool) -> None:
        """The runtime's process ends, or hangs; containers go on."""
        self._silence = EXCEEDED if hangs else SOCKET_GONE

    def answer_again(self) -> None:
        """The runtime answers: the kubelet sees what has happened, and what it wanted stopped is stopped."""
        self._silence = ""
        self._answers.fire()
        stops, self._stops = self._stops, []
        for container_id, grace_us in stops:
            self.stop_container(container_id, grace_us)
        for uid in list(self.pods):
            self.on_change(uid)

    def wait(self) -> Generator[Any, Any, None]:
        """How long a request to a runtime that hangs is waited for."""
        if self._silence == EXCEEDED:
            yield self._answers.wait(REQUEST_TIMEOUT_US, periodic=True)

    def _check(self) -> None:
        if self._silence:
            raise Unavailable(self._silence)

    def record(self, uid: str) -> PodRecord:
        return self.pods.get(uid, NOTHING)

    def new_id(self) -> str:
        return f"{self.rng.getrandbits(256):064x}"

    def create_sandbox(self, sandbox: Sandbox) -> SandboxRecord:
        """Gives the pod its network namespace and address. Raises RuntimeError when there is no address left or nobody
        answers."""
        self._check()
        self.on_operation("run_podsandbox")
        if not sandbox.host_network:
            if self.addresses is None or not self.plugged:
                raise RuntimeError("network plugin is not ready: cni config uninitialized")
            sandbox.ip = self.addresses.take()
        record = SandboxRecord(self.new_id(), sandbox.ip, True, self.clock.now)
        self.sandboxes[sandbox.uid] = sandbox
        if sandbox.ports and self.port_mapper is not None:
            self.port_mapper.add(record.id, sandbox.ip, sandbox.ports)
        self._set(sandbox.uid, self.record(sandbox.uid)._replace(sandbox=record))
        return record

    def stop_sandbox(self, uid: str) -> None:
        """The sandbox is not ready any more; its address goes back."""
        record = self.record(uid)
        if record.sandbox is None or not record.sandbox.ready:
            return
        self.on_operation("stop_podsandbox")
        self._set(uid, record._replace(sandbox=record.sandbox._replace(ready=False)))
        sandbox = self.sandboxes[uid]
        if sandbox.ports and self.port_mapper is not None:
            self.port_mapper.remove(record.sandbox.id)
        if not sandbox.host_network and self.addresses is not None:
            self.addresses.give_back(sandbox.ip)
        self.workloads.release(sandbox)

    def remove_pod(self, uid: str) -> None:
        """Forgets a pod whose containers have ended."""
        record = self.pods.pop(uid, None)
        self.sandboxes.pop(uid, None)
        for container in record.containers if record is not None else ():
            self.live.pop(container.id, None)

    def remove_container(self, container_id: str) -> None:
        """Forgets a container that has ended. Raises KeyError."""
        uid = self.live[container_id].uid
        record = self.record(uid)
        del self.live[container_id]
        self._set(uid, record._replace(containers=tuple(c for c in record.containers if c.id != container_id)))

    def create_container(self, config: ContainerConfig, attempt: int, resources: Mapping[str, Any], asked: str) -> str:
        """Returns the new container's id. Raises Unavailable."""
        self._check()
        self.on_operation("create_container")
        uid = config.sandbox.uid
        made = ContainerRecord(
            self.new_id(),
            config.name,
            attempt,
            config.image.reference,
            config.image.image_id,
            CREATED,
            self.clock.now,
            resources=resources,
            asked=asked,
            image_ref=self.images.ref(config.image),
        )
        record = self.record(uid)
        self.live[made.id] = Live(uid, config)
        self._set(uid, record._replace(containers=(made, *record.containers)))
        return made.id

    def start_container(self, container_id: str) -> None:
        """Starts the main process. Raises StartError; the container has then ended with code 128."""
        self.on_operation("start_container")
        live = self.live[container_id]
        now = self.clock.now
        live.ended = Signal(self.clock)
        try:
            live.process = self.workloads.start(live.config, partial(self._ended, container_id))
        except OSError as error:
            message = (
                "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create "
                f"failed: unable to start container process: {_why(error, container_id, live.config)}: unknown"
            )
            self._change(
                container_id,
                state=EXITED,
                finished_us=now,
                exit_code=START_ERROR,
                reason="StartError",
                message=message,
            )
            raise StartError(message) from error
        live.log = live.process.log
        if self.find(container_id).state == CREATED:
            self._change(container_id, state=RUNNING, started_us=now)

    def stop_container(self, container_id: str, grace_us: int) -> None:
        """TERM now, KILL when the grace is over; ``live[id].ended`` fires at the end."""
        live = self.live.get(container_id)
        if live is None or live.process is None or self.find(container_id).state != RUNNING:
            return
        if self._silence:
            # The kubelet asks until it is answered.
            self._stops.append((container_id, grace_us))
            return
        self.on_operation("stop_container")
        process = live.process
        if live.kill_timer is not None:
            live.kill_timer.cancel()
        live.kill_timer = self.clock.after(grace_us, partial(process.signal, "KILL"))
        process.signal("TERM")

    def resize(self, uid: str, name: str, resources: Mapping[str, Any], memory_limit: int | None) -> None:
        """Changes a running container's cgroup."""
        found = self.record(uid).latest(name)
        if found is not None:
            config = self.live[found.id].config
            config.memory_limit = memory_limit
            config.cpu_limit = nanocores((resources.get("limits") or {}).get("cpu"))
            config.cpu_shares = cpu_shares(resources)
            self._change(found.id, resources=resources)

    def find(self, container_id: str) -> ContainerRecord:
        """Raises KeyError."""
        for container in self.record(self.live[container_id].uid).containers:
            if container.id == container_id:
                return container
        raise KeyError(container_id)

    def power_off(self) -> None:
        """The machine goes down: every process is gone at once, and nothing is left of the sandboxes but records."""
        for container_id, live in self.live.items():
            if live.process is not None and self.find(container_id).state == RUNNING:
                self._lost.append(container_id)
                live.process.signal("KILL")
        for uid in list(self.pods):
            self.stop_sandbox(uid)
        self.attached.clear()

    def power_on(self) -> None:
        """What ran has ended now, as far as is known. Upstream: containerd's internal/cri/server/restart.go."""
        for container_id in self._lost:
            self._change(container_id, finished_us=self.clock.now, exit_code=UNKNOWN, reason="Unknown", message="")
        self._lost.clear()

    def _ended(self, container_id: str, result: Exit) -> None:
        live = self.live.get(container_id)
        if live is None:
            return
        if live.kill_timer is not None:
            live.kill_timer.cancel()
        found = self.find(container_id)
        if found.state == EXITED:
            return
        message = ""
        if live.process is not None:
            message = live.process.termination_message().decode(errors="replace")[:MESSAGE_MAX]
            if not message and result.code and live.config.fallback_to_logs:
                message = _end_of(live.process.log)
        self._change(
            container_id,
            state=EXITED,
            started_us=found.started_us or self.clock.now,
            finished_us=self.clock.now,
            exit_code=result.code,
            reason="OOMKilled" if result.oom else "Completed" if result.code == 0 else "Error",
            message=message,
        )
        if live.ended is not None:
            live.ended.fire()

    def _change(self, container_id: str, **changes: Any) -> None:
        uid = self.live[container_id].uid
        record = self.record(uid)
        containers = tuple(c._replace(**changes) if c.id == container_id else c for c in record.containers)
        self._set(uid, record._replace(containers=containers))

    def _set(self, uid: str, record: PodRecord) -> None:
        self.pods[uid] = record
        if not self._silence:
            self.on_change(uid)


def _end_of(log: LogSource) -> str:
    lines = [text for _, _, text in log.lines[-LOG_MESSAGE_LINES:]]
    return b"".join(lines)[-LOG_MESSAGE_BYTES:].decode(errors="replace")


def _nobody(uid: str) -> None:
    return None


def _why(error: OSError, container_id: str, config: ContainerConfig) -> str:
    """runc's words for a program that is not there, or a mount that cannot be (rootfs_linux.go)."""
    path, obstacle = error.filename, error.filename2
    if path is None:
        return f'exec: "{error.args[0]}": executable file not found in $PATH'
    origin = next((mount.origin for mount in config.mounts if mount.path == path), "")
    at = f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{container_id}/rootfs{obstacle}"
    made = f'cannot create subdirectories in "{at}"' if error.errno == errno.ENOTDIR else f"mkdirat {at}"
    return (
        f'error during container init: error mounting "{origin}" to rootfs at "{path}": create mountpoint for {path} '
        f"mount: {made}: {(error.strerror or '').lower()}"
    )
