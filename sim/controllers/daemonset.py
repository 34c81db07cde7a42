"""DaemonSets: one pod on every node that is fit for it.

Source: k8s.io/kubernetes/pkg/controller/daemon (daemon_controller.go, update.go).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import S
from seatrial.sim.controllers import daemonset_plan as plan
from seatrial.sim.controllers import revisions
from seatrial.sim.controllers.actions import (
    Action,
    Create,
    Get,
    Outcome,
    Record,
    Steps,
    Turn,
    delete_of,
    ignoring,
    slow_start,
    update_status,
)
from seatrial.sim.controllers.conditions import namespace_is_terminating
from seatrial.sim.controllers.controller import Controller, Seen, object_key
from seatrial.sim.controllers.daemonset_tally import Tally, note_node, note_pod, tallies
from seatrial.sim.controllers.hashing import template_hash
from seatrial.sim.controllers.ownership import (
    DAEMON_SET,
    children,
    children_keys,
    claim,
    labels_of,
    pod_from_template,
    selects_all,
)
from seatrial.sim.controllers.podstate import is_terminal, next_availability
from seatrial.sim.controllers.replicaset import delete_pods
from seatrial.sim.machinery.errors import ApiError

BURST = 250
"""Pods created or deleted in one sync at most (BurstReplicas)."""
BACKOFF_US, BACKOFF_MAX_US = 1 * S, 900 * S
"""Between two deletions of a failing daemon pod on one node."""
SELECTS_ALL = "This daemon set is selecting all pods. A non-empty selector is required."


def reconcile(turn: Turn) -> Steps:
    namespace, name = turn.key
    owner = turn.view(DAEMON_SET.storage).get(namespace, name)
    if owner is None:
        tallies(turn.memory).pop(turn.key, None)
        return None
    if selects_all(owner):
        yield Record(owner, "Warning", "SelectingAll", SELECTS_ALL)
        return None
    if "deletionTimestamp" in owner["metadata"]:
        return None
    current, old = yield from _history(turn, owner)
    digest = labels_of(current).get(plan.HASH_LABEL, "")
    tally = yield from _tally(turn, owner, digest)
    tally.judge(owner, digest, turn.view("nodes"), turn.clock_now())
    acted, again, failed = yield from _manage(turn, owner, tally, digest)
    if not acted and tally.counts.outdated and _is_rolling(owner):
        nodes = sorted(turn.view("nodes").list(), key=lambda node: str(node["metadata"]["name"]))
        update = plan.rolling_update(owner, nodes, tally.by_node(), digest, turn.clock_now())
        if update.delete or update.create_on:
            failed = yield from _sync_nodes(owner, update.delete, update.create_on, digest)
    if failed is None and old:
        yield from _clean_history(owner, old, tally.pods())
    status = plan.status_of(owner, tally.counts)
    yield from _write_status(owner, status)
    if failed is not None:
        return Outcome(retry=True)
    min_ready = owner["spec"].get("minReadySeconds", 0)
    if min_ready and status["numberReady"] != status.get("numberAvailable", 0):
        wait = next_availability(tally.pods(), min_ready, turn.clock_now())
        again = wait if again is None else min(again, wait if wait is not None else again)
    return None if again is None else Outcome(again)


def _is_rolling(owner: Object) -> bool:
    return bool((owner["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")


def _tally(turn: Turn, owner: Object, digest: str) -> Generator[Action, Any, Tally]:
    """What is known of the set's pods, of those that it claims where there are some to adopt or to release."""
    known, pods = tallies(turn.memory), turn.view("pods")
    tally = known.get(turn.key)
    if tally is None or not tally.is_of(owner, digest):
        tally = known[turn.key] = Tally(owner, digest, children(pods, owner))
    if tally.strange or any(tally.adopts(each) for each in pods.indexed("orphan", owner["metadata"]["namespace"])):
        return Tally(owner, digest, (yield from claim(DAEMON_SET, owner, "pods", pods)))
    return tally


def _manage(
    turn: Turn, owner: Object, tally: Tally, digest: str
) -> Generator[Action, Any, tuple[bool, int | None, Exception | None]]:
    """Pods where they are missing, none where they should not be.

    Returns (whether there was something to do, µs until a failed pod may be deleted, error).
    """
    needing: list[str] = []
    doomed: list[Object] = []
    again: int | None = None
    for name, todo in tally.todo():
        if todo.create:
            needing.append(name)
        for pod in todo.failed:
            wait = _backoff(turn, owner, name)
            if wait:
                again = wait if again is None else min(again, wait)
                continue
            yield _found(owner, pod, name, "Warning", "FailedDaemonPod", "failed", "kill")
            doomed.append(pod)
        for pod in todo.delete:
            if is_terminal(pod):
                yield _found(owner, pod, name, "Normal", "SucceededDaemonPod", "succeeded", "delete")
            doomed.append(pod)
    if not needing and not doomed:
        return False, again, None
    return True, again, (yield from _sync_nodes(owner, doomed, needing, digest))


def _found(owner: Object, pod: Object, node: str, type_: str, reason: str, state: str, verb: str) -> Record:
    metadata = pod["metadata"]
    where = f"{metadata['namespace']}/{metadata['name']} on node {node}"
    return Record(owner, type_, reason, f"Found {state} daemon pod {where}, will try to {verb} it")


def _backoff(turn: Turn, owner: Object, node: str) -> int:
    """µs that a failed pod has to wait for its deletion; 0 starts the next, longer wait (failedPodsBackoff)."""
    key = ("backoff", owner["metadata"]["uid"], owner["metadata"].get("generation"), node)
    wait, since = turn.memory.get(key, (0, 0))
    now = turn.clock_now()
    if wait and now - since < wait:
        return int(since + wait - now)
    longer = BACKOFF_US if not wait or now - since > 2 * BACKOFF_MAX_US else min(2 * wait, BACKOFF_MAX_US)
    turn.memory[key] = (longer, now)
    return 0


def _sync_nodes(
    owner: Object, doomed: Sequence[Object], nodes: Sequence[str], digest: str
) -> Generator[Action, Any, Exception | None]:
    """Creates and deletes pods, with events (syncNodes)."""
    failed: Exception | None = None
    if nodes:
        template = plan.template_for(owner, digest)
        pod = pod_from_template(DAEMON_SET, owner, template)
        spec = pod["spec"]
        creates = [
            Create("pods", {**pod, "spec": {**spec, "affinity": plan.pinned(spec.get("affinity"), name)}})
            for name in nodes[:BURST]
        ]
        slow = yield from slow_start(creates)
        for answer in slow.answers:
            if not isinstance(answer, Exception):
                yield Record(owner, "Normal", "SuccessfulCreate", f"Created pod: {answer['metadata']['name']}")
            elif not namespace_is_terminating(answer):
                yield Record(owner, "Warning", "FailedCreate", f"Error creating: {answer}")
                failed = failed or answer
    if doomed:
        error = yield from delete_pods(owner, doomed[:BURST])
        failed = failed or error
    return failed


# --- history


def _history(turn: Turn, owner: Object) -> Generator[Action, Any, tuple[Object, list[Object]]]:
    """(revision of the present template, older ones) (constructHistory)."""
    found = yield from revisions.history(DAEMON_SET, turn, owner)
    data = revisions.patch_of(owner["spec"]["template"])
    current = [each for each in found if each.get("data") == data]
    old = [each for each in found if each.get("data") != data]
    number = max((each["revision"] for each in old), default=0) + 1
    if not current:
        return (yield from _snapshot(owner, data, number)), old
    newest = current[-1]
    if newest["revision"] < number:
        newest = yield from revisions.renumber(newest, number)
    return newest, old


def _snapshot(owner: Object, data: Any, number: int) -> Generator[Action, Any, Object]:
    template = owner["spec"]["template"]
    digest = template_hash(template, (owner.get("status") or {}).get("collisionCount"))
    labels = (template.get("metadata") or {}).get("labels") or {}
    metadata: dict[str, Any] = {
        "name": f"{owner['metadata']['name']}-{digest}",
        "namespace": owner["metadata"]["namespace"],
        "labels": {**labels, plan.HASH_LABEL: digest},
        "ownerReferences": [DAEMON_SET.reference(owner)],
    }
    if owner["metadata"].get("annotations"):
        metadata["annotations"] = owner["metadata"]["annotations"]
    kind = {"apiVersion": "apps/v1", "kind": "ControllerRevision"}
    wanted = {**kind, "metadata": metadata, "data": data, "revision": number}
    try:
        made: Object = yield Create(revisions.REVISIONS, wanted)
        return made
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise
        there: Object = yield Get(revisions.REVISIONS, metadata["namespace"], metadata["name"])
        if revisions.same(there, wanted):
            return there
        status = owner.get("status") or {}
        more = {**status, "collisionCount": status.get("collisionCount", 0) + 1}
        yield update_status(DAEMON_SET.storage, owner, more)
        raise


def _clean_history(owner: Object, old: list[Object], pods: Iterable[Object]) -> Generator[Action, Any, None]:
    live = {labels_of(pod).get(plan.HASH_LABEL) for pod in pods}
    limit = owner["spec"].get("revisionHistoryLimit", 10)
    unused = [each for each in old if labels_of(each).get(plan.HASH_LABEL) not in live]
    for each in unused[: max(0, len(old) - limit)]:
        yield from ignoring(delete_of(revisions.REVISIONS, each), 404)


def _write_status(owner: Object, status: dict[str, Any]) -> Generator[Action, Any, None]:
    before = owner.get("status") or {}
    for kept in ("collisionCount", "conditions"):
        if kept in before:
            status[kept] = before[kept]
    if status != before:
        try:
            yield update_status(DAEMON_SET.storage, owner, status)
        except ApiError as error:
            if error.code != 409:
                raise
            latest = yield Get(DAEMON_SET.storage, owner["metadata"]["namespace"], owner["metadata"]["name"])
            yield update_status(DAEMON_SET.storage, latest, status)


_owner_keys = children_keys(DAEMON_SET)


def pod_keys(seen: Seen) -> Iterable[Any]:
    """The sets that a pod's change concerns."""
    note_pod(seen)
    return _owner_keys(seen)


def node_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    """A node that appears or changes concerns the sets that judge it differently now."""
    new, old = seen.new, seen.old
    if new is None:
        note_node(seen)
        return ()
    if old is not None and all(
        new[part].get(field) == old[part].get(field) for part, field in (("metadata", "labels"), ("spec", "taints"))
    ):
        return ()
    note_node(seen)
    found = []
    for owner in seen.view(DAEMON_SET.storage).list():
        judged = plan.should_run(owner, new)
        if (old is None and judged[0]) or (old is not None and judged != plan.should_run(owner, old)):
            found.append((owner["metadata"]["namespace"], owner["metadata"]["name"]))
    return found


CONTROLLER = Controller(
    name="daemonset-controller",
    account="daemon-set-controller",
    component="daemonset-controller",
    reconcile=reconcile,
    watches=(
        (DAEMON_SET.storage, object_key),
        ("pods", pod_keys),
        ("nodes", node_keys),
    ),
    reads=(revisions.REVISIONS,),
    workers=2,
)
