"""Selectors of objects by label, and of nodes by label or field.

Source: k8s.io/apimachinery/pkg/apis/meta/v1/validation and k8s.io/kubernetes/pkg/apis/core/validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.names import (
    is_label_value,
    is_qualified_name,
    label_value,
    qualified_name,
    subdomain,
)
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Errors,
    Object,
    at,
    each,
    forbidden,
    invalid,
    required,
)

NOT_AN_OPERATOR = "not a valid selector operator"


def labels(value: Mapping[str, str]) -> Errors:
    """A map of labels; its errors do not say which one, they show it."""
    errors: list[FieldError] = []
    for key, text in value.items():
        if found := qualified_name(key):
            errors += [invalid("", key, wrong) for wrong in found]
        if found := label_value(text):
            errors += [invalid("", text, wrong) for wrong in found]
    return errors or NONE


def label_selector(value: Object) -> Errors:
    """A LabelSelector, values included."""
    errors: list[FieldError] = []
    if matched := value.get("matchLabels"):
        errors += at("matchLabels", labels(matched))
    errors += each("matchExpressions", value.get("matchExpressions"), _requirement)
    return errors or NONE


def _requirement(value: Object) -> Errors:
    errors: list[FieldError] = []
    operator, values = value.get("operator") or "", value.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            errors.append(required("values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            errors.append(forbidden("values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    else:
        errors.append(invalid("operator", operator, NOT_AN_OPERATOR))
    errors += at("key", is_qualified_name(value.get("key") or ""))
    errors += each("values", values, is_label_value)
    return errors or NONE


def is_empty(selector: Object) -> bool:
    return not selector.get("matchLabels") and not selector.get("matchExpressions")


def converts(selector: Object) -> bool:
    """Whether a selector can be used at all (metav1.LabelSelectorAsSelector)."""
    return not label_selector(selector)


NODE_OPERATORS: Mapping[str, tuple[int, Any]] = {
    "In": (1, None),
    "NotIn": (1, None),
    "Exists": (0, 0),
    "DoesNotExist": (0, 0),
    "Gt": (1, 1),
    "Lt": (1, 1),
}
"""Operator -> least and most values."""


def node_requirement(value: Object) -> Errors:
    return _node_requirement(value, strict=True)


def _node_requirement(value: Object, strict: bool) -> Errors:
    errors: list[FieldError] = []
    operator, values = value.get("operator") or "", value.get("values") or ()
    if operator not in NODE_OPERATORS:
        errors.append(invalid("operator", operator, NOT_AN_OPERATOR))
    else:
        least, most = NODE_OPERATORS[operator]
        if most == 1 and len(values) != 1:
            errors.append(required("values", "must be specified single value when `operator` is 'Lt' or 'Gt'"))
        elif most is None and len(values) < least:
            errors.append(required("values", "must be specified when `operator` is 'In' or 'NotIn'"))
        elif most == 0 and values:
            errors.append(forbidden("values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    errors += at("key", is_qualified_name(value.get("key") or ""))
    if strict:
        errors += each("values", values, is_label_value)
    return errors or NONE


def _node_field(value: Object) -> Errors:
    errors: list[FieldError] = []
    operator, values = value.get("operator") or "", value.get("values") or ()
    key = value.get("key") or ""
    if operator not in ("In", "NotIn"):
        errors.append(invalid("operator", operator, NOT_AN_OPERATOR))
    elif len(values) != 1:
        detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        errors.append(required("values", detail))
    if key != "metadata.name":
        errors.append(invalid("key", key, "not a valid field selector key"))
    else:
        for index, name in enumerate(values):
            errors += [invalid(f"values[{index}]", name, text) for text in subdomain(name)]
    return errors or NONE


def node_term(value: Object) -> Errors:
    """A term that a node must fit."""
    expressions = each("matchExpressions", value.get("matchExpressions"), node_requirement)
    fields = each("matchFields", value.get("matchFields"), _node_field)
    return [*expressions, *fields] if expressions or fields else NONE


def preferred_node_term(value: Object) -> Errors:
    """A term that a node may fit; its values were never checked."""
    errors = [*each("matchExpressions", value.get("matchExpressions"), lambda v: _node_requirement(v, strict=False))]
    errors += each("matchFields", value.get("matchFields"), _node_field)
    return errors


def node_selector(value: Object) -> Errors:
    terms = value.get("nodeSelectorTerms")
    if not terms:
        return (required("nodeSelectorTerms", "must have at least one node selector term"),)
    return each("nodeSelectorTerms", terms, node_term)
