"""PodDisruptionBudgets: how many pods may go, kept current for the eviction API; pods that were to go and did not.

Source: k8s.io/kubernetes/pkg/controller/disruption/disruption.go.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers import disruption_plan as plan
from seatrial.sim.controllers.actions import Action, Get, Outcome, Record, Steps, Turn, ignoring, update_status
from seatrial.sim.controllers.conditions import put_in_place
from seatrial.sim.controllers.controller import Controller, Seen, object_key
from seatrial.sim.controllers.informers import controller_of
from seatrial.sim.controllers.ownership import DEPLOYMENT, REPLICA_SET, labels_of
from seatrial.sim.machinery import selectors
from seatrial.sim.machinery.errors import ApiError

BUDGETS = "poddisruptionbudgets.policy"
SCALED = {
    "ReplicationController": "replicationcontrollers",
    "ReplicaSet": "replicasets.apps",
    "StatefulSet": "statefulsets.apps",
}
"""Controllers whose size is read from the view."""
UNMANAGED = (
    "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the status of"
    " the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods"
    ' please set ".spec.minAvailable" field of the PDB to an integer value.'
)


class NoScale(Exception):
    """It cannot be told how many pods there should be."""


def reconcile(turn: Turn) -> Steps:
    *work, namespace, name = turn.key
    if not work:
        return (yield from _budget(turn, namespace, name))
    pod = turn.view("pods").get(namespace, name)
    if pod is None:
        return None
    if work[0] == "several":
        text = f'Pod "{namespace}"/"{name}" matches multiple PodDisruptionBudgets.  Chose "{work[1]}" arbitrarily.'
        yield Record(pod, "Warning", "MultiplePodDisruptionBudgets", text)
        return None
    left = plan.stale_in(pod, turn.clock_now())
    if left is None or left > 0:
        return None if left is None else Outcome(left)
    conditions = put_in_place(pod["status"]["conditions"], plan.spared(pod, turn.stamp))
    yield update_status("pods", pod, {**pod["status"], "conditions": conditions})
    return None


def _budget(turn: Turn, namespace: str, name: str) -> Steps:
    budget = turn.view(BUDGETS).get(namespace, name)
    if budget is None:
        return None
    matches = selectors.labels(budget["spec"].get("selector"))
    pods = [pod for pod in turn.view("pods").list(namespace) if matches(labels_of(pod))]
    if not pods:
        yield Record(budget, "Normal", "NoPods", "No matching pods found")
    scale = 0
    if plan.needs_scale(budget):
        try:
            scale, unmanaged = yield from _scale(turn, pods)
        except (ApiError, NoScale) as error:
            text = f"Failed to calculate the number of expected pods: {error}"
            yield Record(budget, "Warning", "CalculateExpectedPodCountFailed", text)
            yield from _fail_safe(turn, budget, str(error))
            return None
        if unmanaged:
            text = UNMANAGED.format(plan.printed(budget["spec"].get("selector")))
            yield Record(budget, "Warning", "UnmanagedPods", text)
    now = turn.clock_now()
    before = (budget.get("status") or {}).get("disruptedPods") or {}
    disrupted, overdue, recheck = plan.still_disrupted(pods, before, now)
    for pod in overdue:
        # The namespace stands in the place of the name upstream, too.
        text = f"Pod was expected by PDB {namespace}/{namespace} to be deleted but it wasn't"
        yield Record(pod, "Warning", "NotDeleted", text)
    healthy = plan.healthy_count(pods, disrupted, now)
    wanted = plan.expected(budget, len(pods), scale)
    yield from _write(budget, plan.status(budget, healthy, wanted, disrupted, turn.stamp))
    return None if recheck is None else Outcome(recheck)


def _write(budget: Object, status: Mapping[str, Any]) -> Generator[Action, Any, None]:
    before = budget.get("status") or {}
    unchanged = all(before.get(key, 0) == value for key, value in status.items() if key != "conditions")
    if not unchanged or before.get("disruptedPods") != status.get("disruptedPods") or "conditions" not in before:
        yield update_status(BUDGETS, budget, status)


def _fail_safe(turn: Turn, budget: Object, why: str) -> Generator[Action, Any, None]:
    """Nothing may be disrupted while it is not known what is there (failSafe); the next change is a new chance."""
    before = budget.get("status") or {}
    failed = {
        "type": "DisruptionAllowed",
        "status": "False",
        "reason": "SyncFailed",
        "message": why,
        "observedGeneration": before.get("observedGeneration", 0),
        "lastTransitionTime": turn.stamp,
    }
    conditions = put_in_place(before.get("conditions"), failed)
    after = {**before, "disruptionsAllowed": 0, "conditions": conditions}
    if after != before:
        yield update_status(BUDGETS, budget, after)


def _scale(turn: Turn, pods: Sequence[Object]) -> Generator[Action, Any, tuple[int, bool]]:
    """(what the pods' controllers ask for, whether a pod has none) (getExpectedScale)."""
    scales: dict[str, int] = {}
    unmanaged = False
    for pod in pods:
        ref = controller_of(pod)
        if ref is None:
            unmanaged = True
        elif ref["uid"] not in scales:
            found = yield from _controller_scale(turn, pod["metadata"]["namespace"], ref)
            if found is None:
                raise NoScale(f'found no controllers for pod "{pod["metadata"]["name"]}"')
            uid, replicas = found
            scales[uid] = replicas
            scales.setdefault(ref["uid"], 0)
    return sum(scales.values()), unmanaged


def _controller_scale(
    turn: Turn, namespace: str, ref: Mapping[str, Any]
) -> Generator[Action, Any, tuple[str, int] | None]:
    """(uid, replicas) of the controller, a ReplicaSet's Deployment in its place; None when it is not there."""
    group, _, version = ref["apiVersion"].rpartition("/")
    storage = SCALED.get(ref["kind"])
    if storage is not None and group == storage.partition(".")[2]:
        owner = turn.view(storage).get(namespace, ref["name"])
        if owner is None or owner["metadata"]["uid"] != ref["uid"]:
            return None
        above = controller_of(owner) if storage == REPLICA_SET.storage else None
        if above is not None and above["kind"] == DEPLOYMENT.kind:
            owner = DEPLOYMENT.resolve(turn.view, namespace, above)
        return None if owner is None else (owner["metadata"]["uid"], owner["spec"].get("replicas", 1))
    resource = turn.shared["kinds"].by_kind(group, version, ref["kind"])
    if resource is None:
        raise NoScale(f'no matches for kind "{ref["kind"]}" in version "{ref["apiVersion"]}"')
    if "scale" not in resource.subresources:
        raise NoScale(f"{resource.plural}{'.' if group else ''}{group} does not implement the scale subresource")
    scale = yield from ignoring(Get(resource, namespace, ref["name"], "scale"), 404)
    if scale is None or scale["metadata"]["uid"] != ref["uid"]:
        return None
    return ref["uid"], scale["spec"].get("replicas", 0)


def pod_keys(seen: Seen) -> Iterable[tuple[str, ...]]:
    """One budget whose selector matches the pod; the pod itself while it is the target of a disruption."""
    metadata = seen.obj["metadata"]
    namespace, name, labels = metadata["namespace"], metadata["name"], labels_of(seen.obj)
    if seen.new is not None and plan.stale_in(seen.new, seen.now) is not None:
        yield "stale", namespace, name
    budgets = [
        budget["metadata"]["name"]
        for budget in seen.view(BUDGETS).list(namespace)
        if selectors.labels(budget["spec"].get("selector"))(labels)
    ]
    if budgets:
        yield namespace, budgets[0]
    if len(budgets) > 1:
        yield "several", budgets[0], namespace, name


CONTROLLER = Controller(
    name="disruption-controller",
    component="controllermanager",
    reconcile=reconcile,
    watches=((BUDGETS, object_key), ("pods", pod_keys)),
    reads=(*SCALED.values(), DEPLOYMENT.storage),
)
