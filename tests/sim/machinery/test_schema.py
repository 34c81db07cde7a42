"""The compiled types."""

from __future__ import annotations

import pytest
from conformance.creations import BUILTIN

from seatrial.sim.machinery import schema
from seatrial.sim.machinery.schema import Field, Type

CORE = "io.k8s.api.core.v1."


def field(type_name: str, name: str) -> Field:
    return schema.type_named(CORE + type_name).fields[name]


def test_every_builtin_kind_has_a_type() -> None:
    assert [row.kind for row in BUILTIN if row.type is None] == []


@pytest.mark.parametrize(
    ("type_name", "name", "kind", "list_type", "list_keys", "merge_key", "strategy"),
    [
        ("PodSpec", "containers", "list", "map", ("name",), "name", ("merge",)),
        ("PodSpec", "volumes", "list", "map", ("name",), "name", ("merge", "retainKeys")),
        ("PodSpec", "nodeName", "string", "", (), "", ()),
        ("Container", "ports", "list", "map", ("containerPort", "protocol"), "containerPort", ("merge",)),
        ("Container", "args", "list", "atomic", (), "", ()),
        ("Secret", "data", "map", "", (), "", ()),
        ("Probe", "initialDelaySeconds", "int32", "", (), "", ()),
        ("ServicePort", "targetPort", "int-or-string", "", (), "", ()),
        ("PodStatus", "startTime", "time", "", (), "", ()),
        ("Event", "eventTime", "microtime", "", (), "", ()),
    ],
)
def test_fields(
    type_name: str, name: str, kind: str, list_type: str, list_keys: object, merge_key: str, strategy: object
) -> None:
    found = field(type_name, name)
    assert (found.kind, found.list_type, found.list_keys) == (kind, list_type, list_keys)
    assert (found.merge_key, found.patch_strategy) == (merge_key, strategy)


def test_elements_and_structs_lead_on() -> None:
    containers = field("PodSpec", "containers")
    assert containers.element is not None
    assert containers.element.type is schema.type_named(f"{CORE}Container")
    limits = field("ResourceRequirements", "limits")
    assert limits.element is not None
    assert limits.element.kind == "quantity"


def test_structs_that_are_owned_as_a_whole() -> None:
    assert schema.type_named(f"{CORE}ObjectReference").map_type == "atomic"
    assert field("PodSpec", "nodeSelector").map_type == "atomic"


@pytest.mark.parametrize(
    ("name", "zero"),
    [
        ("io.k8s.api.core.v1.Pod", {"metadata": {}, "spec": {"containers": None}, "status": {}}),
        ("io.k8s.api.core.v1.Event", {"metadata": {}, "involvedObject": {}, "source": {}, "firstTimestamp": None,
         "lastTimestamp": None, "eventTime": None, "reportingComponent": "", "reportingInstance": ""}),
        ("io.k8s.api.rbac.v1.ClusterRole", {"metadata": {}, "rules": None}),
        ("io.k8s.api.core.v1.ConfigMap", {"metadata": {}}),
    ],
)  # fmt: skip
def test_the_empty_value_of_a_type(name: str, zero: object) -> None:
    assert schema.type_named(name).zero == zero


def test_types_may_contain_themselves() -> None:
    name = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
    properties = schema.type_named(name).fields["properties"]
    assert properties.element is not None
    assert properties.element.type is schema.type_named(name)


def test_go_names() -> None:
    assert schema.type_named(f"{CORE}PodSpec").go_name == "v1.PodSpec"
    assert field("PodSpec", "containers").go_type == "[]v1.Container"
    assert field("ConfigMap", "data").go_type == "map[string]string"
    assert field("Probe", "periodSeconds").go_type == "int32"


def test_a_type_can_be_made_by_hand() -> None:
    inner = Type("Inner", {"x": Field("x", "string")})
    outer = Type("Outer", {"items": Field("items", "list", element=Field("", "struct", type=inner))})
    element = outer.fields["items"].element
    assert element is not None
    assert element.type is inner
