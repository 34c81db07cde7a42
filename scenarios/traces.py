"""Traces of tasks that come and go: read from the openb CSV form, or drawn at random in the same shape.

openb (Alibaba's cluster-trace-gpu-v2023) has one CSV of nodes (``sn,cpu_milli,memory_mib,gpu,model``) and one of pods
(``name,cpu_milli,memory_mib,num_gpu,gpu_milli,…,creation_time,deletion_time,scheduled_time``, times in seconds).

*Not modelled*: which of a node's GPUs a share of one is cut from; GPUs are one amount per node, in thousandths.
"""

from __future__ import annotations

import csv
import heapq
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from seatrial.scenarios.scheduler_result import Result, judge
from seatrial.scenarios.scheduler_targets import Decisions
from seatrial.sim.scheduler.config import SchedulerConfig
from seatrial.sim.scheduler.podinfo import PodInfo, Traits

GPU = "openb.example.com/gpu-milli"
MODEL = "openb.example.com/gpu-model"
OPENB_NODES, OPENB_TASKS = 1523, 8152
"""The size of the published trace."""


@dataclass(frozen=True, slots=True)
class Task:
    """One pod of a trace; times in seconds."""

    pod: Mapping[str, Any]
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Trace:
    """Nodes, and the tasks that come to them in order of arrival."""

    name: str
    nodes: tuple[Mapping[str, Any], ...]
    tasks: tuple[Task, ...]


def read_openb(nodes: Path, pods: Path) -> Trace:
    """A trace of two CSV files. Raises OSError, and ValueError naming the line that is wrong."""
    made_nodes = tuple(_rows(nodes, lambda row: _node(
        row["sn"], int(row["cpu_milli"]), int(row["memory_mib"]), int(row["gpu"] or 0), row.get("model") or ""
    )))  # fmt: skip
    tasks = tuple(_rows(pods, _openb_task))
    return Trace(pods.stem, made_nodes, tuple(sorted(tasks, key=lambda task: task.begin)))


def _rows(path: Path, make: Callable[[dict[str, str]], Any]) -> Iterator[Any]:
    with path.open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            try:
                yield make(row)
            except (KeyError, ValueError) as problem:
                raise ValueError(f"{path}:{number}: {problem!r}") from None


def _openb_task(row: dict[str, str]) -> Task:
    count, share = int(row.get("num_gpu") or 0), int(row.get("gpu_milli") or 0)
    pod = _pod(row["name"], int(row["cpu_milli"]), int(row["memory_mib"]), count * (share or 1000))
    begin = float(row["creation_time"])
    end = float(row["deletion_time"]) if row.get("deletion_time") else math.inf
    return Task(pod, begin, end)


def _node(name: str, cpu_milli: int, memory_mib: int, gpus: int, model: str) -> dict[str, Any]:
    labels = {"kubernetes.io/hostname": name, **({MODEL: model} if model else {})}
    figures = {"cpu": f"{cpu_milli}m", "memory": f"{memory_mib}Mi", "pods": "110"}
    if gpus:
        figures[GPU] = str(1000 * gpus)
    return {"kind": "Node", "metadata": {"name": name, "labels": labels}, "status": {"allocatable": figures}}


def _pod(name: str, cpu_milli: int, memory_mib: int, gpu_milli: int) -> dict[str, Any]:
    requests = {"cpu": f"{cpu_milli}m", "memory": f"{memory_mib}Mi"}
    if gpu_milli:
        requests[GPU] = str(gpu_milli)
    container = {"name": "task", "image": "task", "resources": {"requests": requests}}
    meta = {"name": name, "namespace": "default", "uid": name}
    return {"kind": "Pod", "metadata": meta, "spec": {"containers": [container]}}


ARRIVALS: Mapping[str, Callable[[Random, float], float]] = {
    "poisson": lambda rng, mean: rng.expovariate(1 / mean),
    "uniform": lambda rng, mean: mean,
    "bursts": lambda rng, mean: 0.0 if rng.random() < 0.9 else rng.expovariate(1 / (10 * mean)),
}
"""How tasks follow each other: seconds to the next one, around a mean."""


def generate(
    nodes: int = OPENB_NODES, tasks: int = OPENB_TASKS, seed: int = 0, arrivals: str = "poisson", load: float = 0.9
) -> Trace:
    """A trace of openb's shape: two in three nodes with GPUs, most tasks with a share of one or a whole one.

    ``load``: the share of the CPUs that would be in use if everything fitted at once.
    """
    rng = Random(f"{seed}/trace")
    shapes = ((64_000, 262_144, 2), (96_000, 393_216, 8), (128_000, 786_432, 8), (104_000, 524_288, 0))
    made_nodes = []
    for number in range(nodes):
        cpu, memory, gpus = shapes[rng.choices(range(4), (30, 25, 12, 33))[0]]
        made_nodes.append(_node(f"openb-node-{number:04}", cpu, memory, gpus, f"G{rng.randrange(3)}" if gpus else ""))
    total_cpu = sum(_milli(node) for node in made_nodes)
    mean_cpu, mean_life = 9_000, 3600.0
    gap = mean_life * mean_cpu / (load * total_cpu)
    made_tasks, now = [], 0.0
    for number in range(tasks):
        now += ARRIVALS[arrivals](rng, gap)
        cpu = rng.choices((2000, 4000, 8000, 11900, 16000, 32000), (10, 25, 30, 20, 10, 5))[0]
        gpu = rng.choices((0, 250, 500, 1000, 2000, 8000), (13, 12, 15, 50, 5, 5))[0]
        pod = _pod(f"openb-pod-{number:04}", cpu, cpu * rng.choice((2, 4, 8)) * 1024 // 1000, gpu)
        made_tasks.append(Task(pod, now, now + rng.lognormvariate(math.log(mean_life) - 0.5, 1.0)))
    return Trace(f"generated-{nodes}x{tasks}-{arrivals}", tuple(made_nodes), tuple(made_tasks))


def _milli(node: Mapping[str, Any]) -> int:
    return int(node["status"]["allocatable"]["cpu"][:-1])


def replay(
    trace: Trace,
    config: SchedulerConfig,
    seed: int = 0,
    name: str = "default",
    progress: Callable[[str], None] = lambda text: None,
) -> Result:
    """Let the tasks come and go; those that find no room wait until one leaves."""
    result = Result(trace.name, "trace", name, seed, nodes=len(trace.nodes))
    target = Decisions(config, seed)
    for node in trace.nodes:
        target.create(dict(node))
    began = time.process_time()
    waiting: dict[Traits, deque[tuple[PodInfo, Task]]] = {}
    leaving: list[tuple[float, str]] = []

    def attempt(info: PodInfo, task: Task, now: float) -> bool:
        tried = time.process_time()
        placed = target.place(info)
        result.attempts_ms.append(1000 * (time.process_time() - tried))
        if placed:
            result.waits_s.append(now - task.begin)
            heapq.heappush(leaving, (now + task.end - task.begin, info.uid))
        return placed

    def leave_until(now: float) -> None:
        while leaving and leaving[0][0] <= now:
            when, uid = heapq.heappop(leaving)
            node = target.cache().node_of(uid)
            target.cache().remove_pod(uid)
            for traits, queue in list(waiting.items()):
                while queue and target.fits(traits, node) and attempt(*queue[0], when):
                    queue.popleft()
                if not queue:
                    del waiting[traits]

    for number, task in enumerate(trace.tasks):
        if number % 500 == 0:
            progress(f"{trace.name}: task {number} of {len(trace.tasks)}")
        leave_until(task.begin)
        info = target.info(dict(task.pod))
        if info.traits in waiting or not attempt(info, task, task.begin):
            waiting.setdefault(info.traits, deque()).append((info, task))
    judge(target.cache(), result)
    leave_until(math.inf)
    result.seconds = time.process_time() - began
    result.pods, result.waiting = len(result.waits_s), sum(map(len, waiting.values()))
    return result
