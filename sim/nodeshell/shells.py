"""ssh to the machines of a cluster: who can be reached, and the sessions there.

A client is outside, where the machines' links meet. It comes in as one more kind of session (``apiserver.sessions``),
so that a replay types everything again. Source: OpenSSH's messages. Not modelled: logins with keys and passwords, file
transfer; a cut link does not interrupt a session that is open.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from seatrial.sim.apiserver.sessions import Held, Say, Sessions
from seatrial.sim.config import S
from seatrial.sim.kernel.clock import Timer
from seatrial.sim.nodeshell import ports
from seatrial.sim.nodeshell.machine import Machine
from seatrial.sim.nodeshell.site import Site
from seatrial.sim.workloads.process import Proc
from seatrial.sim.workloads.session import Session

KIND: Final = "ssh"
"""Of its sessions."""
FAILED: Final = 255
"""ssh's own exit status."""
NO_ROUTE_US: Final = 3 * S
"""How long the kernel asks for the address of a neighbour that is not there."""
CONNECT_TIMEOUT_US: Final = 10 * S
"""ConnectTimeout."""
LOGIN_US: Final = 150_000


class Ran(NamedTuple):
    """What came of a command."""

    code: int
    stdout: str
    stderr: str


class Login:
    """A session at the machine's end: before the login, while a program runs, and afterwards (kubelets.Session)."""

    def __init__(self, machine: Machine | None, asked: Mapping[str, Any], on_output: Say, on_exit: Say) -> None:
        self.machine = machine
        self._asked = asked
        self._on_output, self._on_exit = on_output, on_exit
        self.timer: Timer | None = None
        self._session: Session | None = None
        self._typed: list[Callable[[Session], None]] = []
        """What the client did before there was anybody to take it."""
        self.ended = False

    # The client

    def write_stdin(self, data: bytes) -> None:
        self._tell(lambda session: session.write_stdin(data))

    def close_stdin(self) -> None:
        self._tell(lambda session: session.close_stdin())

    def resize(self, width: int, height: int) -> None:
        self._tell(lambda session: session.resize(width, height))

    def close(self) -> None:
        """The client hung up: what it started ends."""
        self.ended = True
        if self.timer is not None:
            self.timer.cancel()
        if self._session is not None:
            for proc in _family(self._session.proc):
                proc.kill(128 + 1)

    def _tell(self, act: Callable[[Session], None]) -> None:
        if self._session is None:
            self._typed.append(act)
        elif not self.ended:
            act(self._session)

    # The machine

    def log_in(self) -> None:
        """The program starts, and gets what was typed meanwhile."""
        assert self.machine is not None
        if self.ended:
            return
        line = self._asked["command"]
        argv = ["bash", "-c", "--", line] if line else ["bash"]
        stdin, tty = self._asked.get("stdin", False), self._asked.get("tty", False)
        self._session = self.machine.userland.exec(argv, self._output, self._finish, stdin, tty)
        for act in self._typed:
            act(self._session)
        self._typed.clear()

    def _output(self, stream: str, data: bytes) -> None:
        if not self.ended:
            self._on_output(stream, data)

    def _finish(self, code: int) -> None:
        if not self.ended:
            self.ended = True
            self._on_exit(code)

    def fail(self, text: str) -> None:
        """Ends it with a message of ssh's own."""
        if not self.ended:
            self._on_output("stderr", text.encode() + b"\n")
            self._finish(FAILED)

    def break_off(self) -> None:
        """The machine is gone."""
        if self._session is not None and self.machine is not None:
            self.fail(f"Connection to {self.machine.address} closed by remote host.")


def _family(first: Proc) -> list[Proc]:
    """A process and what it started, the youngest first."""
    found = []
    for proc in sorted(first.container.processes.values(), key=lambda each: -each.pid):
        at: Proc | None = proc
        while at is not None and at is not first:
            at = at.parent
        if at is first:
            found.append(proc)
    return found


class Shells:
    """The machines of a cluster, and who is logged in."""

    def __init__(self, site: Site, sessions: Sessions) -> None:
        self.site = site
        self._sessions = sessions
        self._clock = site.wiring.clock
        self.machines = {name: Machine(site, name) for name in site.nodes}
        self._logins: list[Login] = []
        site.world.machine = self.machine_called
        for name, machine in self.machines.items():
            ports.listen(machine)
            machine.node.on_power_off.insert(0, partial(self._went_dark, name))
        sessions.provide(KIND, self._open)

    def open(
        self, node: str, command: str, on_output: Say, on_exit: Say, stdin: bool = True, tty: bool = False
    ) -> Held:
        """Connects to a machine (by name or address) and runs a command line there, or a shell. ``on_output`` gets
        ``stdout`` or ``stderr`` and bytes, ``on_exit`` the exit status: 255 when there is no connection, with ssh's
        reason on stderr."""
        asked = {key: True for key, wanted in (("stdin", stdin), ("tty", tty)) if wanted}
        return self._sessions.open(KIND, {"node": node, "command": command, **asked}, on_output, on_exit)

    def run(self, node: str, command: str | Sequence[str], stdin: str | bytes, within_us: int) -> Ran:
        """Runs a command to its end, whatever time that takes. Raises TimeoutError after ``within_us``."""
        clock, line = self._clock, command if isinstance(command, str) else shlex.join(command)
        streams: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        codes: list[int] = []
        opened = self.open(node, line, lambda name, data: streams[name].append(data), codes.append)
        if stdin:
            opened.write_stdin(stdin.encode() if isinstance(stdin, str) else stdin)
        opened.close_stdin()
        deadline = clock.now + within_us
        while not codes:
            due = clock.next_due
            if due is None or due > deadline:
                opened.close()
                raise TimeoutError(f"{line!r} on {node} has not ended after {within_us // S} s")
            clock.run_until(due)
        out, err = (b"".join(streams[name]).decode(errors="replace") for name in ("stdout", "stderr"))
        return Ran(codes[0], out, err)

    def _open(self, asked: Mapping[str, Any], on_output: Say, on_exit: Say) -> Login:
        machine = self.machine_called(asked["node"])
        self._logins = [each for each in self._logins if not each.ended]
        made = Login(machine, asked, on_output, on_exit)
        self._logins.append(made)
        if machine is None:
            said = f"ssh: Could not resolve hostname {asked['node']}: Name or service not known"
            made.timer = self._clock.after(0, lambda: made.fail(said))
        else:
            self._dial(made, machine)
        return made

    def _dial(self, made: Login, machine: Machine) -> None:
        target = f"ssh: connect to host {machine.address} port 22"
        topology, edge = self.site.wiring.topology, self.site.edge
        there, back = topology.latency(edge, machine.name), topology.latency(machine.name, edge)
        if not machine.node.powered:
            made.timer = self._clock.after(NO_ROUTE_US, lambda: made.fail(f"{target}: No route to host"))
        elif there is None or back is None:
            made.timer = self._clock.after(CONNECT_TIMEOUT_US, lambda: made.fail(f"{target}: Connection timed out"))
        else:

            def arrive() -> None:
                if machine.node.powered:
                    made.log_in()
                else:
                    made.fail(f"Connection closed by {machine.address} port 22")

            made.timer = self._clock.after(LOGIN_US + there + back, arrive)

    def machine_called(self, name: str) -> Machine | None:
        """A machine by name or address."""
        found = self.machines.get(name)
        return found or next((each for each in self.machines.values() if each.address == name), None)

    def _went_dark(self, name: str) -> None:
        for login in self._logins:
            if login.machine is not None and login.machine.name == name:
                login.break_off()
