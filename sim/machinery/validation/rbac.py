"""Roles and bindings.

Source: k8s.io/kubernetes/pkg/apis/rbac/validation.
"""

from __future__ import annotations

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.golang import internal_form
from seatrial.sim.machinery.validation.label_selectors import label_selector
from seatrial.sim.machinery.validation.names import is_path_segment, is_subdomain
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Errors,
    Object,
    at,
    each,
    invalid,
    not_supported,
    required,
    same,
)

GROUP = "rbac.authorization.k8s.io"


def _rule(value: Object, namespaced: bool) -> Errors:
    errors: list[FieldError] = []
    urls, groups = value.get("nonResourceURLs") or [], value.get("apiGroups") or []
    resources, names = value.get("resources") or [], value.get("resourceNames") or []
    if not value.get("verbs"):
        errors.append(required("verbs"))
    if urls:
        if namespaced:
            told = "namespaced rules cannot apply to non-resource URLs"
            errors.append(invalid("nonResourceURLs", urls, told))
        if groups or resources or names:
            told = "rules cannot apply to both regular resources and non-resource URLs"
            errors.append(invalid("nonResourceURLs", urls, told))
        return errors
    if not groups:
        errors.append(required("apiGroups", "resource rules must supply at least one api group"))
    if not resources:
        errors.append(required("resources", "resource rules must supply at least one resource"))
    return errors


def role(value: Object) -> Errors:
    return each("rules", value.get("rules"), lambda rule: _rule(rule, namespaced=True))


def cluster_role(value: Object) -> Errors:
    errors = [*each("rules", value.get("rules"), lambda rule: _rule(rule, namespaced=False))]
    aggregation = value.get("aggregationRule")
    if aggregation is not None:
        selectors = aggregation.get("clusterRoleSelectors")
        if not selectors:
            told = "at least one clusterRoleSelector required if aggregationRule is non-nil"
            errors.append(required("aggregationRule.clusterRoleSelectors", told))
        errors += at("aggregationRule", each("clusterRoleSelectors", selectors, label_selector))
    return errors


def _subject(value: Object, namespaced: bool) -> Errors:
    errors: list[FieldError] = []
    kind, name, group = value.get("kind") or "", value.get("name") or "", value.get("apiGroup") or ""
    if not name:
        errors.append(required("name"))
    if kind == "ServiceAccount":
        if name:
            errors += at("name", is_subdomain(name))
        if group:
            errors.append(not_supported("apiGroup", group, ("",)))
        if not namespaced and not value.get("namespace"):
            errors.append(required("namespace"))
    elif kind in ("User", "Group"):
        if group != GROUP:
            errors.append(not_supported("apiGroup", group, (GROUP,)))
    else:
        errors.append(not_supported("kind", kind, ("ServiceAccount", "User", "Group")))
    return errors


def _binding(value: Object, kinds: tuple[str, ...], namespaced: bool) -> Errors:
    errors: list[FieldError] = []
    reference = value.get("roleRef") or {}
    group, kind, name = reference.get("apiGroup") or "", reference.get("kind") or "", reference.get("name") or ""
    if group != GROUP:
        errors.append(not_supported("roleRef.apiGroup", group, (GROUP,)))
    if kind not in kinds:
        errors.append(not_supported("roleRef.kind", kind, kinds))
    errors += at("roleRef.name", is_path_segment(name)) if name else [required("roleRef.name")]
    errors += each("subjects", value.get("subjects"), lambda subject: _subject(subject, namespaced))
    return errors


def role_binding(value: Object) -> Errors:
    return _binding(value, ("Role", "ClusterRole"), namespaced=True)


def cluster_role_binding(value: Object) -> Errors:
    return _binding(value, ("ClusterRole",), namespaced=False)


def binding_update(new: Object, old: Object) -> Errors:
    if same(new.get("roleRef"), old.get("roleRef")):
        return NONE
    return (invalid("roleRef", internal_form(new.get("roleRef"), "RoleRef"), "cannot change roleRef"),)
