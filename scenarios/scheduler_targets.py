"""Where scheduler benchmarks are played: on decisions alone, or on a whole cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

from seatrial.scenarios.scheduler_bench import Object, Result, Target, play
from seatrial.scenarios.scheduler_perf import Workload
from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, S
from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.config import SchedulerConfig, frameworks
from seatrial.sim.scheduler.decide import Decision, Framework
from seatrial.sim.scheduler.podinfo import Intern, PodInfo, Traits
from seatrial.sim.scheduler.preemption import preempt
from seatrial.sim.scheduler.scheduler import Scheduler

STALLED_US = 30 * S
"""A cluster that places no pod for so long, in simulated time, has placed what it can."""
STEP_US = 100_000
STORAGES = {
    "PersistentVolume": "persistentvolumes",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Service": "services",
    "StorageClass": "storageclasses.storage.k8s.io",
    "CSINode": "csinodes.storage.k8s.io",
    "CSIDriver": "csidrivers.storage.k8s.io",
}
"""Kinds besides nodes, pods and namespaces that a scheduler reads -> where its cache keeps them."""
PLURALS = {
    "Node": "/api/v1/nodes",
    "Namespace": "/api/v1/namespaces",
    "Pod": "/api/v1/namespaces/{namespace}/pods",
    "PersistentVolume": "/api/v1/persistentvolumes",
    "PersistentVolumeClaim": "/api/v1/namespaces/{namespace}/persistentvolumeclaims",
    "Service": "/api/v1/namespaces/{namespace}/services",
    "Secret": "/api/v1/namespaces/{namespace}/secrets",
    "ConfigMap": "/api/v1/namespaces/{namespace}/configmaps",
    "StorageClass": "/apis/storage.k8s.io/v1/storageclasses",
    "CSINode": "/apis/storage.k8s.io/v1/csinodes",
    "CSIDriver": "/apis/storage.k8s.io/v1/csidrivers",
    "PriorityClass": "/apis/scheduling.k8s.io/v1/priorityclasses",
}


def run(
    workload: Workload,
    config: SchedulerConfig,
    seed: int = 0,
    whole: bool = False,
    name: str = "default",
    progress: Callable[[str], None] = lambda text: None,
) -> Result:
    """Play a workload and measure. ``whole``: through a cluster's API."""
    result = Result(workload.title, "whole path" if whole else "decisions", name, seed)
    if workload.unsupported:
        result.skipped = workload.unsupported
        return result
    target: Target = WholePath(config, seed) if whole else Decisions(config, seed)
    return play(workload, target, result, progress)


class Decisions:
    """Frameworks and cache, without a cluster around: binding always succeeds, victims leave at once."""

    def __init__(self, config: SchedulerConfig, seed: int) -> None:
        self._cache, self._intern = Cache(), Intern()
        self._frameworks = frameworks(config, self._cache)
        self._rng = Random(seed)
        self._waiting: list[PodInfo] = []

    def cache(self) -> Cache:
        return self._cache

    def create(self, obj: dict[str, Any]) -> None:
        kind = obj["kind"]
        if kind == "Node":
            self._cache.set_node(obj)
        elif kind == "Namespace":
            self._cache.set_object("namespaces", obj)
        elif kind in STORAGES:
            self._cache.set_object(STORAGES[kind], obj)

    def remove(self, obj: Object) -> None:
        meta = obj["metadata"]
        if obj["kind"] == "Node":
            self._cache.remove_node(meta["name"])
        elif obj["kind"] == "Pod":
            self._cache.remove_pod(meta["uid"])
            self._waiting = [pod for pod in self._waiting if pod.uid != meta["uid"]]
        elif obj["kind"] in STORAGES:
            self._cache.remove_object(STORAGES[obj["kind"]], meta.get("namespace") or "", meta["name"])

    def pods(self, made: Iterator[dict[str, Any]], result: Result | None) -> None:
        pods = []
        for pod in made:
            pod["metadata"].setdefault("uid", f"{pod['metadata']['namespace']}/{pod['metadata']['name']}")
            pods.append(pod)
        self._cache.refresh()
        began = time.process_time()
        waiting = []
        for pod in pods:
            attempted = time.process_time()
            info = self._intern.info(pod)
            placed = self.place(info)
            if result is not None:
                result.attempts_ms.append(1000 * (time.process_time() - attempted))
            if not placed:
                waiting.append(info)
        if result is not None:
            result.seconds += time.process_time() - began
            result.pods += len(pods) - len(waiting)
            result.waiting += len(waiting)
        self._waiting += waiting

    def info(self, pod: dict[str, Any]) -> PodInfo:
        """The scheduler's view of a pod."""
        return self._intern.info(pod)

    def fits(self, traits: Traits, node: str | None) -> bool:
        """Whether a pod of these traits would, by the first profile, find room on one node."""
        row = self._cache.row_of.get(node or "")
        framework = next(iter(self._frameworks.values()))
        return row is not None and framework.plan(traits).judge(row) is None

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

    def delete_pods(self, namespace: str) -> None:
        gone = [uid for uid, (pod, _) in self._cache.where.items() if pod.namespace == namespace]
        for uid in gone:
            self._cache.remove_pod(uid)
        waiting, self._waiting = self._waiting, []
        self._waiting = [info for info in waiting if not self.place(info)]


class WholePath:
    """A cluster with an API server and a scheduler; nodes are objects without kubelets."""

    def __init__(self, config: SchedulerConfig, seed: int) -> None:
        self.cluster = Cluster(ClusterSpec(controllers="none", nodes=0), seed=seed)
        unlimited = SchedulerConfig(
            config.profiles,
            config.percentage_of_nodes_to_score,
            config.initial_backoff_us,
            config.max_backoff_us,
            qps=-1 if config.qps is None else config.qps,
            burst=config.burst,
            plugins=config.plugins,
        )
        self.scheduler = Scheduler(self.cluster.wiring, "m-k8s", unlimited)
        self.scheduler.start()
        self.cluster.components.append(self.scheduler)
        self.cluster.run(S)
        self._create_account("default")
        self._result: Result | None = None
        self._classes: dict[str, None] = {}
        for framework in self.scheduler.frameworks.values():
            self._time(framework)

    def _time(self, framework: Any) -> None:
        decide = framework.decide

        def timed(pod: PodInfo, rng: Random, detail: bool = False) -> Decision:
            began = time.process_time()
            decision: Decision = decide(pod, rng, detail)
            if self._result is not None:
                self._result.attempts_ms.append(1000 * (time.process_time() - began))
            return decision

        framework.decide = timed

    def cache(self) -> Cache:
        return self.scheduler.cache

    def _send(self, method: str, path: str, body: Any, content_type: str = "application/json") -> Any:
        response = self.cluster.request(Request(method, path, body=body, content_type=content_type))
        if response.code >= 300 and response.code != 409:
            raise RuntimeError(f"{method} {path}: {response.body}")
        return response.body

    def create(self, obj: dict[str, Any]) -> None:
        path = PLURALS[obj["kind"]].format(namespace=obj["metadata"].get("namespace") or "default")
        if obj["kind"] == "Namespace":
            self._create_namespace(path, obj)
            return
        self._send("POST", path, obj)
        if obj["kind"] == "Node":
            # Admission taints new nodes until a kubelet reports; here none does.
            ready = {"spec": {"taints": obj.get("spec", {}).get("taints")}}
            self._send("PATCH", f"{path}/{obj['metadata']['name']}", ready, "application/merge-patch+json")

    def _create_namespace(self, path: str, obj: dict[str, Any]) -> None:
        name = obj["metadata"]["name"]
        self._send("POST", path, {"apiVersion": "v1", **obj})
        self._create_account(name)

    def _create_account(self, namespace: str) -> None:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        self._send("POST", f"{PLURALS['Namespace']}/{namespace}/serviceaccounts", account)

    def remove(self, obj: Object) -> None:
        path = PLURALS[obj["kind"]].format(namespace=obj["metadata"].get("namespace") or "default")
        now = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
        self.cluster.request(Request("DELETE", f"{path}/{obj['metadata']['name']}", body=now))

    def pods(self, made: Iterator[dict[str, Any]], result: Result | None) -> None:
        self.cluster.run(S)
        pods = [{"apiVersion": "v1", "kind": "Pod", **pod} for pod in made]
        for pod in pods:
            self._class(pod)
        self._result = result
        began = time.process_time()
        created = self.cluster.now
        path = PLURALS["Pod"]
        wanted: dict[tuple[str, str], None] = {}
        for pod in pods:
            meta = pod["metadata"]
            self._send("POST", path.format(namespace=meta["namespace"]), pod)
            wanted[meta["namespace"], meta["name"]] = None
        placed = self._wait(wanted, created, result)
        if result is not None:
            result.seconds += time.process_time() - began
            result.pods += placed
            result.waiting += len(pods) - placed
        self._result = None

    def _class(self, pod: dict[str, Any]) -> None:
        """Admission takes priorities from classes alone: a template's bare number becomes a class of that value."""
        value = pod["spec"].pop("priority", None)
        if not value:
            return
        name = f"value-{value}"
        if name not in self._classes:
            self._classes[name] = None
            kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
            self.create({**kind, "metadata": {"name": name}, "value": value})
        pod["spec"]["priorityClassName"] = name

    def _wait(self, wanted: dict[tuple[str, str], None], created: int, result: Result | None) -> int:
        """Let time pass until all are bound, or nothing moves any more."""
        placed, quiet_since = 0, self.cluster.now
        store = self.cluster.store
        while wanted and self.cluster.now - quiet_since < STALLED_US:
            self.cluster.run(STEP_US)
            bound = [key for key in wanted if (store.get("pods", *key) or NO_POD)["spec"].get("nodeName")]
            for key in bound:
                del wanted[key]
                if result is not None:
                    result.waits_s.append((self.cluster.now - created) / S)
            if bound:
                placed, quiet_since = placed + len(bound), self.cluster.now
        return placed

    def delete_pods(self, namespace: str) -> None:
        for pod in self.cluster.store.list("pods", namespace):
            self.remove({"kind": "Pod", **pod})
        self.cluster.run(S)


NO_POD: Mapping[str, Any] = {"spec": {}}
