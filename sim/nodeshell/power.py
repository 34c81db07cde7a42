"""Switching a machine off from inside: the same as the faults *node-reboot* and *node-shutdown*.

A machine that was switched off stays so until the fault is taken back: nobody else presses its button.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from seatrial.sim.faults.machines import NodeReboot, NodeShutdown
from seatrial.sim.nodeshell.machine import Machine
from seatrial.sim.workloads.process import Proc

GOING_DOWN_US = 500_000
"""From the command until the network is gone."""


def reboot(proc: Proc, machine: Machine) -> Generator[Any, Any, int]:
    """Boots again."""
    machine.clock.after(GOING_DOWN_US, lambda: _now(machine, NodeReboot(node=machine.name)))
    return 0
    yield


def power_off(proc: Proc, machine: Machine) -> Generator[Any, Any, int]:
    """Ends everything in order and stays off."""
    machine.clock.after(GOING_DOWN_US, lambda: _now(machine, NodeShutdown(node=machine.name)))
    return 0
    yield


def _now(machine: Machine, fault: NodeReboot | NodeShutdown) -> None:
    if not machine.node.powered:
        return
    name, taken = f"{fault.kind}-{machine.name}", [each["name"] for each in machine.site.faults.list()]
    while name in taken:
        name += "-again"
    machine.site.faults.add(fault, name)
