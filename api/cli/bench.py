"""``seatrial bench``: how fast, and how well, the scheduler decides."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click

from seatrial.api.problem import Problem

ENTRY_POINTS = "seatrial.scheduler_plugins"
COLUMNS = (
    ("WORKLOAD", "workload"), ("CONFIG", "config"), ("SEED", "seed"), ("PODS", "pods"), ("WAITING", "waiting"),
    ("PODS/S", "pods_per_second"), ("UPSTREAM", "upstream_threshold"), ("P50 MS", "attempt_ms_p50"),
    ("P99 MS", "attempt_ms_p99"), ("QUEUE P50 S", "queue_s_p50"), ("CPU USED", "cpu_utilization"),
    ("FRAGMENTED", "fragmentation"), ("FAIRNESS", "fairness"),
)  # fmt: skip
"""Title -> cell of a result."""


@click.group(short_help="Measure the scheduler.")
def bench() -> None:
    """Measure how fast, and how well, the scheduler decides; no cluster is needed.

    \b
    Example:
      seatrial bench scheduler generated:100x1000
    """


@bench.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--only", default="", metavar="REGEX", help="Only workloads whose case/name matches.")
@click.option("--label", default="", help="Only workloads with this label, e.g. performance or short.")
@click.option("--config", "configs", multiple=True, type=click.Path(exists=True), metavar="FILE",
              help="A KubeSchedulerConfiguration; several are compared.")  # fmt: skip
@click.option("--seeds", default=1, type=click.IntRange(1), help="How many seeds per workload and configuration.")
@click.option("--whole-path", is_flag=True, help="Create and bind every pod through the API of a simulated cluster.")
@click.option("--nodes", type=click.Path(exists=True), metavar="FILE", help="The nodes that belong to a trace's CSV.")
@click.option("--plugin", "plugins", multiple=True, metavar="FILE.py:CLASS | MODULE:CLASS",
              help="A plug-in of your own that configurations may name.")  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False), metavar="FILE.csv", help="Write every result there.")
@click.option("--plots", type=click.Path(file_okay=False), metavar="DIR", help="Write plots (SVG) there.")
def scheduler(
    files: tuple[str, ...],
    only: str,
    label: str,
    configs: tuple[str, ...],
    seeds: int,
    whole_path: bool,
    nodes: str | None,
    plugins: tuple[str, ...],
    out: str | None,
    plots: str | None,
) -> None:
    """Play workloads on the scheduler and measure.

    FILES are scheduler_perf's performance-config.yaml files, traces in the openb CSV form (with --nodes), or
    generated:NODESxTASKS[:poisson|uniform|bursts].

    \b
    Examples:
      seatrial bench scheduler misc/performance-config.yaml --only SchedulingBasic
      seatrial bench scheduler affinity/performance-config.yaml --label performance --out results.csv
      seatrial bench scheduler openb_pod_list.csv --nodes openb_node_list.csv --config a.yaml --config b.yaml
      seatrial bench scheduler generated:1523x8152:bursts --seeds 3 --plots plots
    """
    from rich.console import Console

    from seatrial.sim.kernel.garbage import spare_the_collector

    chosen = _configs(configs, plugins)
    spare_the_collector()
    notes = Console(stderr=True)
    results = []
    with notes.status("reading") as status:
        for job in _jobs(files, only, label, nodes, whole_path):
            for name, config in chosen:
                for seed in range(seeds):
                    result = job(config, seed, name, status.update)
                    results.append(result)
                    what = f"skipped: {result.skipped}" if result.skipped else f"{result.per_second:,.0f} pods/s"
                    notes.print(f"{result.workload}: {what}", highlight=False)
    if not results:
        raise Problem("nothing to play", "no workload matches", "Leave out --only and --label.")
    _show(results, out, plots)


def _show(results: list[Any], out: str | None, plots: str | None) -> None:
    """The table, and what is to be written."""
    from rich.console import Console
    from rich.table import Table

    from seatrial.scenarios.scheduler_report import write_csv, write_plots

    table = Table(box=None, pad_edge=False)
    for title, _ in COLUMNS:
        table.add_column(title, justify="left" if title in ("WORKLOAD", "CONFIG") else "right")
    for result in results:
        if not result.skipped:
            row = result.row()
            table.add_row(*(str(row[cell]) for _, cell in COLUMNS))
    console = Console()
    (console if console.is_terminal else Console(width=240)).print(table)
    if out:
        write_csv(Path(out), results)
    if plots:
        write_plots(Path(plots), results)


def _configs(files: Iterable[str], plugins: Iterable[str]) -> list[tuple[str, Any]]:
    """(name, configuration) of every file, or the default one."""
    from seatrial.sim.scheduler.config import default_config, read_config
    from seatrial.sim.scheduler.config_rules import ConfigError

    known = {**_installed_plugins(), **dict(_load_plugin(where) for where in plugins)}
    found = []
    for file in files:
        try:
            found.append((Path(file).stem, read_config(Path(file).read_text(), known)))
        except ConfigError as problem:
            raise Problem(file, str(problem), "Mend the file: it is read as kube-scheduler would read it.") from None
    return found or [("default", default_config())]


def _installed_plugins() -> dict[str, Any]:
    return {point.name: point.load() for point in entry_points(group=ENTRY_POINTS)}


def _load_plugin(where: str) -> tuple[str, Any]:
    """(name, class) of a plug-in given as FILE.py:CLASS or MODULE:CLASS."""
    module_name, _, class_name = where.rpartition(":")
    try:
        if module_name.endswith(".py"):
            spec = importlib.util.spec_from_file_location(Path(module_name).stem, module_name)
            if spec is None or spec.loader is None:
                raise ImportError(module_name)
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(module_name)
        kind = getattr(module, class_name)
    except (ImportError, AttributeError, OSError, ValueError) as problem:
        raise Problem(
            f"plug-in {where}", f"it cannot be loaded: {problem}", "Give FILE.py:CLASS or MODULE:CLASS."
        ) from None
    return kind.name or class_name, kind


def _jobs(files: Iterable[str], only: str, label: str, nodes: str | None, whole: bool) -> Iterable[Any]:
    """One function (config, seed, name, progress) -> result per workload or trace."""
    for file in files:
        if file.startswith("generated:"):
            yield _generated(file)
        elif file.endswith(".csv"):
            yield _traced(file, nodes)
        else:
            yield from _workloads(file, only, label, whole)


def _workloads(file: str, only: str, label: str, whole: bool) -> Iterable[Any]:
    from seatrial.scenarios.scheduler_perf import read_workloads
    from seatrial.scenarios.scheduler_targets import run

    try:
        workloads = read_workloads(Path(file), only, label)
    except (OSError, ValueError) as problem:
        raise Problem(file, str(problem), "Give a performance-config.yaml of scheduler_perf.") from None
    for workload in workloads:
        yield lambda config, seed, name, progress, workload=workload: run(workload, config, seed, whole, name, progress)


def _generated(text: str) -> Any:
    from seatrial.scenarios.traces import ARRIVALS, generate, replay

    try:
        _, size, *rest = text.split(":")
        nodes, tasks = map(int, size.split("x"))
        arrivals = rest[0] if rest else "poisson"
        if arrivals not in ARRIVALS:
            raise ValueError(arrivals)
    except ValueError:
        raise Problem(text, "that is no trace", "Write generated:1523x8152:poisson, uniform or bursts.") from None
    return lambda config, seed, name, progress: replay(
        generate(nodes, tasks, seed, arrivals), config, seed, name, progress
    )


def _traced(file: str, nodes: str | None) -> Any:
    from seatrial.scenarios.traces import read_openb, replay

    if nodes is None:
        raise Problem(file, "it has tasks, but no nodes", "Name the CSV with the nodes: --nodes openb_node_list.csv.")
    try:
        trace = read_openb(Path(nodes), Path(file))
    except (OSError, ValueError) as problem:
        raise Problem(file, str(problem), "Give the two CSV files of an openb trace.") from None
    return lambda config, seed, name, progress: replay(trace, config, seed, name, progress)
