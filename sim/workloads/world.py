"""What a cluster's containers do: the catalogue, running containers, volumes and how they reach each other.

One ``World`` serves all nodes of a cluster; it is handed to every node by the composition root and fits the protocol
``cri.Workloads`` of the nodes.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from typing import Any

from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.kernel.clock import Signal, stamp_of
from seatrial.sim.workloads import servers
from seatrial.sim.workloads.catalogue import Catalogue, Image, NoSuchImage
from seatrial.sim.workloads.commands import (
    archives,
    awk,
    dd,
    expressions,
    files,
    finding,
    grep,
    listing,
    network,
    packages,
    perl,
    processes,
    resolving,
    sed,
    streaming,
    system,
    text,
)
from seatrial.sim.workloads.container import Container, Ended
from seatrial.sim.workloads.filesystem import SET_GID, Dir, File, FileSystem, Link, Node, space_of
from seatrial.sim.workloads.hostpath import HostPath, Machine
from seatrial.sim.workloads.net import Direct, HttpRequest, Listener, Network, Ports, dialled, ports_of
from seatrial.sim.workloads.pids import Namespace, namespace_of
from seatrial.sim.workloads.process import Proc
from seatrial.sim.workloads.resting import Resting, Trace

MODULES = (
    text, streaming, expressions, grep, files, listing, finding, archives, dd, system, network, packages, perl,
    processes, resolving, servers, sed, awk,
)  # fmt: skip
COMMANDS: Mapping[str, Callable[[Proc], Any]] = {
    name: command for module in MODULES for name, command in module.COMMANDS.items()
}
"""Every program that is built in, by name."""


TIMEOUT_US = 1_000_000
"""A probe's timeoutSeconds by default."""
EXCEEDED = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"


def _give(node: Node, group: int) -> None:
    node.gid = group
    if isinstance(node, Dir):
        node.mode |= SET_GID | 0o770
        for below in node.entries.values():
            _give(below, group)
    elif isinstance(node, File):
        node.mode |= 0o660


class Directory:
    """A volume: a directory that outlives containers (cri.Volume). What is published is written once somebody looks."""

    __slots__ = ("_node", "_published", "followers", "kind", "source")
    is_dir = True

    def __init__(self, now: int, key: str) -> None:
        self._node = Dir(0o777 if not key else 0o755, now)
        self._published: list[tuple[Mapping[str, tuple[Any, int]], int]] | None = []
        """None once somebody has looked."""
        self.followers: list[Signal] = []
        """Fired when something is written: who follows a file may be in another container than who writes it."""
        self.source = key or "tmpfs"
        self.kind = "nfs4" if key.startswith("nfs/") else "tmpfs" if not key else "ext4"

    def tree(self) -> Dir:
        """The directory itself."""
        published, self._published = self._published, None
        for contents, now in published or ():
            self._write(contents, now)
        return self._node

    def give(self, group: int) -> None:
        """To a group, whose members may then write here and own what is made (SetVolumeOwnership)."""
        if self._node.gid != group:
            _give(self.tree(), group)

    def changed(self) -> None:
        """Something was written to it."""
        for signal in self.followers:
            signal.fire()

    def publish(self, contents: Mapping[str, tuple[Any, int]], now: int) -> None:
        """Replaces the contents at once."""
        if self._published is None:
            self._write(contents, now)
        else:
            self._published.append((contents, now))

    def _write(self, contents: Mapping[str, tuple[Any, int]], now: int) -> None:
        """A new time-stamped directory, then one link that points to it."""
        stamp, entries = stamp_of(now), self._node.entries
        name = f"..{stamp[:10].replace('-', '_')}_{stamp[11:19].replace(':', '_')}.{now % 1_000_000:06d}000"
        made = Dir(0o755, now)
        for path, (data, mode) in contents.items():
            at = made
            *parents, last = path.split("/")
            for part in parents:
                below = at.entries.setdefault(part, Dir(0o755, now))
                assert isinstance(below, Dir)
                at = below
            source = data if callable(data) else None
            at.entries[last] = File(b"" if source else data, mode, now, source=source)
        before = entries.get("..data")
        if isinstance(before, Link):
            entries.pop(before.target, None)
        entries[name] = made
        entries["..data"] = Link(name, now)
        tops = dict.fromkeys(path.split("/")[0] for path in contents)
        for top in [top for top in entries if not top.startswith("..") and top not in tops]:
            del entries[top]
        for top in tops:
            if top not in entries:
                entries[top] = Link(f"..data/{top}", now)
        self.changed()

    def written(self) -> tuple[int, int]:
        """Bytes and inodes."""
        return space_of(self.tree())

    def read(self, path: str) -> bytes:
        """A file's contents. Raises OSError."""
        return FileSystem(self.tree(), lambda: 0).read(f"/{path}")

    def below(self, path: str) -> Node:
        """What a subPath means: a file or directory inside, made when it is not there. Raises OSError."""
        files = FileSystem(self.tree(), lambda: 0)
        if not files.exists(path):
            files.make_dir(path, parents=True)
        return files.find(path)


class ImageTree:
    """An image as a volume, which nobody can write to (cri.Volume)."""

    changed = None
    source = kind = "overlay"
    is_dir = True

    def __init__(self, root: Dir) -> None:
        self.followers: list[Signal] = []
        self._root = root
        self._files = FileSystem(root, lambda: 0)

    def tree(self) -> Node:
        """All of it."""
        return self._root

    def below(self, path: str) -> Node:
        """What a subPath means. Raises OSError."""
        return self._files.find(f"/{path}")

    def publish(self, contents: Mapping[str, tuple[Any, int]], now: int) -> None:
        """The kubelet writes nothing here."""
        raise ValueError("the kubelet has no contents for this volume")


class World:
    """Everything that runs in containers of one cluster; ``more`` are rows that add to the image catalogue."""

    def __init__(self, wiring: Wiring, more: Mapping[str, Any] | None = None) -> None:
        self.clock = wiring.clock
        self.seed = wiring.streams.seed
        self.catalogue = Catalogue(more)
        self.network: Network = Direct(self)
        self.sandboxes: dict[str, Any] = {}
        """Sandboxes with running containers, by address."""
        self.full: dict[str, None] = {}
        """Machines whose disk takes no more."""
        self._memory: dict[str, Callable[[], None]] = {}
        self._written: dict[str, Callable[[str, int], None]] = {}
        self._volumes: dict[str, Directory] = {}
        self._services: dict[str, servers.Service] = {}
        self.registry: Callable[[str], str] = lambda _: ""
        """The seam for faults: what a registry says instead of an image; empty: it serves it."""
        self.machine: Callable[[str], Machine | None] = lambda _: None
        """The machine of a name or address, whose disk volumes may be on."""
        self.programs: dict[str, Callable[[Proc], Any]] = {}
        """Programs that the composition root brings along; they come before the catalogue's."""
        self._named: dict[tuple[str, str], Any] = {}
        self._namespaces: dict[str, dict[str, Namespace]] = {}
        """PID namespaces, by pod and the container that began them."""
        self._machines: dict[str, Ports] = {}
        """What pods on the machines' own network listen on, by machine."""

    def find_image(self, reference: str) -> Image:
        """Raises catalogue.NoSuchImage."""
        problem = self.registry(reference)
        if problem:
            raise NoSuchImage(problem)
        return self.catalogue.find(reference)

    def volume(self, key: str = "", kind: str = "") -> Directory | HostPath:
        """A new directory; one with a key is shared by all who name it.

        ``host/MACHINE/path`` and ``nfs/MACHINE/path`` are parts of a machine's disk, ``kind`` the type that a hostPath
        has to have: raises ValueError when it has not.
        """
        if not key:
            return Directory(self.clock.now, "")
        where, _, rest = key.partition("/")
        name, _, path = rest.partition("/")
        machine = self.machine(name) if where in ("host", "nfs") else None
        if machine is not None:
            if where == "nfs":
                return HostPath(machine, f"/{path}", "", f"{name}:/{path}", "nfs4")
            return HostPath(machine, f"/{path}", kind)
        found = self._volumes.get(key)
        if found is None:
            found = self._volumes[key] = Directory(self.clock.now, key)
        return found

    def image_volume(self, image: Image) -> ImageTree:
        """What is inside an image, to be mounted."""
        return ImageTree(image.root)

    def start(self, config: Any, on_exit: Callable[[Ended], None]) -> Container:
        """Starts a container's main process. Raises FileNotFoundError(argv[0]), and OSError for a mount that cannot be:
        ``filename`` is its path, ``filename2`` what is in the way.
        """
        sandbox = config.sandbox
        self._named[sandbox.namespace, sandbox.name] = sandbox
        if sandbox.host_network:
            sandbox.shared = self.ports_on(sandbox.host)
        container = Container(self, config, on_exit)
        if not sandbox.host_network:
            self.sandboxes[sandbox.ip] = sandbox
        container.start()
        return container

    def namespace(self, config: Any) -> Namespace:
        """The PID namespace in which a container is to start."""
        return namespace_of(self._namespaces.setdefault(config.sandbox.uid, {}), config)

    def on_memory(self, host: str, call: Callable[[], None]) -> None:
        """Calls back whenever what runs on a host uses much more or less memory."""
        self._memory[host] = call

    def on_written(self, host: str, call: Callable[[str, int], None]) -> None:
        """Calls back with a pod's uid and a number of bytes whenever it writes to a file or a log on a host."""
        self._written[host] = call

    def wrote(self, container: Container, size: int) -> None:
        call = self._written.get(container.sandbox.host)
        if call is not None:
            call(container.sandbox.uid, size)

    def memory_changed(self, container: Container) -> None:
        call = self._memory.get(container.sandbox.host)
        if call is not None:
            call()

    def container_ended(self, container: Container) -> None:
        container.changed.fire()

    def release(self, sandbox: Any) -> None:
        address, key = sandbox.ip, (sandbox.namespace, sandbox.name)
        if self._named.get(key) is sandbox:
            del self._named[key]
        if self.sandboxes.get(address) is sandbox:
            del self.sandboxes[address]
        self._namespaces.pop(sandbox.uid, None)
        sandbox.shared = None

    def program(self, name: str, image: Image) -> Callable[[Proc], Any]:
        """What runs under a program's name. Raises KeyError for a catalogue that names what is not there."""
        command = self.programs.get(name)
        row = self.catalogue.services.get(name)
        if command is not None and row is not None:
            run = command
            return lambda proc: servers.sized(proc, row, run)
        command = command or COMMANDS.get(name)
        if command is not None:
            return command
        service = self._services.get(name)
        if service is None:
            service = self._services[name] = servers.Service(self.catalogue.services[name])
        return lambda proc: servers.serve(proc, service)

    def has_program(self, name: str) -> bool:
        """Whether anything is known under a program's name."""
        return name in self.programs or name in COMMANDS or name in self.catalogue.services

    def usage(self, container: Container) -> tuple[int, int]:
        """(nanocores, bytes) that a container uses now."""
        processes = container.processes.values()
        cpu = min(sum(proc.cpu_nano for proc in processes) + container.busy(), container.capacity)
        memory = sum(proc.memory for proc in processes) + container.queued_bytes()
        limit = container.config.memory_limit
        return cpu, memory if limit is None else min(memory, limit)

    # What the network asks (hosts.Sandboxes)

    def sandbox_at(self, address: str) -> Any:
        """The pod at an address; None when there is none."""
        return self.sandboxes.get(address)

    def sandbox_named(self, namespace: str, name: str) -> Any:
        """The pod of a name, while it runs; None when there is none."""
        return self._named.get((namespace, name))

    def listeners_of(self, sandbox: Any) -> Mapping[tuple[str, int], Listener]:
        return ports_of(sandbox).listeners

    def ports_on(self, host: str) -> Ports:
        """The network of a machine's own, which pods may share."""
        return self._machines.setdefault(host, Ports())

    def listeners_on(self, host: str) -> Mapping[tuple[str, int], Listener]:
        """What pods on a machine's own network listen on."""
        found = self._machines.get(host)
        return found.listeners if found is not None else {}

    # The node's own requests

    def connect(self, sandbox: Any, host: str, port: int) -> None:
        """Raises OSError in the dialler's words."""
        try:
            self.network.probe(sandbox, host, port)
        except OSError as error:
            raise dialled(host, port, error) from None

    def http_get(
        self,
        sandbox: Any,
        host: str,
        port: int,
        path: str,
        headers: Mapping[str, str],
        tls: bool,
        timeout_us: int = TIMEOUT_US,
    ) -> tuple[int, bytes]:
        """(status, body). Raises OSError in the words of Go's client, also for an answer that would take too long."""
        try:
            listener = self.network.probe(sandbox, host, port)
        except OSError as error:
            raise dialled(host, port, error) from None
        try:
            response = listener.http(_asked(sandbox, host, port, path, headers))
        except TimeoutError:
            raise OSError(EXCEEDED) from None
        if response.work is not None and max((us for _, us in response.work.waits), default=timeout_us) >= timeout_us:
            raise OSError(EXCEEDED)
        return response.code, response.body

    def rest(
        self,
        sandbox: Any,
        host: str,
        port: int,
        asked: tuple[str, Mapping[str, str]] | None,
        rhythm: tuple[int, int],
        stirred: Callable[[], None],
    ) -> Resting | None:
        """Rests from connections that got on well just now, or, with a path and headers, from requests that did.

        ``rhythm`` is when the next would be made and how long after that each further one, in µs. None when the
        container may become another without anybody stirring it.
        """
        if host != sandbox.ip or sandbox.host_network:
            return None
        ports = ports_of(sandbox)
        listener = getattr(ports.listeners.get(("TCP", port)), "listener", None)
        traces: tuple[Trace | None] | None = (None,)
        if asked is not None:
            find = getattr(listener, "traces", None)
            traces = find(_asked(sandbox, host, port, *asked)) if find is not None else None
        if listener is None or traces is None:
            return None
        resting = Resting(*rhythm, traces[0], stirred)
        ports.rest.add(resting, lambda: self.clock.now)
        return resting

    def health(self, sandbox: Any, host: str, port: int, service: str, tls: bool = False) -> str:
        """The status of a gRPC service: SERVING, NOT_SERVING. A server that nobody described is well. Raises
        LookupError for a service that the server does not know, OSError when there is no connection."""
        listener = self.network.probe(sandbox, host, port)
        check = getattr(listener, "health", None)
        if check is None:
            return "SERVING"
        if tls != (getattr(listener, "certificate", None) is not None):
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        status: str = check(service)
        return status

    def open(
        self, sandbox: Any, host: str, port: int, on_data: Callable[[bytes], None], on_close: Callable[[], None]
    ) -> Any:
        """A connection into a sandbox. Raises OSError in the dialler's words."""
        listener = ports_of(sandbox).listeners.get(("TCP", port))
        if listener is None:
            raise OSError(
                f'failed to connect to localhost:{port} inside namespace "{sandbox.uid}", '
                f"IPv4: dial tcp4 127.0.0.1:{port}: connect: connection refused"
            )
        return listener.open(on_data, on_close, "127.0.0.1")


def _asked(sandbox: Any, host: str, port: int, path: str, headers: Mapping[str, str]) -> HttpRequest:
    """A request of the kubelet's, which comes from the gateway of the machine's pods."""
    given = {"Host": f"{host}:{port}", **headers}
    return HttpRequest("GET", path, given, b"", sandbox.ip.rpartition(".")[0] + ".1")
