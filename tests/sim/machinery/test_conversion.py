"""Kinds that are served in a version other than the one they are stored in."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from conformance.creations import BUILTIN
from hypothesis import given
from properties.objects import objects

from seatrial.sim.machinery import conversion, decode, defaults
from seatrial.sim.machinery.kinds import Resource

SCALERS = "horizontalpodautoscalers"


def row(group: str, version: str, plural: str) -> Resource:
    found = BUILTIN.find(group, version, plural)
    assert found is not None
    return found


V1, V2 = row("autoscaling", "v1", SCALERS), row("autoscaling", "v2", SCALERS)
CORE_EVENT, EVENT = row("", "v1", "events"), row("events.k8s.io", "v1", "events")

METRICS = [
    {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}},
    {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}},
    {
        "type": "ContainerResource",
        "containerResource": {
            "name": "cpu",
            "container": "c",
            "target": {"type": "Utilization", "averageUtilization": 60},
        },
    },
    {"type": "Pods", "pods": {"metric": {"name": "q"}, "target": {"type": "AverageValue", "averageValue": "10"}}},
    {
        "type": "Object",
        "object": {
            "describedObject": {"kind": "Service", "name": "s"},
            "metric": {"name": "q", "selector": {"matchLabels": {"a": "b"}}},
            "target": {"type": "Value", "value": "10"},
        },
    },
    {"type": "External", "external": {"metric": {"name": "e"}, "target": {"type": "Value", "value": "5"}}},
]


def scaler(**spec: Any) -> Any:
    obj = {
        "metadata": {"name": "x", "annotations": {"own": "kept"}},
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d"}, **spec},
    }
    return defaults.default(V2, decode.decode_value(V2, obj, "Strict")[0])


def test_only_two_kinds_are_converted() -> None:
    assert [resource for resource in BUILTIN if conversion.converts(resource)] == [V1, EVENT]


def test_an_object_in_its_storage_version_is_passed_through() -> None:
    obj = scaler()
    assert conversion.convert(obj, V2) is obj
    assert conversion.to_storage(obj, V2) is obj


def test_the_cpu_target_is_a_field_of_v1_and_the_rest_annotations() -> None:
    shown = conversion.convert(scaler(metrics=METRICS, behavior={}), V1)
    assert shown["apiVersion"] == "autoscaling/v1"
    assert shown["spec"] == {
        "scaleTargetRef": {"kind": "Deployment", "name": "d"},
        "minReplicas": 1,
        "maxReplicas": 3,
        "targetCPUUtilizationPercentage": 50,
    }
    held = orjson.loads(shown["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/metrics"])
    assert held[0] == {"type": "Resource", "resource": {"name": "memory", "targetAverageValue": "1Gi"}}
    assert held[3]["object"] == {
        "target": {"kind": "Service", "name": "s"},
        "metricName": "q",
        "selector": {"matchLabels": {"a": "b"}},
        "targetValue": "10",
    }


@pytest.mark.parametrize("count", range(len(METRICS) + 1))
def test_a_v2_autoscaler_survives_a_client_that_knows_v1_only(count: int) -> None:
    stored = scaler(metrics=METRICS[:count], behavior={"scaleUp": {}})
    assert conversion.to_storage(conversion.convert(stored, V1), V1) == stored


def test_an_annotation_that_cannot_be_read_counts_as_absent() -> None:
    obj = {"metadata": {"annotations": {"autoscaling.alpha.kubernetes.io/metrics": "{"}}, "spec": {}}
    stored = conversion.to_storage(decode.decode_value(V1, obj, "Strict")[0], V1)
    assert "annotations" not in stored["metadata"]
    assert "metrics" not in stored["spec"]


assert CORE_EVENT.type is not None


@given(objects(CORE_EVENT.type))
def test_events_have_two_names_for_the_same_fields(drawn: dict[str, Any]) -> None:
    stored, _ = decode.decode_value(CORE_EVENT, drawn, "Strict")
    shown = conversion.convert(stored, EVENT)
    assert shown["apiVersion"] == "events.k8s.io/v1"
    assert shown.get("note", "") == stored.get("message", "")
    assert shown["regarding"] == stored["involvedObject"]
    assert conversion.to_storage(shown, EVENT) == stored
