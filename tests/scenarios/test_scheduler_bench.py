"""Scheduler benchmarks: workloads are read, played and judged; traces come and go."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import yaml

from seatrial.scenarios.scheduler_bench import churn_every
from seatrial.scenarios.scheduler_perf import read_workloads
from seatrial.scenarios.scheduler_report import growth, power_of, write_csv, write_plots
from seatrial.scenarios.scheduler_targets import run
from seatrial.scenarios.traces import generate, read_openb, replay
from seatrial.sim.scheduler.config import default_config

TEMPLATES: dict[str, dict[str, Any]] = {
    "node": {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"generateName": "node-"},
        "spec": {},
        "status": {"capacity": {"cpu": "4", "memory": "8Gi", "pods": "20"}},
    },
    "pod": {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "pod-"},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "c", "image": "pause", "resources": {"requests": {"cpu": "1"}}}],
        },
    },
    "member": {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "member-"},
        "spec": {"schedulingGroup": {"podGroupName": "gang"}, "containers": [{"name": "c", "image": "pause"}]},
    },
    "high": {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "high-"},
        "spec": {
            "priority": 10,
            "containers": [{"name": "c", "image": "pause", "resources": {"requests": {"cpu": "3"}}}],
        },
    },
}
NODES = {"opcode": "createNodes", "countParam": "$nodes", "nodeTemplatePath": "node.yaml"}
PODS = {"opcode": "createPods", "countParam": "$pods", "podTemplatePath": "pod.yaml"}
HIGH = {"opcode": "createPods", "count": 2, "podTemplatePath": "high.yaml", "collectMetrics": True}
MEMBERS = {"opcode": "createPods", "count": 2, "podTemplatePath": "member.yaml", "collectMetrics": True}
CASES = [
    {
        "name": "Fill",
        "workloadTemplate": [NODES, {**PODS, "collectMetrics": True}],
        "workloads": [
            {"name": "small", "labels": ["short"], "threshold": 10, "params": {"nodes": 3, "pods": 10}},
            {"name": "overfull", "params": {"nodes": 1, "pods": 6}},
        ],
    },
    {
        "name": "Preempt",
        "workloadTemplate": [NODES, PODS, HIGH],
        "workloads": [{"name": "small", "params": {"nodes": 2, "pods": 8}}],
    },
    {
        "name": "Gang",
        "workloadTemplate": [NODES, {"opcode": "createPodGroups", "count": 1}, MEMBERS],
        "workloads": [{"name": "small", "params": {"nodes": 1}}],
    },
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    for name, template in TEMPLATES.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(template))
    path = tmp_path / "performance-config.yaml"
    path.write_text(yaml.safe_dump(CASES))
    return path


@pytest.mark.parametrize(("threshold", "interval_ms", "pods"), [(570, 200, 114), (None, None, 300), (10, 1, 1)])
def test_churn_keeps_the_pace_that_upstream_asks_of_itself(
    threshold: float | None, interval_ms: int | None, pods: int
) -> None:
    assert churn_every(threshold, interval_ms) == pods


def test_parameters_and_labels_choose_workloads(file: Path) -> None:
    workloads = read_workloads(file)
    assert [w.title for w in workloads] == ["Fill/small", "Fill/overfull", "Preempt/small", "Gang/small"]
    assert workloads[0].steps[0]["count"] == 3 and workloads[0].threshold == 10
    assert [w.title for w in read_workloads(file, label="short")] == ["Fill/small"]
    assert [w.title for w in read_workloads(file, only="^Pre")] == ["Preempt/small"]


def test_what_cannot_be_played_says_why(file: Path) -> None:
    (workload,) = read_workloads(file, "Gang")
    assert run(workload, default_config()).skipped == "scheduling of pod groups: not modelled"


def test_pods_without_a_group_do_not_mind_that_there_are_groups(file: Path) -> None:
    file.write_text(file.read_text().replace("member.yaml", "pod.yaml"))
    (workload,) = read_workloads(file, "Gang")
    assert run(workload, default_config()).pods == 2


@pytest.mark.parametrize("whole", [False, True], ids=["decisions", "whole path"])
def test_pods_are_placed_while_there_is_room(file: Path, whole: bool) -> None:
    small, overfull = read_workloads(file, "Fill")
    result = run(small, default_config(), whole=whole)
    assert (result.pods, result.waiting, result.nodes) == (10, 0, 3)
    assert result.utilization["cpu"] == pytest.approx(10 / 12)
    result = run(overfull, default_config(), whole=whole)
    assert (result.pods, result.waiting) == (4, 2)
    assert result.fairness == pytest.approx(1)


@pytest.mark.parametrize("whole", [False, True], ids=["decisions", "whole path"])
def test_important_pods_make_room(file: Path, whole: bool) -> None:
    (workload,) = read_workloads(file, "Preempt")
    result = run(workload, default_config(), whole=whole)
    assert (result.pods, result.waiting) == (2, 0)


def test_results_are_written(file: Path, tmp_path: Path) -> None:
    results = [run(workload, default_config()) for workload in read_workloads(file, "Fill|Gang")]
    write_csv(tmp_path / "out.csv", results)
    with (tmp_path / "out.csv").open(newline="") as written:
        rows = list(csv.DictReader(written))
    assert [row["pods"] for row in rows] == ["10", "4", "0"] and rows[2]["skipped"]
    plots = write_plots(tmp_path / "plots", results)
    assert all(plot.read_text().startswith("<svg") for plot in plots)


@pytest.mark.parametrize("arrivals", ["poisson", "uniform", "bursts"])
def test_tasks_of_a_trace_wait_for_room_and_get_it(arrivals: str) -> None:
    trace = generate(nodes=5, tasks=150, seed=3, arrivals=arrivals, load=3)
    result = replay(trace, default_config())
    assert (result.pods, result.waiting) == (150, 0)
    assert max(result.waits_s) > 0


def test_openb_files_are_read(tmp_path: Path) -> None:
    nodes, pods = tmp_path / "nodes.csv", tmp_path / "pods.csv"
    nodes.write_text("sn,cpu_milli,memory_mib,gpu,model\na,4000,8192,1,T4\nb,4000,8192,0,\n")
    head = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,creation_time,deletion_time\n"
    pods.write_text(f"{head}p2,1000,100,1,500,20,30\np1,1000,100,1,1000,10,25\np0,4000,100,0,0,5,\n")
    trace = read_openb(nodes, pods)
    assert [task.pod["metadata"]["name"] for task in trace.tasks] == ["p0", "p1", "p2"]
    result = replay(trace, default_config())
    assert result.pods == 3 and sorted(result.waits_s) == [0, 0, 5]
    pods.write_text(f"{head}p2,many,100,1,500,20,30\n")
    with pytest.raises(ValueError, match=r"pods\.csv:2"):
        read_openb(nodes, pods)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_growth_is_fitted_and_plotted(power: float) -> None:
    points = [(float(nodes), 7 * nodes**power) for nodes in (100, 300, 1000, 5000)]
    assert power_of(points) == pytest.approx(power)
    plot = growth("cost", [("decisions", points), ("whole path", [(x, 2 * y) for x, y in points])])
    assert plot.startswith("<svg") and f"to the power of {power:.2f}" in plot
