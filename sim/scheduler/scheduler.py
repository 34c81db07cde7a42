"""kube-scheduler as a process of the cluster: it watches, decides, binds and reports.

A scheduling cycle takes one pod from the queue, decides, and lets the cache assume the pod is on its node; binding
follows in a process of its own, so that the next cycle need not wait. What could not be placed goes back to the queue
with the plug-ins that objected, an event and a condition.

Source: k8s.io/kubernetes/pkg/scheduler (scheduler.go, schedule_one.go, eventhandlers.go).

*Not modelled*: the time that a cycle takes; Permit plug-ins.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from random import Random
from typing import Any

import numpy as np

from seatrial.sim.apiserver.client import Client
from seatrial.sim.apiserver.informer import Informer
from seatrial.sim.apiserver.leases import RESTART_US, Elector
from seatrial.sim.apiserver.request import User
from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.config import S
from seatrial.sim.kernel.clock import Process, Signal
from seatrial.sim.machinery.metrics import Meters
from seatrial.sim.scheduler import metrics
from seatrial.sim.scheduler.binding import Binder
from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.config import NAME, SchedulerConfig, default_config, frameworks
from seatrial.sim.scheduler.decide import Decision, Framework
from seatrial.sim.scheduler.extenders import Extender, ExtenderError, ExtenderVerdicts, consult, consult_preemption
from seatrial.sim.scheduler.framework import Code
from seatrial.sim.scheduler.intake import OTHER_KINDS, Intake
from seatrial.sim.scheduler.labels import Object
from seatrial.sim.scheduler.plan import Rejection
from seatrial.sim.scheduler.podinfo import Intern, PodInfo
from seatrial.sim.scheduler.preemption import Offer, Preemption, cheapest, choose, look_for_room
from seatrial.sim.scheduler.queue import PREEMPTION, SCHEDULING_GATES, QueuedPod, SchedulingQueue
from seatrial.sim.scheduler.recorder import Recorder

Steps = Generator[Any, Any, Any]
USER = User("system:kube-scheduler", ("system:authenticated",))
AGENT = NAME
FLUSH_US = 30 * S
"""How often pods that wait too long are looked for (flushUnschedulablePodsLeftover)."""
STRATEGIC = "application/strategic-merge-patch+json"
LIVE_PODS = "status.phase!=Succeeded,status.phase!=Failed"
DYNAMIC_RESOURCES_LOST = "not found"
"""What DynamicResources' PostFilter says when PreFilter never came to it: its state was not found."""


class Scheduler:
    """One scheduler on a host."""

    name = NAME

    def __init__(
        self,
        wiring: Wiring,
        host: str,
        config: SchedulerConfig | None = None,
        user: User = USER,
        instance: str = "",
    ) -> None:
        """``instance``: by what name it goes in leases and events, as a process in a pod by its pod's; empty: by its
        host's."""
        self.wiring, self.host, self.instance = wiring, host, instance or host
        self._user = user
        self.config = config or default_config()
        self._processes: list[Process] = []
        self._main: Process | None = None
        self.leads = False
        """Whether it decides, or stands by while another does."""
        self._elector: Elector | None = None
        self.meters = Meters(NAME)
        """What this process counted."""
        self._began_us = 0
        self._rng: Random = wiring.streams(f"scheduler/{self.instance}")

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._main is not None

    def start(self) -> None:
        """Begin with an empty memory."""
        if self._main is None:
            self.meters, self._began_us = Meters(NAME), self.wiring.clock.now
            self._begin()
            self._main = self.wiring.clock.spawn(self._live(), self.name)

    def _live(self) -> Steps:
        """Watch, win the election, decide until the lease is lost, and start afresh."""
        wiring, election = self.wiring, self.config.election
        while True:
            while not all(informer.synced for informer in self._informers):
                waiting = next(informer for informer in self._informers if not informer.synced)
                yield waiting.changed.wait()
            if election is None:
                self._lead()
                return
            recorder: str = self.config.profiles[0]["schedulerName"]
            elector = Elector(wiring, self.client, self._rng, self.instance, election, recorder)
            self._elector = elector
            yield from elector.acquire()
            self._lead()
            self._processes.append(wiring.clock.spawn(elector.announce(), "scheduler/leader"))
            yield from elector.hold()
            self._end()
            yield wiring.clock.sleep(RESTART_US)
            self._begin()

    def _lead(self) -> None:
        self.leads = True
        self._processes.append(self.wiring.clock.spawn(self._run(), "scheduler"))
        self._processes.append(self.wiring.clock.spawn(self._flush(), "scheduler/flush"))

    def _begin(self) -> None:
        wiring, config = self.wiring, self.config
        limits = wiring.spec.client
        qps = limits.scheduler_qps if config.qps is None else config.qps
        burst = limits.scheduler_burst if config.burst is None else config.burst
        self.client = Client(wiring, self.host, self._user, AGENT, max(qps, 0), burst)
        self.client.meters = self.meters
        sender = Client(wiring, self.host, self._user, AGENT, max(qps, 0), burst)
        kinds = wiring.kinds
        events = kinds.find("events.k8s.io", "v1", "events")
        if events is None:
            raise LookupError("the cluster serves no events.k8s.io/v1")
        self.recorder = Recorder(wiring.clock, sender, events, self.instance)
        self.cache = Cache()
        self.intern = Intern()
        self.frameworks: dict[str, Framework] = frameworks(config, self.cache)
        plugins = {p.name: p for f in self.frameworks.values() for p in f.profile.plugins}
        self.queue = SchedulingQueue(
            [*plugins.values(), ExtenderVerdicts({}, self.cache)],
            self._gate,
            config.initial_backoff_us,
            config.max_backoff_us,
        )
        self.extenders = [Extender(given, wiring) for given in config.extenders]
        self.preempting: dict[str, PodInfo | None] = {}
        """Pods whose victims are being evicted -> the last of these once only it is left."""
        self.awaited: dict[str, str] = {}
        """The last victim of each of these -> the pod that waits for it."""
        self.woken = Signal(wiring.clock)
        self.binder = Binder(self)
        self._informers = self._watch()
        self._processes = [wiring.clock.spawn(i.run(), f"scheduler/{i.resource.storage}") for i in self._informers]
        self.recorder.start()

    def _watch(self) -> list[Informer]:
        """The informers, wired to the cache and the queue."""
        intake = Intake(self)
        unlimited = Client(self.wiring, self.host, self._user, AGENT)
        unlimited.meters = self.meters
        informers = []
        for storage in ("pods", "nodes", *OTHER_KINDS):
            selector = LIVE_PODS if storage == "pods" else ""
            resource = self.wiring.kinds.resource(storage)
            informer = Informer(self.wiring, unlimited, resource, field_selector=selector, heedless=True)
            informer.on_change(intake.handler(storage))
            informers.append(informer)
        self.pods = informers[0]
        return informers

    def stop(self) -> None:
        """Kill it: whatever it knew is gone, bindings under way are left as they are."""
        main, self._main = self._main, None
        if main is not None:
            main.kill()
            self._end()

    def retire(self) -> Steps:
        """Asked to end, it decides nothing any more and gives its lease back."""
        main, self._main, held = self._main, None, self._elector if self.leads else None
        if main is not None:
            main.kill()
            self._end()
        if held is not None:
            yield from held.release()

    def _end(self) -> None:
        self.leads, self._elector = False, None
        for process in (*self._processes, *self.binder.processes):
            process.kill()
        self._processes = []
        self.binder.processes.clear()
        self.recorder.stop()

    def metrics(self) -> bytes:
        """What /metrics tells."""
        queued = list(self.queue.pods()) if self.running else []
        version, cache = self.wiring.spec.kubernetes_version, self.cache if self.running else None
        return metrics.page(version, self._began_us, self.meters, queued, cache, self.leads)

    def busy(self) -> list[str]:
        """What it is about to do."""
        if self._main is None:
            return []
        found = [text for informer in self._informers if (text := informer.busy())]
        if not self.leads:
            stands_by = self._elector is not None and self._elector.stands_by
            return found if stands_by else [*found, "waits for its lease"]
        if self.queue.ready():
            found.append("pods to schedule")
        if self.binder.processes:
            found.append("pods to bind")
        if self.recorder.busy:
            found.append("events to send")
        return found

    # the loop

    def _run(self) -> Steps:
        clock = self.wiring.clock
        while True:
            pod = self.queue.pop(clock.now)
            if pod is None:
                ends = self.queue.next_flush()
                yield self.woken.wait(None if ends is None else max(ends - clock.now, 0))
                self.queue.flush_backoff(clock.now)
                continue
            yield from self._schedule(pod)
            yield clock.sleep(0)

    def _flush(self) -> Steps:
        clock = self.wiring.clock
        while True:
            yield clock.sleep(FLUSH_US, periodic=True)
            self.queue.flush_unschedulable(clock.now)
            self.woken.fire()

    def _gate(self, info: PodInfo) -> str | None:
        """Which plug-in keeps the pod from being queued (PreEnqueue)."""
        if info.pod["spec"].get("schedulingGates"):
            return SCHEDULING_GATES
        if info.uid in self.preempting:
            last = self.preempting[info.uid]
            if last is None:
                return PREEMPTION
            victim = self.pods.view.get(last.namespace, last.name)
            if victim is not None and not victim["metadata"].get("deletionTimestamp"):
                return PREEMPTION
        return None

    def framework_of(self, pod: Object) -> Framework | None:
        """The profile that is responsible for the pod."""
        return self.frameworks.get(pod["spec"].get("schedulerName") or "default-scheduler")

    def _schedule(self, queued: QueuedPod) -> Steps:
        """One scheduling cycle."""
        info = queued.info
        framework = self.framework_of(info.pod)
        if framework is None or self.cache.node_of(info.uid) is not None:
            return
        if info.terminating:
            note = f"skip schedule deleting pod: {info.namespace}/{info.name}"
            self.recorder.event(framework.profile.name, info.pod, "Warning", "FailedScheduling", "Scheduling", note)
            return
        interested = [extender for extender in self.extenders if extender.interested(info.traits)]
        if interested:
            try:
                decision = yield from self._decide_with(interested, framework, info)
            except ExtenderError as problem:
                self.meters.count(metrics.ATTEMPTS, (framework.profile.name, "error"))
                self.back_to_queue(queued, framework, [], str(problem), "SchedulerError")
                return
        else:
            decision = framework.decide(info, self._rng)
        if decision.node is None:
            yield from self._failed(queued, framework, decision)
            return
        self.cache.add_pod(info, decision.node)
        self.cache.nominate(info, "")
        self.binder.begin(queued, framework, decision.node)

    def _decide_with(self, extenders: list[Extender], framework: Framework, info: PodInfo) -> Steps:
        """A decision in which extenders have a say; returns it. Raises ExtenderError.

        Time passes meanwhile: nodes that went in between are left out.
        """
        cache = self.cache
        decision, rows = framework.search(info)
        opinion = yield from consult(extenders, info.pod, [cache.nodes[row] for row in rows.tolist()])
        cache.refresh()
        nodes = [node for node in opinion.nodes if node.name in cache.row_of]
        rows = np.array([cache.row_of[node.name] for node in nodes], dtype=np.intp)
        extra = np.array([opinion.added.get(node.name, 0) for node in nodes], dtype=np.int64)
        framework.choose(decision, rows, self._rng, extra)
        if decision.node is None and opinion.refused:
            decision.rejected = framework.plan(info.traits).rejections()
            for status, name in opinion.refused:
                if name in cache.row_of:
                    decision.rejected.append(Rejection(status, np.array([cache.row_of[name]], dtype=np.intp)))
        return decision

    # failures

    def _failed(self, queued: QueuedPod, framework: Framework, decision: Decision) -> Steps:
        """No node suits: see whether others can make room, and put the pod back."""
        metrics.failed(self.meters, framework.profile.name)
        asked = [each for each in self.extenders if each.preempts and each.interested(queued.info.traits)]
        if asked:
            outcome = yield from self._preempt_with(asked, queued.info, framework, decision)
        else:
            outcome = self.post_filter(queued.info, framework, decision, self._rng)
        decision.post_filter = outcome.message
        node: str | None = None
        if outcome.candidate is not None:
            node = outcome.candidate.node
        elif outcome.clears_nomination:
            node = ""
        self.back_to_queue(queued, framework, decision.plugins, decision.message, "Unschedulable", node)
        if outcome.candidate is not None:
            metrics.preempted(self.meters, len(outcome.candidate.victims))
            self.binder.evict(queued.info, framework, outcome.candidate)

    def _preempt_with(
        self, extenders: list[Extender], info: PodInfo, framework: Framework, decision: Decision
    ) -> Steps:
        """Preemption in which extenders have a say; returns a Preemption."""
        found = _room_for(info, framework, decision, self._rng)
        if isinstance(found, Preemption):
            return found
        memory, rows = found
        candidates = {found.node: found for found in map(memory.candidate, rows.tolist())}
        try:
            left = yield from consult_preemption(extenders, info.pod, candidates, self.cache)
        except ExtenderError as problem:
            return Preemption(message=f"preemption: {problem}")
        if not left:
            return Preemption(message="preemption: no candidate node for preemption")
        return Preemption(candidate=cheapest(list(left.values()), self._rng))

    @staticmethod
    def post_filter(info: PodInfo, framework: Framework, decision: Decision, rng: Random) -> Preemption:
        """What the PostFilter plug-ins of a profile make of a pod that no node suits; extenders are not asked."""
        found = _room_for(info, framework, decision, rng)
        return found if isinstance(found, Preemption) else Preemption(candidate=choose(*found, rng))

    def back_to_queue(
        self,
        queued: QueuedPod,
        framework: Framework,
        plugins: list[str],
        message: str,
        reason: str,
        nominate: str | None = None,
    ) -> None:
        """The attempt failed (handleSchedulingFailure). ``nominate``: the node to wait for, empty for none any more."""
        clock, info = self.wiring.clock, queued.info
        current = self.pods.view.get(info.namespace, info.name)
        if current is not None and not current["spec"].get("nodeName") and current["metadata"].get("uid") == info.uid:
            if current is not info.pod:
                queued.info = info = PodInfo(current, self.intern.info(current).traits)
            self.queue.fail(queued, plugins, clock.now)
            if nominate is not None:
                info.nominated = nominate
                self.cache.nominate(info, nominate)
        self.recorder.event(framework.profile.name, info.pod, "Warning", "FailedScheduling", "Scheduling", message)
        if current is not None:
            patch = failure_patch(info.pod, message, reason, clock.stamp(), nominate)
            if patch:
                self.binder.patch_status(info, patch)


def _room_for(info: PodInfo, framework: Framework, decision: Decision, rng: Random) -> Offer | Preemption:
    """The nodes on which room could be made, or why nobody looks or finds any."""
    if decision.nodes == 0:
        return Preemption()
    if decision.pre_filter is not None:
        if decision.pre_filter.code == Code.ERROR:
            return Preemption()
        lost = "DynamicResources" in framework.profile.post_filters
        return Preemption(message=DYNAMIC_RESOURCES_LOST) if lost else Preemption()
    if PREEMPTION not in framework.profile.post_filters:
        return Preemption()
    return look_for_room(framework, info, decision, rng, framework.profile.preemption)


def failure_patch(
    pod: Object, message: str, reason: str, stamp: str, nominate: str | None = None
) -> Mapping[str, Any] | None:
    """What to patch of a pod's status after a failed attempt; None when it says so already."""
    status: dict[str, Any] = {}
    known = (pod.get("status") or {}).get("conditions") or ()
    before = next((c for c in known if c.get("type") == "PodScheduled"), None)
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": reason,
        "message": message,
        "lastProbeTime": None,
        "lastTransitionTime": stamp,
    }
    if pod["metadata"].get("generation"):
        condition["observedGeneration"] = pod["metadata"]["generation"]
    if before is not None and before.get("status") == "False":
        condition["lastTransitionTime"] = before.get("lastTransitionTime") or stamp
    if before is None or any(before.get(key) != value for key, value in condition.items()):
        status["conditions"] = [condition]
    if nominate is not None and nominate != ((pod.get("status") or {}).get("nominatedNodeName") or ""):
        status["nominatedNodeName"] = nominate or None
    return {"status": status} if status else None
