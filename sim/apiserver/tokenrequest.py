"""TokenRequest: a ServiceAccount's token for some audience and some time, bound to a pod, secret or node.

Source: k8s.io/kubernetes/pkg/registry/core/serviceaccount/storage/token.go.
"""

from __future__ import annotations

from typing import Any

from seatrial.sim.apiserver import bodies, registry
from seatrial.sim.apiserver.context import Context, Steps
from seatrial.sim.apiserver.handlers import reply
from seatrial.sim.apiserver.options import write_options
from seatrial.sim.apiserver.request import Object, Response
from seatrial.sim.apiserver.tokens import ISSUER, Binding
from seatrial.sim.machinery import apply, errors
from seatrial.sim.machinery.fields import FieldError

EXPIRATION_S_MIN = 600
EXPIRATION_S_MAX = 1 << 32
GROUP = "authentication.k8s.io"
BOUND_KINDS = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}


def create(context: Context) -> Steps[Response]:
    options = write_options(context.query, "create")
    context.dry_run = options.dry_run
    resource = bodies.body_resource(context)
    asked = bodies.read(context, resource, options.field_validation)
    account = registry.get(context)
    manager = options.field_manager or context.manager
    asked = apply.update_managed_fields(None, asked, manager, context.info.subresource, context.stamp, resource)
    _validate(context, asked)
    spec = asked["spec"]
    audiences = spec.get("audiences") or [ISSUER]
    bound, node = _bound(context, account, spec.get("boundObjectRef"))
    token, expires = context.server.tokens.issue(account, audiences, spec["expirationSeconds"], bound, node)
    metadata = {
        **asked.get("metadata", {}),
        "name": account["metadata"]["name"],
        "namespace": account["metadata"]["namespace"],
        "uid": account["metadata"]["uid"],
        "creationTimestamp": context.stamp,
    }
    body = {
        **asked,
        "metadata": metadata,
        "spec": {**spec, "audiences": audiences, "boundObjectRef": spec.get("boundObjectRef")},
        "status": {"token": token, "expirationTimestamp": expires},
    }
    return reply(context, body, 201)
    yield


def _validate(context: Context, asked: Object) -> None:
    spec, metadata = asked["spec"], asked.get("metadata") or {}
    given = metadata.get("name")
    if given and given != context.info.name:
        raise errors.bad_request(
            f"the name of the object ({given}) does not match the name on the URL ({context.info.name})"
        )
    seconds = spec["expirationSeconds"]
    problem = ""
    if seconds < EXPIRATION_S_MIN:
        problem = "may not specify a duration less than 10 minutes"
    elif seconds > EXPIRATION_S_MAX:
        problem = "may not specify a duration larger than 2^32 seconds"
    if problem:
        error = FieldError("FieldValueInvalid", "spec.expirationSeconds", f"Invalid value: {seconds}: {problem}")
        raise errors.invalid(GROUP, "TokenRequest", "", [error])


def _bound(context: Context, account: Object, reference: Any) -> tuple[Binding | None, Object | None]:
    """What the token dies with, and the node of a pod. Raises ApiError 404, 409 or 400."""
    if not reference:
        return None, None
    kind, name = reference.get("kind", ""), reference.get("name", "")
    store, namespace = context.server.store, context.info.namespace
    if kind not in BOUND_KINDS:
        api_version = reference.get("apiVersion", "")
        raise errors.bad_request(f"cannot bind token for serviceaccount to {api_version} {kind}".strip())
    found = store.get(BOUND_KINDS[kind], "" if kind == "Node" else namespace, name)
    if found is None:
        raise errors.not_found("", BOUND_KINDS[kind], name)
    uid = found["metadata"]["uid"]
    wanted = reference.get("uid")
    if wanted and wanted != uid:
        why = (
            f"the UID in the bound object reference ({wanted}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
        raise errors.conflict("", BOUND_KINDS[kind], name, why)
    node = None
    if kind == "Pod":
        own = found["spec"].get("serviceAccountName", "")
        if own != account["metadata"]["name"]:
            why = f"cannot bind token to pod: pod runs as a different serviceaccount ({own})"
            raise errors.bad_request(why)
        node = store.get("nodes", "", found["spec"].get("nodeName", ""))
    return Binding(kind, name, uid), node
