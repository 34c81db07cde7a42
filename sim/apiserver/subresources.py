"""Subresources: which function answers what is behind an object's name.

``status`` and its like are updates of the object itself through a narrower door; the others have a body of their own
kind or end at the kubelet. Source: k8s.io/kubernetes/pkg/registry (the REST storage of each kind).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from seatrial.sim.apiserver import (
    binding,
    certificates,
    connecting,
    eviction,
    handlers,
    proxying,
    reviews,
    scale,
    tokenrequest,
)
from seatrial.sim.apiserver.context import Context, Steps
from seatrial.sim.apiserver.request import Response
from seatrial.sim.machinery import errors

Answer = Callable[[Context], Steps[Response]]


def _get(context: Context) -> Steps[Response]:
    return handlers.get(context)
    yield


OBJECT: Mapping[str, Answer] = {"get": _get, "update": handlers.update, "patch": handlers.patch}
"""Subresources that are the object itself."""

OF_EVERY_KIND: Mapping[str, Mapping[str, Answer]] = {
    "status": OBJECT,
    "scale": {"get": scale.get, "update": scale.update, "patch": scale.patch},
}

OF_KIND: Mapping[tuple[str, str], Mapping[str, Answer]] = {
    ("pods", "binding"): {"create": binding.create},
    ("pods", "eviction"): {"create": eviction.create},
    ("pods", "ephemeralcontainers"): OBJECT,
    ("pods", "resize"): OBJECT,
    ("pods", "log"): {"get": connecting.log},
    ("pods", "exec"): {"get": connecting.stream, "create": connecting.stream},
    ("pods", "attach"): {"get": connecting.stream, "create": connecting.stream},
    ("pods", "portforward"): {"get": connecting.stream, "create": connecting.stream},
    ("pods", "proxy"): proxying.PROXY,
    ("services", "proxy"): proxying.PROXY,
    ("nodes", "proxy"): proxying.PROXY,
    ("namespaces", "finalize"): {"update": handlers.update},
    ("serviceaccounts", "token"): {"create": tokenrequest.create},
    ("certificatesigningrequests.certificates.k8s.io", "approval"): certificates.APPROVAL,
    ("podcertificaterequests.certificates.k8s.io", "status"): certificates.SIGNING,
}

VIRTUAL: Mapping[str, Answer] = {
    "bindings": binding.create,
    "tokenreviews.authentication.k8s.io": reviews.token,
    "selfsubjectreviews.authentication.k8s.io": reviews.self_subject,
    "subjectaccessreviews.authorization.k8s.io": reviews.subject_access,
    "localsubjectaccessreviews.authorization.k8s.io": reviews.local_subject_access,
    "selfsubjectaccessreviews.authorization.k8s.io": reviews.self_subject_access,
    "selfsubjectrulesreviews.authorization.k8s.io": reviews.self_subject_rules,
}
"""Kinds that are answered and never stored."""


def answer(context: Context) -> Steps[Response]:
    """Raises ApiError 404 for a subresource that the kind does not have, 405 for a verb it does not serve."""
    resource, name = context.resource, context.info.subresource
    if name not in resource.subresources:
        raise errors.no_such_resource()
    served = OF_KIND.get((resource.storage, name)) or OF_EVERY_KIND.get(name)
    if served is None:
        raise errors.no_such_resource()
    found = served.get(context.info.verb)
    if found is None:
        raise errors.method_not_allowed()
    return (yield from found(context))


def create_virtual(context: Context) -> Steps[Response]:
    """The answer to a POST of a kind that is never stored."""
    found = VIRTUAL.get(context.resource.storage)
    if found is None:
        raise errors.method_not_allowed()
    return (yield from found(context))
