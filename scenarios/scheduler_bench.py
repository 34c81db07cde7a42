"""Scheduler benchmarks: scheduler_perf workloads on decisions alone, or on a whole cluster through its API.

*Decisions* are what a scheduling framework and its cache do: filter, score, choose, preempt, with every default
plug-in. The *whole path* is a cluster: every pod is created, scheduled, bound and reported through the API server, with
client-side limits lifted. Throughput and latencies are in processor time of one core, which on an idle machine is wall
time; queueing is simulated time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from seatrial.scenarios.scheduler_perf import Workload
from seatrial.sim.scheduler.cache import Cache

Object = Mapping[str, Any]
QUANTILES = (0.5, 0.9, 0.99)
CHURN_EVERY = 500
"""Churn happens once per so many pods; upstream's happens once per so much wall time."""
NODE_DEFAULT, POD_DEFAULT = "../templates/node-default.yaml", "../templates/pod-default.yaml"


@dataclass(slots=True)
class Result:
    """What one run came to."""

    workload: str
    mode: str
    config: str
    seed: int
    nodes: int = 0
    pods: int = 0
    """Measured pods that were placed."""
    waiting: int = 0
    """Measured pods that were not."""
    seconds: float = 0.0
    """Processor time in which they were."""
    attempts_ms: list[float] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    """Simulated time from creation to placement."""
    utilization: dict[str, float] = field(default_factory=dict)
    fragmentation: float = 0.0
    """Share of free CPU on nodes too full, in any resource, for another pod of the last measured kind."""
    fairness: float = 1.0
    """Jain's index over the nodes' CPU use: 1 when all are equally full."""
    threshold: float | None = None
    skipped: str = ""

    @property
    def per_second(self) -> float:
        """Placed pods per second."""
        return self.pods / self.seconds if self.seconds else 0.0

    def row(self) -> dict[str, Any]:
        """One line of a table."""
        cells: dict[str, Any] = {
            "workload": self.workload, "mode": self.mode, "config": self.config, "seed": self.seed,
            "nodes": self.nodes, "pods": self.pods, "waiting": self.waiting, "seconds": round(self.seconds, 3),
            "pods_per_second": round(self.per_second, 1), "upstream_threshold": self.threshold or "",
        }  # fmt: skip
        for name, values in (("attempt_ms", self.attempts_ms), ("queue_s", self.waits_s)):
            for quantile in QUANTILES:
                value = float(np.quantile(values, quantile)) if values else 0.0
                cells[f"{name}_p{round(100 * quantile)}"] = round(value, 4)
        for resource in ("cpu", "memory"):
            cells[f"{resource}_utilization"] = round(self.utilization.get(resource, 0.0), 4)
        cells |= {"fragmentation": round(self.fragmentation, 4), "fairness": round(self.fairness, 4)}
        return {**cells, "skipped": self.skipped}


class Target(Protocol):
    """Where a workload is played."""

    def create(self, obj: dict[str, Any]) -> None:
        """An object that is no pod."""

    def remove(self, obj: Object) -> None:
        """An object that was created."""

    def pods(self, made: Iterator[dict[str, Any]], result: Result | None) -> None:
        """Create pods and place them; ``result``: measure that."""

    def delete_pods(self, namespace: str) -> None:
        """Every pod of a namespace."""

    def cache(self) -> Cache:
        """The scheduler's picture, to judge the outcome by."""


def play(workload: Workload, target: Target, result: Result, progress: Callable[[str], None]) -> Result:
    """Play a workload on a target and fill in the result. ``progress``: told what is being done."""
    result.threshold = workload.threshold
    if workload.unsupported:
        result.skipped = workload.unsupported
        return result
    Player(workload, target, result, progress).play()
    judge(target.cache(), result)
    return result


class Player:
    """Carries out a workload's operations on a target."""

    def __init__(self, workload: Workload, target: Target, result: Result, progress: Callable[[str], None]) -> None:
        self._workload, self._target, self._result, self._progress = workload, target, result, progress
        self._made = 0
        self._pod_ops = 0
        self._collecting = False
        self._namespaces: dict[str, None] = {"default": None}
        self._churn: list[str] = []
        self._churned: list[dict[str, Any]] = []
        self._recreates = False

    def play(self) -> None:
        """All steps, in order."""
        for step in self._workload.steps:
            self._progress(f"{self._workload.title}: {step['opcode']} {step.get('count', '')}")
            STEPS[step["opcode"]](self, step)

    def _namespace(self, name: str) -> None:
        """A namespace that a step needs and none made before."""
        if name and name not in self._namespaces:
            self._namespaces[name] = None
            self._target.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def _named(self, obj: dict[str, Any], namespace: str = "") -> dict[str, Any]:
        """A new object under a name of its own."""
        meta = obj.setdefault("metadata", {})
        self._made += 1
        if "name" not in meta or "generateName" in meta:
            meta["name"] = f"{meta.pop('generateName', 'object-')}{self._made}"
        if namespace:
            meta["namespace"] = namespace
        return obj

    def create_nodes(self, step: Object) -> None:
        """Nodes from a template, labelled in turns."""
        path, count = step.get("nodeTemplatePath") or NODE_DEFAULT, step.get("count", 1)
        strategy = step.get("labelNodePrepareStrategy") or {}
        extra = (step.get("nodeAllocatableStrategy") or {}).get("nodeAllocatable") or {}
        csi = (step.get("nodeAllocatableStrategy") or {}).get("csiNodeAllocatable") or {}
        values = strategy.get("labelValues") or ()
        for number in range(count):
            node = self._named(self._workload.make(path, number, count, step.get("templateParams")))
            labels = node["metadata"].setdefault("labels", {})
            labels.setdefault("kubernetes.io/hostname", node["metadata"]["name"])
            if values:
                labels[strategy["labelKey"]] = values[number % len(values)]
            status = node.setdefault("status", {})
            status["allocatable"] = {**(status.get("allocatable") or status.get("capacity") or {}), **extra}
            self._target.create(node)
            if csi:
                drivers = [{"name": name, "nodeID": "n", "allocatable": dict(value)} for name, value in csi.items()]
                meta = {"name": node["metadata"]["name"]}
                kind = {"apiVersion": "storage.k8s.io/v1", "kind": "CSINode"}
                self._target.create({**kind, "metadata": meta, "spec": {"drivers": drivers}})
            self._result.nodes += 1

    def create_namespaces(self, step: Object) -> None:
        """Namespaces named by prefix and number."""
        path = step.get("namespaceTemplatePath")
        bare = {"apiVersion": "v1", "kind": "Namespace"}
        for number in range(step.get("count", 1)):
            namespace: dict[str, Any] = self._workload.make(path, number) if path else dict(bare)
            namespace.setdefault("metadata", {})["name"] = f"{step['prefix']}-{number}"
            namespace["metadata"].pop("generateName", None)
            self._namespaces[namespace["metadata"]["name"]] = None
            self._target.create(namespace)

    def create_pods(self, step: Object) -> None:
        """Pods from a template, placed before the next step."""
        self._pod_ops += 1
        namespace = step.get("namespace") or f"namespace-{self._pod_ops}"
        self._namespace(namespace)
        path = step.get("podTemplatePath") or self._workload.default_pod or POD_DEFAULT
        count = step.get("count", 1)
        measured = step.get("collectMetrics") or self._collecting
        made = (self._pod(step, self._made_from(path, step, n, count), namespace) for n in range(count))
        self._target.pods(self._churning(made), self._result if measured else None)

    def _made_from(self, path: str, step: Object, index: int, count: int) -> dict[str, Any]:
        return self._workload.make(path, index, count, step.get("templateParams"))

    def _pod(self, step: Object, made: dict[str, Any], namespace: str) -> dict[str, Any]:
        pod = self._named(made, namespace)
        if "persistentVolumeTemplatePath" in step:
            self._add_volume(step, pod, namespace)
        return pod

    def _add_volume(self, step: Object, pod: dict[str, Any], namespace: str) -> None:
        """A volume and a claim, bound to each other, for one pod."""
        name = f"volume-{self._made}"
        volume = self._workload.make(step["persistentVolumeTemplatePath"])
        claim = self._workload.make(step["persistentVolumeClaimTemplatePath"])
        volume.setdefault("metadata", {})["name"] = name
        source = volume["spec"].get("csi") or {}
        if source:
            volume["spec"]["csi"] = {**source, "volumeHandle": name}
        claim["metadata"] = {**(claim.get("metadata") or {}), "name": name, "namespace": namespace}
        claim["metadata"].setdefault("annotations", {})["pv.kubernetes.io/bind-completed"] = "true"
        claim["spec"]["volumeName"] = name
        self._target.create(volume)
        self._target.create(claim)
        volumes = pod["spec"].setdefault("volumes", [])
        volumes.append({"name": "vol", "persistentVolumeClaim": {"claimName": name}})

    def create_pod_sets(self, step: Object) -> None:
        """The same pods in several namespaces."""
        inner = step["createPodsOp"]
        for number in range(step.get("count", 1)):
            self.create_pods({**inner, "namespace": f"{step.get('namespacePrefix', 'namespace')}-{number}"})

    def create_any(self, step: Object) -> None:
        """Any other objects."""
        namespace, count = step.get("namespace") or "", step.get("count", 1)
        self._namespace(namespace)
        for number in range(count):
            made = self._made_from(step["templatePath"], step, number, count)
            self._target.create(self._named(made, namespace))

    def _churn_step(self) -> None:
        if self._recreates:
            for obj in self._churned:
                self._target.remove(obj)
            self._churned.clear()
        for path in self._churn:
            made = self._workload.make(path)
            obj = self._named(made, "" if made["kind"] in ("Node", "Namespace") else "churn")
            if obj["kind"] == "Node":
                obj["status"]["allocatable"] = obj["status"].get("capacity") or {}
            self._churned.append(obj)
            if obj["kind"] == "Pod":
                self._target.pods(iter((obj,)), None)
            else:
                self._target.create(obj)

    def churn(self, step: Object) -> None:
        """From here on objects come (and go again) while pods are scheduled."""
        self._churn = list(step["templatePaths"])
        self._recreates = step.get("mode") == "recreate"
        self._namespace("churn")

    def _churning(self, made: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for number, pod in enumerate(made):
            if self._churn and number % CHURN_EVERY == CHURN_EVERY - 1:
                self._churn_step()
            yield pod

    def nothing(self, step: Object) -> None:
        """Barriers and sleeps: every step is over before the next begins."""

    def start_collecting(self, step: Object) -> None:
        """Pods of the steps that follow are measured."""
        self._collecting = True

    def stop_collecting(self, step: Object) -> None:
        """They are not any more."""
        self._collecting = False

    def delete_pods(self, step: Object) -> None:
        """Every pod of a namespace goes."""
        self._target.delete_pods(step["namespace"])


STEPS: Mapping[str, Callable[[Player, Object], None]] = {
    "createNodes": Player.create_nodes,
    "createNamespaces": Player.create_namespaces,
    "createPods": Player.create_pods,
    "createPodSets": Player.create_pod_sets,
    "createAny": Player.create_any,
    "churn": Player.churn,
    "barrier": Player.nothing,
    "sleep": Player.nothing,
    "startCollectingMetrics": Player.start_collecting,
    "stopCollectingMetrics": Player.stop_collecting,
    "deletePods": Player.delete_pods,
}


def judge(cache: Cache, result: Result) -> None:
    """Fill in how full, how fragmented and how evenly used the nodes are in the end."""
    cache.refresh()
    if not cache.nodes:
        return
    for name in ("cpu", "memory"):
        index = cache.resources[name]
        total = int(cache.allocatable[index].sum())
        result.utilization[name] = int(cache.requested[index].sum()) / total if total else 0.0
    cpu = cache.resources["cpu"]
    free = np.maximum(cache.allocatable[cpu] - cache.requested[cpu], 0)
    used = cache.requested[cpu] / np.maximum(cache.allocatable[cpu], 1)
    squares = float((used**2).sum())
    result.fairness = float(used.sum()) ** 2 / (len(used) * squares) if squares else 1.0
    last = next((pod for pod, _ in reversed(cache.where.values())), None)
    if last is not None and free.sum():
        full = cache.pod_count >= cache.pods_allowed
        for name, units in last.traits.requests.items():
            index = cache.resource(name)
            full |= cache.allocatable[index] - cache.requested[index] < units
        result.fragmentation = float(free[full].sum() / free.sum())
