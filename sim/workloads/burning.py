"""Processes that compute without a pause: their processor time, and what becomes of who reads without end."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from seatrial.sim.kernel.clock import Signal

if TYPE_CHECKING:
    from seatrial.sim.workloads.container import Container
    from seatrial.sim.workloads.process import Proc

CORE_NANO = 1_000_000_000
"""Nanocores of who keeps one core busy."""
KEEPING_NOTHING = (
    "cat",
    "cksum",
    "dd",
    "gzip",
    "md5sum",
    "sha1sum",
    "sha256sum",
    "sha512sum",
    "tee",
    "tr",
    "wc",
    "yes",
)
"""Programs that hand on or reckon with what they read, and forget it."""


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


def swamped(proc: Proc) -> Generator[Any, Any, None]:
    """A process reads what has no end: it goes on for ever if it keeps nothing of it; others fill the memory."""
    if proc.argv and proc.argv[0].rpartition("/")[2] in KEEPING_NOTHING:
        yield from for_ever(proc)
    yield from proc.container.exhaust(proc)
