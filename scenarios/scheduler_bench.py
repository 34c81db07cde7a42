"""Scheduler benchmarks: scheduler_perf workloads on decisions alone, or on a whole cluster through its API.

*Decisions* are what a scheduling framework and its cache do: filter, score, choose, preempt, with every default
plug-in. The *whole path* is a cluster: every pod is created, scheduled, bound and reported through the API server, with
client-side limits lifted. Throughput and latencies are in processor time of one core, which on an idle machine is wall
time; queueing is simulated time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from seatrial.scenarios.scheduler_perf import Workload
from seatrial.scenarios.scheduler_result import Object, Result, judge
from seatrial.sim.machinery.selectors import labels
from seatrial.sim.scheduler.cache import Cache

CHURN_INTERVAL_MS = 500
"""How often churn happens where a workload does not say (churnOp.IntervalMilliseconds)."""
CHURN_RATE = 600
"""Pods per second at which churn keeps time where upstream asks no rate of itself."""
NODE_DEFAULT, POD_DEFAULT = "../templates/node-default.yaml", "../templates/pod-default.yaml"
CLUSTER_SCOPED = ("Node", "Namespace", "PersistentVolume")
CREATE, REMOVE = "create", "remove"


class Act(NamedTuple):
    """One thing that a client does while pods are scheduled."""

    verb: str
    """CREATE or REMOVE."""
    obj: dict[str, Any]


class Chosen:
    """Which objects a step is about: those of some namespaces that carry some labels."""

    def __init__(self, step: Object) -> None:
        named = step.get("namespaces") or ([step["namespace"]] if step.get("namespace") else None)
        self._namespaces = None if named is None else frozenset(named)
        wanted = step.get("labelSelector")
        self._matches = labels({"matchLabels": wanted}) if wanted else None

    def __call__(self, obj: Object) -> bool:
        meta = obj["metadata"]
        if self._namespaces is not None and meta.get("namespace") not in self._namespaces:
            return False
        return self._matches is None or self._matches(meta.get("labels") or {})


class Target(Protocol):
    """Where a workload is played."""

    def create(self, obj: dict[str, Any]) -> None:
        """An object that is no pod."""

    def update(self, obj: dict[str, Any], subresources: list[str]) -> None:
        """An object as it is to be from now on."""

    def play(self, acts: Iterator[Act], wait: bool) -> None:
        """What a client does, pods among it. ``wait``: until they are placed, or nothing moves any more."""

    def barrier(self, chosen: Chosen, placed: bool) -> None:
        """Wait until these pods were tried, or are ``placed``, or nothing moves any more."""

    def delete_pods(self, chosen: Chosen, per_second: float, wait: bool) -> None:
        """These pods go. ``per_second`` 0: as fast as it goes; without ``wait`` they do while other things happen."""

    def rest(self, seconds: float) -> None:
        """Let simulated time pass."""

    def measure(self, result: Result | None, chosen: Chosen | None) -> None:
        """From now on measure the pods that are created and chosen; None: not any more."""

    def cache(self) -> Cache:
        """The scheduler's picture, to judge the outcome by."""


def play(workload: Workload, target: Target, result: Result, progress: Callable[[str], None]) -> Result:
    """Play a workload on a target and fill in the result. ``progress``: told what is being done."""
    result.threshold = workload.threshold
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
        self._churn_every = 1
        self._churned: list[dict[str, Any]] = []
        self._recreates = False

    def play(self) -> None:
        """All steps, in order."""
        for number, step in enumerate(self._workload.steps, 1):
            what = f"step {number} of {len(self._workload.steps)}, {step['opcode']} {step.get('count', '')}"
            self._progress(f"{self._workload.title}: {what}".rstrip())
            STEPS[step["opcode"]](self, step)
        self._target.measure(None, None)

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

    def _from(self, path: str, step: Object, index: int) -> dict[str, Any]:
        return self._workload.make(path, index, step.get("count", 1), step.get("templateParams"))

    # steps

    def create_nodes(self, step: Object) -> None:
        """Nodes from a template, labelled in turns."""
        path = step.get("nodeTemplatePath") or NODE_DEFAULT
        strategy = step.get("labelNodePrepareStrategy") or {}
        extra = (step.get("nodeAllocatableStrategy") or {}).get("nodeAllocatable") or {}
        csi = (step.get("nodeAllocatableStrategy") or {}).get("csiNodeAllocatable") or {}
        values = strategy.get("labelValues") or ()
        for number in range(step.get("count", 1)):
            node = self._named(self._from(path, step, number))
            if values:
                node["metadata"].setdefault("labels", {})[strategy["labelKey"]] = values[number % len(values)]
            self._target.create(completed(node, extra))
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
        """Pods from a template, placed before the next step unless that need not wait."""
        self._pod_ops += 1
        namespace = step.get("namespace") or f"namespace-{self._pod_ops}"
        self._namespace(namespace)
        path = step.get("podTemplatePath") or self._workload.default_pod or POD_DEFAULT
        count = step.get("count", 1)
        collects = step.get("collectMetrics") and not self._collecting
        made: Iterator[dict[str, Any]] = (
            self._pod(step, self._from(path, step, n), n, namespace) for n in range(count)
        )
        if "persistentVolumeTemplatePath" in step:
            made = iter(list(made))  # their volumes come first
        if collects:
            self._target.measure(self._result, Chosen({"namespace": namespace}))
        self._target.play(self._churning(made), wait=not step.get("skipWaitToCompletion"))
        if collects:
            self._target.measure(None, None)

    def _pod(self, step: Object, made: dict[str, Any], number: int, namespace: str) -> dict[str, Any]:
        pod = self._named(made, namespace)
        if "persistentVolumeTemplatePath" in step:
            self._add_volume(step, pod, number, namespace)
        return pod

    def _add_volume(self, step: Object, pod: dict[str, Any], number: int, namespace: str) -> None:
        """A volume and a claim, bound to each other, for one pod; other pods' templates know the claim by its name."""
        name, claimed = f"{namespace}-vol-{number}", f"pvc-{number}"
        volume = self._workload.make(step["persistentVolumeTemplatePath"])
        claim = self._workload.make(step["persistentVolumeClaimTemplatePath"])
        volume.setdefault("metadata", {})["name"] = name
        source = volume["spec"].get("csi") or {}
        if source:
            volume["spec"]["csi"] = {**source, "volumeHandle": name}
        claim["metadata"] = {**(claim.get("metadata") or {}), "name": claimed, "namespace": namespace}
        claim["metadata"].setdefault("annotations", {})["pv.kubernetes.io/bind-completed"] = "true"
        claim["spec"]["volumeName"] = name
        self._target.create(volume)
        self._target.create(claim)
        volumes = pod["spec"].setdefault("volumes", [])
        volumes.append({"name": "vol", "persistentVolumeClaim": {"claimName": claimed}})

    def create_pod_sets(self, step: Object) -> None:
        """The same pods in several namespaces."""
        inner = step["createPodsOp"]
        for number in range(step.get("count", 1)):
            self.create_pods({**inner, "namespace": f"{step.get('namespacePrefix', 'namespace')}-{number}"})

    def create_pod_groups(self, step: Object) -> None:
        """Groups to which no pod of the workload belongs, which means nothing to anybody."""

    def create_any(self, step: Object) -> None:
        """Any other objects."""
        namespace = step.get("namespace") or ""
        self._namespace(namespace)
        for number in range(step.get("count", 1)):
            made = self._named(self._from(step["templatePath"], step, number), namespace)
            if made["kind"] == "Pod":
                self._target.play(iter((Act(CREATE, made),)), wait=False)
            else:
                self._target.create(completed(made))

    def update_any(self, step: Object) -> None:
        """Objects that are there change to what a template says."""
        namespace, rate = step.get("namespace") or "", step.get("updatePerSecond") or 0
        for number in range(step.get("count", 1)):
            made = self._named(self._from(step["templatePath"], step, number), namespace)
            self._target.update(completed(made), list(step.get("subresources") or ()))
            if rate:
                self._target.rest(1 / rate)

    def _churn_acts(self) -> Iterator[Act]:
        if self._recreates:
            yield from (Act(REMOVE, obj) for obj in self._churned)
            self._churned = []
        for path in self._churn:
            made = self._workload.make(path)
            obj = self._named(made, "" if made["kind"] in CLUSTER_SCOPED else "churn")
            self._churned.append(obj)
            yield Act(CREATE, completed(obj))

    def churn(self, step: Object) -> None:
        """From here on objects come (and go again) while pods are scheduled."""
        self._churn = list(step["templatePaths"])
        self._churn_every = churn_every(self._workload.threshold, step.get("intervalMilliseconds"))
        self._recreates = step.get("mode") == "recreate"
        self._namespace("churn")

    def _churning(self, made: Iterator[dict[str, Any]]) -> Iterator[Act]:
        for number, pod in enumerate(made):
            if self._churn and number % self._churn_every == self._churn_every - 1:
                yield from self._churn_acts()
            yield Act(CREATE, pod)

    def barrier(self, step: Object) -> None:
        """Pods are waited for."""
        self._target.barrier(Chosen(step), placed=step.get("stageRequirement") != "Attempted")

    def sleep(self, step: Object) -> None:
        """Time passes."""
        self._target.rest(seconds_of(step.get("duration") or 0))

    def start_collecting(self, step: Object) -> None:
        """Pods of the steps that follow are measured."""
        self._collecting = True
        self._target.measure(self._result, Chosen(step))

    def stop_collecting(self, step: Object) -> None:
        """They are not any more."""
        self._collecting = False
        self._target.measure(None, None)

    def delete_pods(self, step: Object) -> None:
        """Pods of a namespace go."""
        rate = step.get("deletePodsPerSecond") or 0
        self._target.delete_pods(Chosen(step), rate, wait=not step.get("skipWaitToCompletion"))


STEPS: Mapping[str, Callable[[Player, Object], None]] = {
    "createNodes": Player.create_nodes,
    "createNamespaces": Player.create_namespaces,
    "createPods": Player.create_pods,
    "createPodGroups": Player.create_pod_groups,
    "createPodSets": Player.create_pod_sets,
    "createAny": Player.create_any,
    "updateAny": Player.update_any,
    "churn": Player.churn,
    "barrier": Player.barrier,
    "sleep": Player.sleep,
    "startCollectingMetrics": Player.start_collecting,
    "stopCollectingMetrics": Player.stop_collecting,
    "deletePods": Player.delete_pods,
}


def churn_every(threshold: float | None, interval_ms: int | None) -> int:
    """Between how many pods churn happens: as many as upstream places meanwhile, at the rate that it asks of itself."""
    return max(round((threshold or CHURN_RATE) * (interval_ms or CHURN_INTERVAL_MS) / 1000), 1)


UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(duration: Any) -> float:
    """Go's text for a duration of one unit, or a number of seconds. Raises ValueError."""
    if isinstance(duration, int | float):
        return float(duration)
    unit = next(unit for unit in UNITS_S if str(duration).endswith(unit))
    return float(str(duration).removesuffix(unit)) * UNITS_S[unit]


def completed(obj: dict[str, Any], extra: Object = MappingProxyType({})) -> dict[str, Any]:
    """A node with what its kubelet would add: its host's name, and what of its capacity pods may have, which is all
    where the template does not say, and what is ``extra``. Other objects are as they are."""
    if obj["kind"] != "Node":
        return obj
    meta, status = obj["metadata"], obj.get("status") or {}
    labels = {"kubernetes.io/hostname": meta["name"], **(meta.get("labels") or {})}
    allocatable = {**(status.get("allocatable") or status.get("capacity") or {}), **extra}
    return {**obj, "metadata": {**meta, "labels": labels}, "status": {**status, "allocatable": allocatable}}


def updated(current: Object, wanted: Object) -> dict[str, Any]:
    """An object that is there, changed to what a template wants: a node wholly, of a pod what may be changed."""
    meta = {**current["metadata"], "labels": wanted["metadata"].get("labels") or {}}
    if current["kind"] != "Pod":
        return {**current, **wanted, "metadata": meta}
    spec = {key: value for key, value in current["spec"].items() if key != "schedulingGates"}
    given = wanted["spec"]
    if given.get("schedulingGates"):
        spec["schedulingGates"] = given["schedulingGates"]
    known = spec.get("tolerations") or []
    spec["tolerations"] = [*known, *(each for each in given.get("tolerations") or () if each not in known)]
    resources = {each["name"]: each.get("resources") or {} for each in given.get("containers") or ()}
    spec["containers"] = [
        {**each, "resources": resources.get(each["name"], each.get("resources") or {})} for each in spec["containers"]
    ]
    return {**current, "metadata": meta, "spec": spec}
