"""HorizontalPodAutoscalers and Scale.

Source: k8s.io/kubernetes/pkg/apis/autoscaling/validation.
"""

from __future__ import annotations

from typing import Any

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.label_selectors import label_selector
from seatrial.sim.machinery.validation.names import is_label, path_segment
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Check,
    Errors,
    Object,
    at,
    each,
    forbidden,
    invalid,
    nonnegative,
    not_supported,
    required,
)
from seatrial.sim.machinery.validation.resources import ZERO, amount, container_resource_name
from seatrial.sim.machinery.validation.table import table

SELECT_POLICIES = ("Disabled", "Max", "Min")
SCALING_POLICIES = ("Percent", "Pods")
TARGET_TYPES = ("Utilization", "Value", "AverageValue")
PERIOD_S_MAX = 1800
WINDOW_S_MAX = 3600


def _segment(value: str) -> Errors:
    return [invalid("", value, text) for text in path_segment(value)]


def _reference(value: Object, needs_group: bool) -> Errors:
    errors: list[FieldError] = []
    for name in ("kind", "name"):
        text = value.get(name)
        errors += at(name, _segment(text)) if text else [required(name)]
    version, kind = value.get("apiVersion") or "", value.get("kind")
    if needs_group and "/" not in version and kind != "ReplicationController":
        errors.append(invalid("apiVersion", version, "apiVersion must specify API group"))
    return errors


def _positive(value: Any) -> Errors:
    quantity = amount(value)
    return NONE if quantity > ZERO else (invalid("", str(quantity), "must be positive"),)


def _utilization(value: int) -> Errors:
    return NONE if value >= 1 else (invalid("", value, "must be greater than 0"),)


_target_values = table({"value": _positive, "averageValue": _positive, "averageUtilization": _utilization})


def _target(value: Object) -> Errors:
    errors: list[FieldError] = []
    kind = value.get("type") or ""
    if not kind:
        errors.append(required("type", "must specify a metric target type"))
    if kind not in TARGET_TYPES:
        errors.append(invalid("type", kind, "must be either Utilization, Value, or AverageValue"))
    errors += _target_values(value)
    return errors


def _metric(value: Object) -> Errors:
    name = value.get("name")
    errors = [*at("name", _segment(name))] if name else [required("name", "must specify a metric name")]
    if (selector := value.get("selector")) is not None:
        errors += at("selector", label_selector(selector))
    return errors


def _parts(source: Object) -> tuple[Errors, Object]:
    target = source.get("target") or {}
    return [*at("metric", _metric(source.get("metric") or {})), *at("target", _target(target))], target


def _object(source: Object) -> Errors:
    errors = [*at("describedObject", _reference(source.get("describedObject") or {}, needs_group=False))]
    found, target = _parts(source)
    errors += found
    if target.get("value") is None and target.get("averageValue") is None:
        errors.append(required("target.averageValue", "must set either a target value or averageValue"))
    return errors


def _external(source: Object) -> Errors:
    found, target = _parts(source)
    errors = [*found]
    value, average = target.get("value"), target.get("averageValue")
    if value is None and average is None:
        told = "must set either a target value for metric or a per-pod target"
        errors.append(required("target.averageValue", told))
    if value is not None and average is not None:
        told = "may not set both a target value for metric and a per-pod target"
        errors.append(forbidden("target.value", told))
    return errors


def _pods(source: Object) -> Errors:
    found, target = _parts(source)
    average = target.get("averageValue")
    if average is None or amount(average) <= ZERO:
        told = "must specify a positive target averageValue"
        return [*found, required("target.averageValue", told)] if average is None else found
    return found


def _resource(source: Object) -> Errors:
    name, target = source.get("name"), source.get("target") or {}
    errors: list[FieldError] = []
    if not name:
        errors.append(required("name", "must specify a resource name"))
    errors += at("target", _target(target))
    errors += _utilization_or_value(target)
    return errors


def _utilization_or_value(target: Object) -> Errors:
    share, average = target.get("averageUtilization"), target.get("averageValue")
    if share is None and average is None:
        told = "must set either a target raw value or a target utilization"
        return (required("target.averageUtilization", told),)
    if share is not None and average is not None:
        told = "may not set both a target raw value and a target utilization"
        return (forbidden("target.averageValue", told),)
    return NONE


def _container_resource(source: Object) -> Errors:
    name, container, target = source.get("name"), source.get("container"), source.get("target") or {}
    errors: list[FieldError] = []
    if not name:
        errors.append(required("name", "must specify a resource name"))
    else:
        errors += at("name", container_resource_name(name))
    if not container:
        errors.append(required("container", "must specify a container"))
    else:
        errors += at("container", is_label(container))
    errors += at("target", _target(target))
    errors += _utilization_or_value(target)
    return errors


SOURCES: tuple[tuple[str, str, Check], ...] = (
    ("Object", "object", _object),
    ("External", "external", _external),
    ("Pods", "pods", _pods),
    ("Resource", "resource", _resource),
    ("ContainerResource", "containerResource", _container_resource),
)
"""(type, field, check), in the order in which the first is taken seriously."""
SOURCE_TYPES = tuple(sorted(kind for kind, _, _ in SOURCES))


def _metric_spec(value: Object) -> Errors:
    errors: list[FieldError] = []
    kind = value.get("type") or ""
    if not kind:
        errors.append(required("type", "must specify a metric source type"))
    if kind not in SOURCE_TYPES:
        errors.append(not_supported("type", kind, SOURCE_TYPES))
    present = [(name, field, check) for name, field, check in SOURCES if value.get(field) is not None]
    if present:
        _, field, check = present[0]
        errors += at(field, check(value[field]))
    expected = next((field for name, field, _ in SOURCES if name == kind), "")
    if expected and value.get(expected) is None:
        errors.append(required(expected, "must populate information for the given metric source"))
    if len(present) != 1:
        told = "must populate the given metric source only"
        errors += [forbidden(field, told) for _, field, _ in present if field != expected]
    return errors


def _policy(value: Object) -> Errors:
    errors: list[FieldError] = []
    kind, count, period = value.get("type") or "", value.get("value") or 0, value.get("periodSeconds") or 0
    if kind not in SCALING_POLICIES:
        errors.append(not_supported("type", kind, SCALING_POLICIES))
    if count <= 0:
        errors.append(invalid("value", count, "must be greater than zero"))
    if period <= 0:
        errors.append(invalid("periodSeconds", period, "must be greater than zero"))
    if period > PERIOD_S_MAX:
        errors.append(invalid("periodSeconds", period, f"must be less than or equal to {PERIOD_S_MAX}"))
    return errors


def _rules(value: Object) -> Errors:
    errors: list[FieldError] = []
    window, select, policies = (value.get(k) for k in ("stabilizationWindowSeconds", "selectPolicy", "policies"))
    if window is not None and window < 0:
        errors.append(invalid("stabilizationWindowSeconds", window, "must be greater than or equal to zero"))
    if window is not None and window > WINDOW_S_MAX:
        told = f"must be less than or equal to {WINDOW_S_MAX}"
        errors.append(invalid("stabilizationWindowSeconds", window, told))
    if select is not None and select not in SELECT_POLICIES:
        errors.append(not_supported("selectPolicy", select, SELECT_POLICIES))
    if not policies:
        errors.append(required("policies", "must specify at least one Policy"))
    errors += each("policies", policies, _policy)
    tolerance = value.get("tolerance")
    if tolerance is not None and amount(tolerance) < ZERO:
        told = "must be greater than or equal to zero"
        errors.append(invalid("tolerance", str(amount(tolerance)), told))
    return errors


_behavior = table({"behavior.scaleUp": _rules, "behavior.scaleDown": _rules})


def autoscaler_spec(spec: Object) -> Errors:
    errors: list[FieldError] = []
    least, most = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if least is not None and least < 0:
        errors.append(invalid("minReplicas", least, "must be greater than or equal to 0"))
    if not most:
        errors.append(required("maxReplicas"))
    elif most < 1:
        errors.append(invalid("maxReplicas", most, "must be greater than or equal to 1"))
    if least is not None and most < least:
        errors.append(invalid("maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    errors += at("scaleTargetRef", _reference(spec.get("scaleTargetRef") or {}, needs_group=True))
    metrics = spec.get("metrics")
    errors += each("metrics", metrics, _metric_spec)
    if least == 0 and not any(metric.get("type") in ("Object", "External") for metric in metrics or ()):
        told = "must specify at least one Object or External metric to support scaling to zero replicas"
        errors.append(forbidden("metrics", told))
    errors += _behavior(spec)
    return errors


autoscaler_status = table({"status.currentReplicas": nonnegative, "status.desiredReplicas": nonnegative})
