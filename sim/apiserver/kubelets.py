"""The way from the API server to the kubelets: who serves a node, and what can be asked of it.

The subresources log, exec, attach, portforward and proxy end here, whoever carries the bytes further. Everything
happens at the simulated now; what goes on for a while (a followed log, a session, a connection) calls back.
Source: k8s.io/kubernetes/pkg/kubelet/client and …/pkg/kubelet/server. Not modelled: the time that a request takes on
its way to a node; whether there is a way is asked of the topology.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from seatrial.sim.kernel.topology import Topology

if TYPE_CHECKING:
    from seatrial.sim.apiserver.sessions import Sessions

OnOutput = Callable[[str, bytes], None]
"""Called with ``stdout`` or ``stderr`` and what was written."""
OnExit = Callable[[int], None]
"""Called once, with the exit status of the process."""

KUBELET_PORT = 10250


@dataclass(frozen=True, slots=True)
class LogOptions:
    """PodLogOptions of a request (k8s.io/api/core/v1)."""

    follow: bool = False
    previous: bool = False
    since_us: int | None = None
    """Lines written before this time are left out."""
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    stream: str = "All"
    """All, Stdout or Stderr."""


class LogStream(Protocol):
    """The lines of a log: what is there, and what is still to come when it is followed."""

    def read(self) -> bytes:
        """What was written since the last read."""

    @property
    def ended(self) -> bool:
        """Nothing more will come."""

    def on_ready(self, call: Callable[[], None]) -> None:
        """Calls back whenever there is something to read, or the end."""

    def close(self) -> None: ...


class Session(Protocol):
    """A process that a client is connected to."""

    def write_stdin(self, data: bytes) -> None: ...

    def close_stdin(self) -> None: ...

    def resize(self, width: int, height: int) -> None: ...

    def close(self) -> None:
        """The client hung up."""


class Connection(Protocol):
    """A TCP connection into a pod."""

    def write(self, data: bytes) -> None: ...

    def close_write(self) -> None: ...

    def close(self) -> None: ...


class Answer(NamedTuple):
    """What the kubelet's or a pod's HTTP server says."""

    code: int
    headers: Mapping[str, str]
    body: bytes


class Kubelet(Protocol):
    """What one kubelet serves on port 10250. A pod or container that it does not run raises ApiError."""

    def logs(self, namespace: str, pod: str, container: str, options: LogOptions) -> LogStream: ...

    def exec(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: list[str],
        on_output: OnOutput,
        on_exit: OnExit,
        stdin: bool = False,
        tty: bool = False,
    ) -> Session:
        """Raises ExecError when the program cannot be started."""

    def attach(self, namespace: str, pod: str, container: str, on_output: OnOutput, on_exit: OnExit) -> Session: ...

    def port_forward(
        self, namespace: str, pod: str, port: int, on_data: Callable[[bytes], None], on_close: Callable[[], None]
    ) -> Connection:
        """Raises OSError in the dialler's words when nothing listens."""

    def get(self, path: str, query: Mapping[str, tuple[str, ...]]) -> Answer:
        """The kubelet's own pages: /stats/summary, /metrics, /metrics/cadvisor, /metrics/resource, /pods, /healthz,
        /configz."""


class Pods(Protocol):
    """The way from the API server's machine to the ports of pods and machines."""

    def request(
        self, address: str, port: int, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """Raises OSError in the dialler's words."""


class ExecError(Exception):
    """A command that could not be started: ``args`` is the runtime's message."""


@dataclass(slots=True)
class Served:
    """A kubelet and where it listens."""

    kubelet: Kubelet
    host: str
    address: str
    port: int
    listening: Callable[[], bool]


class Kubelets:
    """What the API server reaches on the machines: kubelets by node name, and pods."""

    def __init__(self, topology: Topology, host: str) -> None:
        self._topology = topology
        self._host = host
        self._served: dict[str, Served] = {}
        self.pods: Pods | None = None
        """None where there is no network."""
        self.sessions: Sessions | None = None
        """Who writes down what clients do in sessions."""

    def serve(self, node: str, served: Served) -> None:
        self._served[node] = served

    def retire(self, node: str) -> None:
        self._served.pop(node, None)

    def find(self, node: str) -> Served | None:
        return self._served.get(node)

    def dial(self, node: str, address: str = "") -> Kubelet:
        """The kubelet of a node, reached from the API server's host, at ``address`` by the node's own account. Raises
        OSError in the dialler's words."""
        served = self._served.get(node)
        if served is None and address[:1].isdigit():
            raise OSError(f"dial tcp {address}:{KUBELET_PORT}: connect: no route to host")
        if served is None:
            raise OSError(f"dial tcp: lookup {node}: no such host")
        target = f"dial tcp {served.address}:{served.port}"
        hosts = self._topology.hosts()
        if served.host not in hosts or self._topology.latency(self._host, served.host) is None:
            raise OSError(f"{target}: connect: no route to host")
        if not served.listening():
            raise OSError(f"{target}: connect: connection refused")
        return served.kubelet
