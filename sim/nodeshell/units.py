"""systemd's units of a machine: which there are, how each one is, and what starting and stopping it does.

The kubelet's unit follows the kubelet: whoever stops it, a fault or ``systemctl``, it is the same to both. Source:
systemd.service(5), kubelet.service and 10-kubeadm.conf of Kubernetes' packages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from seatrial.sim.config import S
from seatrial.sim.kernel.clock import Clock, Timer
from seatrial.sim.nodeshell.unitlog import UnitLog

RESTART_US = 10 * S
"""RestartSec of kubelet.service."""
ACTIVE, INACTIVE, FAILED, WAITING = "active", "inactive", "failed", "activating"


@dataclass(slots=True)
class Unit:
    """One service."""

    name: str
    description: str
    command: str
    """What it runs."""
    directory: str = "/usr/lib/systemd/system"
    drop_in: str = ""
    documentation: str = ""
    memory: int = 20 * 1024 * 1024
    state: str = ACTIVE
    since_us: int = 0
    pid: int = 0
    status: int = 0
    """The last process's exit status."""
    result: str = "success"
    signal: str = ""
    enabled: bool = True
    restarts: int = 0
    start: Callable[[], None] = field(default=lambda: None)
    """Begins its process; ``began`` and ``ended`` say what came of it."""
    stop: Callable[[], None] = field(default=lambda: None)

    @property
    def service(self) -> str:
        return f"{self.name}.service"

    @property
    def title(self) -> str:
        return f"{self.service} - {self.description}"


class Systemd:
    """The units of one machine."""

    def __init__(self, clock: Clock, log: UnitLog, next_pid: Callable[[], int]) -> None:
        self.clock, self.log = clock, log
        self._next_pid = next_pid
        self.units: dict[str, Unit] = {}
        self._timers: dict[str, Timer] = {}
        self.reload_needed = False
        """A unit's file has changed on disk since it was read."""

    def add(self, unit: Unit) -> Unit:
        self.units[unit.name] = unit
        return unit

    def find(self, name: str) -> Unit | None:
        return self.units.get(name.removesuffix(".service"))

    # What its processes do

    def began(self, unit: Unit) -> None:
        """The process of a unit runs."""
        self._forget_restart(unit)
        unit.state, unit.since_us, unit.pid = ACTIVE, self.clock.now, self._next_pid()
        unit.result, unit.signal = "success", ""
        self.log.systemd(unit.name, f"Started {unit.title}.")

    def ended(self, unit: Unit) -> None:
        """The process was told to end."""
        self._forget_restart(unit)
        unit.state, unit.since_us, unit.restarts = INACTIVE, self.clock.now, 0
        unit.status, unit.result, unit.signal = 0, "success", ""
        self.log.systemd(unit.name, f"Stopping {unit.title}...")
        self.log.systemd(unit.name, f"{unit.service}: Deactivated successfully.")
        self.log.systemd(unit.name, f"Stopped {unit.title}.")

    def failed(self, unit: Unit, status: int, signal: str = "") -> None:
        """The process ended by itself: it is started again after a while (Restart=always)."""
        unit.state, unit.since_us = WAITING, self.clock.now
        unit.status, unit.result, unit.signal = status, "signal" if signal else "exit-code", signal
        how = f"code=killed, status={status}/{signal}" if signal else f"code=exited, status={exit_name(status)}"
        self.log.systemd(unit.name, f"{unit.service}: Main process exited, {how}")
        self.log.systemd(unit.name, f"{unit.service}: Failed with result '{unit.result}'.")
        self._timers[unit.name] = self.clock.after(RESTART_US, lambda: self._restart(unit), periodic=True)

    def _restart(self, unit: Unit) -> None:
        unit.restarts += 1
        counter = f"Scheduled restart job, restart counter is at {unit.restarts}."
        self.log.systemd(unit.name, f"{unit.service}: {counter}")
        unit.start()

    def _forget_restart(self, unit: Unit) -> None:
        timer = self._timers.pop(unit.name, None)
        if timer is not None:
            timer.cancel()

    def give_up(self, unit: Unit) -> None:
        """Nobody waits for the next attempt any more."""
        self._forget_restart(unit)
        if unit.state == WAITING:
            unit.state, unit.since_us, unit.restarts = INACTIVE, self.clock.now, 0
            self.log.systemd(unit.name, f"Stopped {unit.title}.")

    def power_off(self) -> None:
        """The machine goes dark."""
        for unit in self.units.values():
            self._forget_restart(unit)


STATUS_NAMES = {0: "0/SUCCESS", 1: "1/FAILURE", 2: "2/INVALIDARGUMENT", 203: "203/EXEC"}


def exit_name(status: int) -> str:
    return STATUS_NAMES.get(status, f"{status}/n/a")
