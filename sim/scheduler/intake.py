"""How what informers deliver reaches the cache and the queue (k8s.io/kubernetes/pkg/scheduler/eventhandlers.go)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from seatrial.sim.scheduler.columns import NodeInfo
from seatrial.sim.scheduler.events import KINDS, VERBS, assigned_events, node_events, waiting_events
from seatrial.sim.scheduler.labels import Object
from seatrial.sim.scheduler.podinfo import PodInfo, held_resources

if TYPE_CHECKING:
    from seatrial.sim.scheduler.scheduler import Scheduler

OTHER_KINDS = (
    "namespaces", "services", "replicationcontrollers", "replicasets.apps", "statefulsets.apps",
    "poddisruptionbudgets.policy", *KINDS,
)  # fmt: skip
"""What is watched besides pods and nodes, as it is stored."""
Handler = Callable[[str, Object | None, Object | None], None]


class Intake:
    """The event handlers of one scheduler."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._cache, self._queue = scheduler.cache, scheduler.queue
        self._intern = scheduler.intern
        self._clock = scheduler.wiring.clock

    def handler(self, storage: str) -> Handler:
        """What to call with every change of a kind."""
        if storage == "pods":
            return self._pod
        if storage == "nodes":
            return self._node
        return lambda verb, new, old: self._other(storage, verb, new, old)

    def _wake(self) -> None:
        self._scheduler.woken.fire()

    # pods

    def _pod(self, verb: str, new: Object | None, old: Object | None) -> None:
        was = old is not None and bool(old["spec"].get("nodeName"))
        now = new is not None and bool(new["spec"].get("nodeName"))
        if new is not None and old is not None and new["metadata"].get("uid") != old["metadata"].get("uid"):
            self._pod("DELETED", None, old)
            was, old = False, None
        if now and new is not None:
            self._placed(new, old if was else None)
        elif was and old is not None:
            self._gone(old)
        elif new is not None:
            self._waits(new, old)
        elif old is not None:
            self._withdrawn(old)
        self._wake()

    def _placed(self, new: Object, old: Object | None) -> None:
        """A pod has its node: it was bound, or changed there."""
        node: str = new["spec"]["nodeName"]
        before = self._cache.where.get(new["metadata"].get("uid") or "")
        info = self._info(new, before[0] if before else None)
        self._cache.add_pod(info, node)
        if old is None:
            self._queue.delete(info.uid)
            self._cache.nominate(info, "")
            self._move(["AssignedPod/Add"], None, info)
        elif before is not None:
            if info.terminating:
                self._leaves(info.uid)
            self._move(assigned_events(before[0], info), before[0], info)

    def _info(self, pod: Object, before: PodInfo | None) -> PodInfo:
        """The pod's traits are those it had unless its labels, its spec or what it holds changed."""
        if before is not None:
            known = before.pod
            same_labels = known["metadata"].get("labels") is pod["metadata"].get("labels")
            if same_labels and same_wishes(known["spec"], pod["spec"]) and held_resources(pod) == before.traits.held:
                return PodInfo(pod, before.traits)
        return self._intern.info(pod, placed=True)

    def _gone(self, old: Object) -> None:
        """A pod left its node for good."""
        info = self._intern.info(old, placed=True)
        known = self._cache.where.get(info.uid)
        self._cache.remove_pod(info.uid)
        self._leaves(info.uid)
        self._move(["AssignedPod/Delete"], known[0] if known else info, None)

    def _leaves(self, uid: str) -> None:
        """A pod is on its way out: if another waited for it to go, events may help that one again."""
        preemptor = self._scheduler.awaited.pop(uid, None)
        if preemptor is not None:
            self._queue.resume(preemptor)

    def _waits(self, new: Object, old: Object | None) -> None:
        """A pod without a node appeared or changed."""
        scheduler = self._scheduler
        if scheduler.framework_of(new) is None or self._cache.node_of(new["metadata"].get("uid") or "") is not None:
            return
        info = self._intern.info(new)
        if info.nominated or (old is not None and (old.get("status") or {}).get("nominatedNodeName")):
            self._cache.nominate(info, info.nominated)
        if old is None:
            self._queue.add(info, self._clock.now)
            return
        before = self._intern.info(old)
        if info.uid in self._queue:
            self._queue.update(info, self._clock.now, waiting_events(before, info), before)

    def _withdrawn(self, old: Object) -> None:
        """A pod was deleted before it got a node; one that was assumed to have one frees it."""
        info = self._intern.info(old)
        self._queue.delete(info.uid)
        nominated = info.nominated
        self._cache.nominate(info, "")
        if self._cache.node_of(info.uid) is not None:
            self._cache.remove_pod(info.uid)
            nominated = nominated or "assumed"
        if nominated:
            self._move(["AssignedPod/Delete"], info, None)

    # everything else

    def _node(self, verb: str, new: Object | None, old: Object | None) -> None:
        before = NodeInfo(old) if old is not None else None
        if new is None:
            if before is not None:
                self._cache.remove_node(before.name)
                self._move(["Node/Delete"], before, None)
        else:
            after = NodeInfo(new)
            self._cache.set_node(new)
            self._move(["Node/Add"] if before is None else node_events(before, after), before, after)
        self._wake()

    def _other(self, storage: str, verb: str, new: Object | None, old: Object | None) -> None:
        if new is not None:
            self._cache.set_object(storage, new)
        elif old is not None:
            meta = old["metadata"]
            self._cache.remove_object(storage, meta.get("namespace") or "", meta["name"])
        kind = KINDS.get(storage)
        if kind is not None:
            self._move([f"{kind}/{VERBS[verb]}"], old, new)
            self._wake()
        elif storage == "namespaces" and new is not None and old is not None and _labels(new) != _labels(old):
            self._move(["Namespace/UpdateLabel"], old, new)
            self._wake()

    def _move(self, events: list[str], old: Any, new: Any) -> None:
        if events:
            self._queue.move(events, old, new, self._clock.now)


def same_wishes(before: Object, after: Object) -> bool:
    """Whether nothing in a pod's spec changed, or nothing but the node that it was given: parts that stayed are the
    very same."""
    if before is after:
        return True
    given = "nodeName" in after and "nodeName" not in before
    return len(after) == len(before) + given and all(
        before.get(name) is value for name, value in after.items() if name != "nodeName" or not given
    )


def _labels(obj: Object) -> Any:
    return obj["metadata"].get("labels")
