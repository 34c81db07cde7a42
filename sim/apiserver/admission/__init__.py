"""Admission: the plug-ins that every write passes, in upstream's order.

``mutate`` runs the mutating plug-ins one after the other, ``validate`` the validating ones. A plug-in is a function of
the request's context and its attributes; it raises ApiError to refuse. Source: the order of
k8s.io/kubernetes/pkg/kubeapiserver/options/plugins.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from seatrial.sim.apiserver.admission import (
    accounts,
    defaults,
    escalation,
    lifecycle,
    limits,
    noderestriction,
    podsecurity,
    policies,
    policies_mutating,
    priority,
    quota,
    resizing,
    webhooks,
)
from seatrial.sim.apiserver.admission.webhooks import Round
from seatrial.sim.apiserver.context import Attributes, Context, Steps
from seatrial.sim.apiserver.request import Object

Mutate = Callable[[Context, Attributes], Object]
Validate = Callable[[Context, Attributes], None]

EVERY = "*"

MUTATING: Mapping[str, tuple[tuple[str, Mutate], ...]] = {
    "pods": (
        ("CREATE", limits.defaulted),
        ("UPDATE", limits.defaulted),
        ("CREATE", accounts.with_account),
        ("CREATE", priority.with_priority),
        ("CREATE", defaults.with_toleration_seconds),
        ("UPDATE", defaults.with_toleration_seconds),
        ("CREATE", defaults.with_runtime_class),
    ),
    "nodes": (("CREATE", defaults.not_ready_taint),),
    "persistentvolumeclaims": (("CREATE", defaults.storage_class), ("CREATE", defaults.in_use_protection)),
    "persistentvolumes": (("CREATE", defaults.in_use_protection),),
    "ingresses.networking.k8s.io": (("CREATE", defaults.ingress_class),),
    "priorityclasses.scheduling.k8s.io": (),
    "certificatesigningrequests.certificates.k8s.io": (("CREATE", accounts.with_requester),),
}
"""The plug-ins of each kind, by the operation they handle."""


def _both(plugin: Validate) -> tuple[tuple[str, Validate], ...]:
    return ("CREATE", plugin), ("UPDATE", plugin)


VALIDATING: Mapping[str, tuple[tuple[str, Validate], ...]] = {
    EVERY: (("CREATE", lifecycle.check), ("DELETE", lifecycle.check)),
    "namespaces": _both(podsecurity.check_namespace),
    "pods": (*_both(limits.check), *_both(podsecurity.check_pod), ("UPDATE", resizing.check)),
    "persistentvolumeclaims": (("CREATE", limits.check),),
    "priorityclasses.scheduling.k8s.io": _both(priority.check_class),
    "roles.rbac.authorization.k8s.io": _both(escalation.check_role),
    "clusterroles.rbac.authorization.k8s.io": _both(escalation.check_role),
    "rolebindings.rbac.authorization.k8s.io": _both(escalation.check_binding),
    "clusterrolebindings.rbac.authorization.k8s.io": _both(escalation.check_binding),
    **{storage: _both(podsecurity.check_template) for storage in podsecurity.TEMPLATES},
}


VALIDATED_SUBRESOURCES = ("", "ephemeralcontainers", "resize")
"""Doors to the spec; what changes a status or a scale passes no plug-in for the object itself."""


def mutate(context: Context, attributes: Attributes) -> Steps[Object]:
    """The object as the mutating plug-ins leave it. Raises ApiError."""
    assert attributes.object is not None
    for operation, early in VALIDATING[EVERY]:
        if operation == attributes.operation:
            early(context, attributes)
    if attributes.resource.storage == "pods" and attributes.operation == "CREATE" and not attributes.subresource:
        attributes = _cast(context, attributes, attributes.object)
    else:
        attributes = _built_in(context, attributes)
    if webhooks.wanted(context):
        attributes = yield from _configured(context, attributes)
    assert attributes.object is not None
    return attributes.object


def _cast(context: Context, attributes: Attributes, pod: Object) -> Attributes:
    """As ``_built_in`` for a new pod; one that says what others said before gets what they got."""

    def plugins() -> Object:
        made = _built_in(context, attributes).object
        assert made is not None
        return made

    new, context.cast = context.server.molds.mutated(pod, attributes.namespace, plugins)
    return attributes if new is pod else attributes.about(new)


def _built_in(context: Context, attributes: Attributes) -> Attributes:
    if not attributes.subresource:
        for operation, plugin in MUTATING.get(attributes.resource.storage, ()):
            if operation == attributes.operation:
                obj = plugin(context, attributes)
                if obj is not attributes.object:
                    attributes = attributes.about(obj)
    return attributes


def _configured(context: Context, attributes: Attributes, built_in: bool = True) -> Steps[Attributes]:
    """What policies and webhooks make of the object; once more, built-in plug-ins included, if one changed it."""
    rounds = Round(), Round()
    for again in (False, True):
        if again:
            if not any(stage.wanted for stage in rounds):
                break
            for stage in rounds:
                stage.again = True
            if built_in and attributes.object is not None:
                attributes = _built_in(context, attributes)
        attributes = attributes.about(policies_mutating.mutate(context, attributes, rounds[0]))
        attributes = attributes.about((yield from webhooks.mutate(context, attributes, rounds[1])))
    return attributes


def admit(context: Context, operation: str, obj: Object) -> Steps[Object]:
    """What policies and webhooks make of a body that is stored nowhere: an eviction, a binding, a connection's options.

    Raises ApiError.
    """
    if not webhooks.configured(context):
        return obj
    info = context.info
    name = info.name or (obj.get("metadata") or {}).get("name", "")
    attributes = Attributes(
        operation, context.resource, info.subresource, context.namespace, name, obj, None, context.user, context.dry_run
    )
    if webhooks.wanted(context):
        attributes = yield from _configured(context, attributes, built_in=False)
    policies.check(context, attributes)
    yield from webhooks.validate(context, attributes)
    return attributes.object if attributes.object is not None else obj


def validate(context: Context, attributes: Attributes) -> Steps[None]:
    """Raises the ApiError of the first plug-in that refuses."""
    if attributes.operation == "DELETE":
        lifecycle.check(context, attributes)
        if webhooks.wanted(context):
            yield from _configured(context, attributes)
    noderestriction.check(context, attributes)
    if attributes.subresource in VALIDATED_SUBRESOURCES:
        for operation, plugin in VALIDATING.get(attributes.resource.storage, ()):
            if operation == attributes.operation:
                plugin(context, attributes)
    policies.check(context, attributes)
    yield from webhooks.validate(context, attributes)
    quota.check(context, attributes)
