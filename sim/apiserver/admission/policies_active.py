"""Which policies there are, with their bindings and parameters.

Source: k8s.io/apiserver/pkg/admission/plugin/policy/generic (policy_source.go, policy_dispatcher.go). A policy takes
effect with the write that makes it. *Not modelled*: the moment that upstream's informers take.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from seatrial.sim.apiserver.admission import matching
from seatrial.sim.apiserver.context import Attributes, Context
from seatrial.sim.apiserver.request import Object
from seatrial.sim.machinery import conversion, selectors
from seatrial.sim.machinery.kinds import Resource

NO_PARAMS = "no params found for policy binding with `Deny` parameterNotFoundAction"
NEEDS_NAMESPACE = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
NEEDS_NO_NAMESPACE = "paramRef.namespace must not be provided for a cluster-scoped `paramKind`"


class Misconfigured(Exception):
    """A policy or binding that cannot be used for a request."""


class Invocation(NamedTuple):
    """A policy through one of its bindings with one parameter object."""

    policy: Object
    binding: Object
    shown_as: Resource
    param: Object | None


class Failure(NamedTuple):
    """A policy, or one of its bindings, that cannot be used."""

    policy: Object
    binding: Object | None
    message: str


def invocations(context: Context, attributes: Attributes, kind: str) -> Iterator[Invocation | Failure]:
    """What is to be run for a request. ``kind``: validatingadmission or mutatingadmission."""
    store = context.server.store
    bindings = store.list(f"{kind}policybindings.{matching.GROUP}")
    if not bindings or matching.exempt(attributes):
        return
    for policy in store.list(f"{kind}policies.{matching.GROUP}"):
        own = [binding for binding in bindings if binding["spec"].get("policyName") == policy["metadata"]["name"]]
        if own:
            yield from _of_policy(context, attributes, policy, own)


def _match(context: Context, attributes: Attributes, constraints: Mapping[str, Any]) -> Resource | None:
    rules, excluded = constraints.get("resourceRules") or (), constraints.get("excludeResourceRules") or ()
    return matching.matched(context, attributes, constraints, rules, excluded)


def _of_policy(
    context: Context, attributes: Attributes, policy: Object, bindings: list[Object]
) -> Iterator[Invocation | Failure]:
    spec = policy["spec"]
    shown_as = _match(context, attributes, spec.get("matchConstraints") or {})
    if shown_as is None:
        return
    kind = spec.get("paramKind")
    resource = None if kind is None else _param_resource(context, kind)
    if kind is not None and resource is None:
        group, _, version = kind["apiVersion"].rpartition("/")
        text = f"failed to find resource referenced by paramKind: '{group}/{version}, Kind={kind['kind']}'"
        yield Failure(policy, None, f"failed to configure policy: {text}")
        return
    for binding in bindings:
        constraints = binding["spec"].get("matchResources")
        if constraints is not None and _match(context, attributes, constraints) is None:
            continue
        try:
            found = params(context, attributes, resource, binding["spec"].get("paramRef"))
        except Misconfigured as problem:
            yield Failure(policy, binding, f"failed to configure binding: {problem}")
            continue
        for param in found:
            yield Invocation(policy, binding, shown_as, param)


def _param_resource(context: Context, kind: Mapping[str, str]) -> Resource | None:
    group, _, version = kind["apiVersion"].rpartition("/")
    return context.server.kinds.by_kind(group, version, kind["kind"])


def params(
    context: Context, attributes: Attributes, resource: Resource | None, reference: Mapping[str, Any] | None
) -> list[Object | None]:
    """The parameter objects of a binding; one None for a policy without. Raises Misconfigured."""
    if resource is None or reference is None:
        return [None]
    namespace = ""
    if resource.namespaced:
        namespace = reference.get("namespace") or attributes.namespace
        if not namespace:
            raise Misconfigured(NEEDS_NAMESPACE)
    elif reference.get("namespace"):
        raise Misconfigured(NEEDS_NO_NAMESPACE)
    store, found = context.server.store, []
    if reference.get("name"):
        one = store.get(resource.storage, namespace, reference["name"])
        found = [one] if one is not None else []
    else:
        matches = selectors.labels(reference.get("selector") or {})
        listed = store.list(resource.storage, namespace or None)
        found = [obj for obj in listed if matches(obj["metadata"].get("labels") or {})]
    if not found and reference.get("parameterNotFoundAction") == "Deny":
        raise Misconfigured(NO_PARAMS)
    return [conversion.convert(obj, resource) for obj in found]
