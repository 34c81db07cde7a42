"""The scheduling queue: which pod is tried next, and which wait for what.

Active pods are ordered by priority, then by how long they wait. A pod that failed waits among the unschedulable until
an event comes that one of the plug-ins that turned it down says may help (queueing hints); it then goes through
back-off. A pod in back-off is taken early when nothing is active, unless it failed for an error. Gated pods wait apart.

Source: k8s.io/kubernetes/pkg/scheduler/backend/queue (scheduling_queue.go, active_queue.go, backoff_queue.go).

*Not modelled*: events that come during a scheduling cycle, because a cycle takes no simulated time; pods that fail
while binding go to back-off at once, as upstream's do.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from seatrial.sim.config import S
from seatrial.sim.scheduler.framework import Plugin
from seatrial.sim.scheduler.podinfo import PodInfo

INITIAL_BACKOFF_US = 1 * S
MAX_BACKOFF_US = 10 * S
WINDOW_US = 1 * S
"""Ends of back-offs are cut to this (backoffQOrderingWindowDuration)."""
UNSCHEDULABLE_MAX_US = 300 * S
"""How long a pod may wait for an event (podMaxInUnschedulablePodsDuration)."""
SCHEDULING_GATES, PREEMPTION = "SchedulingGates", "DefaultPreemption"
"""Plug-ins that keep pods from being queued."""
ACTIVE, BACKOFF, UNSCHEDULABLE, GATED = "active", "backoff", "unschedulable", "gated"


class QueuedPod:
    """A pod on its way through the queue."""

    __slots__ = ("added_us", "attempts", "entered_us", "errors", "first_us", "held", "info", "plugins", "turn", "where")

    def __init__(self, info: PodInfo, now: int) -> None:
        self.info = info
        self.where = ""
        self.turn = 0
        """Which entry of a heap is its own: others are left over."""
        self.added_us = now
        """Since when it waits in its present turn; older pods of one priority go first."""
        self.entered_us = now
        """When it came where it is."""
        self.first_us: int | None = None
        """When it was tried first."""
        self.attempts = 0
        self.errors = 0
        """Failures in a row that were errors and no verdicts."""
        self.plugins: tuple[str, ...] = ()
        """Who turned it down."""
        self.held = False
        """Whether no event may help yet: its victims are still being evicted."""

    def __repr__(self) -> str:
        return f"QueuedPod({self.info.namespace}/{self.info.name}, {self.where})"


Gate = Callable[[PodInfo], str | None]
"""The plug-in that keeps a pod from being queued, or None (PreEnqueue)."""


class SchedulingQueue:
    """All pods that have no node yet. ``now`` is simulated time in µs; nothing here waits by itself."""

    def __init__(self, plugins: Iterable[Plugin], gate: Gate, initial_us: int = 0, max_us: int = 0) -> None:
        self._gate = gate
        self._initial_us = initial_us or INITIAL_BACKOFF_US
        self._max_us = max_us or MAX_BACKOFF_US
        self._pods: dict[str, QueuedPod] = {}
        self._active: list[tuple[int, int, int, QueuedPod]] = []
        self._backoff: list[tuple[int, int, int, QueuedPod]] = []
        self._turns = 0
        self._waiting: dict[str, dict[str, QueuedPod]] = {}
        """Plug-in -> uid -> unschedulable pod that it turned down."""
        self._interested: dict[str, list[Plugin]] = {}
        for plugin in plugins:
            for event in plugin.events:
                self._interested.setdefault(event, []).append(plugin)

    def __len__(self) -> int:
        return len(self._pods)

    def __contains__(self, uid: str) -> bool:
        return uid in self._pods

    def pods(self) -> Iterator[QueuedPod]:
        """Every pod that waits, in the order in which they came."""
        yield from self._pods.values()

    def find(self, uid: str) -> QueuedPod | None:
        """A pod that waits."""
        return self._pods.get(uid)

    # pods come, change and go

    def add(self, info: PodInfo, now: int) -> None:
        """A pod without a node appeared."""
        self.delete(info.uid)
        pod = self._pods[info.uid] = QueuedPod(info, now)
        self._activate(pod, now)

    def update(self, info: PodInfo, now: int, events: Iterable[str], old: PodInfo | None) -> None:
        """A waiting pod changed; ``events``: what of it, e.g. ``Pod/UpdateLabel``."""
        pod = self._pods.get(info.uid)
        if pod is None:
            self.add(info, now)
            return
        moved = info.priority != pod.info.priority
        pod.info = info
        if pod.where == GATED or (pod.where == ACTIVE and moved):
            self._activate(pod, now)
        elif pod.where == UNSCHEDULABLE and any(self._helps(pod, event, old, info) for event in events):
            self._requeue(pod, now)

    def delete(self, uid: str) -> None:
        """The pod is gone, or has its node."""
        pod = self._pods.pop(uid, None)
        if pod is not None:
            self._leave(pod)

    def pop(self, now: int) -> QueuedPod | None:
        """The pod to try next; it is out of the queue until it fails."""
        pod = self._take(self._active, ACTIVE) or self._take(self._backoff, BACKOFF, early=True)
        if pod is None:
            return None
        del self._pods[pod.info.uid]
        pod.where = ""
        pod.attempts += 1
        if pod.first_us is None:
            pod.first_us = now
        pod.plugins = ()
        return pod

    def fail(self, pod: QueuedPod, plugins: Iterable[str], now: int) -> None:
        """The pod could not be placed; ``plugins`` turned it down, none means there was an error."""
        pod.plugins = tuple(plugins)
        pod.errors = 0 if pod.plugins else pod.errors + 1
        pod.added_us = now
        self._pods[pod.info.uid] = pod
        if pod.plugins:
            self._enter(pod, UNSCHEDULABLE, now)
        else:
            self._back_off(pod, now)

    # events

    def move(self, events: Iterable[str], old: Any, new: Any, now: int) -> None:
        """Something happened in the cluster: pods that it may help come closer to their next attempt."""
        for event in events:
            helped: dict[str, QueuedPod] = {}
            for plugin in self._interested.get(event, ()):
                for uid, pod in self._waiting.get(plugin.name, {}).items():
                    if uid not in helped and plugin.hint(pod.info, event, old, new):
                        helped[uid] = pod
            for pod in helped.values():
                self._requeue(pod, now)

    def hold(self, uid: str) -> None:
        """Events do not help the pod until ``resume``: the plug-in that gates it would hold it back anyway."""
        pod = self._pods.get(uid)
        if pod is not None and pod.where == UNSCHEDULABLE and not pod.held:
            pod.held = True
            for plugin in pod.plugins:
                self._waiting[plugin].pop(uid, None)

    def resume(self, uid: str) -> None:
        """Events may help the pod again."""
        pod = self._pods.get(uid)
        if pod is not None and pod.held:
            pod.held = False
            self._index(pod)

    def activate(self, uid: str, now: int) -> None:
        """Try the pod again whatever it waits for."""
        pod = self._pods.get(uid)
        if pod is not None and pod.where != ACTIVE:
            self._activate(pod, now)

    def flush_backoff(self, now: int) -> None:
        """Back-offs that are over."""
        while (ends := self.next_flush()) is not None and ends <= now:
            self._activate(heapq.heappop(self._backoff)[3], now)

    def flush_unschedulable(self, now: int) -> None:
        """Pods that have waited too long for an event."""
        waiting = {uid: pod for pods in self._waiting.values() for uid, pod in pods.items()}
        for pod in waiting.values():
            if now - pod.entered_us > UNSCHEDULABLE_MAX_US:
                self._requeue(pod, now)

    def next_flush(self) -> int | None:
        """When the first back-off is over."""
        while self._backoff and not self._current(self._backoff[0], BACKOFF):
            heapq.heappop(self._backoff)
        return self._backoff[0][0] if self._backoff else None

    def ready(self) -> bool:
        """Whether ``pop`` would give a pod."""
        heaps = ((self._active, ACTIVE, False), (self._backoff, BACKOFF, True))
        return any(
            self._current(entry, where) and not (early and entry[3].errors)
            for heap, where, early in heaps
            for entry in heap
        )

    # places

    def _helps(self, pod: QueuedPod, event: str, old: Any, new: Any) -> bool:
        return any(
            plugin.name in pod.plugins and plugin.hint(pod.info, event, old, new)
            for plugin in self._interested.get(event, ())
        )

    def _requeue(self, pod: QueuedPod, now: int) -> None:
        if self._backoff_ends(pod) > now:
            self._back_off(pod, now)
        else:
            self._activate(pod, now)

    def _activate(self, pod: QueuedPod, now: int) -> None:
        if self._held_back(pod, now):
            return
        self._enter(pod, ACTIVE, now)
        heapq.heappush(self._active, (-pod.info.priority, pod.added_us, pod.turn, pod))

    def _back_off(self, pod: QueuedPod, now: int) -> None:
        if self._held_back(pod, now):
            return
        self._enter(pod, BACKOFF, now)
        heapq.heappush(self._backoff, (self._backoff_ends(pod), -pod.info.priority, pod.turn, pod))

    def _held_back(self, pod: QueuedPod, now: int) -> bool:
        """Whether a plug-in keeps the pod out for now; one whose victims are still leaving waits for more events."""
        keeper = self._gate(pod.info)
        if keeper is None:
            return False
        if keeper == SCHEDULING_GATES:
            pod.plugins = (keeper,)
        self._enter(pod, GATED if keeper == SCHEDULING_GATES else UNSCHEDULABLE, now)
        return True

    def _backoff_ends(self, pod: QueuedPod) -> int:
        count = max(pod.errors or pod.attempts, 1)
        duration = self._initial_us << min(count - 1, 20)
        return (pod.added_us + min(duration, self._max_us)) // WINDOW_US * WINDOW_US

    def _enter(self, pod: QueuedPod, where: str, now: int) -> None:
        self._leave(pod)
        self._turns += 1
        pod.where, pod.turn, pod.entered_us = where, self._turns, now
        if where == UNSCHEDULABLE:
            self._index(pod)

    def _index(self, pod: QueuedPod) -> None:
        for plugin in pod.plugins:
            self._waiting.setdefault(plugin, {})[pod.info.uid] = pod

    def _leave(self, pod: QueuedPod) -> None:
        if pod.where == UNSCHEDULABLE:
            for plugin in pod.plugins:
                self._waiting[plugin].pop(pod.info.uid, None)
        pod.where, pod.held = "", False

    def _current(self, entry: tuple[int, int, int, QueuedPod], where: str) -> bool:
        pod = entry[3]
        return pod.where == where and pod.turn == entry[2]

    def _take(self, heap: list[tuple[int, int, int, QueuedPod]], where: str, early: bool = False) -> QueuedPod | None:
        """The first pod of a heap; ``early``: one that failed for an error is left where it is."""
        kept: list[tuple[int, int, int, QueuedPod]] = []
        found: QueuedPod | None = None
        while heap and found is None:
            entry = heapq.heappop(heap)
            if not self._current(entry, where):
                continue
            if early and entry[3].errors:
                kept.append(entry)
                continue
            found = entry[3]
        for entry in kept:
            heapq.heappush(heap, entry)
        return found
