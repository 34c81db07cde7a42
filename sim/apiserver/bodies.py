"""Bodies of subresources: a Scale, Binding, Eviction or TokenRequest that is decoded and defaulted, never stored."""

from __future__ import annotations

from functools import lru_cache

from seatrial.sim.apiserver.context import Context
from seatrial.sim.apiserver.representation import negotiate
from seatrial.sim.apiserver.request import Object
from seatrial.sim.machinery import decode, defaults, errors
from seatrial.sim.machinery.kinds import Resource


def read(context: Context, resource: Resource, field_validation: str) -> Object:
    """The request's body as an object of the given kind. Raises ApiError 400, and 406 before anything is stored."""
    negotiate(context.request.accept)
    body = context.request.body
    if isinstance(body, bytes | bytearray | memoryview):
        obj, warnings = decode.decode(resource, bytes(body), context.request.content_type, field_validation)
        context.warnings.extend(warnings)
    else:
        obj = body
    return defaults.default(resource, obj)


def body_resource(context: Context) -> Resource:
    """The kind of the subresource's own body, e.g. autoscaling/v1 Scale for deployments/scale."""
    parent, own = context.resource, context.resource.subresources[context.info.subresource]
    return _row(own.group or parent.group, own.version or parent.version, own.kind)


@lru_cache(maxsize=64)
def _row(group: str, version: str, kind: str) -> Resource:
    """A row for a kind that has no collection of its own."""
    plural = f"{kind.lower()}s"
    return Resource(
        group, version, plural, kind.lower(), kind, True, ("create",), storage=errors.group_resource(group, plural)
    )
