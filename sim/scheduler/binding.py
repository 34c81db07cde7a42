"""What a scheduler does after a decision, each in a process of its own: bind, evict victims, patch status.

Source: k8s.io/kubernetes/pkg/scheduler/schedule_one.go (bindingCycle), framework/plugins/defaultbinder,
framework/plugins/volumebinding (PreBind) and framework/preemption/executor.go.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from seatrial.sim.apiserver.client import Unreachable
from seatrial.sim.config import S
from seatrial.sim.kernel.clock import Process
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.scheduler import metrics
from seatrial.sim.scheduler.decide import Framework
from seatrial.sim.scheduler.extenders import ExtenderError
from seatrial.sim.scheduler.framework import Rejected
from seatrial.sim.scheduler.labels import Object
from seatrial.sim.scheduler.plugins.volumebinding import find_volumes, sorted_claims
from seatrial.sim.scheduler.podinfo import PodInfo
from seatrial.sim.scheduler.preemption import BY_SCHEDULER, Candidate
from seatrial.sim.scheduler.queue import QueuedPod
from seatrial.sim.scheduler.volumes import CLAIMS, SELECTED_NODE, VOLUMES, claim_names, is_bound

if TYPE_CHECKING:
    from seatrial.sim.scheduler.scheduler import Scheduler

Steps = Generator[Any, Any, Any]
STRATEGIC = "application/strategic-merge-patch+json"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
POLL_US = 1 * S
BIND_TIMEOUT_US = 600 * S
"""How long volumes may take to be bound (VolumeBindingArgs.bindTimeoutSeconds)."""


class Binder:
    """The asynchronous half of one scheduler."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._clock = scheduler.wiring.clock
        self._pods = scheduler.wiring.kinds.resource("pods")
        self.processes: dict[Process, None] = {}

    def _spawn(self, steps: Steps, name: str) -> None:
        def tracked() -> Steps:
            try:
                yield from steps
            finally:
                self.processes.pop(process, None)

        process = self._clock.spawn(tracked(), name)
        self.processes[process] = None

    # binding

    def begin(self, queued: QueuedPod, framework: Framework, node: str) -> None:
        """Bind an assumed pod."""
        claims = any(True for _ in claim_names(queued.info.traits))
        plan = self._reserve(queued.info, node) if claims else None
        self._spawn(self._bind(queued, framework, node, plan), "scheduler/bind")

    def _bind(self, queued: QueuedPod, framework: Framework, node: str, plan: list[tuple[str, Object]] | None) -> Steps:
        scheduler, info = self._scheduler, queued.info
        meta = info.pod["metadata"]
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": info.name, "namespace": info.namespace, "uid": meta.get("uid", "")},
            "target": {"kind": "Node", "name": node},
        }
        running = 'running PreBind plugin "VolumeBinding"'
        try:
            if plan is not None:
                yield from self._bind_volumes(info, plan)
            running = 'running Bind plugin "DefaultBinder"'
            if not (yield from self._bound_by_extender(info, node)):
                yield from scheduler.client.create(self._pods, binding, "binding", cause_of(info))
        except ExtenderError as problem:
            self._forget(queued, framework, str(problem))
            return
        except (ApiError, Unreachable, TimeoutError) as problem:
            self._forget(queued, framework, f"{running}: {problem}")
            return
        metrics.scheduled(scheduler.meters, framework.profile.name, queued, self._clock.now)
        note = f"Successfully assigned {info.namespace}/{info.name} to {node}"
        scheduler.recorder.event(framework.profile.name, info.pod, "Normal", "Scheduled", "Binding", note)

    def _bound_by_extender(self, info: PodInfo, node: str) -> Steps:
        """Have an extender bind the pod, if one wants to; returns whether it did (extendersBinding)."""
        for extender in self._scheduler.extenders:
            if extender.binds and extender.interested(info.traits):
                try:
                    yield from extender.bind(info.pod, node)
                except ExtenderError:
                    if not extender.ignorable:
                        raise
                else:
                    return True
        return False

    def _forget(self, queued: QueuedPod, framework: Framework, problem: str) -> None:
        """The pod did not get its node after all."""
        scheduler, info = self._scheduler, queued.info
        current = scheduler.pods.view.get(info.namespace, info.name)
        if current is not None and current["spec"].get("nodeName") and current["metadata"].get("uid") == info.uid:
            return
        scheduler.cache.remove_pod(info.uid)
        scheduler.queue.move(["AssignedPod/Delete"], info, None, self._clock.now)
        scheduler.back_to_queue(queued, framework, [], problem, "SchedulerError")
        scheduler.woken.fire()

    # volumes

    def _reserve(self, info: PodInfo, node: str) -> list[tuple[str, Object]]:
        """Take volumes for the pod's unbound claims, and have the cache take them as taken: what to write later."""
        cache = self._scheduler.cache
        try:
            _, unbound = sorted_claims(cache, info.traits)
        except Rejected:
            return []
        labels = cache.nodes[cache.row_of[node]].labels
        _, matched, provisioned = find_volumes(cache, unbound, node, labels)
        writes = [(VOLUMES, _claimed(volume, claim)) for claim, volume in matched]
        writes += [(CLAIMS, _with_annotation(claim, SELECTED_NODE, node)) for claim in provisioned]
        for storage, obj in writes:
            cache.set_object(storage, obj)
        return writes

    def _bind_volumes(self, info: PodInfo, writes: list[tuple[str, Object]]) -> Steps:
        """Write what was reserved and wait until the claims are bound. Raises TimeoutError."""
        if not writes:
            return
        scheduler = self._scheduler
        for storage, obj in writes:
            yield from scheduler.client.update(scheduler.wiring.kinds.resource(storage), obj, cause=cause_of(info))
        deadline = self._clock.now + BIND_TIMEOUT_US
        while not self._all_bound(info):
            if self._clock.now >= deadline:
                raise TimeoutError("binding volumes: context deadline exceeded")
            yield self._clock.sleep(POLL_US, periodic=True)

    def _all_bound(self, info: PodInfo) -> bool:
        claims = (self._scheduler.cache.object(CLAIMS, info.namespace, name) for name, _ in claim_names(info.traits))
        return all(claim is not None and is_bound(claim) for claim in claims)

    # status and victims

    def patch_status(self, info: PodInfo, patch: Mapping[str, Any]) -> None:
        """Patch the status of a pod; a failure is of no consequence."""
        self._spawn(self._patch(info, patch), "scheduler/status")

    def _patch(self, info: PodInfo, patch: Mapping[str, Any]) -> Steps:
        try:
            yield from self._scheduler.client.patch(
                self._pods, info.namespace, info.name, patch, STRATEGIC, "status", cause_of(info)
            )
        except (ApiError, Unreachable):
            return

    def evict(self, preemptor: PodInfo, framework: Framework, candidate: Candidate) -> None:
        """Make room for a pod: victims go, lesser pods that waited for the node wait no more."""
        victims = [victim for victim in candidate.victims if not victim.terminating]
        scheduler = self._scheduler
        row = scheduler.cache.row_of.get(candidate.node)
        others = [] if row is None else list(scheduler.cache.nominated.get(candidate.node, {}).values())
        lesser = [other for other in others if other.priority < preemptor.priority]
        for other in lesser:
            scheduler.cache.nominate(other, "")
            self.patch_status(other, {"status": {"nominatedNodeName": None}})
            scheduler.queue.activate(other.uid, self._clock.now)
        if victims:
            scheduler.preempting[preemptor.uid] = None
            scheduler.queue.hold(preemptor.uid)
            self._spawn(self._evict(preemptor, framework, candidate.node, victims), "scheduler/preempt")

    def _evict(self, preemptor: PodInfo, framework: Framework, node: str, victims: list[PodInfo]) -> Steps:
        scheduler = self._scheduler
        try:
            for victim in victims:
                if victim is victims[-1]:
                    scheduler.preempting[preemptor.uid] = victim
                    scheduler.awaited[victim.uid] = preemptor.uid
                yield from self._evict_one(preemptor, framework, node, victim)
        except (ApiError, Unreachable):
            scheduler.preempting.pop(preemptor.uid, None)
            scheduler.queue.activate(preemptor.uid, self._clock.now)
            scheduler.woken.fire()
        finally:
            scheduler.preempting.pop(preemptor.uid, None)
            scheduler.awaited.pop(victims[-1].uid, None)
            scheduler.queue.resume(preemptor.uid)

    def _evict_one(self, preemptor: PodInfo, framework: Framework, node: str, victim: PodInfo) -> Steps:
        scheduler = self._scheduler
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": BY_SCHEDULER,
            "message": f"{framework.profile.name}: preempting to accommodate a higher priority pod",
            "lastProbeTime": None,
            "lastTransitionTime": self._clock.stamp(),
        }
        generation = victim.pod["metadata"].get("generation")
        if generation:
            condition["observedGeneration"] = generation
        patch = {"status": {"conditions": [condition]}}
        try:
            yield from scheduler.client.patch(
                self._pods, victim.namespace, victim.name, patch, STRATEGIC, "status", cause_of(preemptor)
            )
            yield from scheduler.client.delete(self._pods, victim.namespace, victim.name, cause=cause_of(preemptor))
        except ApiError as problem:
            if problem.code != 404:
                raise
            return
        note = f"Preempted by pod {preemptor.uid} on node {node}"
        name = framework.profile.name
        scheduler.recorder.event(name, victim.pod, "Normal", "Preempted", "Preempting", note, preemptor.pod)


def cause_of(info: PodInfo) -> tuple[str, tuple[str, str], int | None]:
    """What a write on a pod's behalf follows from: the pod as the scheduler saw it."""
    revision = info.pod["metadata"].get("resourceVersion")
    return "kube-scheduler", (info.namespace, info.name), int(revision) if revision else None


def _claimed(volume: Object, claim: Object) -> Object:
    """The volume with the claim entered, as the scheduler writes it before the controller binds the claim."""
    meta = claim["metadata"]
    reference = {
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "namespace": meta.get("namespace") or "",
        "name": meta["name"],
        "uid": meta.get("uid") or "",
        "resourceVersion": meta.get("resourceVersion") or "",
    }
    spec = {**volume["spec"], "claimRef": reference}
    return {**_with_annotation(volume, BOUND_BY_CONTROLLER, "yes"), "spec": spec}


def _with_annotation(obj: Object, key: str, value: str) -> Object:
    annotations = {**(obj["metadata"].get("annotations") or {}), key: value}
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}
