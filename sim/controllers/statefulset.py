"""StatefulSets: pods with an identity, one after the other or all at once.

Source: k8s.io/kubernetes/pkg/controller/statefulset (stateful_set.go, stateful_set_control.go,
stateful_pod_control.go).
*Not modelled*: owner references of claims that somebody else put there beside the set's.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers import revisions
from seatrial.sim.controllers import statefulset_plan as plan
from seatrial.sim.controllers.actions import (
    Action,
    Create,
    Outcome,
    Record,
    Steps,
    Turn,
    Update,
    delete_of,
    update_status,
)
from seatrial.sim.controllers.controller import Controller, object_key
from seatrial.sim.controllers.ownership import STATEFUL_SET, Owner, children_keys, claim, labels_of, selector_of
from seatrial.sim.controllers.podstate import is_terminating, next_availability, phase
from seatrial.sim.machinery.errors import ApiError

CLAIMS = "persistentvolumeclaims"
POD = Owner("pods", "v1", "Pod")
Working = Generator[Action, Any, bool]
"""A step for one pod; returns whether the others have to wait for it."""


@dataclass(slots=True)
class State:
    """A set during one reconcile."""

    turn: Turn
    owner: Object
    history: list[Object]
    current: Object
    update: Object
    collisions: int
    found: plan.Members


def reconcile(turn: Turn) -> Steps:
    namespace, name = turn.key
    owner = turn.view(STATEFUL_SET.storage).get(namespace, name)
    if owner is None:
        return None
    history = yield from revisions.history(STATEFUL_SET, turn, owner)
    selects = selector_of(owner)

    def matches(pod: Object) -> bool:
        return plan.is_member(name, pod) and selects(labels_of(pod))

    pods = yield from claim(STATEFUL_SET, owner, "pods", turn.view("pods"), matches)
    state = yield from _with_revisions(turn, owner, history, pods)
    status, failed = yield from _advance(state, pods)
    yield from _write_status(state, status)
    if failed is not None:
        raise failed
    live = [plan.revision_of(pod) for pod in pods]
    live += [state.current["name"], state.update["name"]]
    yield from revisions.truncate(state.history, live, owner["spec"].get("revisionHistoryLimit", 10))
    min_ready = owner["spec"].get("minReadySeconds", 0)
    if min_ready and status["availableReplicas"] != status.get("readyReplicas", 0):
        return Outcome(next_availability(pods, min_ready, turn.clock_now()))
    return None


def _with_revisions(
    turn: Turn, owner: Object, history: list[Object], pods: list[Object]
) -> Generator[Action, Any, State]:
    """Finds or makes the revisions that the set is at and goes to (getStatefulSetRevisions)."""
    status = owner.get("status") or {}
    collisions = status.get("collisionCount", 0)
    data = revisions.patch_of(owner["spec"]["template"])
    number = history[-1]["revision"] + 1 if history else 1
    equal = [each for each in history if each.get("data") == data]
    if equal and history[-1] is equal[-1]:
        update = equal[-1]
    elif equal:
        update = yield from revisions.renumber(equal[-1], number)
        history = revisions.in_order([each for each in history if each is not equal[-1]] + [update])
    else:
        update, collisions = yield from revisions.create(STATEFUL_SET, owner, collisions, number)
        history = [*history, update]
    current = next((each for each in history if each["metadata"]["name"] == status.get("currentRevision")), update)
    now_at = plan.version(current["metadata"]["name"], _template(current))
    goes_to = plan.version(update["metadata"]["name"], _template(update))
    found = plan.members(owner, pods, now_at, goes_to)
    return State(turn, owner, history, now_at, goes_to, collisions, found)


def _template(revision: Object) -> dict[str, Any]:
    return {key: value for key, value in revision["data"]["spec"]["template"].items() if key != "$patch"}


def _status(state: State, pods: Sequence[Object]) -> dict[str, Any]:
    owner = state.owner
    names = state.current["name"], state.update["name"]
    status: dict[str, Any] = dict(plan.counts(owner, pods, *names, state.turn.clock_now()))
    status["observedGeneration"] = owner["metadata"].get("generation", 0)
    status["currentRevision"], status["updateRevision"] = names
    status["collisionCount"] = state.collisions
    if (owner.get("status") or {}).get("conditions"):
        status["conditions"] = owner["status"]["conditions"]
    return status


def _advance(state: State, pods: list[Object]) -> Generator[Action, Any, tuple[dict[str, Any], Exception | None]]:
    """Creates, waits, deletes; returns the status and what went wrong (updateStatefulSet)."""
    owner, found = state.owner, state.found
    if is_terminating(owner):
        return _status(state, pods), None
    everyone = [*found.replicas, *found.condemned]
    monotonic = plan.is_monotonic(owner)
    waited_for = plan.first_unavailable(owner, found, state.turn.now)
    doomed: list[Object] = []
    try:
        if (yield from _for_all(found.replicas, lambda pod: _keep(state, pod, monotonic), monotonic)):
            return _status(state, everyone), None
        condemn = _condemner(state, monotonic, waited_for)
        if (yield from _for_all(found.condemned, condemn, monotonic)):
            return _status(state, everyone), None
        doomed = plan.updates(owner, found.replicas, state.update["name"], state.turn.clock_now())
        status = _status(state, everyone)
        for pod in doomed:
            yield from _delete_pod(owner, pod)
            status["currentReplicas"] -= 1
        return status, None
    except ApiError as error:
        return _status(state, everyone), error


def _for_all(pods: Sequence[Object], step: Callable[[Object], Working], monotonic: bool) -> Working:
    """One after the other until one says stop; in parallel sets, all of them in batches that grow (runForAll).

    Of a batch Go starts the last first, which is why claims are made, and volumes given out, in that order.
    """
    if monotonic:
        for pod in pods:
            if (yield from step(pod)):
                return True
        return False
    done, size = 0, 1
    while done < len(pods):
        batch = pods[done : done + size]
        for pod in (*batch[-1:], *batch[:-1]):
            yield from step(pod)
        done, size = done + len(batch), size * 2
    return False


def _keep(state: State, pod: Object, monotonic: bool) -> Working:
    """One living replica (processReplica)."""
    owner, now = state.owner, state.turn.clock_now()
    min_ready = owner["spec"].get("minReadySeconds", 0)
    if phase(pod) in ("Failed", "Succeeded"):
        if not is_terminating(pod):
            yield from _delete_pod(owner, pod)
        return True
    if not plan.is_created(pod):
        yield from _create_pod(state, pod)
        return monotonic
    if phase(pod) == "Pending":
        yield from _create_claims(state, pod)
    if monotonic and plan.is_unavailable(pod, min_ready, now):
        return True
    if not plan.identity_matches(owner, pod) or not plan.storage_matches(owner, pod):
        yield from _update_pod(owner, plan.restored(owner, pod))
    yield from _keep_retention(state, pod)
    return False


def _condemner(state: State, monotonic: bool, waited_for: Object | None) -> Callable[[Object], Working]:
    def condemn(pod: Object) -> Working:
        """One pod too many (processCondemned)."""
        if is_terminating(pod):
            return True
        min_ready = state.owner["spec"].get("minReadySeconds", 0)
        available = plan.is_running_and_available(pod, min_ready, state.turn.clock_now())
        if monotonic and not available and pod is not waited_for:
            return True
        yield from _keep_retention(state, pod)
        yield from _delete_pod(state.owner, pod)
        return True

    return condemn


# --- one pod


def _event(owner: Object, verb: str, what: str, error: Exception | None, done: str = "successful") -> Record:
    """``what`` is e.g. ``Pod s-0``."""
    name = owner["metadata"]["name"]
    if error is None:
        return Record(owner, "Normal", f"Successful{verb}", f"{verb} {what} in StatefulSet {name} {done}")
    return Record(owner, "Warning", f"Failed{verb}", f"{verb} {what} in StatefulSet {name} failed error: {error}")


def _attempt(owner: Object, verb: str, what: str, action: Action, quiet: str = "") -> Generator[Action, Any, Object]:
    try:
        answer: Object = yield action
    except ApiError as error:
        if not quiet or error.reason != quiet:
            yield _event(owner, verb, what, error)
        raise
    yield _event(owner, verb, what, None)
    return answer


def _create_pod(state: State, pod: Object) -> Generator[Action, Any, None]:
    yield from _create_claims(state, pod)
    what = f"Pod {pod['metadata']['name']}"
    made = yield from _attempt(state.owner, "Create", what, Create("pods", pod), "AlreadyExists")
    yield from _keep_retention(state, made)


def _update_pod(owner: Object, pod: Object) -> Generator[Action, Any, None]:
    yield from _attempt(owner, "Update", f"Pod {pod['metadata']['name']}", Update("pods", pod))


def _delete_pod(owner: Object, pod: Object) -> Generator[Action, Any, None]:
    try:
        yield from _attempt(owner, "Delete", f"Pod {pod['metadata']['name']}", delete_of("pods", pod), "NotFound")
    except ApiError as error:
        if error.code != 404:
            raise


def _create_claims(state: State, pod: Object) -> Generator[Action, Any, None]:
    """The claims that a pod lacks. Raises ApiError when one cannot be created or is on its way out."""
    owner, view = state.owner, state.turn.view(CLAIMS)
    name = pod["metadata"]["name"]
    for wanted in plan.claims_of(owner, plan.ordinal_of(name)):
        there = view.get(wanted["metadata"]["namespace"], wanted["metadata"]["name"])
        if there is not None and is_terminating(there):
            text = f"pvc {wanted['metadata']['name']} is being deleted"
            raise ApiError(409, "Conflict", text)
        if there is not None:
            continue
        what = f"Claim {wanted['metadata']['name']} Pod {name}"
        try:
            yield Create(CLAIMS, wanted)
        except ApiError as error:
            if error.reason == "AlreadyExists":
                continue
            what = f"Claim {wanted['metadata']['name']} for Pod {name}"
            yield _event(owner, "Create", what, error)
            raise
        yield _event(owner, "Create", what, None, "success")


def _keep_retention(state: State, pod: Object) -> Generator[Action, Any, None]:
    """Claims belong to the set or to the pod when they are to go with it (UpdatePodClaimForRetentionPolicy)."""
    owner, view = state.owner, state.turn.view(CLAIMS)
    policy = owner["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    deleted, shrunk = policy.get("whenDeleted") == "Delete", policy.get("whenScaled") == "Delete"
    ordinal = plan.ordinal_of(pod["metadata"]["name"])
    start = plan.start_of(owner)
    inside = start <= ordinal < start + plan.replicas_of(owner)
    wanted = []
    if shrunk and not inside:
        wanted.append(POD.reference(pod, controller=False) if "uid" in pod["metadata"] else None)
    elif deleted:
        wanted.append(STATEFUL_SET.reference(owner, controller=False))
    mine = (owner["metadata"]["uid"], pod["metadata"].get("uid"))
    for template in plan.claims_of(owner, ordinal):
        there = view.get(template["metadata"]["namespace"], template["metadata"]["name"])
        if there is None:
            continue
        refs = there["metadata"].get("ownerReferences") or []
        kept = [ref for ref in refs if ref["uid"] not in mine]
        fresh = [*kept, *(ref for ref in wanted if ref is not None)]
        if [ref["uid"] for ref in refs] != [ref["uid"] for ref in fresh]:
            yield Update(CLAIMS, {**there, "metadata": {**there["metadata"], "ownerReferences": fresh}})


# --- status


def _write_status(state: State, status: dict[str, Any]) -> Generator[Action, Any, None]:
    owner = state.owner
    whole = status["updatedReplicas"] == status["replicas"] == status["readyReplicas"] == plan.replicas_of(owner)
    if plan.rolling(owner) is not None and whole:
        status["currentReplicas"], status["currentRevision"] = status["updatedReplicas"], status["updateRevision"]
    always = ("replicas", "availableReplicas", "collisionCount")
    written = {key: value for key, value in status.items() if value or key in always}
    if written != (owner.get("status") or {}):
        yield update_status(STATEFUL_SET.storage, owner, written)


CONTROLLER = Controller(
    name="statefulset-controller",
    reconcile=reconcile,
    watches=((STATEFUL_SET.storage, object_key), ("pods", children_keys(STATEFUL_SET))),
    reads=(CLAIMS, revisions.REVISIONS),
)
