"""Tables: columns, rows and what they carry, and every table that a real API server answered with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conformance.changes import PLAIN
from conformance.creations import BUILTIN, exchanges, files
from conformance.masks import masked

from seatrial.sim.apiserver.routing import parse
from seatrial.sim.kernel.clock import parse_stamp
from seatrial.sim.machinery import conversion, tables
from seatrial.sim.machinery.custom.kind import Custom
from seatrial.sim.machinery.kinds import Resource

PODS = BUILTIN.resource("pods")
NOW = parse_stamp("2026-01-01T01:00:00Z")
POD = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"containers": [{"name": "c"}]},
    "status": {"phase": "Succeeded"},
}


def test_a_row_carries_metadata_the_object_or_nothing() -> None:
    carried = {
        include: tables.table(PODS, [POD], NOW, include)["rows"][0]["object"] for include in ("Metadata", "None")
    }
    assert carried["Metadata"]["kind"] == "PartialObjectMetadata"
    assert carried["Metadata"]["metadata"] is POD["metadata"]
    assert carried["None"] is None
    assert tables.table(PODS, [POD], NOW, "Object")["rows"][0]["object"] is POD


def test_later_events_of_a_watch_leave_the_columns_out() -> None:
    assert tables.table(PODS, [POD], NOW, headers=False)["columnDefinitions"] is None


def test_the_row_of_a_pod_that_ended_says_so() -> None:
    (row,) = tables.table(PODS, [POD], NOW)["rows"]
    assert row["conditions"] == [
        {
            "type": "Completed",
            "status": "True",
            "reason": "Succeeded",
            "message": "The pod has completed successfully.",
        }
    ]


def test_every_printer_fills_its_columns() -> None:
    unfilled = []
    for resource in BUILTIN:
        if resource.virtual or "list" not in resource.verbs:
            continue
        obj: dict[str, Any] = {"metadata": {"name": "x"}, "spec": {"containers": []}}
        table = tables.table(resource, [obj], NOW)
        if len(table["columnDefinitions"]) != len(table["rows"][0]["cells"]):
            unfilled.append(resource.storage)
    assert not unfilled


def test_a_scale_is_printed_as_one() -> None:
    scale = {"kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": 3}, "status": {"replicas": 2}}
    table = tables.table(BUILTIN.resource("deployments.apps"), [scale], NOW)
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Desired", "Available", "Age"]
    assert table["rows"][0]["cells"] == ["d", 3, 2, "<unknown>"]


def test_a_custom_resource_without_columns_shows_its_age() -> None:
    resource = Resource("k.io", "v1", "boats", "boat", "Boat", True, ("list",), custom=Custom())
    table = tables.table(resource, [POD], NOW)
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Age"]
    assert table["rows"][0]["cells"] == ["p", "60m"]


def recorded(path: Path) -> Any:
    """Each table of a group with the kind, the objects behind its rows and the object that they should carry."""
    stored: dict[tuple[str, str], Any] = {}
    for exchange in exchanges(path):
        response, url = exchange["response"], exchange["path"].partition("?")
        info = parse(exchange["method"], url[0])
        resource = BUILTIN.find(info.group, info.version, info.resource)
        if resource is None or not isinstance(response, dict):
            continue
        if response.get("kind") == "Table":
            names = [row["cells"][-1 if resource.plural == "events" else 0] for row in response["rows"]]
            include = url[2].partition("includeObject=")[2].partition("&")[0] or "Metadata"
            yield exchange["name"], resource, [stored[resource.storage, name] for name in names], include, response
        elif response.get("kind") == resource.kind and exchange["accept"] in PLAIN and "dryRun" not in url[2]:
            stored[resource.storage, response["metadata"].get("name", "")] = conversion.to_storage(response, resource)


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name.removesuffix(".jsonl.gz"))
def test_the_servers_own_tables(path: Path) -> None:
    for name, resource, objects, include, want in recorded(path):
        table = tables.table(resource, objects, NOW, include, want["metadata"])
        assert table["columnDefinitions"] == want["columnDefinitions"], name
        cells = [row["cells"] for row in table["rows"]]
        ages = [place for place, column in enumerate(want["columnDefinitions"]) if column["name"] == "Age"]
        for got, row in zip(cells, want["rows"], strict=True):
            for place in ages:
                got[place] = row["cells"][place]
            assert masked(got, "cells") == masked(row["cells"], "cells"), name
            assert (include == "None") is (row["object"] is None)
        if include == "Metadata":
            for got, row in zip(table["rows"], want["rows"], strict=True):
                assert masked(got["object"]) == masked(row["object"]), name
