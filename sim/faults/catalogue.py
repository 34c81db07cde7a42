"""All kinds of faults, how they are written down, and which of them are in force.

A fault's value is its fields with its ``kind``: ``{"kind": "node-crash", "node": "w1-k8s"}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.sim.faults.containers import CONTAINERS
from seatrial.sim.faults.control import CONTROL
from seatrial.sim.faults.fault import Fault
from seatrial.sim.faults.links import LINKS
from seatrial.sim.faults.machines import MACHINES
from seatrial.sim.faults.processes import PROCESSES
from seatrial.sim.faults.seams import Heal, Judge, Seams
from seatrial.sim.faults.volumes import VOLUMES
from seatrial.sim.kernel.clock import Timer
from seatrial.sim.machinery import values

CATALOGUE: Mapping[str, type[Fault]] = {
    each.kind: each for each in (*MACHINES, *CONTROL, *PROCESSES, *LINKS, *CONTAINERS, *VOLUMES)
}


def fault_of(value: Mapping[str, Any]) -> Fault:
    """The fault that a value means. Raises ValueError with what is wrong with it."""
    return values.value_of("fault", CATALOGUE, value)


def value_of(fault: Fault) -> dict[str, Any]:
    """What ``fault_of`` takes; fields at their defaults are left out."""
    return {"kind": fault.kind, **fault.model_dump(mode="json", exclude_defaults=True)}


def described(kind: type[Fault]) -> dict[str, Any]:
    """A kind for people and programs: what happens, what is seen, and its parameters."""
    return {
        "kind": kind.kind,
        "about": " ".join((kind.__doc__ or "").split()),
        "symptom": kind.symptom,
        "opposite": "" if kind.once else kind.opposite,
        "once": kind.once,
        "subject": kind.subject,
        "parameters": values.parameters(kind),
    }


@dataclass(slots=True)
class Active:
    """A fault in force, or one that will be."""

    name: str
    fault: Fault
    since_us: int
    until_us: int | None
    heal: Heal | None = None
    timer: Timer | None = None


class Faults:
    """The faults of one cluster."""

    def __init__(self, seams: Seams) -> None:
        self._seams = seams
        self._clock = seams.wiring.clock
        self._active: dict[str, Active] = {}
        self._count = 0
        self.problems: list[str] = []
        """Faults of a schedule that could not be started, and why."""

    def judge(self, judge: Judge) -> Heal:
        """Lets a test look at each request and answer in the API server's place; returns the opposite."""
        return self._seams.judge(judge)

    def know(self, component: Any) -> None:
        """Lets faults name one more component."""
        self._seams.components[component.name] = component

    def add(self, fault: Fault, name: str = "", after_us: int = 0, lasts_us: int | None = None) -> str:
        """Breaks something, now or later, for good or for a while; returns the name under which it is removed. Raises
        ValueError for a name that is taken and for what is not there."""
        self._count += 1
        name = name or f"{fault.kind}-{self._count}"
        if name in self._active:
            raise ValueError(f"there is a fault {name!r} already")
        since = self._clock.now + after_us
        active = Active(name, fault, since, None if lasts_us is None else since + lasts_us)
        if after_us:
            self._active[name] = active
            active.timer = self._clock.at(since, lambda: self._start_later(active))
        else:
            self._start(active)
        return name

    def _start_later(self, active: Active) -> None:
        try:
            self._start(active)
        except ValueError as problem:
            del self._active[active.name]
            self.problems.append(f"{active.name}: {problem}")

    def _start(self, active: Active) -> None:
        active.timer = None
        active.heal = active.fault.start(self._seams)
        self._stir()
        if active.fault.once:
            self._active.pop(active.name, None)
            return
        self._active[active.name] = active
        if active.until_us is not None:
            active.timer = self._clock.at(active.until_us, lambda: self.remove(active.name), periodic=True)

    def remove(self, name: str) -> None:
        """Takes a fault back. Raises KeyError for one that is not in force."""
        active = self._active.pop(name)
        if active.timer is not None:
            active.timer.cancel()
        if active.heal is not None:
            active.heal()
            self._stir()

    def _stir(self) -> None:
        """What machines see may be different from now on."""
        for node in self._seams.nodes.values():
            node.kubelet.stir()

    def clear(self) -> None:
        """Takes all back, the last one first."""
        for name in list(self._active)[::-1]:
            self.remove(name)

    def list(self) -> list[dict[str, Any]]:
        """What is in force or will be: name, value, times in µs since the Unix epoch."""
        return [
            {
                "name": each.name,
                "fault": value_of(each.fault),
                "since": each.since_us,
                "until": each.until_us,
                "started": each.heal is not None,
            }
            for each in self._active.values()
        ]
