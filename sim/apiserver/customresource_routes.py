"""What the routes of custom kinds do not serve, in the words of their own handler.

Source: k8s.io/apiextensions-apiserver/pkg/apiserver/customresource_handler.go.
"""

from __future__ import annotations

from seatrial.sim.apiserver.routing import RequestInfo
from seatrial.sim.machinery import errors
from seatrial.sim.machinery.kinds import Resource

ACROSS_NAMESPACES = ("list", "watch")
OF_OBJECTS = ("get", "update", "patch")
"""The verbs of subresources."""


def admit(resource: Resource, info: RequestInfo, warnings: list[str]) -> None:
    """Lets a request for a custom kind pass; ``warnings`` gets what its version is deprecated for.

    Raises PlainError 404 for a wrong scope, ApiError 404 for an unknown subresource, 405 for what is not served.
    """
    custom = resource.custom
    assert custom is not None
    if resource.namespaced:
        if not info.namespace and info.verb not in ACROSS_NAMESPACES:
            raise errors.PlainError(404, "404 page not found\n")
    elif info.namespace:
        raise errors.PlainError(404, "404 page not found\n")
    if custom.deprecation:
        warnings.append(custom.deprecation)
    if info.subresource:
        if info.subresource not in resource.subresources:
            raise errors.not_found(resource.group, resource.plural, info.name)
        if info.verb not in OF_OBJECTS:
            raise not_supported(resource, f"{info.verb} is not supported on resources of kind")
    elif info.verb == "create" and custom.terminating:
        text = "create not allowed while custom resource definition is terminating"
        raise errors.ApiError(405, "MethodNotAllowed", text, {"group": resource.group, "kind": resource.plural})


def not_supported(resource: Resource, begin: str) -> errors.ApiError:
    """405 that names the resource (NewMethodNotSupported)."""
    text = f'{begin} "{errors.group_resource(resource.group, resource.plural)}"'
    return errors.ApiError(405, "MethodNotAllowed", text, {"group": resource.group, "kind": resource.plural})
