"""The file system and the shells of a machine: the container shell in another world.

The same shell, file system and programs as in containers; programs of this package come before those, and reach their
machine through ``machine_of``. Not modelled: users other than root, and what a shell writes to a device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from seatrial.sim.network.resolver import is_address
from seatrial.sim.nodes.capabilities import ALL as ALL_CAPABILITIES
from seatrial.sim.nodeshell import files
from seatrial.sim.nodeshell.commands import PROGRAMS
from seatrial.sim.nodeshell.processes import processes
from seatrial.sim.workloads.catalogue import Image
from seatrial.sim.workloads.container import WRITTEN_BYTES, Container
from seatrial.sim.workloads.filesystem import Link
from seatrial.sim.workloads.net import Ports
from seatrial.sim.workloads.pids import Namespace
from seatrial.sim.workloads.process import Proc
from seatrial.sim.workloads.world import COMMANDS, World

if TYPE_CHECKING:
    from seatrial.sim.nodeshell.machine import Machine

BASE = "tools"
"""The row of the catalogue whose programs every machine has too."""
PROMPT = r"\u@\h:\w\$ "
Program = Callable[[Proc], Any]


class HostNetwork:
    """The machine's own network, in the form in which pods have theirs."""

    namespace = ""
    domain = ""
    host_network = True
    share_processes = False
    annotations: Mapping[str, str] = {}

    def __init__(self, machine: Machine, shared: Ports) -> None:
        self._machine = machine
        self.name = self.host = self.hostname = machine.name
        self.ip = machine.address
        self.uid = machine.node.registration.machine_id
        self.shared = shared
        self._dns: Mapping[str, list[str]] | None = None

    def _text(self, path: str) -> str:
        try:
            return self._machine.userland.fs.read(path).decode(errors="replace")
        except OSError:
            return ""

    @property
    def hosts(self) -> str:
        return self._text("/etc/hosts")

    @property
    def dns(self) -> Mapping[str, list[str]]:
        if self._dns is not None:
            return self._dns
        found: dict[str, list[str]] = {"servers": [], "searches": [], "options": []}
        for line in self._text("/etc/resolv.conf").splitlines():
            words = line.partition("#")[0].split()
            if len(words) < 2:
                continue
            if words[0] == "nameserver" and is_address(words[1]):
                found["servers"].append(words[1])
            elif words[0] == "search":
                found["searches"] = words[1:]
            elif words[0] == "options":
                found["options"] += words[1:]
        return found

    @dns.setter
    def dns(self, dns: Mapping[str, list[str]]) -> None:
        self._dns = dns


class HostWorld:
    """What a machine's programs find around them: the containers' world with other programs."""

    def __init__(self, world: World, programs: Mapping[str, Program]) -> None:
        self._world, self._programs = world, programs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    def program(self, name: str, image: Image) -> Program:
        found = self._programs.get(name) or PROGRAMS.get(name) or COMMANDS.get(name)
        return found if found is not None else self._world.program(name, image)

    def namespace(self, config: Any) -> Namespace:
        return Namespace()

    def usage(self, container: Container) -> tuple[int, int]:
        return 0, sum(proc.memory for proc in container.processes.values())

    def memory_changed(self, container: Container) -> None: ...

    def container_ended(self, container: Container) -> None: ...


class Userland(Container):
    """A machine's file system with the processes of whoever is logged in."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        site = machine.site
        world = HostWorld(site.world, site.programs)
        network = HostNetwork(machine, site.world.ports_on(machine.name))
        config = SimpleNamespace(
            name="", image=image_of(site.world, site.programs), argv=None, args=None, env={}, working_dir="/root",
            mounts=[], sandbox=network, user="0", stdin=False, tty=False, ports=(), memory_limit=None,
            read_only_root=False, termination_message_path="/dev/termination-log", fallback_to_logs=False,
            no_new_privs=False, target="", groups=(), capabilities=ALL_CAPABILITIES,
        )  # fmt: skip
        super().__init__(world, config, lambda _: None)  # type: ignore[arg-type]
        self.name = machine.name
        self.namespace.next_pid = 20_000
        self._looking = False
        self._written = False
        self._watched: list[tuple[Callable[[], Any], Callable[[], None], list[Any]]] = []
        self.unit_text = ""
        """The kubelet's unit with its drop-ins, as systemd last read them."""
        files.install(machine, self.fs)
        self._seen = self.fs.changes

    def _mount(self) -> None:
        """Nothing is mounted over the machine's own files."""
        self._covered = False

    def begin(self) -> None:
        """From now on files that mean something are heeded."""
        machine = self.machine
        machine.manifests.begin(files.MANIFESTS, taken=True)
        self.watch(machine.manifests.files, lambda: machine.manifests.look() if machine.node.running else None)
        self.reload_units()
        self.watch(lambda: files.unit_text(self.fs), self._units_changed)

    # Files that mean something

    def reload_units(self) -> None:
        """systemd reads the units' files (daemon-reload)."""
        self.unit_text = files.unit_text(self.fs)
        self.machine.systemd.reload_needed = False

    def _units_changed(self) -> None:
        self.machine.systemd.reload_needed = files.unit_text(self.fs) != self.unit_text

    def watch(self, look: Callable[[], Any], changed: Callable[[], None]) -> None:
        """Calls ``changed`` when ``look``, which reads files, gives something else than before."""
        self._watched.append((look, changed, [look()]))

    def touched(self, size: int = WRITTEN_BYTES) -> None:
        super().touched(size)
        self._look_soon()

    def reap(self, proc: Proc) -> None:
        super().reap(proc)
        if self.fs.changes != self._seen:
            self._look_soon()

    def _look_soon(self) -> None:
        if not self._looking:
            self._looking = True
            self.clock.after(0, self._look)

    def _look(self) -> None:
        self._looking = False
        self._seen = self.fs.changes
        for look, changed, last in self._watched:
            now = look()
            if now != last[0]:
                last[0] = now
                changed()

    def process(self, pid: int) -> Any:
        """Whatever runs on the machine under a number."""
        return next((each for each in processes(self.machine) if each.pid == pid), None)

    def link_to(self, target: str) -> Link:
        return Link(target, self.clock.now)

    # Power

    def power_off(self) -> None:
        """Every process is gone, and what was in memory; the disk stays."""
        self._kill_all(137)


def image_of(world: World, programs: Mapping[str, Program]) -> Image:
    """What is installed on every machine."""
    names = [*PROGRAMS, *programs]
    row = {
        "working_dir": "/root",
        "env": {"PS1": PROMPT, "USER": "root", "LOGNAME": "root", "SHELL": "/bin/bash", "LANG": "C.UTF-8"},
        "programs": {f"/usr/bin/{name}": name for name in names},
        "files": files.INSTALLED,
        "users": {1000: "vagrant"},
    }
    return world.catalogue.built("seatrial.local/node", row, BASE)
