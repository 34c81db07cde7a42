"""LimitRanges and ResourceQuotas.

Source: k8s.io/kubernetes/pkg/apis/core/validation (ValidateLimitRange, ValidateResourceQuota).
"""

from __future__ import annotations

from typing import Any

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.quantity import Quantity, parse
from seatrial.sim.machinery.validation.names import qualified_name
from seatrial.sim.machinery.validation.problems import (
    IMMUTABLE,
    NONE,
    Errors,
    Object,
    at,
    duplicate,
    forbidden,
    invalid,
    required,
)
from seatrial.sim.machinery.validation.resources import (
    QUOTA_RESOURCES,
    allows_overcommit,
    amount,
    amounts,
    container_resource_name,
    quota_resource_name,
    resource_name,
)

LIMIT_TYPES = ("Pod", "Container", "PersistentVolumeClaim")
SCOPES = (
    "Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
)  # fmt: skip
ONLY_EXISTS = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)
POD_QUOTAS = frozenset(
    {
        "pods", "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory",
    }
)  # fmt: skip
"""What pods are counted by, whatever their quality of service."""
ONE = parse("1")
MILLI_MAX = ((1 << 63) - 1) // 1000
"""The largest value whose thousandths fit (resource.MaxMilliValue)."""


def limit_range(value: Object) -> Errors:
    errors: list[FieldError] = []
    kinds: list[str] = []
    for index, limit in enumerate((value.get("spec") or {}).get("limits") or ()):
        kind = limit.get("type") or ""
        found = [*at("type", _limit_type(kind))]
        if kind in kinds:
            found.append(duplicate("type", kind))
        kinds.append(kind)
        errors += at(f"spec.limits[{index}]", [*found, *_limit(kind, limit)])
    return errors


def _limit_type(kind: str) -> Errors:
    if kind in LIMIT_TYPES:
        return NONE
    wrong = qualified_name(kind)
    if wrong:
        return [invalid("", kind, text) for text in wrong]
    return NONE if "/" in kind else (invalid("", kind, "must be a standard limit type or fully qualified"),)


FIELDS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


def _limit(kind: str, limit: Object) -> Errors:
    errors: list[FieldError] = []
    check = container_resource_name if kind in ("Pod", "Container") else resource_name
    listed: dict[str, dict[str, Quantity]] = {}
    for field in FIELDS:
        values = limit.get(field) or {}
        if kind == "Pod" and field in ("default", "defaultRequest"):
            if values:
                errors.append(forbidden(field, "may not be specified when `type` is 'Pod'"))
            values = {}
        for name in values:
            errors += at(f"{field}[{name}]", check(name))
        listed[field] = {name: amount(value) for name, value in values.items()}
    if kind == "PersistentVolumeClaim" and "storage" not in listed["min"] and "storage" not in listed["max"]:
        told = "either minimum or maximum storage value is required, but neither was provided"
        errors.append(required("limits", told))
    for name in dict.fromkeys(name for field in FIELDS for name in listed[field]):
        errors += _compared(name, *(listed[field].get(name) for field in FIELDS))
    return errors


def _compared(
    name: str,
    most: Quantity | None,
    least: Quantity | None,
    default: Quantity | None,
    asked: Quantity | None,
    ratio: Quantity | None,
) -> Errors:
    """What of one resource contradicts what; an error of a default shows what it is compared with."""
    rules = (
        ("min", least, most, least, "min value {} is greater than max value {}"),
        ("defaultRequest", least, asked, asked, "min value {} is greater than default request value {}"),
        ("defaultRequest", asked, most, asked, "default request value {} is greater than max value {}"),
        ("defaultRequest", asked, default, asked, "default request value {} is greater than default limit value {}"),
        ("default", least, default, least, "min value {} is greater than default value {}"),
        ("default", default, most, most, "default value {} is greater than max value {}"),
    )
    errors = [
        invalid(f"{field}[{name}]", str(shown), told.format(larger, smaller))
        for field, larger, smaller, shown, told in rules
        if larger is not None and smaller is not None and larger > smaller
    ]
    if ratio is not None:
        errors += at(f"maxLimitRequestRatio[{name}]", _ratio(ratio, least, most))
    if not allows_overcommit(name) and default is not None and asked is not None and default != asked:
        told = f"default value {default} must equal to defaultRequest value {asked} in {name}"
        errors.append(invalid(f"defaultRequest[{name}]", str(asked), told))
    return errors


def _ratio(ratio: Quantity, least: Quantity | None, most: Quantity | None) -> Errors:
    errors: list[FieldError] = []
    if ratio < ONE:
        errors.append(invalid("", str(ratio), f"ratio {ratio} is less than 1"))
    if least is None or most is None:
        return errors
    if all(value.value() < MILLI_MAX for value in (ratio, least, most)):
        limit = _divided(most.milli_value(), least.milli_value())
        over = ratio.milli_value() / 1000 > limit
    else:
        limit = _divided(most.value(), least.value())
        over = ratio.value() > limit
    if over:
        errors.append(invalid("", str(ratio), f"ratio {ratio} is greater than max/min = {limit:f}"))
    return errors


def _divided(most: int, least: int) -> float:
    if least:
        return most / least
    return float("inf") if most > 0 else float("nan")


def quota(value: Object) -> Errors:
    errors = [*at("spec", quota_spec(value.get("spec") or {}))]
    errors += quota_status(value, value)
    return errors


def quota_status(new: Object, old: Object) -> Errors:
    status = new.get("status") or {}
    errors: list[FieldError] = []
    for field in ("hard", "used"):
        errors += at(f"status.{field}", amounts(quota_resource_name, status.get(field)))
    return errors


def quota_spec(spec: Object) -> Errors:
    errors = [*at("hard", amounts(quota_resource_name, spec.get("hard")))]
    errors += _scopes(spec)
    if (selector := spec.get("scopeSelector")) is not None:
        errors += at("scopeSelector.matchExpressions", _scope_selector(spec, selector))
    return errors


def _fits(scope: str, name: str) -> bool:
    """Whether a scope can select what a resource counts (IsResourceQuotaScopeValidForResource)."""
    if scope == "BestEffort":
        return name == "pods"
    if scope == "VolumeAttributesClass":
        return name in ("persistentvolumeclaims", "requests.storage")
    if scope in SCOPES:
        return name in POD_QUOTAS
    return True


CONFLICTS = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))


def _scopes(spec: Object) -> Errors:
    scopes = spec.get("scopes") or []
    errors: list[FieldError] = []
    hard = sorted(spec.get("hard") or ())
    for scope in scopes:
        if scope not in SCOPES:
            errors.append(invalid("scopes", scopes, "unsupported scope"))
        unfit = [name for name in hard if name in QUOTA_RESOURCES and not _fits(scope, name)]
        errors += [invalid("scopes", scopes, "unsupported scope applied to resource") for _ in unfit]
    errors += [invalid("scopes", scopes, "conflicting scopes") for a, b in CONFLICTS if a in scopes and b in scopes]
    return errors


def _scope_selector(spec: Object, selector: Object) -> Errors:
    errors: list[FieldError] = []
    named: list[str] = []
    for term in selector.get("matchExpressions") or ():
        scope, operator, values = term.get("scopeName") or "", term.get("operator") or "", term.get("values") or []
        named.append(scope)
        if scope not in SCOPES:
            errors.append(invalid("scopeName", scope, "unsupported scope"))
        unfit = [name for name in spec.get("hard") or () if name in QUOTA_RESOURCES and not _fits(scope, name)]
        errors += [invalid("", _shown(selector), "unsupported scope applied to resource") for _ in unfit]
        if scope in SCOPES and scope not in ("PriorityClass", "VolumeAttributesClass") and operator != "Exists":
            errors.append(invalid("operator", operator, ONLY_EXISTS))
        if operator in ("In", "NotIn"):
            if not values:
                told = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                errors.append(required("values", told))
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                told = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                errors.append(invalid("values", values, told))
        else:
            errors.append(invalid("operator", operator, "not a valid selector operator"))
    scopes = spec.get("scopes")
    errors += [invalid("", scopes, "conflicting scopes") for a, b in CONFLICTS if a in named and b in named]
    return errors


def _shown(selector: Object) -> Any:
    return {
        "MatchExpressions": [
            {"ScopeName": t.get("scopeName", ""), "Operator": t.get("operator", ""), "Values": t.get("values")}
            for t in selector.get("matchExpressions") or ()
        ]
    }


def quota_update(new: Object, old: Object) -> Errors:
    """Scopes stay."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if frozenset(after.get("scopes") or ()) == frozenset(before.get("scopes") or ()):
        return NONE
    return (invalid("spec.scopes", after.get("scopes"), IMMUTABLE),)
