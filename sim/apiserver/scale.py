"""The scale subresource: the number of replicas of whatever has some, as an autoscaling/v1 Scale.

Source: k8s.io/kubernetes/pkg/registry/apps/deployment/storage (ScaleREST) and its like, and for custom resources
k8s.io/apiextensions-apiserver/pkg/registry/customresource (the paths that the definition names).
"""

from __future__ import annotations

from typing import Any

import orjson

from seatrial.sim.apiserver import handlers, registry
from seatrial.sim.apiserver.bodies import body_resource, read
from seatrial.sim.apiserver.context import Context, Steps
from seatrial.sim.apiserver.options import write_options
from seatrial.sim.apiserver.patching import APPLY, JSON_PATCH, MERGE_PATCH, STRATEGIC
from seatrial.sim.apiserver.request import Object, Response
from seatrial.sim.machinery import apply, decode, errors, selectors, strategic
from seatrial.sim.machinery import patch as patches
from seatrial.sim.machinery.fields import FieldError, quoted

SPEC_PATH, STATUS_PATH = ("spec", "replicas"), ("status", "replicas")


def _paths(context: Context) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Where the kind keeps wanted replicas, present replicas and its selector."""
    custom = context.resource.scale_paths
    return custom if custom is not None else (SPEC_PATH, STATUS_PATH, ("spec", "selector"))


def _at(obj: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj


def _with(obj: Object, path: tuple[str, ...], value: Any) -> Object:
    head, rest = path[0], path[1:]
    return {**obj, head: _with(obj.get(head) or {}, rest, value) if rest else value}


def of(context: Context, obj: Object) -> Object:
    """The Scale of an object. Raises ApiError 500 for a custom resource that does not say how many it wants."""
    wanted, present, selector_path = _paths(context)
    metadata = obj["metadata"]
    named = {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")}
    replicas = _at(obj, wanted)
    if replicas is None and context.resource.custom is not None:
        raise errors.internal(f"the spec replicas field {quoted('.' + '.'.join(wanted))} does not exist")
    spec = {"replicas": replicas} if replicas else {}
    status: dict[str, Any] = {"replicas": _at(obj, present) or 0}
    selector = _at(obj, selector_path) if selector_path else None
    if selector and context.resource.storage == "replicationcontrollers":
        selector = {"matchLabels": selector}
    if selector:
        status["selector"] = selector if isinstance(selector, str) else selectors.text_of(selector)
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": named, "spec": spec, "status": status}


def get(context: Context) -> Steps[Response]:
    return handlers.reply(context, of(context, registry.get(context)))
    yield


def update(context: Context) -> Steps[Response]:
    options = write_options(context.query, "update")
    context.dry_run = options.dry_run
    given = read(context, body_resource(context), options.field_validation)
    handlers.check_name(context, given)
    handlers.check_namespace(context, given)
    return (yield from _store(context, lambda scale: given, options.field_manager))


def patch(context: Context) -> Steps[Response]:
    kind = context.request.content_type.partition(";")[0].strip()
    options = write_options(context.query, "patch", kind == APPLY)
    context.dry_run = options.dry_run
    body = context.request.body
    if isinstance(body, bytes | bytearray | memoryview):
        reader = decode.read_yaml if kind == APPLY else decode.read_json
        body = reader(bytes(body), options.field_validation, context.warnings)
    own = body_resource(context)

    def change(scale: Object) -> Object:
        if kind == JSON_PATCH:
            patched = patches.json_patch(scale, body)
        elif kind in (MERGE_PATCH, APPLY):
            patched = patches.merge_patch(scale, body)
        elif kind == STRATEGIC:
            patched = strategic.strategic_merge(scale, body, own.type)
        else:
            raise errors.unsupported_media_type((JSON_PATCH, MERGE_PATCH, STRATEGIC, APPLY))
        obj, warnings = decode.decode_value(own, orjson.loads(orjson.dumps(patched)), options.field_validation)
        context.warnings.extend(warnings)
        return obj

    return (yield from _store(context, change, options.field_manager))


def _store(context: Context, change: Any, field_manager: str) -> Steps[Response]:
    """Writes what the changed Scale says back into the object. Raises ApiError 409 and 422."""
    manager = field_manager or context.manager
    path = _paths(context)[0]

    def make(old: Object | None) -> Object:
        assert old is not None
        given = change(of(context, old))
        replicas = (given.get("spec") or {}).get("replicas") or 0
        if replicas < 0:
            text = f"Invalid value: {replicas}: must be greater than or equal to 0"
            raise errors.invalid(
                "autoscaling", "Scale", context.info.name, [FieldError("FieldValueInvalid", "spec.replicas", text)]
            )
        new = _with(old, path, replicas)
        version = (given.get("metadata") or {}).get("resourceVersion") or old["metadata"]["resourceVersion"]
        new = {**new, "metadata": {**new["metadata"], "resourceVersion": version}}
        subresource = context.info.subresource
        return apply.update_managed_fields(old, new, manager, subresource, context.stamp, context.resource)

    stored, _ = yield from registry.update(context, make)
    return handlers.reply(context, of(context, stored))
