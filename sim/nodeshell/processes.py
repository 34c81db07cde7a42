"""The processes of a machine as its kernel counts them: daemons, containers, and whoever is logged in.

A process gets its number when somebody first looks, in the order in which processes began. Source: ps(1), the process
tree of containerd. Not modelled: kernel threads, threads, and processor time beyond a process's present share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from seatrial.sim.nodes.cri import RUNNING
from seatrial.sim.nodeshell.units import ACTIVE, Unit
from seatrial.sim.workloads.process import SIGNALS

if TYPE_CHECKING:
    from seatrial.sim.nodeshell.machine import Machine

SHIM = "/usr/bin/containerd-shim-runc-v2"
SHIM_MEMORY, PAUSE_MEMORY = 11 * 1024 * 1024, 700 * 1024
SYSTEM = (
    (1, "/sbin/init", 12),
    (301, "/usr/lib/systemd/systemd-journald", 16),
    (337, "/usr/lib/systemd/systemd-udevd", 9),
    (655, "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", 9),
)
"""What every machine runs: number, command, MiB."""


class HostProcess(NamedTuple):
    """One line of ps."""

    pid: int
    parent: int
    user: str
    cpu_nano: int
    memory: int
    started_us: int
    command: str
    signal: Callable[[str], None]
    """Delivers a signal (its name without SIG)."""
    tty: str = "?"

    @property
    def name(self) -> str:
        return self.command.split(" ")[0].rpartition("/")[2].rstrip(":")


def processes(machine: Machine) -> list[HostProcess]:
    """All of them, by number."""
    return sorted(_all(machine), key=lambda each: each.pid)


def _all(machine: Machine) -> Iterator[HostProcess]:
    booted = machine.node.booted_us
    for pid, command, mib in SYSTEM:
        yield HostProcess(pid, 0 if pid == 1 else 1, "root", 0, mib << 20, booted, command, _deaf)
    for unit in machine.systemd.units.values():
        if unit.state == ACTIVE:
            deliver = partial(_to_unit, machine, unit)
            yield HostProcess(
                unit.pid, 1, "root", 20_000_000, unit.memory, unit.since_us, unit.command, deliver
            )  # fmt: skip
    yield from _of_pods(machine)
    userland = machine.userland
    for pid, proc in userland.processes.items():
        parent = proc.parent.pid if proc.parent is not None else SYSTEM[-1][0]
        tty = "pts/0" if proc.stdin.is_tty else "?"
        command = " ".join(proc.argv) if proc.parent is not None or len(proc.argv) > 1 else f"-{proc.argv[0]}"
        yield HostProcess(pid, parent, proc.user, 0, proc.memory, proc.clock.now, command, proc.signal, tty)


def _of_pods(machine: Machine) -> Iterator[HostProcess]:
    runtime = machine.node.runtime
    records = [
        (uid, record) for uid, record in runtime.pods.items() if record.sandbox is not None and record.sandbox.ready
    ]
    for _uid, record in sorted(records, key=lambda each: each[1].sandbox.created_us if each[1].sandbox else 0):
        assert record.sandbox is not None
        began, identifier = record.sandbox.created_us, record.sandbox.id
        shim = machine.pid_of(f"shim/{identifier}")
        command = f"{SHIM} -namespace k8s.io -id {identifier} -address /run/containerd/containerd.sock"
        yield HostProcess(shim, 1, "root", 0, SHIM_MEMORY, began, command, _deaf)
        pause = machine.pid_of(f"pause/{identifier}")
        yield HostProcess(pause, shim, "65535", 0, PAUSE_MEMORY, began, "/pause", _deaf)
        for container in reversed(record.containers):
            live = runtime.live.get(container.id)
            if container.state != RUNNING or live is None or live.process is None:
                continue
            inside: Any = live.process
            for number, proc in inside.processes.items():
                pid = machine.pid_of(f"{container.id}/{number}")
                above = machine.pid_of(f"{container.id}/{proc.parent.pid}") if proc.parent is not None else shim
                deliver = inside.signal if number == 1 else proc.signal
                command = " ".join(proc.argv)
                yield HostProcess(
                    pid, above, proc.user, proc.cpu_nano, proc.memory, container.started_us, command, deliver
                )  # fmt: skip


def _deaf(name: str) -> None:
    """A process that nothing here depends on."""


def _to_unit(machine: Machine, unit: Unit, name: str) -> None:
    if name in ("TERM", "KILL", "INT", "QUIT", "ABRT", "SEGV"):
        machine.kill(unit, name, SIGNALS[name])
