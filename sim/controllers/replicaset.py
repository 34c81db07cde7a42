"""ReplicaSets and ReplicationControllers: as many pods as asked for, neither more nor fewer.

Source: k8s.io/kubernetes/pkg/controller/replicaset (replica_set.go, replica_set_utils.go) and
pkg/controller/replication, which is the same code behind an adapter.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers import conditions, podstate
from seatrial.sim.controllers.actions import (
    Action,
    Batch,
    Create,
    Get,
    Outcome,
    Record,
    Steps,
    Turn,
    delete_of,
    slow_start,
    update_status,
)
from seatrial.sim.controllers.controller import Controller, Keys, Seen, object_key
from seatrial.sim.controllers.informers import controller_of
from seatrial.sim.controllers.ownership import (
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    Owner,
    children,
    children_keys,
    claim,
    labels_of,
    pod_from_template,
    selector_of,
)
from seatrial.sim.machinery.errors import ApiError

BURST_REPLICAS = 500
"""Pods created or deleted in one sync at most (replicaset.BurstReplicas)."""
ALWAYS = ("replicas", "terminatingReplicas")
"""Counts that are written even when zero."""


class Facts(NamedTuple):
    """What counts of one pod."""

    pod: Object
    matches: bool
    labelled: bool
    """Carries all labels of the template."""
    active: bool
    leaving: bool
    """Being deleted and not ended yet."""
    ready: bool


class Tally:
    """What a controller knows of the pods of one set: their facts, and how many there are of each sort.

    Only what has changed since the last turn is looked at again, so that a turn of a large set costs what one of a
    small set costs.
    """

    def __init__(self, owner: Object, pods: Iterable[Object]) -> None:
        self.uid: str = owner["metadata"]["uid"]
        self._generation = owner["metadata"].get("generation")
        self._selects = selector_of(owner)
        template = (owner["spec"].get("template") or {}).get("metadata") or {}
        self._labels: Mapping[str, str] = template.get("labels") or {}
        self._facts: dict[str, Facts] = {}
        self._changed: dict[str, Object | None] = {}
        self.active = self.labelled = self.ready = self.leaving = self.strange = 0
        """Numbers of pods; the labelled and the ready ones are active, the strange ones do not match the selector."""
        for pod in pods:
            self._put(pod["metadata"]["uid"], pod)

    def is_of(self, owner: Object) -> bool:
        """Whether the set asks for what it asked for."""
        metadata = owner["metadata"]
        return bool(metadata["uid"] == self.uid and metadata.get("generation") == self._generation)

    def note(self, uid: str, pod: Object | None) -> None:
        """A pod of the set is different, or none of it any more."""
        self._changed[uid] = pod

    def catch_up(self) -> None:
        """Looks at what was noted."""
        changed, self._changed = self._changed, {}
        for uid, pod in changed.items():
            self._put(uid, pod)

    def _put(self, uid: str, pod: Object | None) -> None:
        before = self._facts.get(uid)
        if before is not None:
            self._count(before, -1)
        if pod is None:
            self._facts.pop(uid, None)
        else:
            found = self._facts[uid] = self._facts_of(pod)
            self._count(found, 1)

    def _facts_of(self, pod: Object) -> Facts:
        labels = labels_of(pod)
        leaving, ended = podstate.is_terminating(pod), podstate.is_terminal(pod)
        full = self._labels.items() <= labels.items()
        is_ready = podstate.is_ready(pod)
        return Facts(pod, self._selects(labels), full, not leaving and not ended, leaving and not ended, is_ready)

    def _count(self, facts: Facts, by: int) -> None:
        self.leaving += by * facts.leaving
        self.strange += by * (not facts.matches)
        if facts.active:
            self.active += by
            self.labelled += by * facts.labelled
            self.ready += by * facts.ready

    def active_pods(self) -> list[Object]:
        return [each.pod for each in self._facts.values() if each.active]

    def available(self, min_ready_s: int, now: int) -> int:
        """How many active pods have been ready for so long."""
        if not min_ready_s:
            return self.ready
        found = (each for each in self._facts.values() if each.active and each.ready)
        return sum(podstate.is_available(each.pod, min_ready_s, now) for each in found)

    def adopts(self, orphan: Object) -> bool:
        """Whether an orphan belongs to the set."""
        return not podstate.is_terminating(orphan) and self._selects(labels_of(orphan))


def reconcile_for(kind: Owner) -> Any:
    def reconcile(turn: Turn) -> Steps:
        return _reconcile(kind, turn)

    return reconcile


def _reconcile(kind: Owner, turn: Turn) -> Steps:
    namespace, name = turn.key
    owner = turn.view(kind.storage).get(namespace, name)
    if owner is None:
        turn.memory.pop(("tally", turn.key), None)
        return None
    tally = _tally(turn, owner)
    if tally.strange or any(tally.adopts(each) for each in turn.view("pods").indexed("orphan", namespace)):
        tally = Tally(owner, (yield from claim(kind, owner, "pods", turn.view("pods"))))
    problem: tuple[str, Exception] | None = None
    if "deletionTimestamp" not in owner["metadata"]:
        problem = yield from _manage(kind, turn, owner, tally)
    status = new_status(owner, tally, problem, turn.stamp, turn.clock_now())
    yield from write_status(kind, owner, status)
    if problem is not None:
        return Outcome(retry=True)
    min_ready = owner["spec"].get("minReadySeconds", 0)
    if min_ready and status.get("readyReplicas", 0) != status.get("availableReplicas", 0):
        return Outcome(podstate.next_availability(tally.active_pods(), min_ready, turn.clock_now()))
    return None


def _tally(turn: Turn, owner: Object) -> Tally:
    """The set's pods as the view has them."""
    key = ("tally", turn.key)
    tally: Tally | None = turn.memory.get(key)
    if tally is None or not tally.is_of(owner):
        tally = turn.memory[key] = Tally(owner, children(turn.view("pods"), owner))
    else:
        tally.catch_up()
    return tally


def _noting(keys: Keys) -> Keys:
    """Notes which pods of a set have changed, besides finding the keys."""

    def pod_keys(seen: Seen) -> Iterable[Any]:
        new, old, uid = seen.new, seen.old, seen.obj["metadata"]["uid"]
        for pod, there in ((old, None), (new, new)):
            ref = controller_of(pod) if pod is not None else None
            if ref is not None:
                tally: Tally | None = seen.memory.get(("tally", (seen.obj["metadata"]["namespace"], ref["name"])))
                if tally is not None and tally.uid == ref["uid"]:
                    tally.note(uid, there)
        return keys(seen)

    return pod_keys


def _manage(kind: Owner, turn: Turn, owner: Object, tally: Tally) -> Generator[Action, Any, Any]:
    """Creates or deletes pods. Returns (condition reason, error) of what went wrong, or None."""
    missing = owner["spec"].get("replicas", 1) - tally.active
    if missing > 0:
        error = yield from create_pods(kind, owner, owner["spec"]["template"], min(missing, BURST_REPLICAS))
        return None if error is None else ("FailedCreate", error)
    if missing < 0:
        surplus = min(-missing, BURST_REPLICAS)
        doomed = tally.active_pods()
        if surplus < tally.active:
            doomed = podstate.by_deletion_order(doomed, related_pods(kind, turn, owner), turn.now)[:surplus]
        error = yield from delete_pods(owner, doomed)
        return None if error is None else ("FailedDelete", error)
    return None


def related_pods(kind: Owner, turn: Turn, owner: Object) -> list[Object]:
    """Pods of all sets of the same controller: what makes a node crowded."""
    pods = turn.view("pods")
    ref = controller_of(owner)
    if ref is None:
        return children(pods, owner)
    sets = turn.view(kind.storage).indexed("controller", ref["uid"])
    return [pod for each in sets for pod in children(pods, each)]


def create_pods(
    kind: Owner, owner: Object, template: Mapping[str, Any], count: int
) -> Generator[Action, Any, Exception | None]:
    """Creates pods in growing batches, with an event for each. Returns the first error that should be retried."""
    pod = pod_from_template(kind, owner, template)
    slow = yield from slow_start([Create("pods", pod)] * count)
    failed: Exception | None = None
    for answer in slow.answers:
        if not isinstance(answer, Exception):
            yield Record(owner, "Normal", "SuccessfulCreate", f"Created pod: {answer['metadata']['name']}")
        elif not conditions.namespace_is_terminating(answer):
            yield Record(owner, "Warning", "FailedCreate", f"Error creating: {answer}")
            failed = failed or answer
    return failed


def delete_pods(owner: Object, pods: Sequence[Object]) -> Generator[Action, Any, Exception | None]:
    """Deletes pods all at once, with an event for each. Returns the first error that should be retried."""
    failed: Exception | None = None
    answers = yield Batch(tuple(delete_of("pods", pod) for pod in pods))
    for pod, answer in zip(pods, answers, strict=True):
        if not isinstance(answer, Exception):
            yield Record(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")
        elif not (isinstance(answer, ApiError) and answer.code == 404):
            yield Record(owner, "Warning", "FailedDelete", f"Error deleting: {answer}")
            failed = failed or answer
    return failed


def new_status(
    owner: Object, tally: Tally, problem: tuple[str, Exception] | None, stamp: str, now: int
) -> dict[str, Any]:
    """The status that the pods give (calculateStatus)."""
    counts = {
        "replicas": tally.active,
        "fullyLabeledReplicas": tally.labelled,
        "readyReplicas": tally.ready,
        "availableReplicas": tally.available(owner["spec"].get("minReadySeconds", 0), now),
    }
    if owner["kind"] == "ReplicaSet":
        counts["terminatingReplicas"] = tally.leaving
    status: dict[str, Any] = conditions.compact(counts, ALWAYS)
    status["observedGeneration"] = owner["metadata"].get("generation", 0)
    listed = (owner.get("status") or {}).get("conditions") or []
    failure = conditions.find(listed, "ReplicaFailure")
    if problem is not None and failure is None:
        reason, error = problem
        listed = conditions.put_last(
            listed,
            {
                "type": "ReplicaFailure",
                "status": "True",
                "reason": reason,
                "message": str(error),
                "lastTransitionTime": stamp,
            },
        )
    elif problem is None and failure is not None:
        listed = conditions.without(listed, "ReplicaFailure")
    if listed:
        status["conditions"] = listed
    return status


def write_status(kind: Owner, owner: Object, status: Mapping[str, Any]) -> Generator[Action, Any, None]:
    """Writes a changed status; after a conflict once more over the latest object."""
    if owner.get("status") == status:
        return
    try:
        yield update_status(kind.storage, owner, status)
    except ApiError as error:
        if error.code != 409:
            raise
        metadata = owner["metadata"]
        latest = yield Get(kind.storage, metadata["namespace"], metadata["name"])
        yield update_status(kind.storage, latest, status)


CONTROLLER = Controller(
    name="replicaset-controller",
    reconcile=reconcile_for(REPLICA_SET),
    watches=((REPLICA_SET.storage, object_key), ("pods", _noting(children_keys(REPLICA_SET)))),
)
REPLICATION = Controller(
    name="replicationcontroller-controller",
    account="replication-controller",
    reconcile=reconcile_for(REPLICATION_CONTROLLER),
    watches=((REPLICATION_CONTROLLER.storage, object_key), ("pods", _noting(children_keys(REPLICATION_CONTROLLER)))),
)
