"""What every benchmark shares: figures with their aims, the machine, and the page that they are written to.

A benchmark is a module with ``measure() -> Iterator[Figure]``. A figure that misses its aim says so; none is asserted.
"""

from __future__ import annotations

import os
import platform
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


class Figure(NamedTuple):
    """One measured number."""

    name: str
    value: float
    unit: str
    aim: float | None = None
    less_is_better: bool = False
    note: str = ""

    @property
    def reached(self) -> str:
        """``yes``, ``no``, or nothing where there is no aim."""
        if self.aim is None:
            return ""
        return "yes" if (self.value <= self.aim if self.less_is_better else self.value >= self.aim) else "no"


def per_second(count: int, work: Callable[[int], Any]) -> float:
    """How many times ``work`` runs in a second of processor time, each time told which it is."""
    began = time.process_time()
    for index in range(count):
        work(index)
    return count / (time.process_time() - began)


def best_s(times: int, work: Callable[[], Any]) -> float:
    """Seconds of the fastest of several runs."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)


class Sampler:
    """Looks every few milliseconds of processor time where the program is: a profile that costs next to nothing."""

    PERIOD_S = 0.005

    def __init__(self) -> None:
        self._seen: Counter[CodeType] = Counter()

    def __enter__(self) -> Sampler:
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, self.PERIOD_S, self.PERIOD_S)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _look(self, _: int, frame: FrameType | None) -> None:
        if frame is not None:
            self._seen[frame.f_code] += 1

    def most(self, packages: int = 6, functions: int = 4) -> str:
        """The packages whose own code takes most of the time, and the dearest functions, each with its share."""
        by_package: Counter[str] = Counter()
        for code, seen in self._seen.items():
            by_package[Path(code.co_filename).parent.name or "generated code"] += seen
        dearest = Counter({_named(code): seen for code, seen in self._seen.items()})
        told = [self._shares(by_package, packages), self._shares(dearest, functions)]
        return "; dearest functions ".join(told)

    def _shares(self, counted: Counter[str], most: int) -> str:
        total = max(sum(self._seen.values()), 1)
        return ", ".join(f"{name} {100 * seen / total:.0f} %" for name, seen in counted.most_common(most))


def _named(code: CodeType) -> str:
    return f"{'/'.join(Path(code.co_filename).parts[-2:])}:{code.co_name}"


def calibration() -> float:
    """Million steps per second of an empty loop: what this machine's Python does at all."""
    return per_second(1, lambda _: sum(1 for _ in range(10_000_000))) * 10


def machine() -> str:
    """One line about the machine and its Python."""
    model = platform.processor() or "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, {python}"


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(figures: Iterator[Figure] | list[Figure]) -> list[str]:
    """Markdown lines."""
    lines = ["| what | figure | aim | reached |", "|---|---|---|---|"]
    for figure in figures:
        note = f" ({figure.note})" if figure.note else ""
        aim = "" if figure.aim is None else f"{'≤' if figure.less_is_better else '≥'} {shown(figure.aim)} {figure.unit}"
        lines.append(f"| {figure.name}{note} | {shown(figure.value)} {figure.unit} | {aim} | {figure.reached} |")
    return lines


def write(sections: dict[str, list[Figure]], steps: float) -> None:
    """Replaces the sections that were measured; the others stay as they were measured before."""
    page = PAGE.read_text() if PAGE.exists() else "# Benchmarks\n"
    for name, figures in sections.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        head = f"Measured on {machine()}; an empty loop does {steps:.0f} million steps per second there."
        body = "\n".join([begin, f"## {name.capitalize()}", "", head, "", *table(figures), end])
        before, found, rest = page.partition(begin)
        page = before + body + rest.partition(end)[2] if found else f"{page.rstrip()}\n\n{body}\n"
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page)
