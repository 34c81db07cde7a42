"""ResourceQuota: a write that would exceed a namespace's quota is refused, and what it uses is booked at once.

Source: k8s.io/apiserver/pkg/admission/plugin/resourcequota and k8s.io/kubernetes/pkg/quota/v1/evaluator/core. The quota
controller counts anew from time to time; between its counts the booked figures in the quota's status decide. Until its
first count a quota has no status and limits nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.sim.apiserver.context import Attributes, Context
from seatrial.sim.apiserver.request import Object
from seatrial.sim.machinery import apply, errors
from seatrial.sim.machinery.quantity import parse
from seatrial.sim.machinery.usage import covers, usage

DEMANDED = ("cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory")
"""What every container must state where a quota limits it (validationSet)."""
API_SERVER = "kube-apiserver"
"""The field manager of what the server writes on its own account."""


def check(context: Context, attributes: Attributes) -> None:
    """Raises ApiError 403 when a quota is exceeded or its figures are not known yet."""
    resource = attributes.resource
    if not resource.namespaced or attributes.operation not in ("CREATE", "UPDATE") or attributes.object is None:
        return
    if attributes.subresource and (resource.storage, attributes.subresource) != ("pods", "resize"):
        return
    quotas = context.server.store.list("resourcequotas", attributes.namespace)
    if not quotas:
        return
    new = usage(resource, attributes.object)
    old = usage(resource, attributes.old) if attributes.old is not None else {}
    charges = []
    for quota in quotas:
        if not covers(quota, resource, attributes.object):
            continue
        if resource.storage == "pods":
            _demand(attributes, quota, attributes.object["spec"])
        added = _added(quota, new, old)
        if added:
            charges.append((quota, added, _checked(attributes, quota, added)))
    if context.dry_run:
        return
    for quota, _, used in charges:
        _book(context, quota, used)


def _refused(attributes: Attributes, why: str) -> errors.ApiError:
    return errors.forbidden(attributes.resource.group, attributes.resource.plural, attributes.name, why)


def _hard(quota: Object) -> Mapping[str, str]:
    return (quota.get("status") or {}).get("hard") or {}


def _demand(attributes: Attributes, quota: Object, spec: Object) -> None:
    """Raises ApiError 403 for containers that do not state what the quota limits, unless the pod as a whole states its
    resources (podEvaluator.Constraints)."""
    hard = _hard(quota)
    demanded = [name for name in DEMANDED if name in hard]
    if not demanded or spec.get("resources"):
        return
    containers = (*spec["containers"], *(spec.get("initContainers") or ()))
    silent = {
        name: sorted({container["name"] for container in containers if not _states(container, name)})
        for name in demanded
    }
    missing = "; ".join(f"{name} for: {','.join(names)}" for name, names in silent.items() if names)
    if missing:
        raise _refused(attributes, f"failed quota: {quota['metadata']['name']}: must specify {missing}")


def _states(container: Object, name: str) -> bool:
    kind, _, resource = name.rpartition(".")
    return resource in ((container.get("resources") or {}).get(kind or "requests") or {})


def _added(quota: Object, new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """What the write adds to the figures that this quota limits."""
    added = {}
    for name in _hard(quota):
        if name in new:
            more = new[name] - old[name] if name in old else new[name]
            if more > parse("0"):
                added[name] = more
    return added


def _checked(attributes: Attributes, quota: Object, added: Mapping[str, Any]) -> dict[str, Any]:
    """The figures after the write. Raises ApiError 403."""
    name, hard = quota["metadata"]["name"], _hard(quota)
    used = quota["status"].get("used") or {}
    if any(key not in used for key in added):
        raise _refused(attributes, f"status unknown for quota: {name}, resources: {','.join(sorted(added))}")
    after = {key: parse(used[key]) + more for key, more in added.items()}
    exceeded = sorted(key for key in added if after[key] > parse(hard[key]))
    if exceeded:
        asked = ",".join(f"{key}={added[key]}" for key in exceeded)
        held = ",".join(f"{key}={used[key]}" for key in exceeded)
        limit = ",".join(f"{key}={hard[key]}" for key in exceeded)
        why = f"exceeded quota: {name}, requested: {asked}, used: {held}, limited: {limit}"
        raise _refused(attributes, why)
    return after


def _book(context: Context, quota: Object, used: Mapping[str, Any]) -> None:
    status = quota.get("status") or {}
    figures = {**(status.get("used") or {}), **{key: str(amount) for key, amount in used.items()}}
    booked = {**quota, "status": {**status, "used": figures}}
    resource = context.server.kinds.resource("resourcequotas")
    new = apply.update_managed_fields(quota, booked, API_SERVER, "status", context.stamp, resource)
    context.server.commit(resource, lambda store: store.update("resourcequotas", new, None, context.request.cause))
