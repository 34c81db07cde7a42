"""JSON patch and merge patch."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.patch import OPERATIONS_MAX, REFUSED, json_patch, merge_patch
from seatrial.sim.machinery.strategic import strategic_merge

DOCUMENT = {"a": {"b": [1, 2, 3], "c/d": {"~": 0}}, "n": None}

APPLIED: list[tuple[str, dict[str, Any], Any]] = [
    ("adds a member", {"op": "add", "path": "/x", "value": 1}, {**DOCUMENT, "x": 1}),
    ("appends", {"op": "add", "path": "/a/b/-", "value": 4}, [1, 2, 3, 4]),
    ("inserts", {"op": "add", "path": "/a/b/1", "value": 9}, [1, 9, 2, 3]),
    ("inserts at the end", {"op": "add", "path": "/a/b/3", "value": 9}, [1, 2, 3, 9]),
    ("replaces an item", {"op": "replace", "path": "/a/b/0", "value": 9}, [9, 2, 3]),
    ("counts from the end", {"op": "remove", "path": "/a/b/-1"}, [1, 2]),
    ("unescapes its path", {"op": "replace", "path": "/a/c~1d/~0", "value": 5}, {"~": 5}),
    ("replaces what is not there", {"op": "replace", "path": "/x", "value": 1}, {**DOCUMENT, "x": 1}),
    ("finds null where nothing is", {"op": "test", "path": "/x", "value": None}, DOCUMENT),
    ("copies", {"op": "copy", "from": "/a/b/0", "path": "/x"}, {**DOCUMENT, "x": 1}),
]
INAPPLICABLE: list[dict[str, Any]] = [
    {"op": "test", "path": "/a/b/0", "value": 2},
    {"op": "test", "path": "/a/b/0", "value": 1.0},
    {"op": "test", "path": "/a/b/0", "value": True},
    {"op": "remove", "path": "/x"},
    {"op": "remove", "path": "/a/b/3"},
    {"op": "add", "path": "/x/y", "value": 1},
    {"op": "add", "path": "/a/b/5", "value": 1},
    {"op": "add", "path": "/a/b/first", "value": 1},
    {"op": "move", "from": "/x", "path": "/y"},
    {"op": "replace", "path": "", "value": {}},
    {"op": "grow", "path": "/a"},
    {"op": "add", "value": 1},
]


@pytest.mark.parametrize(("operation", "outcome"), [row[1:] for row in APPLIED], ids=[row[0] for row in APPLIED])
def test_an_operation(operation: dict[str, Any], outcome: Any) -> None:
    before = copy.deepcopy(DOCUMENT)
    patched = json_patch(DOCUMENT, [operation])
    assert outcome in (patched, patched["a"]["b"], patched["a"]["c/d"])
    assert before == DOCUMENT, "the document itself is left alone"


@pytest.mark.parametrize("operation", INAPPLICABLE, ids=lambda operation: json.dumps(operation))
def test_an_operation_that_does_not_fit_is_refused_without_a_reason(operation: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as refusal:
        json_patch(DOCUMENT, [operation])
    error = refusal.value
    assert (error.code, error.reason, error.message, error.details) == (422, "Invalid", REFUSED, {})


@pytest.mark.parametrize(
    ("patch", "code", "why"),
    [
        ({}, 400, "json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
        ([1], 400, "json: cannot unmarshal number into Go value of type jsonpatch.Operation"),
        (
            [{"op": "test", "path": "/n"}] * (OPERATIONS_MAX + 1),
            413,
            "Request entity is too large: The allowed maximum operations in a JSON patch is 10000, got 10001",
        ),
    ],
)
def test_what_is_no_patch_is_refused(patch: Any, code: int, why: str) -> None:
    with pytest.raises(ApiError) as refusal:
        json_patch(DOCUMENT, patch)
    assert (refusal.value.code, refusal.value.message) == (code, why)


def test_what_a_patch_leaves_alone_is_shared() -> None:
    patched = json_patch(DOCUMENT, [{"op": "add", "path": "/x", "value": 1}])
    assert patched["a"] is DOCUMENT["a"]
    assert merge_patch(DOCUMENT, {"x": 1})["a"] is DOCUMENT["a"]


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


def test_a_bottomless_patch_is_refused() -> None:
    deep = nested(5000)
    with pytest.raises(ApiError, match="exceeded max depth"):
        merge_patch({}, deep)
    with pytest.raises(ApiError, match="exceeded max depth"):
        strategic_merge({}, deep, None)
    with pytest.raises(ApiError, match=REFUSED):
        json_patch({}, [{"op": "test", "path": "/a", "value": deep}])


# The examples of RFC 7386, appendix A, for documents that are objects.
MERGES = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("document", "patch", "outcome"), MERGES)
def test_a_merge(document: Any, patch: Any, outcome: Any) -> None:
    assert merge_patch(document, patch) == outcome


def test_a_merge_patch_is_an_object() -> None:
    with pytest.raises(ApiError, match="Invalid JSON Patch"):
        merge_patch({}, [1])


scalars = st.none() | st.booleans() | st.integers(0, 3) | st.text("ab", max_size=2)
values = st.recursive(
    scalars | st.lists(scalars, max_size=3),
    lambda inner: st.dictionaries(st.text("abc", min_size=1, max_size=1), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text("abc", min_size=1, max_size=1), values, max_size=3)


@given(objects, objects)
def test_merging_twice_is_merging_once(document: Any, patch: Any) -> None:
    once = merge_patch(document, patch)
    assert merge_patch(once, patch) == once
