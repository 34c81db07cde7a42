"""Deployments: ReplicaSets by revision, rolled over or recreated.

Source: k8s.io/kubernetes/pkg/controller/deployment (deployment_controller.go, sync.go, rolling.go, recreate.go,
progress.go). *Not modelled*: the rollback annotation of extensions/v1beta1.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers import conditions
from seatrial.sim.controllers import deployment_plan as plan
from seatrial.sim.controllers import deployment_status as progress
from seatrial.sim.controllers.actions import (
    Action,
    Create,
    Get,
    Outcome,
    Record,
    Steps,
    Turn,
    Update,
    delete_of,
    ignoring,
    update_status,
)
from seatrial.sim.controllers.controller import Controller, Seen, object_key
from seatrial.sim.controllers.hashing import template_hash
from seatrial.sim.controllers.informers import controller_of
from seatrial.sim.controllers.ownership import DEPLOYMENT, REPLICA_SET, children, children_keys, claim, selects_all
from seatrial.sim.controllers.podstate import is_terminal
from seatrial.sim.machinery.errors import ApiError

SETS = REPLICA_SET.storage
SELECTS_ALL = "This deployment is selecting all pods. A non-empty selector is required."


@dataclass(slots=True)
class Rollout:
    """A deployment and its sets as they stand during one reconcile; writes replace them."""

    turn: Turn
    deployment: Object
    new: Object | None
    old: list[Object]

    @property
    def sets(self) -> list[Object]:
        return [*self.old, self.new] if self.new is not None else list(self.old)

    def replace(self, changed: Object) -> None:
        uid = changed["metadata"]["uid"]
        if self.new is not None and self.new["metadata"]["uid"] == uid:
            self.new = changed
        self.old = [changed if each["metadata"]["uid"] == uid else each for each in self.old]


def reconcile(turn: Turn) -> Steps:
    namespace, name = turn.key
    deployment = turn.view(DEPLOYMENT.storage).get(namespace, name)
    if deployment is None:
        return None
    if selects_all(deployment):
        yield Record(deployment, "Warning", "SelectingAll", SELECTS_ALL)
        return None
    sets = yield from claim(DEPLOYMENT, deployment, SETS, turn.view(SETS))
    state = Rollout(turn, deployment, None, sets)
    if "deletionTimestamp" in deployment["metadata"]:
        yield from _find_sets(state, False)
        return (yield from _write_status(state, progress.calculate(deployment, state.sets, state.new, turn.stamp)))
    yield from _note_pause(state)
    if deployment["spec"].get("paused"):
        return (yield from _resize(state, sets))
    if _size_changed(deployment, sets):
        return (yield from _resize(state, sets))
    if plan.rolls(deployment):
        return (yield from _roll(state))
    return (yield from _recreate(state))


def _note_pause(state: Rollout) -> Generator[Action, Any, None]:
    """The Progressing condition says when a deployment was paused and resumed (checkPausedConditions)."""
    deployment = state.deployment
    if progress.deadline_s(deployment) is None:
        return
    status = deployment.get("status") or {}
    current = conditions.find(status.get("conditions"), progress.PROGRESSING)
    if current is not None and current["reason"] == progress.TIMED_OUT:
        return
    noted = current is not None and current["reason"] == "DeploymentPaused"
    paused = bool(deployment["spec"].get("paused"))
    if paused == noted:
        return
    reason, text = (
        ("DeploymentPaused", "Deployment is paused") if paused else ("DeploymentResumed", "Deployment is resumed")
    )
    fresh = progress.condition(progress.PROGRESSING, "Unknown", reason, text, state.turn.stamp)
    yield from _set_condition(state, fresh)


def _set_condition(state: Rollout, condition: Any) -> Generator[Action, Any, None]:
    status = state.deployment.get("status") or {}
    changed = {**status, "conditions": conditions.put_last(status.get("conditions"), condition)}
    state.deployment = yield update_status(DEPLOYMENT.storage, state.deployment, changed)


def _size_changed(deployment: Object, sets: list[Object]) -> bool:
    """An active set remembers another size than the deployment's (isScalingEvent)."""
    wanted = plan.replicas(deployment)
    remembered = (plan.annotation_int(each, plan.DESIRED) for each in plan.active(sets))
    return any(size is not None and size != wanted for size in remembered)


# --- the sets


def _find_sets(state: Rollout, create: bool) -> Generator[Action, Any, None]:
    """Splits the sets into the new one and the old ones; gives the new one its revision, or creates it."""
    deployment, sets = state.deployment, state.sets
    state.new, state.old = plan.find_new(deployment, sets), plan.find_old(deployment, sets)
    number = max((plan.revision(each) for each in state.old), default=0) + 1
    if state.new is not None:
        yield from _refresh_new(state, state.new, number)
    elif create:
        yield from _create_new(state, number)


def _refresh_new(state: Rollout, new: Object, number: int) -> Generator[Action, Any, None]:
    deployment = state.deployment
    metadata = new["metadata"]
    current = metadata.get("annotations") or {}
    annotations = plan.set_annotations(deployment, current, number, True)
    min_ready = deployment["spec"].get("minReadySeconds", 0)
    if annotations != current or new["spec"].get("minReadySeconds", 0) != min_ready:
        spec = {key: value for key, value in new["spec"].items() if key != "minReadySeconds"}
        if min_ready:
            spec["minReadySeconds"] = min_ready
        changed = {**new, "metadata": {**metadata, "annotations": annotations}, "spec": spec}
        state.new = yield Update(SETS, changed)
        return
    status = deployment.get("status") or {}
    found = conditions.find(status.get("conditions"), progress.PROGRESSING)
    listed = status.get("conditions")
    if found is None and progress.deadline_s(deployment) is not None:
        text = f'Found new replica set "{metadata["name"]}"'
        fresh = progress.condition(progress.PROGRESSING, "True", "FoundNewReplicaSet", text, state.turn.stamp)
        listed = conditions.put_last(listed, fresh)
    yield from _set_revision(state, current.get(plan.REVISION, ""), listed, found is None and listed is not None)


def _set_revision(state: Rollout, number: str, listed: Any, forced: bool) -> Generator[Action, Any, None]:
    """Writes the deployment's revision and conditions together: the status endpoint takes annotations, too."""
    deployment = state.deployment
    metadata = deployment["metadata"]
    annotations = metadata.get("annotations") or {}
    if annotations.get(plan.REVISION) == number and not forced:
        return
    changed = {**deployment, "metadata": {**metadata, "annotations": {**annotations, plan.REVISION: number}}}
    status = dict(deployment.get("status") or {})
    if listed:
        status["conditions"] = listed
    state.deployment = yield update_status(DEPLOYMENT.storage, changed, status)


def _new_set(state: Rollout, number: int) -> dict[str, Any]:
    deployment = state.deployment
    spec, metadata = deployment["spec"], deployment["metadata"]
    template = spec["template"]
    digest = template_hash(template, (deployment.get("status") or {}).get("collisionCount"))
    labels = {**((template.get("metadata") or {}).get("labels") or {}), plan.HASH_LABEL: digest}
    selector = spec["selector"]
    set_spec: dict[str, Any] = {
        "replicas": plan.new_replicas(deployment, state.sets, 0),
        "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), plan.HASH_LABEL: digest}},
        "template": {**template, "metadata": {**(template.get("metadata") or {}), "labels": labels}},
    }
    if spec.get("minReadySeconds"):
        set_spec["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "apiVersion": REPLICA_SET.api_version,
        "kind": REPLICA_SET.kind,
        "metadata": {
            "name": f"{metadata['name']}-{digest}",
            "namespace": metadata["namespace"],
            "ownerReferences": [DEPLOYMENT.reference(deployment)],
            "labels": labels,
            "annotations": plan.set_annotations(deployment, {}, number, False),
        },
        "spec": set_spec,
    }


def _create_new(state: Rollout, number: int) -> Generator[Action, Any, None]:
    wanted = _new_set(state, number)
    name = wanted["metadata"]["name"]
    existed = False
    try:
        state.new = yield Create(SETS, wanted)
    except ApiError as error:
        if error.code != 409 or error.reason != "AlreadyExists":
            yield from _creation_failed(state, name, error)
            raise
        existed = True
        state.new = yield from _adopt_or_collide(state, name, error)
    size = plan.replicas(wanted)
    if not existed and size > 0:
        yield _scaled(state.deployment, "up", name, 0, size)
    listed = (state.deployment.get("status") or {}).get("conditions")
    announce = not existed and progress.deadline_s(state.deployment) is not None
    if announce:
        text = f'Created new replica set "{name}"'
        fresh = progress.condition(progress.PROGRESSING, "True", "NewReplicaSetCreated", text, state.turn.stamp)
        listed = conditions.put_last(listed, fresh)
    yield from _set_revision(state, str(number), listed, announce)


def _adopt_or_collide(state: Rollout, name: str, error: ApiError) -> Generator[Action, Any, Object]:
    """A set of this name is ours already, or the hash collides and the next try has another (collisionCount)."""
    deployment = state.deployment
    there: Object = yield Get(SETS, deployment["metadata"]["namespace"], name)
    owner = controller_of(there)
    ours = owner is not None and owner["uid"] == deployment["metadata"]["uid"]
    if ours and plan.same_template(there["spec"]["template"], deployment["spec"]["template"]):
        return there
    status = deployment.get("status") or {}
    changed = {**status, "collisionCount": status.get("collisionCount", 0) + 1}
    yield update_status(DEPLOYMENT.storage, deployment, changed)
    raise error


def _creation_failed(state: Rollout, name: str, error: ApiError) -> Generator[Action, Any, None]:
    if conditions.namespace_is_terminating(error):
        return
    text = f'Failed to create new replica set "{name}": {error}'
    if progress.deadline_s(state.deployment) is not None:
        fresh = progress.condition(progress.PROGRESSING, "False", "ReplicaSetCreateError", text, state.turn.stamp)
        yield from _set_condition(state, fresh)
    yield Record(state.deployment, "Warning", "ReplicaSetCreateError", text)


def _scaled(deployment: Object, direction: str, name: str, old: int, new: int) -> Record:
    text = f"Scaled {direction} replica set {name} from {old} to {new}"
    return Record(deployment, "Normal", "ScalingReplicaSet", text)


def _scale(state: Rollout, target: plan.Scaling) -> Generator[Action, Any, None]:
    """Sets a set's size and what it remembers of the deployment's (scaleReplicaSet)."""
    each, size = target
    metadata = each["metadata"]
    annotations = metadata.get("annotations") or {}
    wanted = {**annotations, **plan.size_annotations(state.deployment)}
    before = plan.replicas(each)
    if before == size and annotations == wanted:
        return
    changed = {**each, "metadata": {**metadata, "annotations": wanted}, "spec": {**each["spec"], "replicas": size}}
    state.replace((yield Update(SETS, changed)))
    if before != size:
        direction = "up" if before < size else "down"
        yield _scaled(state.deployment, direction, metadata["name"], before, size)


def _resize(state: Rollout, sets: list[Object]) -> Steps:
    """A change of size, or a paused deployment: nothing rolls (sync)."""
    state.new, state.old = None, sets
    yield from _find_sets(state, False)
    for target in plan.scale_plan(state.deployment, state.new, state.old):
        yield from _scale(state, target)
    if state.deployment["spec"].get("paused"):
        yield from _cleanup(state)
    status = progress.calculate(state.deployment, state.sets, state.new, state.turn.stamp)
    return (yield from _write_status(state, status))


def _roll(state: Rollout) -> Steps:
    yield from _find_sets(state, True)
    new, deployment = state.new, state.deployment
    assert new is not None
    target = plan.new_target(deployment, state.sets, new)
    if target is not None:
        yield from _scale(state, plan.Scaling(new, target))
        return (yield from _sync_status(state))
    if (yield from _shrink_old(state, new)):
        return (yield from _sync_status(state))
    return (yield from _finish(state))


def _shrink_old(state: Rollout, new: Object) -> Generator[Action, Any, bool]:
    """Scales old sets down as far as availability allows (reconcileOldReplicaSets)."""
    old = plan.active(state.old)
    budget = plan.cleanup_budget(state.deployment, state.sets, new) if old else 0
    if budget <= 0:
        return False
    unhealthy = plan.cleanup_unhealthy(old, budget)
    for target in unhealthy:
        yield from _scale(state, target)
    healthy = plan.scale_down_old(state.deployment, state.sets, plan.active(state.old))
    for target in healthy:
        yield from _scale(state, target)
    return bool(unhealthy or healthy)


def _recreate(state: Rollout) -> Steps:
    yield from _find_sets(state, False)
    doomed = plan.active(state.old)
    for each in doomed:
        yield from _scale(state, plan.Scaling(each, 0))
    if doomed or _old_pods_run(state):
        return (yield from _sync_status(state))
    if state.new is None:
        yield from _find_sets(state, True)
    new = state.new
    assert new is not None
    if plan.replicas(new) != plan.replicas(state.deployment):
        yield from _scale(state, plan.Scaling(new, plan.replicas(state.deployment)))
    return (yield from _finish(state))


def _old_pods_run(state: Rollout) -> bool:
    if plan.status_count(state.old, "replicas") > 0:
        return True
    pods = state.turn.view("pods")
    return any(not is_terminal(pod) for each in state.old for pod in children(pods, each))


def _finish(state: Rollout) -> Steps:
    if progress.complete(state.deployment, state.deployment.get("status") or {}):
        yield from _cleanup(state)
    return (yield from _sync_status(state))


def _cleanup(state: Rollout) -> Generator[Action, Any, None]:
    for each in plan.to_delete(state.old, state.deployment["spec"].get("revisionHistoryLimit")):
        yield from ignoring(delete_of(SETS, each), 404)


# --- status


def _sync_status(state: Rollout) -> Steps:
    turn = state.turn
    status = progress.rollout(state.deployment, state.sets, state.new, turn.stamp, turn.clock_now())
    return (yield from _write_status(state, status))


def _write_status(state: Rollout, status: dict[str, Any]) -> Steps:
    if status != (state.deployment.get("status") or {}):
        state.deployment = yield update_status(DEPLOYMENT.storage, state.deployment, status)
    again = progress.stuck_in(state.deployment, status, state.turn.clock_now())
    return None if again is None else Outcome(again)


def pod_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    """Recreate waits for the last pod to go (deletePod)."""
    if seen.verb != "DELETED":
        return ()
    namespace = seen.obj["metadata"]["namespace"]
    owner = REPLICA_SET.resolve(seen.view, namespace, controller_of(seen.obj))
    deployment = DEPLOYMENT.resolve(seen.view, namespace, controller_of(owner)) if owner is not None else None
    if deployment is None or plan.rolls(deployment):
        return ()
    pods = seen.view("pods")
    if any(children(pods, each) for each in children(seen.view(SETS), deployment)):
        return ()
    return ((namespace, deployment["metadata"]["name"]),)


CONTROLLER = Controller(
    name="deployment-controller",
    reconcile=reconcile,
    watches=((DEPLOYMENT.storage, object_key), (SETS, children_keys(DEPLOYMENT)), ("pods", pod_keys)),
    retries_max=15,
)
