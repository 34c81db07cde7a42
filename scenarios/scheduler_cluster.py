"""A whole cluster as a target of scheduler benchmarks: an API server, a scheduler, and a client that creates pods.

Nodes are objects without kubelets. The client is upstream's: many requests at once over a link, without a limit of its
own; pods are scheduled while others are still being created. A pod counts as placed when its binding is stored; the
work of a measured step is over when the scheduler has nothing left to do or to report.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from random import Random
from typing import Any

from seatrial.scenarios.scheduler_bench import CREATE, Act, Chosen, updated
from seatrial.scenarios.scheduler_result import Object, Result
from seatrial.sim.apiserver.client import Client
from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import ADMIN, Cluster
from seatrial.sim.config import ClusterSpec, S
from seatrial.sim.kernel.clock import Process
from seatrial.sim.machinery.decode import decode_value
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.config import SchedulerConfig
from seatrial.sim.scheduler.decide import Decision
from seatrial.sim.scheduler.podinfo import PodInfo
from seatrial.sim.scheduler.scheduler import Scheduler
from seatrial.sim.store.store import Change

Steps = Generator[Any, Any, Any]
Key = tuple[str, str]
"""(namespace, name) of a pod."""
STALLED_US = 30 * S
"""A cluster that places no pod for so long, in simulated time, has placed what it can."""
STEP_US = 20_000
REQUESTS_AT_ONCE = 100
"""How many creations the client has under way."""
HOST = "m-k8s"
AGENT = "scheduler-perf"
NOW = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
MERGE = "application/merge-patch+json"


class WholePath:
    """A cluster with an API server and a scheduler."""

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
        self.scheduler = Scheduler(self.cluster.wiring, HOST, unlimited)
        self.scheduler.start()
        self.cluster.components.append(self.scheduler)
        self.cluster.run(S)
        self._client = Client(self.cluster.wiring, HOST, ADMIN, AGENT)
        self._kinds = kinds_of(self.cluster)
        self._classes: dict[str, None] = {}
        self._created: dict[Key, int] = {}
        """When pods without a node were created."""
        self._last_placed = 0
        self._leaving: list[Process] = []
        self._result: Result | None = None
        self._chosen: Chosen | None = None
        self._measured: dict[Key, None] = {}
        self._began = 0.0
        self._create_account("default")
        self.cluster.store.observe(self._see)
        for framework in self.scheduler.frameworks.values():
            self._time(framework)

    def cache(self) -> Cache:
        return self.scheduler.cache

    def _time(self, framework: Any) -> None:
        decide = framework.decide

        def timed(pod: PodInfo, rng: Random, detail: bool = False) -> Decision:
            began = time.process_time()
            decision: Decision = decide(pod, rng, detail)
            if self._result is not None:
                self._result.attempts_ms.append(1000 * (time.process_time() - began))
            return decision

        framework.decide = timed

    def _see(self, change: Change) -> None:
        """A pod that gets its node, or goes, is waited for no more."""
        if change.storage != "pods":
            return
        meta = change.obj["metadata"]
        key = meta["namespace"], meta["name"]
        gone = change.verb == "DELETED"
        if key in self._created and (gone or change.obj["spec"].get("nodeName")):
            created = self._created.pop(key)
            self._last_placed = change.at_us
            if key in self._measured:
                del self._measured[key]
                if self._result is not None and not gone:
                    self._result.pods += 1
                    self._result.waits_s.append((change.at_us - created) / S)

    # objects

    def _send(self, method: str, path: str, body: Any, content_type: str = "application/json") -> Any:
        response = self.cluster.request(Request(method, path, body=body, content_type=content_type))
        if response.code >= 300 and response.code != 409:
            raise RuntimeError(f"{method} {path}: {response.body}")
        return response.body

    def _path(self, obj: Object, name: str = "") -> str:
        resource, meta = self._kinds[obj["kind"]], obj["metadata"]
        root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
        inside = f"/namespaces/{meta.get('namespace') or 'default'}" if resource.namespaced else ""
        return f"{root}{inside}/{resource.plural}{f'/{name}' if name else ''}"

    def create(self, obj: dict[str, Any]) -> None:
        self._send("POST", self._path(obj), self._typed(obj))
        if obj["kind"] == "Namespace":
            self._create_account(obj["metadata"]["name"])
        if obj["kind"] == "Node":
            # Admission taints new nodes until a kubelet reports; here none does.
            ready = {"spec": {"taints": obj.get("spec", {}).get("taints")}}
            self._send("PATCH", self._path(obj, obj["metadata"]["name"]), ready, MERGE)

    def _typed(self, obj: dict[str, Any]) -> dict[str, Any]:
        """The object as a typed client sends it: of the right types, quantities as text."""
        resource = self._kinds[obj["kind"]]
        return decode_value(resource, {"apiVersion": resource.api_version, **obj}, "Ignore")[0]

    def _create_account(self, namespace: str) -> None:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        self._send("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", account)

    def update(self, obj: dict[str, Any], subresources: list[str]) -> None:
        path = self._path(obj, obj["metadata"]["name"])
        for part in subresources or ([""] if obj["kind"] == "Pod" else ["", "status"]):
            current = self._send("GET", path, None)
            self._send("PUT", f"{path}/{part}" if part else path, updated(current, self._typed(obj)))

    # a client at work

    def play(self, acts: Iterator[Act], wait: bool) -> None:
        began = time.process_time()
        ready = iter([self._prepared(act) for act in acts])
        self.cluster.run(STEP_US)
        self._began += time.process_time() - began  # to have everything at hand is no part of what is measured
        self._last_placed = self.cluster.now
        clock = self.cluster.clock
        workers = [clock.spawn(self._work(ready), f"{AGENT}/{number}") for number in range(REQUESTS_AT_ONCE)]
        while any(worker.alive for worker in workers):
            self.cluster.run(STEP_US)
        if wait:
            self._wait(lambda key: True)

    def _prepared(self, act: Act) -> Act:
        """The pod as the API takes it: a template's bare number becomes a priority class of that value, since admission
        takes priorities from classes alone."""
        obj = act.obj
        if act.verb != CREATE:
            return act
        value = obj["spec"].pop("priority", None) if obj["kind"] == "Pod" else None
        if value:
            name = f"value-{value}"
            if name not in self._classes:
                self._classes[name] = None
                kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
                self.create({**kind, "metadata": {"name": name}, "value": value})
            obj["spec"]["priorityClassName"] = name
        return Act(act.verb, self._typed(obj))

    def _work(self, acts: Iterator[Act]) -> Steps:
        for verb, obj in acts:
            resource, meta = self._kinds[obj["kind"]], obj["metadata"]
            if verb != CREATE:
                yield from self._delete(resource, meta.get("namespace") or "", meta["name"])
                continue
            if obj["kind"] == "Pod":
                self._arrives(obj)
            try:
                yield from self._client.create(resource, obj)
                if obj["kind"] == "Node":
                    ready = {"spec": {"taints": obj.get("spec", {}).get("taints")}}
                    yield from self._client.patch(resource, "", meta["name"], ready, MERGE)
            except ApiError as problem:
                raise RuntimeError(f"{obj['kind']} {meta['name']}: {problem}") from problem

    def _arrives(self, pod: Object) -> None:
        if self._chosen is not None and self._chosen(pod):
            self._measured[pod["metadata"]["namespace"], pod["metadata"]["name"]] = None
        self._created[pod["metadata"]["namespace"], pod["metadata"]["name"]] = self.cluster.now

    def _delete(self, resource: Resource, namespace: str, name: str) -> Steps:
        try:
            yield from self._client.delete(resource, namespace, name, NOW)
        except ApiError as problem:
            if problem.code != 404:
                raise

    def delete_pods(self, chosen: Chosen, per_second: float, wait: bool) -> None:
        keys = [
            (pod["metadata"]["namespace"], pod["metadata"]["name"])
            for pod in self.cluster.store.list("pods")
            if chosen(pod)
        ]
        process = self.cluster.clock.spawn(self._leave(keys, per_second), f"{AGENT}/delete")
        self._leaving.append(process)
        while wait and process.alive:
            self.cluster.run(STEP_US)

    def _leave(self, keys: list[Key], per_second: float) -> Steps:
        for key in keys:
            yield from self._delete(self._kinds["Pod"], *key)
            if per_second:
                yield self.cluster.clock.sleep(round(S / per_second))

    # waiting and measuring

    def _wait(self, wanted: Any) -> None:
        """Let time pass until these pods are placed, or nothing moves any more."""
        self._last_placed = self.cluster.now
        while any(wanted(key) for key in self._created) and self._moves():
            self.cluster.run(STEP_US)
        self._rest()

    def _moves(self) -> bool:
        leaving = any(process.alive for process in self._leaving)
        return leaving or self.cluster.now - self._last_placed < STALLED_US

    def _rest(self) -> None:
        """Until the scheduler has nothing left to do or to say."""
        for _ in range(STALLED_US // STEP_US):
            if not self.scheduler.busy():
                return
            self.cluster.run(STEP_US)

    def barrier(self, chosen: Chosen, placed: bool) -> None:
        self.cluster.run(STEP_US)
        if not placed:
            self._rest()
            return
        store = self.cluster.store
        concerned = {key for key in self._created if (pod := store.get("pods", *key)) is not None and chosen(pod)}
        self._wait(concerned.__contains__)

    def rest(self, seconds: float) -> None:
        self.cluster.run(round(seconds * S))

    def measure(self, result: Result | None, chosen: Chosen | None) -> None:
        if self._result is not None:
            self._result.seconds += time.process_time() - self._began
            self._result.waiting += len(self._measured)
        self._result, self._chosen, self._measured = result, chosen, {}
        self._began = time.process_time()


def kinds_of(cluster: Cluster) -> Mapping[str, Resource]:
    """The built-in kinds by name, in the version in which they are stored."""
    storages = (
        "nodes", "namespaces", "pods", "persistentvolumes", "persistentvolumeclaims", "services", "secrets",
        "configmaps", "storageclasses.storage.k8s.io", "csinodes.storage.k8s.io", "csidrivers.storage.k8s.io",
        "priorityclasses.scheduling.k8s.io", "replicationcontrollers", "replicasets.apps", "deployments.apps",
        "statefulsets.apps", "poddisruptionbudgets.policy", "resourcequotas", "limitranges",
    )  # fmt: skip
    found = [cluster.wiring.kinds.resource(storage) for storage in storages]
    return {resource.kind: resource for resource in found}
