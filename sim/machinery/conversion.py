"""Conversion between the served versions of a kind and the one it is stored in.

Source: k8s.io/kubernetes/pkg/apis/autoscaling/v1/conversion.go, k8s.io/kubernetes/pkg/apis/core and events/v1
conversions. A kind that is served in its storage version only is passed through untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import orjson

from seatrial.sim.machinery import defaults
from seatrial.sim.machinery.decode import read_as
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.machinery.schema import Type, type_of_kind

Object = Mapping[str, Any]
Convert = Callable[[Any], Any]

PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS, BEHAVIOR = f"{PREFIX}metrics", f"{PREFIX}behavior"
CURRENT_METRICS, CONDITIONS = f"{PREFIX}current-metrics", f"{PREFIX}conditions"

EVENT_NAMES = (
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
)
"""The fields of a v1 Event and what events.k8s.io calls them."""
TO_EVENTS = dict(EVENT_NAMES)
TO_CORE = {new: old for old, new in EVENT_NAMES}


@cache
def _renaming(api_version: str, kind: str, out: bool) -> Convert:
    """Fields under other names, in the order of the version's type: values were read before and stay as they are."""
    type = _type(api_version, kind)
    back = TO_CORE if out else TO_EVENTS
    zeros = dict(type.zeros)
    fields = [
        (name, back.get(name, name), field.keeps_empty, name in zeros, zeros.get(name))
        for name, field in type.fields.items()
    ]

    def convert(obj: Any) -> Any:
        found = {}
        for name, given, keeps_empty, present, zero in fields:
            value = obj.get(given)
            if value or (keeps_empty and value is not None):
                found[name] = value
            elif present:
                found[name] = zero
        return found

    return convert


def _is_cpu(metric: Any) -> bool:
    """Whether autoscaling/v1 has a field of its own for the metric."""
    resource = metric.get("resource") or {}
    target = resource.get("target") or {}
    return metric.get("type") == "Resource" and resource.get("name") == "cpu" and "averageUtilization" in target


SOURCES = ("object", "pods", "resource", "containerResource", "external")


def metric_to_v1(metric: Any) -> Any:
    """A v2 metric, of a spec or a status, with v1's flat fields."""
    out = {"type": metric["type"]}
    for name in SOURCES:
        source = metric.get(name)
        if source is not None:
            out[name] = _source_to_v1(name, source)
    return out


def _source_to_v1(name: str, source: Any) -> Any:
    status = "current" in source
    target = source["current"] if status else source.get("target") or {}
    prefix = "current" if status else "target"
    out: dict[str, Any] = {}
    if "describedObject" in source:
        out["target"] = source["describedObject"]
    if "metric" in source:
        out["metricName"] = source["metric"].get("name", "")
        if source["metric"].get("selector") is not None:
            out["metricSelector" if name == "external" else "selector"] = source["metric"]["selector"]
    for key in ("name", "container"):
        if key in source:
            out[key] = source[key]
    average = f"{prefix}Average"
    if name == "object":
        out[f"{prefix}Value"] = target.get("value", "0")
        out.update({"averageValue": target["averageValue"]} if "averageValue" in target else {})
    elif name == "pods":
        out[f"{average}Value"] = target.get("averageValue", "0")
    else:
        pairs = (("averageUtilization", f"{average}Utilization"), ("averageValue", f"{average}Value"))
        out.update({new: target[old] for old, new in pairs if old in target})
        if "value" in target:
            out[f"{prefix}Value"] = target["value"]
    return out


def metric_to_v2(metric: Any) -> Any:
    """A metric with v1's flat fields as v2 has it."""
    out = {"type": metric.get("type", "")}
    for name in SOURCES:
        source = metric.get(name)
        if source is not None:
            out[name] = _source_to_v2(name, source)
    return out


def _source_to_v2(name: str, source: Any) -> Any:
    prefix = "current" if any(key.startswith("current") for key in source) else "target"
    out: dict[str, Any] = {key: source[key] for key in ("name", "container") if key in source}
    if "target" in source:
        out["describedObject"] = source["target"]
    if "metricName" in source:
        selector = source.get("metricSelector") or source.get("selector")
        out["metric"] = {"name": source["metricName"], **({"selector": selector} if selector is not None else {})}
    pairs = (
        (f"{prefix}AverageUtilization", "averageUtilization"),
        (f"{prefix}AverageValue", "averageValue"),
        ("averageValue", "averageValue"),
        (f"{prefix}Value", "value"),
    )
    found = {new: source[old] for old, new in pairs if old in source}
    if "averageValue" in found and name == "object":
        found.pop("value", None)
    if prefix == "target":
        kinds = (("averageUtilization", "Utilization"), ("averageValue", "AverageValue"), ("value", "Value"))
        found = {"type": next((kind for key, kind in kinds if key in found), ""), **found}
    out["current" if prefix == "current" else "target"] = found
    return out


def _scaler_to_v1(obj: Any) -> Any:
    """A v2 autoscaler as v1: the CPU target has a field, the rest goes into annotations."""
    spec, status = dict(obj["spec"]), dict(obj.get("status") or {})
    notes: dict[str, Any] = {}
    others = []
    for metric in spec.pop("metrics", None) or ():
        if _is_cpu(metric) and "targetCPUUtilizationPercentage" not in spec:
            spec["targetCPUUtilizationPercentage"] = metric["resource"]["target"]["averageUtilization"]
        else:
            others.append(metric_to_v1(metric))
    behavior = spec.pop("behavior", None)
    current = status.pop("currentMetrics", None) or ()
    for metric in current:
        resource = metric.get("resource") or {}
        if resource.get("name") == "cpu" and "averageUtilization" in (resource.get("current") or {}):
            status["currentCPUUtilizationPercentage"] = resource["current"]["averageUtilization"]
    conditions = status.pop("conditions", None)
    for key, value in (
        (METRICS, others),
        (BEHAVIOR, behavior),
        (CURRENT_METRICS, [metric_to_v1(metric) for metric in current]),
        (CONDITIONS, conditions),
    ):
        if value:
            notes[key] = orjson.dumps(value).decode()
    metadata = obj["metadata"]
    if notes:
        metadata = {**metadata, "annotations": {**(metadata.get("annotations") or {}), **notes}}
    return {**obj, "metadata": metadata, "spec": spec, "status": status}


def _scaler_to_v2(obj: Any) -> Any:
    """A v1 autoscaler as v2: what the annotations hold becomes fields again."""
    metadata, spec, status = dict(obj["metadata"]), dict(obj["spec"]), dict(obj.get("status") or {})
    annotations = dict(metadata.pop("annotations", None) or {})
    held = {key: _held(annotations.pop(key, None)) for key in (METRICS, BEHAVIOR, CURRENT_METRICS, CONDITIONS)}
    if annotations:
        metadata["annotations"] = annotations
    cpu = spec.pop("targetCPUUtilizationPercentage", None)
    metrics = [metric_to_v2(metric) for metric in held[METRICS] or ()]
    if cpu is not None:
        target = {"type": "Utilization", "averageUtilization": cpu}
        metrics.insert(0, {"type": "Resource", "resource": {"name": "cpu", "target": target}})
    if metrics:
        spec["metrics"] = metrics
    if held[BEHAVIOR]:
        spec["behavior"] = held[BEHAVIOR]
    usage = status.pop("currentCPUUtilizationPercentage", None)
    current = [metric_to_v2(metric) for metric in held[CURRENT_METRICS] or ()]
    if usage is not None and not current:
        current = [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": usage}}}]
    status.update(
        {key: value for key, value in (("currentMetrics", current), ("conditions", held[CONDITIONS])) if value}
    )
    return {**obj, "metadata": metadata, "spec": spec, "status": status}


def _held(text: str | None) -> Any:
    """An annotation's value; what cannot be read counts as absent."""
    if not text:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


class Pair(NamedTuple):
    """How a served version is made from the stored one and back."""

    out: Convert
    into: Convert


PAIRS: Mapping[tuple[str, str], Pair] = {
    ("autoscaling/v1", "horizontalpodautoscalers"): Pair(_scaler_to_v1, _scaler_to_v2),
}


def converts(resource: Resource) -> bool:
    """Whether stored objects may look otherwise in the version of a resource: custom kinds' schemas change."""
    return resource.custom is not None or resource.api_version != resource.storage_version


def convert(stored: Object, resource: Resource) -> Object:
    """A stored object in the version of a resource; itself when that is how it is stored."""
    if resource.custom is not None:
        return resource.custom.shown(stored, resource.api_version)
    if resource.api_version == stored.get("apiVersion", resource.api_version):
        return stored
    if resource.legacy is not None:
        renamed: Object = {**stored, "apiVersion": resource.api_version}
        changed = resource.legacy.out(renamed)
        return renamed if changed is renamed else read_as(resource.legacy.type, changed)[0]
    return _converted(stored, resource, resource.api_version, out=True)


def to_storage(obj: Object, resource: Resource) -> Object:
    """An object of a resource's version in its storage version; itself when they are the same."""
    if resource.api_version == resource.storage_version:
        return obj
    if resource.custom is not None and resource.custom.converter is not None:
        return resource.custom.converter.converted(obj, resource.storage_version)
    if resource.legacy is not None:
        renamed: Object = {**obj, "apiVersion": resource.storage_version}
        changed: Object = resource.legacy.into(renamed)
        if changed is renamed:
            return renamed
        type = _type(resource.storage_version, resource.kind)
        stored = read_as(type, changed)[0]
        # The storage version may have defaults for what the legacy one does not know.
        defaulter = defaults.compiled(type)
        return stored if defaulter is None else dict(defaulter(stored))
    return _converted(obj, resource, resource.storage_version, out=False)


def _converted(obj: Object, resource: Resource, api_version: str, out: bool) -> Object:
    renamed = {**obj, "apiVersion": api_version}
    if resource.storage == "events":
        converted: Object = _renaming(api_version, resource.kind, out)(renamed)
        return converted
    pair = PAIRS.get((resource.api_version, resource.plural))
    if pair is None:
        return renamed
    changed = (pair.out if out else pair.into)(renamed)
    return read_as(_type(api_version, resource.kind), changed)[0]


@cache
def _type(api_version: str, kind: str) -> Type:
    group, _, version = api_version.rpartition("/")
    type = type_of_kind(group, version, kind)
    assert type is not None
    return type
