"""The table of kinds, and what a running cluster does to it."""

from __future__ import annotations

import pytest

from seatrial.sim.machinery import kinds
from seatrial.sim.machinery.custom.kind import Custom
from seatrial.sim.machinery.kinds import Document, Kinds, Resource


def widget(version: str = "v1", stored: str = "v1") -> Resource:
    return Resource(
        "example.com", version, "widgets", "widget", "Widget", True, ("create", "get", "list"),
        storage="widgets.example.com", storage_version=f"example.com/{stored}", custom=Custom(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("group", "version", "plural", "kind", "storage", "namespaced"),
    [
        ("", "v1", "pods", "Pod", "pods", True),
        ("apps", "v1", "deployments", "Deployment", "deployments.apps", True),
        ("storage.k8s.io", "v1", "storageclasses", "StorageClass", "storageclasses.storage.k8s.io", False),
        ("events.k8s.io", "v1", "events", "Event", "events", True),
    ],
)  # fmt: skip
def test_rows(group: str, version: str, plural: str, kind: str, storage: str, namespaced: bool) -> None:
    table = kinds.builtin()
    row = table.find(group, version, plural)
    assert row is not None
    assert (row.kind, row.storage, row.namespaced) == (kind, storage, namespaced)
    assert table.by_kind(group, version, kind) is row
    assert table.of({"apiVersion": row.api_version, "kind": kind}) is row
    assert row.type is not None
    assert row.type.kind == kind


def test_a_storage_name_leads_to_the_stored_version() -> None:
    table = kinds.builtin()
    assert table.resource("horizontalpodautoscalers.autoscaling").version == "v2"
    assert table.resource("events").group == ""
    with pytest.raises(KeyError):
        table.resource("widgets.example.com")


def test_reviews_and_bindings_are_never_stored() -> None:
    virtual = {row.kind for row in kinds.builtin() if row.virtual}
    assert virtual == {
        "Binding", "SelfSubjectReview", "TokenReview", "LocalSubjectAccessReview", "SelfSubjectAccessReview",
        "SelfSubjectRulesReview", "SubjectAccessReview",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("storage", "status"),
    [
        ("deployments.apps", {}),
        ("replicasets.apps", {"replicas": 0}),
        ("horizontalpodautoscalers.autoscaling", {"desiredReplicas": 0, "currentMetrics": None}),
    ],
)
def test_an_empty_status_is_what_go_writes_of_one(storage: str, status: object) -> None:
    row = kinds.builtin().resource(storage)
    obj = {"apiVersion": row.api_version, "kind": row.kind, "status": {"replicas": 7}}
    assert row.with_empty_status(obj)["status"] == status


def test_kinds_without_a_status_are_left_alone() -> None:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "data": {}}
    assert kinds.builtin().resource("configmaps").with_empty_status(obj) is obj


def test_custom_kinds_come_and_go() -> None:
    table = kinds.builtin()
    before = list(table)
    table.add_custom(widget())
    table.add_custom(widget("v2alpha1"))
    assert table.serves("example.com", "v1")
    assert table.versions("example.com") == ["v1", "v2alpha1"]
    assert table.resource("widgets.example.com").version == "v1"
    table.remove_custom(widget())
    table.remove_custom(widget("v2alpha1"))
    table.remove_custom(widget())
    assert not table.serves("example.com", "v1")
    assert list(table) == before


def test_a_row_is_replaced_by_its_successor() -> None:
    table = kinds.builtin()
    table.add_custom(widget())
    table.add_custom(newer := widget())
    assert table.find("example.com", "v1", "widgets") is newer
    assert table.within("example.com", "v1") == [newer]


def test_two_clusters_do_not_meet() -> None:
    one, other = kinds.builtin(), kinds.builtin()
    one.add_custom(widget())
    assert not other.serves("example.com", "v1")


def test_aggregated_versions_are_served_by_somebody_else() -> None:
    table = kinds.builtin()
    table.aggregate("metrics.k8s.io", "v1beta1", None)
    assert table.serves("metrics.k8s.io", "v1beta1")
    assert table.find("metrics.k8s.io", "v1beta1", "pods") is None
    table.disaggregate("metrics.k8s.io", "v1beta1")
    assert not table.serves("metrics.k8s.io", "v1beta1")


def test_versions_stand_in_the_order_of_their_maturity() -> None:
    names = ["v1alpha1", "foo1", "v10", "v1", "v2beta2", "v2", "v2beta10", "foo10"]
    table = Kinds(widget(name, name) for name in names)
    assert table.versions("example.com") == ["v10", "v2", "v1", "v2beta10", "v2beta2", "v1alpha1", "foo1", "foo10"]


def test_what_follows_from_the_table_is_made_once_for_each_of_its_states() -> None:
    table = kinds.builtin()
    made: list[int] = []

    def make() -> int:
        made.append(1)
        return len(made)

    assert [table.remembered("x", make), table.remembered("x", make)] == [1, 1]
    table.document("apis/example.com/v1", Document({}, {}, {}))
    assert table.remembered("x", make) == 2
