"""Eviction: a deletion that asks the pod's disruption budget first.

Source: k8s.io/kubernetes/pkg/registry/core/pod/storage/eviction.go.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from seatrial.sim.apiserver import admission, bodies, registry
from seatrial.sim.apiserver.binding import with_condition
from seatrial.sim.apiserver.context import Context, Steps
from seatrial.sim.apiserver.handlers import accepted, check_namespace
from seatrial.sim.apiserver.options import DeleteOptions, delete_options, write_options
from seatrial.sim.apiserver.request import Object, Response
from seatrial.sim.machinery import apply, errors, selectors
from seatrial.sim.machinery.pods import is_ready

BUDGETS = "poddisruptionbudgets.policy"
DISRUPTED_PODS_MAX = 2000
"""MaxDisruptedPodSize."""
STILL_PROCESSING_RETRY_S = 10
WOULD_VIOLATE = "Cannot evict pod as it would violate the pod's disruption budget."
API_SERVER = "kube-apiserver"


def create(context: Context) -> Steps[Response]:
    options = write_options(context.query, "create")
    eviction = bodies.read(context, bodies.body_resource(context), options.field_validation)
    check_namespace(context, eviction)
    given = eviction["metadata"].get("name", "")
    if given != context.info.name:
        raise errors.bad_request("name in URL does not match name in Eviction object")
    eviction = yield from admission.admit(context, "CREATE", eviction)
    deletion = delete_options({}, eviction.get("deleteOptions"))
    context.dry_run = options.dry_run or deletion.dry_run
    on_pod = replace(context, info=context.info._replace(subresource=""))
    pod = registry.get(on_pod)
    _check_preconditions(on_pod, deletion, pod)
    if not _ignores_budgets(pod):
        _ask_budget(context, pod)
    yield from _delete(on_pod, pod, deletion)
    return Response(201, errors.success(201), accepted(context).media_type, tuple(context.warnings))


def _check_preconditions(context: Context, deletion: DeleteOptions, pod: Object) -> None:
    metadata = pod["metadata"]
    for wanted, key, word in (
        (deletion.uid, "uid", "uid"),
        (deletion.resource_version, "resourceVersion", "resource version"),
    ):
        if wanted is not None and wanted != metadata[key]:
            why = f"the {word} in the precondition ({wanted}) does not match the {word} in record ({metadata[key]})."
            raise errors.conflict("", "pods", context.info.name, why)


def _ignores_budgets(pod: Object) -> bool:
    """A pod that serves nobody, or is already on its way out, disrupts nothing."""
    phase = (pod.get("status") or {}).get("phase")
    return phase in ("Succeeded", "Failed", "Pending") or "deletionTimestamp" in pod["metadata"]


def _ask_budget(context: Context, pod: Object) -> None:
    """Takes one disruption from the pod's budget. Raises ApiError 429, 403 or 500 as the budget says."""
    labels = pod["metadata"].get("labels") or {}
    budgets = [
        budget
        for budget in context.server.store.list(BUDGETS, context.info.namespace)
        if selectors.labels(budget["spec"].get("selector"))(labels)
    ]
    if not budgets:
        return
    if len(budgets) > 1:
        text = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise errors.internal(text)
    budget = budgets[0]
    if not is_ready(pod) and _unhealthy_may_go(budget):
        return
    _check_budget(budget)
    if not context.dry_run:
        _spend(context, budget, pod["metadata"]["name"])


def _unhealthy_may_go(budget: Object) -> bool:
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    desired = status.get("desiredHealthy", 0)
    return bool(status.get("currentHealthy", 0) >= desired and desired > 0)


def _check_budget(budget: Object) -> None:
    status, metadata = budget.get("status") or {}, budget["metadata"]
    name, allowed = metadata["name"], status.get("disruptionsAllowed", 0)
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        text = f"The disruption budget {name} is still being processed by the server."
        raise _refused(text, STILL_PROCESSING_RETRY_S)
    if allowed < 0:
        raise errors.forbidden("policy", "poddisruptionbudget", name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or ()) > DISRUPTED_PODS_MAX:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise errors.forbidden("policy", "poddisruptionbudget", name, why)
    if allowed == 0:
        desired, current = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
        raise _refused(f"The disruption budget {name} needs {desired} healthy pods and has {current} currently", 0)


def _refused(why: str, retry_s: int) -> errors.ApiError:
    return errors.too_many_requests(WOULD_VIOLATE, retry_s, [{"reason": "DisruptionBudget", "message": why}])


def _spend(context: Context, budget: Object, pod: str) -> None:
    status = dict(budget["status"])
    left = status["disruptionsAllowed"] = status["disruptionsAllowed"] - 1
    if left == 0:
        condition = {
            "type": "DisruptionAllowed",
            "status": "False",
            "observedGeneration": status.get("observedGeneration", 0),
            "lastTransitionTime": context.stamp,
            "reason": "InsufficientPods",
            "message": "",
        }
        status["conditions"] = with_condition(status.get("conditions") or (), condition)
    status["disruptedPods"] = {**(status.get("disruptedPods") or {}), pod: context.stamp}
    resource = context.server.kinds.resource(BUDGETS)
    spent = {**budget, "status": status}
    new = apply.update_managed_fields(budget, spent, API_SERVER, "status", context.stamp, resource)
    context.server.commit(resource, lambda store: store.update(BUDGETS, new, None, context.request.cause))


def _delete(context: Context, pod: Object, deletion: DeleteOptions) -> Steps[Any]:
    """Says on the pod why it goes, then deletes it."""
    if not context.dry_run:
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": context.stamp,
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
        }
        status = pod.get("status") or {}
        status = {**status, "conditions": with_condition(status.get("conditions") or (), condition)}
        marked = {**pod, "status": status}
        if not registry.unchanged(marked, pod):
            pods = context.resource
            context.server.commit(pods, lambda store: store.update("pods", marked, None, context.request.cause))
    options = deletion._replace(uid=pod["metadata"]["uid"], resource_version=None, dry_run=context.dry_run)
    yield from registry.delete(context, options)
