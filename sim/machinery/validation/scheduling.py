"""Where pods may go: affinity, tolerations, taints, spreading, gates.

Source: k8s.io/kubernetes/pkg/apis/core/validation (validateAffinity, ValidateTolerations,
validateTopologySpreadConstraints, validateNodeTaints).
"""

from __future__ import annotations

from collections.abc import Sequence

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.label_selectors import label_selector, node_selector, preferred_node_term
from seatrial.sim.machinery.validation.memo import remembered
from seatrial.sim.machinery.validation.names import is_qualified_name, label, label_value, qualified_name
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Errors,
    Object,
    at,
    duplicate,
    each,
    forbidden,
    invalid,
    not_supported,
    required,
)
from seatrial.sim.machinery.validation.table import table

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
WHEN_UNSATISFIABLE = ("DoNotSchedule", "ScheduleAnyway")
INCLUSION_POLICIES = ("Honor", "Ignore")


def _weight(value: Object) -> Errors:
    weight = value.get("weight") or 0
    return NONE if 1 <= weight <= 100 else (invalid("weight", weight, "must be in the range 1-100"),)


def _preferred_node(value: Object) -> Errors:
    return [*_weight(value), *at("preference", preferred_node_term(value.get("preference") or {}))]


def _label_keys(name: str, term: Object) -> Errors:
    keys = term.get(name)
    if not keys:
        return NONE
    if term.get("labelSelector") is None:
        return (forbidden(name, "must not be specified when labelSelector is not set"),)
    return each(name, keys, is_qualified_name)


def _pod_term(value: Object) -> Errors:
    errors: list[FieldError] = []
    for name in ("labelSelector", "namespaceSelector"):
        if (selector := value.get(name)) is not None:
            errors += at(name, label_selector(selector))
    for namespace in value.get("namespaces") or ():
        errors += [invalid("namespace", namespace, text) for text in label(namespace)]
    errors += _label_keys("matchLabelKeys", value)
    errors += _label_keys("mismatchLabelKeys", value)
    errors += _keys_collide(value)
    key = value.get("topologyKey") or ""
    if not key:
        errors.append(required("topologyKey", "can not be empty"))
    errors += at("topologyKey", is_qualified_name(key))
    return errors


def _keys_collide(term: Object) -> Errors:
    """Keys that are matched in two ways."""
    errors: list[FieldError] = []
    keys, selector = term.get("matchLabelKeys") or (), term.get("labelSelector")
    if keys and selector is not None:
        seen = list(selector.get("matchLabels") or ())
        for expression in selector.get("matchExpressions") or ():
            key = expression.get("key")
            if key in keys and key in seen:
                told = "exists in both matchLabelKeys and labelSelector"
                errors.append(invalid(f"[{list(keys).index(key)}]", key, told))
            seen.append(key)
    for index, key in enumerate(keys):
        if key in (term.get("mismatchLabelKeys") or ()):
            told = "exists in both matchLabelKeys and mismatchLabelKeys"
            errors.append(invalid(f"matchLabelKeys[{index}]", key, told))
    return errors


def _weighted_pod_term(value: Object) -> Errors:
    return [*_weight(value), *at("podAffinityTerm", _pod_term(value.get("podAffinityTerm") or {}))]


REQUIRED_TERMS = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED_TERMS = "preferredDuringSchedulingIgnoredDuringExecution"

_pod_affinity = table({f"{REQUIRED_TERMS}[]": _pod_term, f"{PREFERRED_TERMS}[]": _weighted_pod_term})

affinity = remembered(
    table(
        {
            "nodeAffinity": table({REQUIRED_TERMS: node_selector, f"{PREFERRED_TERMS}[]": _preferred_node}),
            "podAffinity": _pod_affinity,
            "podAntiAffinity": _pod_affinity,
        }
    )
)


def effect(value: str) -> Errors:
    return NONE if value in EFFECTS else (not_supported("", value, EFFECTS),)


def toleration(value: Object) -> Errors:
    errors: list[FieldError] = []
    key, operator, text = value.get("key") or "", value.get("operator") or "", value.get("value") or ""
    wanted_effect = value.get("effect") or ""
    if key:
        errors += at("key", is_qualified_name(key))
    elif operator != "Exists":
        told = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        errors.append(invalid("operator", operator, told))
    if value.get("tolerationSeconds") is not None and wanted_effect != "NoExecute":
        told = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        errors.append(invalid("effect", wanted_effect, told))
    if operator in ("", "Equal"):
        if wrong := label_value(text):
            errors.append(invalid("operator", text, ";".join(wrong)))
    elif operator == "Exists":
        if text:
            errors.append(invalid("operator", text, "value must be empty when `operator` is 'Exists'"))
    else:
        errors.append(not_supported("operator", operator, ("Equal", "Exists")))
    if wanted_effect:
        errors += at("effect", effect(wanted_effect))
    return errors or NONE


tolerations = remembered(lambda values: each("", values, toleration))
"""Paths begin with the index."""


def taints(values: Sequence[Object]) -> Errors:
    """A node's taints; paths begin with the index."""
    errors: list[FieldError] = []
    seen: list[tuple[str, str]] = []
    for index, taint in enumerate(values):
        key, text, what = taint.get("key") or "", taint.get("value") or "", taint.get("effect") or ""
        found = [invalid("key", key, wrong) for wrong in qualified_name(key)]
        if wrong := label_value(text):
            found.append(invalid("value", text, ";".join(wrong)))
        found += at("effect", effect(what)) if what else [required("effect")]
        if (key, what) in seen:
            shown = {"Key": key, "Value": text, "Effect": what, "TimeAdded": taint.get("timeAdded")}
            found.append(duplicate("", shown, "taints must be unique by key and effect pair"))
        seen.append((key, what))
        errors += at(f"[{index}]", found)
    return errors


def _spread(value: Object) -> Errors:
    errors: list[FieldError] = []
    skew, when = value.get("maxSkew") or 0, value.get("whenUnsatisfiable") or ""
    if skew <= 0:
        errors.append(invalid("maxSkew", skew, "must be greater than zero"))
    if not value.get("topologyKey"):
        errors.append(required("topologyKey", "can not be empty"))
    if when not in WHEN_UNSATISFIABLE:
        errors.append(not_supported("whenUnsatisfiable", when, WHEN_UNSATISFIABLE))
    domains = value.get("minDomains")
    if domains is not None:
        if domains <= 0:
            errors.append(invalid("minDomains", domains, "must be greater than zero"))
        if when != "DoNotSchedule":
            told = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}"
            errors.append(invalid("minDomains", domains, told))
    for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        policy = value.get(name)
        if policy is not None and policy not in INCLUSION_POLICIES:
            errors.append(not_supported(name, policy, INCLUSION_POLICIES))
    selector = value.get("labelSelector")
    errors += _spread_keys(value.get("matchLabelKeys") or (), selector)
    if selector is not None:
        errors += at("labelSelector", label_selector(selector))
    return errors


def _spread_keys(keys: Sequence[str], selector: Object | None) -> Errors:
    if not keys:
        return NONE
    errors: list[FieldError] = []
    taken: list[str] = []
    if selector is None:
        errors.append(forbidden("matchLabelKeys", "must not be specified when labelSelector is not set"))
    else:
        taken += selector.get("matchLabels") or ()
        taken += [expression.get("key") or "" for expression in selector.get("matchExpressions") or ()]
    for index, key in enumerate(keys):
        errors += at(f"matchLabelKeys[{index}]", is_qualified_name(key))
        if key in taken:
            told = "exists in both matchLabelKeys and labelSelector"
            errors.append(invalid(f"matchLabelKeys[{index}]", key, told))
    return errors


def _spreads(values: Sequence[Object]) -> Errors:
    errors = [*each("", values, _spread)]
    pairs = [(value.get("topologyKey") or "", value.get("whenUnsatisfiable") or "") for value in values]
    for index, pair in enumerate(pairs):
        if pair in pairs[index + 1 :]:
            path = f"[{index}].{{topologyKey, whenUnsatisfiable}}"
            errors.append(duplicate(path, f"{{{pair[0]}, {pair[1]}}}"))
    return errors


spreads = remembered(_spreads)
"""topologySpreadConstraints; paths begin with the index."""


def gates(values: Sequence[Object]) -> Errors:
    """schedulingGates; paths are the index."""
    errors: list[FieldError] = []
    seen: list[str] = []
    for index, gate in enumerate(values):
        name = gate.get("name") or ""
        errors += at(f"[{index}]", is_qualified_name(name))
        if name in seen:
            errors.append(duplicate(f"[{index}]", name))
        seen.append(name)
    return errors


def readiness_gates(values: Sequence[Object]) -> Errors:
    return each("", values, lambda gate: at("conditionType", is_qualified_name(gate.get("conditionType") or "")))
