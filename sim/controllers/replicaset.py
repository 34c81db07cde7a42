"""ReplicaSets and ReplicationControllers: as many pods as asked for, neither more nor fewer.

Source: k8s.io/kubernetes/pkg/controller/replicaset (replica_set.go, replica_set_utils.go) and
pkg/controller/replication, which is the same code behind an adapter.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
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
from seatrial.sim.controllers.controller import Controller, object_key
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
    """What counts of one pod. Pods never change, so these are worked out once for each revision of each."""

    pod: Object
    matches: bool
    labelled: bool
    """Carries all labels of the template."""
    active: bool
    leaving: bool
    """Being deleted and not ended yet."""
    ready: bool


def reconcile_for(kind: Owner) -> Any:
    def reconcile(turn: Turn) -> Steps:
        return _reconcile(kind, turn)

    return reconcile


def _reconcile(kind: Owner, turn: Turn) -> Steps:
    namespace, name = turn.key
    owner = turn.view(kind.storage).get(namespace, name)
    if owner is None:
        turn.memory.pop(("facts", turn.key), None)
        return None
    known = facts_of(turn, owner, children(turn.view("pods"), owner))
    if turn.view("pods").indexed("orphan", namespace) or not all(each.matches for each in known):
        known = facts_of(turn, owner, (yield from claim(kind, owner, "pods", turn.view("pods"))))
    active = [each.pod for each in known if each.active]
    problem: tuple[str, Exception] | None = None
    if "deletionTimestamp" not in owner["metadata"]:
        problem = yield from _manage(kind, turn, owner, active)
    status = new_status(owner, known, problem, turn.stamp, turn.clock_now())
    yield from write_status(kind, owner, status)
    if problem is not None:
        return Outcome(retry=True)
    min_ready = owner["spec"].get("minReadySeconds", 0)
    if min_ready and status.get("readyReplicas", 0) != status.get("availableReplicas", 0):
        return Outcome(podstate.next_availability(active, min_ready, turn.clock_now()))
    return None


def facts_of(turn: Turn, owner: Object, pods: Sequence[Object]) -> list[Facts]:
    """The facts of each pod, those of unchanged pods as they were found last time."""
    key = ("facts", turn.key)
    generation = (owner["metadata"]["uid"], owner["metadata"].get("generation"))
    remembered, before = turn.memory.get(key, (None, {}))
    if remembered != generation:
        before = {}
    selects = selector_of(owner)
    wanted = ((owner["spec"].get("template") or {}).get("metadata") or {}).get("labels") or {}
    after: dict[str, Facts] = {}
    for pod in pods:
        uid = pod["metadata"]["uid"]
        known = before.get(uid)
        after[uid] = known if known is not None and known.pod is pod else _facts(pod, selects, wanted)
    turn.memory[key] = (generation, after)
    return list(after.values())


def _facts(pod: Object, selects: Any, wanted: Mapping[str, str]) -> Facts:
    labels = labels_of(pod)
    leaving = podstate.is_terminating(pod)
    ended = podstate.is_terminal(pod)
    full = wanted.items() <= labels.items()
    return Facts(pod, selects(labels), full, not leaving and not ended, leaving and not ended, podstate.is_ready(pod))


def _manage(kind: Owner, turn: Turn, owner: Object, active: list[Object]) -> Generator[Action, Any, Any]:
    """Creates or deletes pods. Returns (condition reason, error) of what went wrong, or None."""
    missing = owner["spec"].get("replicas", 1) - len(active)
    if missing > 0:
        error = yield from create_pods(kind, owner, owner["spec"]["template"], min(missing, BURST_REPLICAS))
        return None if error is None else ("FailedCreate", error)
    if missing < 0:
        surplus = min(-missing, BURST_REPLICAS)
        doomed = active
        if surplus < len(active):
            doomed = podstate.by_deletion_order(active, related_pods(kind, turn, owner), turn.now)[:surplus]
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
    owner: Object, known: Sequence[Facts], problem: tuple[str, Exception] | None, stamp: str, now: int
) -> dict[str, Any]:
    """The status that the pods give (calculateStatus)."""
    min_ready = owner["spec"].get("minReadySeconds", 0)
    active = [each for each in known if each.active]
    ready = [each for each in active if each.ready]
    available = sum(podstate.is_available(each.pod, min_ready, now) for each in ready) if min_ready else len(ready)
    counts = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(each.labelled for each in active),
        "readyReplicas": len(ready),
        "availableReplicas": available,
    }
    if owner["kind"] == "ReplicaSet":
        counts["terminatingReplicas"] = sum(each.leaving for each in known)
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
    watches=((REPLICA_SET.storage, object_key), ("pods", children_keys(REPLICA_SET))),
)
REPLICATION = Controller(
    name="replicationcontroller-controller",
    account="replication-controller",
    reconcile=reconcile_for(REPLICATION_CONTROLLER),
    watches=((REPLICATION_CONTROLLER.storage, object_key), ("pods", children_keys(REPLICATION_CONTROLLER))),
)
