"""/proc in a container: its processes and what they run in, as far as people look there.

Source: proc(5). ``self`` is the first process for everybody. Not modelled: memory maps, single threads,
writing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from seatrial.sim.workloads.filesystem import Dir, File, Link, Node

if TYPE_CHECKING:
    from seatrial.sim.workloads.container import Container
    from seatrial.sim.workloads.process import Proc

PLACE: Final = "/proc"
MEMORY_KB: Final = 4_028_440
"""What a machine has, as ``free`` says too."""
COMM_MAX: Final = 15


def name_of(proc: Proc) -> str:
    """What the kernel calls a process."""
    return (proc.argv[0].rpartition("/")[2] if proc.argv else "")[:COMM_MAX]


def _status(container: Container, proc: Proc) -> str:
    held = container.config.capabilities
    own = held if proc.uid == 0 else 0
    groups = " ".join(map(str, container.groups_of(proc)))
    rows = {
        "Name": name_of(proc),
        "State": "S (sleeping)" if not proc.stopped else "T (stopped)",
        "Tgid": str(proc.pid),
        "Pid": str(proc.pid),
        "PPid": str(proc.parent.pid if proc.parent is not None else 0),
        "Uid": "\t".join([str(proc.uid)] * 4),
        "Gid": "\t".join([str(proc.gid)] * 4),
        "Groups": groups,
        "VmRSS": f"{proc.memory // 1024} kB",
        "Threads": "1",
        "CapInh": f"{0:016x}",
        "CapPrm": f"{own:016x}",
        "CapEff": f"{own:016x}",
        "CapBnd": f"{held:016x}",
        "CapAmb": f"{0:016x}",
        "NoNewPrivs": str(int(container.config.no_new_privs)),
        "Seccomp": "0",
    }
    return "".join(f"{name}:\t{text}\n" for name, text in rows.items())


def _mounts(container: Container, proc: Proc) -> str:
    lines = ["overlay / overlay rw,relatime 0 0", "proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0"]
    for at, mounted in container.fs.mounts.items():
        if at != PLACE:
            lines.append(f"{mounted.source} {at} {mounted.kind} {'ro' if mounted.read_only else 'rw'},relatime 0 0")
    return "\n".join(lines) + "\n"


def _words(container: Container, proc: Proc) -> str:
    return "".join(f"{word}\0" for word in proc.argv)


def _environment(container: Container, proc: Proc) -> str:
    return "".join(f"{name}={value}\0" for name, value in proc.env.items())


def _uptime(container: Container) -> str:
    return f"{(container.clock.now - container.started_us) / 1_000_000:.2f} 0.00\n"


OF_PROCESS: Final[dict[str, Callable[[Container, Proc], str]]] = {
    "cgroup": lambda container, proc: "0::/\n",
    "cmdline": _words,
    "comm": lambda container, proc: f"{name_of(proc)}\n",
    "environ": _environment,
    "mounts": _mounts,
    "status": _status,
}
OF_ALL: Final[dict[str, Callable[[Container], str]]] = {
    "loadavg": lambda container: f"0.00 0.00 0.00 1/{len(container.processes)} {max(container.processes, default=1)}\n",
    "meminfo": lambda container: f"MemTotal:        {MEMORY_KB} kB\nMemFree:         {MEMORY_KB // 2} kB\n",
    "uptime": _uptime,
    "version": lambda container: "Linux version 6.12.57+deb13-amd64\n",
}


class Processes(Dir):
    """The directory: its entries are the processes that there are."""

    __slots__ = ("_container",)

    def __init__(self, container: Container) -> None:
        Node.__init__(self, 0o555, container.started_us)
        self._container = container

    @property
    def entries(self) -> dict[str, Node]:  # type: ignore[override]
        container = self._container
        made: dict[str, Node] = {str(proc.pid): self._process(proc) for proc in container.namespace.processes()}
        for name, text in OF_ALL.items():
            made[name] = File(mode=0o444, source=lambda text=text: text(container).encode())  # type: ignore[misc]
        return {**made, "mounts": Link("self/mounts"), "self": Link("1")}

    def _process(self, proc: Proc) -> Dir:
        container = proc.container
        made = Dir(0o555, container.started_us)
        for name, text in OF_PROCESS.items():
            made.entries[name] = File(mode=0o444, source=lambda text=text: text(container, proc).encode())  # type: ignore[misc]
        made.entries["cwd"] = Link(proc.cwd)
        # Not modelled: what is mounted in another container's tree.
        made.entries["root"] = Link("/") if container is self._container else container.fs.root
        return made
