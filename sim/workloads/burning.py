"""Processor time of processes that compute without a pause."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from seatrial.sim.kernel.clock import Signal

if TYPE_CHECKING:
    from seatrial.sim.workloads.container import Container
    from seatrial.sim.workloads.process import Proc

CORE_NANO = 1_000_000_000
"""Nanocores of who keeps one core busy."""


def burn(proc: Proc, nano: int) -> None:
    """A process burns so many nanocores from now on."""
    container = proc.container
    container.burnt_ns, container.burns_since_us = total_ns(container), proc.clock.now
    proc.cpu_nano = nano


def total_ns(container: Container) -> int:
    """What a container's processes have burnt, in nanoseconds of a core."""
    steady = min(sum(proc.cpu_nano for proc in container.processes.values()), container.capacity)
    return container.burnt_ns + steady * (container.clock.now - container.burns_since_us) // 1_000_000


def for_ever(proc: Proc) -> Generator[Any, Any, None]:
    """A process keeps a core busy until it is killed."""
    burn(proc, CORE_NANO)
    yield Signal(proc.clock).wait()
