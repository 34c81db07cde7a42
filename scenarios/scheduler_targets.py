"""Decisions alone as a target of scheduler benchmarks, and the choice between this and a whole cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from seatrial.scenarios.scheduler_bench import CREATE, Act, Chosen, Target, play, updated
from seatrial.scenarios.scheduler_perf import Workload
from seatrial.scenarios.scheduler_result import Object, Result
from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.config import SchedulerConfig, frameworks, read_config
from seatrial.sim.scheduler.decide import Decision, Framework
from seatrial.sim.scheduler.podinfo import Intern, PodInfo, Traits
from seatrial.sim.scheduler.preemption import preempt

STORAGES = {
    "PersistentVolume": "persistentvolumes",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Service": "services",
    "StorageClass": "storageclasses.storage.k8s.io",
    "CSINode": "csinodes.storage.k8s.io",
    "CSIDriver": "csidrivers.storage.k8s.io",
}
"""Kinds besides nodes, pods and namespaces that a scheduler reads -> where its cache keeps them."""


def run(
    workload: Workload,
    config: SchedulerConfig,
    seed: int = 0,
    whole: bool = False,
    name: str = "default",
    progress: Callable[[str], None] = lambda text: None,
) -> Result:
    """Play a workload and measure. ``whole``: through a cluster's API; a configuration that the workload brings along
    stands in for the default one. Raises OSError and ConfigError for one that cannot be read."""
    from seatrial.scenarios.scheduler_cluster import WholePath

    result = Result(workload.title, "whole path" if whole else "decisions", name, seed)
    if workload.unsupported:
        result.skipped = workload.unsupported
        return result
    if workload.config is not None and name == "default":
        config = read_config(workload.config.read_text())
    target: Target = WholePath(config, seed) if whole else Decisions(config, seed)
    return play(workload, target, result, progress)


class Decisions:
    """Frameworks and cache, without a cluster around: binding always succeeds, victims leave at once."""

    def __init__(self, config: SchedulerConfig, seed: int) -> None:
        self._cache, self._intern = Cache(), Intern()
        self._frameworks = frameworks(config, self._cache)
        self._rng = Random(seed)
        self._waiting: dict[str, PodInfo] = {}
        self._pods: dict[str, dict[str, Any]] = {}
        self._moved = False
        """Whether anything happened that pods in waiting may profit from."""
        self._result: Result | None = None
        self._chosen: Chosen | None = None
        self._measured: dict[str, None] = {}
        """Measured pods that have no node yet."""

    def cache(self) -> Cache:
        return self._cache

    def create(self, obj: dict[str, Any]) -> None:
        kind = obj["kind"]
        self._moved = True
        if kind == "Node":
            self._cache.set_node(obj)
        elif kind == "Namespace":
            self._cache.set_object("namespaces", obj)
        elif kind in STORAGES:
            self._cache.set_object(STORAGES[kind], obj)

    def remove(self, obj: Object) -> None:
        """An object that was created."""
        meta = obj["metadata"]
        self._moved = True
        if obj["kind"] == "Node":
            self._cache.remove_node(meta["name"])
        elif obj["kind"] == "Pod":
            self._cache.remove_pod(meta["uid"])
            for held in (self._waiting, self._pods, self._measured):
                held.pop(meta["uid"], None)
        elif obj["kind"] in STORAGES:
            self._cache.remove_object(STORAGES[obj["kind"]], meta.get("namespace") or "", meta["name"])

    def update(self, obj: dict[str, Any], subresources: list[str]) -> None:
        if obj["kind"] != "Pod":
            self.create(obj)
            return
        uid = uid_of(obj)
        new = self._pods[uid] = updated(self._pods[uid], obj)
        node = self._cache.node_of(uid)
        self._moved = True
        if node is not None:
            self._cache.add_pod(self._intern.info(new, placed=True), node)
        elif uid in self._waiting:
            self._waiting[uid] = self._intern.info(new)

    def play(self, acts: Iterator[Act], wait: bool) -> None:
        listed = list(acts)
        self._cache.refresh()
        began = time.process_time()
        for verb, obj in listed:
            if obj["kind"] != "Pod":
                self.create(obj) if verb == CREATE else self.remove(obj)
            elif verb == CREATE:
                self._arrives(obj)
            else:
                self.remove(obj)
        if wait:
            self._retry()
        self._took(began)

    def _arrives(self, pod: dict[str, Any]) -> None:
        uid = pod["metadata"]["uid"] = uid_of(pod)
        self._pods[uid] = pod
        if self._chosen is not None and self._chosen(pod):
            self._measured[uid] = None
        info = self._intern.info(pod)
        if pod["spec"].get("nodeName"):
            self._cache.add_pod(info, pod["spec"]["nodeName"])
            self._placed(uid)
        else:
            self._attempt(info)

    def _attempt(self, info: PodInfo) -> None:
        attempted = time.process_time()
        placed = self.place(info)
        if self._result is not None and info.uid in self._measured:
            self._result.attempts_ms.append(1000 * (time.process_time() - attempted))
        if placed:
            self._waiting.pop(info.uid, None)
            self._placed(info.uid)
        else:
            self._waiting[info.uid] = info

    def _placed(self, uid: str) -> None:
        self._moved = True
        if uid in self._measured:
            del self._measured[uid]
            if self._result is not None:
                self._result.pods += 1

    def _retry(self) -> None:
        """Pods in waiting are tried again as long as anything happens that may help them."""
        while self._moved:
            self._moved = False
            for info in list(self._waiting.values()):
                self._attempt(info)

    def _took(self, began: float) -> None:
        if self._result is not None:
            self._result.seconds += time.process_time() - began

    def barrier(self, chosen: Chosen, placed: bool) -> None:
        began = time.process_time()
        self._retry()
        self._took(began)

    def rest(self, seconds: float) -> None:
        """Time means nothing here."""

    def delete_pods(self, chosen: Chosen, per_second: float, wait: bool) -> None:
        began = time.process_time()
        for pod in [pod for pod in self._pods.values() if chosen(pod)]:
            self.remove(pod)
        if wait:
            self._retry()
        self._took(began)

    def measure(self, result: Result | None, chosen: Chosen | None) -> None:
        if self._result is not None:
            self._result.waiting += len(self._measured)
        self._result, self._chosen, self._measured = result, chosen, {}

    def info(self, pod: dict[str, Any]) -> PodInfo:
        """The scheduler's view of a pod."""
        return self._intern.info(pod)

    def fits(self, traits: Traits, node: str | None) -> bool:
        """Whether a pod of these traits would, by the first profile, find room on one node."""
        row = self._cache.row_of.get(node or "")
        framework = next(iter(self._frameworks.values()))
        return row is not None and framework.plan(traits).fits(row)

    def place(self, info: PodInfo) -> bool:
        """One pod's way: decide, and if need be make room and decide again."""
        if info.pod["spec"].get("schedulingGates"):
            return False
        framework = self._responsible(info)
        decision = framework.decide(info, self._rng)
        if decision.node is None:
            decision = self._make_room(info, decision)
        if decision.node is None:
            return False
        self._cache.add_pod(info, decision.node)
        return True

    def _responsible(self, info: PodInfo) -> Framework:
        """The pod's profile; the first one for pods that name none that there is."""
        named = self._frameworks.get(info.pod["spec"].get("schedulerName") or "default-scheduler")
        return named or next(iter(self._frameworks.values()))

    def _make_room(self, info: PodInfo, decision: Decision) -> Decision:
        framework = self._responsible(info)
        if decision.pre_filter is not None or not info.priority:
            return decision
        outcome = preempt(framework, info, decision, self._rng)
        if outcome.candidate is None:
            return decision
        info.nominated = outcome.candidate.node
        self._cache.nominate(info, outcome.candidate.node)
        for victim in outcome.candidate.victims:
            self._cache.remove_pod(victim.uid)
        again = framework.decide(info, self._rng)
        self._cache.nominate(info, "")
        return again


def uid_of(pod: Object) -> str:
    """What tells a pod of a benchmark from all others."""
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
