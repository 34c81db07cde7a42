"""What the server says it serves."""

from __future__ import annotations

from seatrial.sim.machinery import discovery, kinds
from seatrial.sim.machinery.custom.kind import Custom
from seatrial.sim.machinery.kinds import Resource, Subresource

WIDGET = Resource(
    "example.com", "v1", "widgets", "widget", "Widget", True, ("create", "get", "list"),
    {"status": Subresource("status", "Widget", ("get", "patch", "update"))},
    short_names=("wd",), categories=("all",), storage="widgets.example.com", storage_version="example.com/v1",
    hash="abc=", custom=Custom(),
)  # fmt: skip


def test_groups_stand_by_priority_behind_the_aggregators_own() -> None:
    table = kinds.builtin()
    table.add_custom(WIDGET)
    order = discovery.ordered_groups(table, {"batch": 9000, "apps": 5000, "policy": 5000})
    assert order[:4] == ["apiregistration.k8s.io", "batch", "apps", "policy"]
    assert "example.com" in order


def test_a_group_prefers_its_most_mature_version() -> None:
    found = discovery.group(kinds.builtin(), "autoscaling")
    assert found is not None
    assert [row["version"] for row in found["versions"]] == ["v2", "v1"]
    assert found["preferredVersion"] == {"groupVersion": "autoscaling/v2", "version": "v2"}
    assert discovery.group(kinds.builtin(), "example.com") is None


def test_custom_kinds_are_listed_with_their_subresources() -> None:
    table = kinds.builtin()
    table.add_custom(WIDGET)
    rows = discovery.resource_list(table, "example.com", "v1")["resources"]
    assert [row["name"] for row in rows] == ["widgets", "widgets/status"]
    assert rows[0]["shortNames"] == ["wd"]
    assert rows[0]["storageVersionHash"] == "abc="


def test_aggregated_discovery_holds_subresources_below_their_resource() -> None:
    table = kinds.builtin()
    table.add_custom(WIDGET)
    (item,) = discovery.aggregated(table, ["example.com"])["items"]
    (resource,) = item["versions"][0]["resources"]
    assert resource["responseKind"] == {"group": "example.com", "version": "v1", "kind": "Widget"}
    assert [row["subresource"] for row in resource["subresources"]] == ["status"]


def test_a_version_whose_server_is_silent_is_stale() -> None:
    table = kinds.builtin()
    table.aggregate("metrics.k8s.io", "v1beta1", None)
    (item,) = discovery.aggregated(table, ["metrics.k8s.io"])["items"]
    assert item["versions"] == [{"version": "v1beta1", "freshness": "Stale"}]
