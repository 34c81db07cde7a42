"""/sys/fs/cgroup in a container: its own control group (version 2), as its programs read it.

Source: Documentation/admin-guide/cgroup-v2.rst of the kernel, and how runc turns Kubernetes' figures into the files'.
Not modelled: I/O, huge pages, pressure; writing to a file changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from seatrial.sim.workloads.filesystem import Dir, File

if TYPE_CHECKING:
    from seatrial.sim.workloads.container import Container

PLACE: Final = "/sys/fs/cgroup"
PERIOD_US: Final = 100_000
"""The CFS period, in which a limit is counted."""
MIN_QUOTA_US: Final = 1000
MAX: Final = "max"
PIDS_MAX: Final = 4915


def weight(shares: int) -> int:
    """cpu.weight of cpu.shares: 1024 shares are 100 (opencontainers/cgroups, ConvertCPUSharesToCgroupV2Value)."""
    if shares <= 0:
        return 0
    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10_000
    power = math.log2(shares)
    return math.ceil(10 ** ((power * power + 125 * power) / 612 - 7 / 34))


def _cpu_max(container: Container) -> str:
    limit = container.config.cpu_limit
    quota = MAX if limit is None else max(limit * PERIOD_US // 1_000_000_000, MIN_QUOTA_US)
    return f"{quota} {PERIOD_US}"


def _memory_max(container: Container) -> str:
    limit = container.config.memory_limit
    return MAX if limit is None else str(limit)


def _cpu_stat(container: Container) -> str:
    used = container.cpu_total_ns() // 1000
    figures = {"usage_usec": used, "user_usec": used, "system_usec": 0, "nr_periods": 0, "nr_throttled": 0}
    return "\n".join(f"{name} {figure}" for name, figure in figures.items())


FILES: Final[dict[str, Callable[[Container], str]]] = {
    "cgroup.controllers": lambda _: "cpuset cpu io memory hugetlb pids rdma misc",
    "cgroup.procs": lambda container: "\n".join(str(pid) for pid in container.processes),
    "cgroup.type": lambda _: "domain",
    "cpu.max": _cpu_max,
    "cpu.stat": _cpu_stat,
    "cpu.weight": lambda container: str(weight(container.config.cpu_shares)),
    "memory.current": lambda container: str(container.usage()[1]),
    "memory.events": lambda container: f"low 0\nhigh 0\nmax 0\noom {int(container.oom)}\noom_kill {int(container.oom)}",
    "memory.high": lambda _: MAX,
    "memory.low": lambda _: "0",
    "memory.max": _memory_max,
    "memory.min": lambda _: "0",
    "memory.swap.current": lambda _: "0",
    "memory.swap.max": lambda _: "0",
    "pids.current": lambda container: str(len(container.processes)),
    "pids.max": lambda _: str(PIDS_MAX),
}
"""Name → text without its last newline."""


def tree(container: Container) -> Dir:
    """The directory, made when somebody looks."""
    made = Dir(0o555, container.started_us)
    for name, text in FILES.items():
        made.entries[name] = File(mode=0o644, mtime_us=container.started_us, source=_source(text, container))
    return made


def _source(text: Callable[[Container], str], container: Container) -> Callable[[], bytes]:
    return lambda: text(container).encode() + b"\n"
