"""Nobody grants what they do not have: roles and bindings are checked against the author's own rules.

Source: k8s.io/kubernetes/pkg/registry/rbac/{role,rolebinding,…}/policybased and
k8s.io/component-helpers/auth/rbac/validation. Whoever has the verb ``escalate`` on the role, or ``bind`` on the role
that a binding names, may go beyond their own rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from seatrial.sim.apiserver.authorization import MASTERS, rule_allows
from seatrial.sim.apiserver.authorization import Attributes as Asked
from seatrial.sim.apiserver.context import Attributes, Context
from seatrial.sim.machinery import errors

GROUP = "rbac.authorization.k8s.io"
Rule = Mapping[str, Any]


def check_role(context: Context, attributes: Attributes) -> None:
    """Raises ApiError 403 for a role that gives more than its author holds."""
    obj, old = attributes.object, attributes.old
    assert obj is not None
    if MASTERS in context.user.groups:
        return
    if (
        old is not None
        and obj.get("rules") == old.get("rules")
        and obj.get("aggregationRule") == old.get("aggregationRule")
    ):
        return
    resource, namespace = attributes.resource, attributes.namespace
    asked = Asked("escalate", GROUP, "v1", resource.plural, namespace=namespace, name=attributes.name)
    if context.server.authorizer.allowed(context.user, asked):
        return
    rules = list(obj.get("rules") or ())
    if obj.get("aggregationRule"):
        rules.append({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})
        rules.append({"verbs": ["*"], "nonResourceURLs": ["*"]})
    _check(context, attributes, rules)


def check_binding(context: Context, attributes: Attributes) -> None:
    """Raises ApiError 403 for a binding to a role that gives more than the binding's author holds."""
    obj, old = attributes.object, attributes.old
    assert obj is not None
    if MASTERS in context.user.groups:
        return
    if old is not None and obj.get("roleRef") == old.get("roleRef") and obj.get("subjects") == old.get("subjects"):
        return
    reference, namespace = obj["roleRef"], attributes.namespace
    plural = "clusterroles" if reference.get("kind") == "ClusterRole" else "roles"
    asked = Asked("bind", GROUP, "v1", plural, namespace=namespace, name=reference["name"])
    if context.server.authorizer.allowed(context.user, asked):
        return
    _check(context, attributes, context.server.authorizer.role_rules(reference, namespace))


def _check(context: Context, attributes: Attributes, rules: Sequence[Rule]) -> None:
    namespace = attributes.namespace
    own = [rule for where, rule in context.server.authorizer.rules(context.user) if where in (None, namespace)]
    missing = [rule for rule in rules if not all(any(rule_allows(held, one) for held in own) for one in _asked(rule))]
    if not missing:
        return
    user = context.user
    groups = ", ".join(f'"{group}"' for group in user.groups)
    listed = "\n".join(sorted(_compact(rule) for rule in missing))
    why = (
        f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n{listed}'
    )
    raise errors.forbidden(GROUP, attributes.resource.plural, attributes.name, why)


def _asked(rule: Rule) -> Iterator[Asked]:
    """A rule taken apart into single permissions (validation.BreakdownRule)."""
    for verb, group, resource, name in product(
        rule.get("verbs") or (),
        rule.get("apiGroups") or (),
        rule.get("resources") or (),
        rule.get("resourceNames") or [""],
    ):
        plural, _, subresource = resource.partition("/")
        yield Asked(verb, group, "*", plural, subresource, name=name)
    for verb, url in product(rule.get("verbs") or (), rule.get("nonResourceURLs") or ()):
        yield Asked(verb, path=url)


def _compact(rule: Rule) -> str:
    """A rule as the refusal prints it (rbacv1helpers.CompactString)."""
    parts = []
    for key, name in (
        ("apiGroups", "APIGroups"),
        ("resources", "Resources"),
        ("nonResourceURLs", "NonResourceURLs"),
        ("resourceNames", "ResourceNames"),
        ("verbs", "Verbs"),
    ):
        if rule.get(key):
            parts.append(f"{name}:[{', '.join(chr(34) + value + chr(34) for value in rule[key])}]")
    return "{" + ", ".join(parts) + "}"
