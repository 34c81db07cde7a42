"""What the kubelet's container runtime asks of what runs inside containers, and the records it keeps.

The counterpart is ``workloads``: the composition root hands it to every node, and neither package imports the other.
Upstream: k8s.io/cri-api, with pods and containers as in k8s.io/kubernetes/pkg/kubelet/container.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from seatrial.sim.nodes.capabilities import DEFAULT as DEFAULT_CAPABILITIES

CREATED, RUNNING, EXITED = "created", "running", "exited"
ONE_CORE = 1_000_000_000
"""Nanocores."""


class Exit(NamedTuple):
    """How a process ended."""

    code: int
    oom: bool = False


class ContainerRecord(NamedTuple):
    """One container as the runtime reports it (kubecontainer.Status)."""

    id: str
    name: str
    attempt: int
    image: str
    image_id: str
    state: str
    created_us: int
    started_us: int = 0
    finished_us: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    resources: Mapping[str, Any] = {}
    """What the container's cgroup was last set to: requests and limits as in a container's spec."""
    asked: str = ""
    """The image as the spec names it: another name there means another container."""
    image_ref: str = ""
    """What the image's registry calls it; its id when it was not pulled."""


class SandboxRecord(NamedTuple):
    """A pod's sandbox: its network namespace and the container that holds it."""

    id: str
    ip: str
    ready: bool
    created_us: int


class PodRecord(NamedTuple):
    """Everything the runtime knows of a pod; containers newest first (kubecontainer.PodStatus)."""

    sandbox: SandboxRecord | None = None
    containers: tuple[ContainerRecord, ...] = ()

    def latest(self, name: str) -> ContainerRecord | None:
        """The newest container of this name."""
        for record in self.containers:
            if record.name == name:
                return record
        return None


NOTHING = PodRecord()


class Image(Protocol):
    """An image in a registry or on a node."""

    reference: str
    """Normalised name with tag: docker.io/library/busybox:1."""
    image_id: str
    repo_digest: str
    """What its registry calls it, whatever tag it goes by: docker.io/library/busybox@sha256:…"""
    size_bytes: int
    user: str
    known: bool
    """Whether somebody described what is inside. What nobody described is taken to do what its pod expects of it."""


class Volume(Protocol):
    """A directory that outlives containers."""

    def publish(self, files: Mapping[str, tuple[bytes, int]], stamp: str) -> None:
        """Replaces the contents at once, as the kubelet's atomic writer does: path → (bytes, mode)."""

    def written(self) -> tuple[int, int]:
        """Bytes and inodes."""

    def read(self, path: str) -> bytes:
        """A file's contents. Raises OSError."""

    def give(self, group: int) -> None:
        """To a group, as an fsGroup has it; the kubelet gives no part of a machine's disk away."""


class Session(Protocol):
    """A running exec or attach: input in, output out, an exit status at the end."""

    def write_stdin(self, data: bytes) -> None: ...

    def close_stdin(self) -> None: ...

    def resize(self, width: int, height: int) -> None: ...

    def kill(self) -> None: ...


class LogSource(Protocol):
    """What one container instance wrote: lines of (µs, stream, text with its newline if it had one)."""

    lines: list[tuple[int, str, bytes]]
    dropped: int
    """Lines that came before and are not kept any more."""
    size: int
    """Bytes on the disk, rotated files included."""

    def on_append(self, call: Callable[[], None]) -> Callable[[], None]:
        """Calls back at every new line; the result stops that."""


class Process(Protocol):
    """The main process of a container."""

    log: LogSource
    termination_message: Callable[[], bytes]

    def signal(self, name: str) -> None:
        """Delivers TERM, KILL, ...; ends the process or runs its trap."""

    def exec(
        self,
        argv: list[str],
        on_output: Callable[[str, bytes], None],
        on_exit: Callable[[int], None],
        stdin: bool = False,
        tty: bool = False,
    ) -> Session:
        """Starts another process in the container. Raises FileNotFoundError(argv[0]) when there is no such program."""

    def attach(self, on_output: Callable[[str, bytes], None], on_exit: Callable[[int], None]) -> Session: ...

    def usage(self) -> tuple[int, int]:
        """CPU in nanocores and memory working set in bytes, now."""

    def cpu_total_ns(self) -> int: ...

    def written(self) -> tuple[int, int]:
        """Bytes and inodes of the container's own layer."""

    def count(self) -> int:
        """How many processes there are."""


class Mount(NamedTuple):
    path: str
    volume: Volume
    read_only: bool = False
    sub_path: str = ""
    origin: str = ""
    """Where the machine has it."""


class PortMapping(NamedTuple):
    """A port of the machine that leads to one of a pod (runtimeapi.PortMapping)."""

    host_ip: str
    """Empty: at every address of the machine."""
    host_port: int
    port: int
    protocol: str


class PortMapper(Protocol):
    """The network plug-in that sees to port mappings; sandboxes are told apart by their ids."""

    def add(self, sandbox_id: str, address: str, mappings: tuple[PortMapping, ...]) -> None: ...

    def remove(self, sandbox_id: str) -> None: ...


@dataclass(slots=True)
class Sandbox:
    """What the containers of a pod share."""

    name: str
    namespace: str
    uid: str
    host: str
    """The node's name."""
    ip: str
    hostname: str
    domain: str = ""
    host_network: bool = False
    share_processes: bool = False
    dns: Mapping[str, list[str]] = field(default_factory=dict)
    """servers, searches and options of /etc/resolv.conf."""
    hosts: str = ""
    """The text of /etc/hosts."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[PortMapping, ...] = ()
    """Only of a sandbox with a network of its own."""
    sysctls: Mapping[str, str] = field(default_factory=dict)
    """Kernel parameters of the sandbox's own, names with dots."""
    shared: Any = None
    """For the workloads' own use: what listens on the sandbox's addresses."""


@dataclass(slots=True)
class ContainerConfig:
    """Everything a container is created with (runtimeapi.ContainerConfig)."""

    name: str
    image: Image
    argv: list[str] | None
    """command, or None for the image's entry point."""
    args: list[str] | None
    env: dict[str, str]
    working_dir: str
    mounts: list[Mount]
    sandbox: Sandbox
    user: str = ""
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    memory_limit: int | None = None
    cpu_limit: int | None = None
    """Nanocores."""
    cpu_shares: int = 2
    """Its weight against others, as cpu.shares counts."""
    machine_cpu: int = ONE_CORE
    """Nanocores that a container without a limit may use."""
    read_only_root: bool = False
    termination_message_path: str = "/dev/termination-log"
    fallback_to_logs: bool = False
    """An empty message of a failed container is the end of its log (FallbackToLogsOnError)."""
    ports: tuple[int, ...] = ()
    """Ports that the spec mentions, for programs that nobody described."""
    ends: bool = False
    """Whether the pod waits for the container's end, for programs that nobody described."""
    target: str = ""
    """The container whose processes this one sees."""
    groups: tuple[int, ...] = ()
    """Groups that its processes are in besides their own."""
    capabilities: int = DEFAULT_CAPABILITIES
    """What root may do in it, a bit for each capability (linux/capability.h)."""
    no_new_privs: bool = False
    """Set-uid programs run as whoever starts them."""
    privileged: bool = False
    """Whether it may do what root of the machine may."""


class Resting(Protocol):
    """Requests that are not made, but accounted for."""

    asked: int
    """How many would have been made, as of the last ``settle``."""
    next_us: int

    def settle(self) -> None:
        """Accounts for what would have been asked by now."""

    def stir(self) -> None:
        """The pod may be another from now on: all who rest there are stirred."""

    def leave(self) -> None:
        """Asks no more."""


class Workloads(Protocol):
    """What runs inside containers, and the registry their images come from."""

    def find_image(self, reference: str) -> Image:
        """What a registry serves under a normalised reference. Raises LookupError with the runtime's message."""

    def volume(self, key: str = "", kind: str = "") -> Volume:
        """A new directory, or the one that all who name the key share. ``kind``: the type of a hostPath. Raises
        ValueError in the kubelet's words when there is something else."""

    def image_volume(self, image: Image) -> Volume:
        """What is inside an image, to be mounted."""

    def start(self, config: ContainerConfig, on_exit: Callable[[Exit], None]) -> Process:
        """Starts a container's main process. Raises FileNotFoundError(argv[0]), and OSError for a mount that cannot be:
        ``filename`` is its path, ``filename2`` what is in the way.
        """

    def on_memory(self, host: str, call: Callable[[], None]) -> None:
        """Calls back whenever what runs on a host uses much more or less memory."""

    def on_written(self, host: str, call: Callable[[str, int], None]) -> None:
        """Calls back with a pod's uid and a number of bytes whenever it writes to a file or a log on a host."""

    def release(self, sandbox: Sandbox) -> None:
        """Forgets what a sandbox's containers held in common."""

    def http_get(
        self,
        sandbox: Sandbox,
        host: str,
        port: int,
        path: str,
        headers: Mapping[str, str],
        tls: bool,
        timeout_us: int,
    ) -> Any:
        """A probe's or a hook's request: (status, body) or raises OSError with the client's words."""

    def connect(self, sandbox: Sandbox, host: str, port: int) -> Any:
        """Tries a connection to the sandbox: raises OSError with the dialler's words."""

    def rest(
        self,
        sandbox: Sandbox,
        host: str,
        port: int,
        asked: tuple[str, Mapping[str, str]] | None,
        rhythm: tuple[int, int],
        stirred: Callable[[], None],
    ) -> Resting | None:
        """Rests from requests (path, headers) or mere connections that got on well just now and would be repeated:
        ``rhythm`` is when the next would be made and each further one's delay, in µs. ``stirred`` is called when they
        may go otherwise from then on. None when that would not be noticed."""

    def health(self, sandbox: Sandbox, host: str, port: int, service: str, tls: bool) -> str:
        """What gRPC's health protocol says of a service. Raises LookupError for one that the server does not know,
        OSError when there is no connection."""

    def open(
        self,
        sandbox: Sandbox,
        host: str,
        port: int,
        on_data: Callable[[bytes], None],
        on_close: Callable[[], None],
    ) -> Any:
        """Opens a connection that carries bytes: write, close_write, close. Raises OSError."""
