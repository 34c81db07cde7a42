"""Times on the wire: moved where the schema says that they are times, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.api.kubernetes.times import Times, moved
from seatrial.sim.apiserver.request import Request
from seatrial.sim.machinery import kinds

S = 1_000_000
TIMES = Times(kinds.builtin())
AT, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:06:00Z"
MICRO, MICRO_LATER = "2026-01-01T00:00:00.123456Z", "2026-01-01T00:06:00.123456Z"
META = {"creationTimestamp": AT, "managedFields": [{"manager": "m", "time": AT}], "annotations": {"when": AT}}


def replaced(value: Any) -> Any:
    """The value with every time six minutes later, except in annotations and messages."""
    if isinstance(value, dict):
        return {k: v if k in ("annotations", "message", "data") else replaced(v) for k, v in value.items()}
    if isinstance(value, list):
        return [replaced(item) for item in value]
    return {AT: LATER, MICRO: MICRO_LATER}.get(value, value) if isinstance(value, str) else value


OBJECTS: list[dict[str, Any]] = [
    {"kind": "Pod", "apiVersion": "v1", "metadata": {**META, "deletionTimestamp": AT}, "status": {
        "startTime": AT, "conditions": [{"type": "Ready", "lastTransitionTime": AT, "message": AT}],
        "containerStatuses": [{"state": {"terminated": {"startedAt": AT, "finishedAt": AT}}}]}},
    {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": META, "spec": {"template": {"metadata": {
        "creationTimestamp": None}}}, "status": {"conditions": [{"lastUpdateTime": AT, "lastTransitionTime": AT}]}},
    {"kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": META, "spec": {
        "acquireTime": MICRO, "renewTime": MICRO}},
    {"kind": "Event", "apiVersion": "v1", "metadata": META, "firstTimestamp": AT, "lastTimestamp": AT,
     "eventTime": MICRO, "message": AT, "series": {"lastObservedTime": MICRO}},
    {"kind": "ConfigMap", "apiVersion": "v1", "metadata": META, "data": {"at": AT}},
    {"kind": "Widget", "apiVersion": "example.com/v1", "metadata": META, "data": {"at": AT}},
    {"kind": "Status", "apiVersion": "v1", "metadata": {}, "message": AT},
]  # fmt: skip


@pytest.mark.parametrize("obj", OBJECTS, ids=lambda obj: obj["kind"])
def test_every_time_moves_and_nothing_else(obj: dict[str, Any]) -> None:
    before = json.dumps(obj)
    assert TIMES.outward(obj, 360 * S) == replaced(obj)
    assert json.dumps(obj) == before


def test_an_object_without_times_is_the_same_object() -> None:
    obj = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}}
    assert TIMES.outward(obj, 360 * S) is obj


def test_lists_and_tables_move_with_their_items() -> None:
    bare = {key: value for key, value in OBJECTS[0].items() if key not in ("kind", "apiVersion")}
    listed = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [bare, bare]}
    assert TIMES.outward(listed, 360 * S)["items"] == [replaced(bare)] * 2
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": META}
    table = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "rows": [{"cells": ["a", AT], "object": partial}]}
    (row,) = TIMES.outward(table, 360 * S)["rows"]
    assert row == {"cells": ["a", AT], "object": replaced(partial)}


@pytest.mark.parametrize("obj", OBJECTS[:4], ids=lambda obj: obj["kind"])
def test_requests_move_the_other_way(obj: dict[str, Any]) -> None:
    group = obj["apiVersion"].rpartition("/")
    prefix = f"/apis/{obj['apiVersion']}" if group[0] else "/api/v1"
    path = f"{prefix}/namespaces/n/{obj['kind'].lower()}s"
    request = Request("POST", path, body=json.dumps(replaced(obj)).encode())
    TIMES.inward(request, 360 * S)
    assert json.loads(request.body) == obj


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"x"', b'{"metadata":3}', b'{"metadata":{"managedFields":{}}}'])
def test_what_makes_no_sense_is_left_to_the_pipeline(body: bytes) -> None:
    request = Request("POST", "/api/v1/namespaces/n/pods", body=body)
    TIMES.inward(request, 360 * S)
    assert request.body == body


def test_since_time_of_logs_is_the_clients() -> None:
    request = Request("GET", "/api/v1/namespaces/n/pods/p/log", query={"sinceTime": (LATER,), "follow": ("1",)})
    TIMES.inward(request, 360 * S)
    assert request.query == {"sinceTime": (AT,), "follow": ("1",)}


@given(st.datetimes(), st.integers(-(10**13), 10**13), st.booleans())
def test_there_and_back_is_the_same(at: Any, us: int, micro: bool) -> None:
    us = us if micro else us // S * S
    text = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ").rjust(27 if micro else 20, "0")
    there = moved(text, us)
    assert there == text or moved(there, -us) == text


@pytest.mark.parametrize("text", ["", "soon", "2026-01-01", "2026-01-01T00:00:00", "0001-01-01T00:00:00Z", None, 3])
def test_what_is_no_time_or_has_no_room_stays(text: Any) -> None:
    assert moved(text, -10 * S) == text
