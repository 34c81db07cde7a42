"""Which requests a webhook or policy is for: rules, selectors, equivalent versions.

Source: k8s.io/apiserver/pkg/admission/plugin/webhook/predicates and …/plugin/policy/matching.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seatrial.sim.apiserver.context import Attributes, Context
from seatrial.sim.apiserver.request import Object
from seatrial.sim.machinery import errors, selectors
from seatrial.sim.machinery.kinds import Resource

Rule = Mapping[str, Any]

GROUP = "admissionregistration.k8s.io"
"""Objects of this group are never admitted by what they configure, lest nobody can mend it."""


def exempt(attributes: Attributes) -> bool:
    """Whether no webhook or policy is asked."""
    return attributes.resource.group == GROUP


def matched(
    context: Context,
    attributes: Attributes,
    hook: Mapping[str, Any],
    rules: Sequence[Rule],
    excluded: Sequence[Rule] = (),
) -> Resource | None:
    """The version to show the request in; None when it is not for this webhook or policy.

    ``hook`` holds matchPolicy, namespaceSelector and objectSelector. Raises ApiError 404 when the namespace is gone.
    """
    equivalent = hook.get("matchPolicy") != "Exact"
    resource = _by_rules(context, attributes, rules, equivalent) if rules else attributes.resource
    if resource is None or (excluded and _by_rules(context, attributes, excluded, equivalent) is not None):
        return None
    if not _in_namespace(context, attributes, hook.get("namespaceSelector")):
        return None
    return resource if _selected(attributes, hook.get("objectSelector")) else None


def _by_rules(context: Context, attributes: Attributes, rules: Sequence[Rule], equivalent: bool) -> Resource | None:
    for rule in rules:
        if rule_matches(rule, attributes, attributes.resource):
            return attributes.resource
    if equivalent:
        for other in equivalents(context, attributes.resource):
            for rule in rules:
                if rule_matches(rule, attributes, other):
                    return other
    return None


def equivalents(context: Context, resource: Resource) -> tuple[Resource, ...]:
    """Other versions under which the same objects are served."""
    kinds = context.server.kinds

    def find() -> dict[str, tuple[Resource, ...]]:
        found: dict[str, tuple[Resource, ...]] = {}
        for row in kinds:
            found[row.storage] = (*found.get(row.storage, ()), row)
        return found

    rows: tuple[Resource, ...] = kinds.remembered("equivalents", find).get(resource.storage, ())
    return tuple(row for row in rows if row is not resource)


def rule_matches(rule: Rule, attributes: Attributes, resource: Resource) -> bool:
    """Whether one rule covers the request, were it for ``resource``."""
    return (
        _listed(rule.get("operations"), attributes.operation)
        and _listed(rule.get("apiGroups"), resource.group)
        and _listed(rule.get("apiVersions"), resource.version)
        and any(_resource(pattern, resource.plural, attributes.subresource) for pattern in rule.get("resources") or ())
        and _scope(rule.get("scope") or "*", attributes)
        and _named(rule.get("resourceNames"), attributes.name)
    )


def _listed(values: Sequence[str] | None, wanted: str) -> bool:
    return any(value in ("*", wanted) for value in values or ())


def _resource(pattern: str, plural: str, subresource: str) -> bool:
    resource, _, sub = pattern.partition("/")
    return resource in ("*", plural) and sub in ("*", subresource)


def _scope(scope: str, attributes: Attributes) -> bool:
    if scope == "*":
        return True
    namespaced = bool(attributes.namespace) and attributes.resource.storage != "namespaces"
    return namespaced == (scope == "Namespaced")


def _named(names: Sequence[str] | None, wanted: str) -> bool:
    return not names or wanted in names


def namespace_of(context: Context, attributes: Attributes) -> Object | None:
    """The namespace that the request is in; None for what has none, namespaces themselves included."""
    if not attributes.namespace or attributes.resource.storage == "namespaces":
        return None
    found = context.server.store.get("namespaces", "", attributes.namespace)
    if found is None:
        raise errors.not_found("", "namespaces", attributes.namespace)
    return found


def _in_namespace(context: Context, attributes: Attributes, selector: Any) -> bool:
    if not selector:
        return True
    if attributes.resource.storage == "namespaces":
        held = attributes.object if attributes.operation in ("CREATE", "UPDATE") else attributes.old
        return held is None or selectors.labels(selector)(_labels(held))
    namespace = namespace_of(context, attributes)
    return namespace is None or selectors.labels(selector)(_labels(namespace))


def _labels(obj: Object) -> Mapping[str, str]:
    labels: Mapping[str, str] = (obj.get("metadata") or {}).get("labels") or {}
    return labels


def _selected(attributes: Attributes, selector: Any) -> bool:
    """Either what is or what was there may be selected."""
    if not selector:
        return True
    matches = selectors.labels(selector)
    return any(obj is not None and matches(_labels(obj)) for obj in (attributes.object, attributes.old))
