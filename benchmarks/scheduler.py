"""How many pods per second the scheduler places at 5,000 nodes, and how the cost grows with the cluster.

Figures are processor time of one core, which on an idle machine is wall time. *Decisions* are framework and cache with
all default plug-ins; on the *whole path* every pod is created, bound and reported through the API, with client-side
limits lifted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Figure, Sampler
from seatrial.scenarios.scheduler_perf import Workload, read_workloads
from seatrial.scenarios.scheduler_report import growth, power_of
from seatrial.scenarios.scheduler_targets import run
from seatrial.scenarios.traces import generate, replay
from seatrial.sim.kernel.garbage import spare_the_collector
from seatrial.sim.scheduler.config import default_config

WORKLOADS = Path(__file__).parent / "scheduler_perf" / "performance-config.yaml"
PLOT = Path(__file__).parent.parent / "docs" / "scheduler_growth.svg"
AIMS: dict[str, dict[bool, float]] = {
    "Basic/5000Nodes": {False: 10_000, True: 3_000},
    "TopologySpreading/5000Nodes": {False: 2_300, True: 2_300},
    "PodAffinity/5000Nodes": {False: 350, True: 350},
    "PodAntiAffinityWithNSSelector/5000Nodes": {False: 240, True: 240},
    "PreemptionAsync/5000Nodes": {False: 1_700, True: 1_700},
}
"""Pods per second, of decisions alone (False) and on the whole path (True): a multiple of what upstream asks of itself.
It asks nothing where every measured pod makes others go (PreemptionBasic)."""
TRACE_AIM_S = 60.0


def measure() -> Iterator[Figure]:
    spare_the_collector()
    for whole in (False, True):
        for workload in read_workloads(WORKLOADS, label="performance"):
            yield _placed(workload, whole)
    yield from _growth()
    trace = replay(generate(), default_config())
    yield Figure(f"openb-like trace, {trace.nodes} nodes, {trace.pods} tasks", trace.seconds, "s", TRACE_AIM_S, True)


def _placed(workload: Workload, whole: bool) -> Figure:
    with Sampler() as sampler:
        result = run(workload, default_config(), whole=whole)
    aim = AIMS.get(workload.title, {}).get(whole)
    notes = [f"upstream asks {workload.threshold:.0f}/s of itself"] if workload.threshold else []
    if result.waiting:
        notes.append(f"{result.waiting} pods found no node")
    if aim is None or result.per_second < aim:
        notes.append(f"own time of {sampler.most()}")
    return Figure(f"{workload.title}, {result.mode}", result.per_second, "pods/s", aim, note="; ".join(notes))


def _growth() -> Iterator[Figure]:
    """The cost per pod as a power of the number of nodes, fitted from 100 to 5,000; plotted."""
    series = []
    for whole, name in ((False, "decisions"), (True, "whole path")):
        points = []
        for workload in read_workloads(WORKLOADS, "^Basic/"):
            result = run(workload, default_config(), whole=whole)
            points.append((float(result.nodes), 1e6 / result.per_second))
        series.append((name, points))
        note = ", ".join(f"{nodes:.0f} nodes {cost:.0f} µs" for nodes, cost in points)
        yield Figure(f"cost per pod grows as nodes to the power of, {name}", power_of(points), "", note=note)
    PLOT.parent.mkdir(exist_ok=True)
    PLOT.write_text(growth("µs per pod by number of nodes", series))
