"""ResourceQuota: a write that would exceed a namespace's quota is refused, and what it uses is booked at once.

Source: k8s.io/apiserver/pkg/admission/plugin/resourcequota and k8s.io/kubernetes/pkg/quota/v1/evaluator/core. The quota
controller counts anew from time to time; between its counts the booked figures in the quota's status decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.sim.apiserver.context import Attributes, Context
from seatrial.sim.apiserver.request import Object
from seatrial.sim.machinery import apply, errors
from seatrial.sim.machinery.quantity import parse
from seatrial.sim.machinery.usage import covers, usage

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
        added = _added(quota, new, old)
        if added:
            charges.append((quota, added, _checked(attributes, quota, added)))
    if context.dry_run:
        return
    for quota, _, used in charges:
        _book(context, quota, used)


def _added(quota: Object, new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """What the write adds to the figures that this quota limits."""
    hard = (quota.get("spec") or {}).get("hard") or {}
    added = {}
    for name in hard:
        if name in new:
            more = new[name] - old[name] if name in old else new[name]
            if more > parse("0"):
                added[name] = more
    return added


def _checked(attributes: Attributes, quota: Object, added: Mapping[str, Any]) -> dict[str, Any]:
    """The figures after the write. Raises ApiError 403."""
    name, status = quota["metadata"]["name"], quota.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    unknown = [key for key in (quota["spec"].get("hard") or {}) if key not in hard or key not in used]
    if any(key in added for key in unknown):
        why = f"status unknown for quota: {name}, resources: {','.join(sorted(unknown))}"
        raise errors.forbidden(attributes.resource.group, attributes.resource.plural, attributes.name, why)
    after = {key: parse(used[key]) + more for key, more in added.items()}
    exceeded = sorted(key for key in added if after[key] > parse(hard[key]))
    if exceeded:
        asked = ",".join(f"{key}={added[key]}" for key in exceeded)
        held = ",".join(f"{key}={used[key]}" for key in exceeded)
        limit = ",".join(f"{key}={hard[key]}" for key in exceeded)
        why = f"exceeded quota: {name}, requested: {asked}, used: {held}, limited: {limit}"
        raise errors.forbidden(attributes.resource.group, attributes.resource.plural, attributes.name, why)
    return after


def _book(context: Context, quota: Object, used: Mapping[str, Any]) -> None:
    status = quota.get("status") or {}
    figures = {**(status.get("used") or {}), **{key: str(amount) for key, amount in used.items()}}
    booked = {**quota, "status": {**status, "used": figures}}
    resource = context.server.kinds.resource("resourcequotas")
    new = apply.update_managed_fields(quota, booked, API_SERVER, "status", context.stamp, resource)
    context.server.commit(resource, lambda store: store.update("resourcequotas", new, None, context.request.cause))
