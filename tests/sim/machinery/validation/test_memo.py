"""What is remembered of a value is what would be found in it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from conformance.creations import creations, files
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sim.machinery import conversion, decode, defaults
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.validation import validate_create
from seatrial.sim.machinery.validation.memo import remembered
from seatrial.sim.machinery.validation.problems import Errors, invalid


def negative(value: Any) -> Errors:
    return [invalid(f"[{i}]", one, "must not be negative") for i, one in enumerate(value) if one < 0]


@given(st.lists(st.lists(st.integers()), max_size=12), st.lists(st.integers(0, 11), max_size=60), st.integers(1, 4))
def test_remembering_changes_nothing(values: list[list[int]], order: list[int], entries: int) -> None:
    plain, memo = remembered(negative, 0), remembered(negative, entries)
    for index in order:
        if index < len(values):
            assert memo(values[index]) == plain(values[index])
            assert memo([*values[index]]) == plain(values[index])


def test_a_shared_value_is_looked_at_once() -> None:
    seen: list[Any] = []
    memo = remembered(lambda value: seen.append(value) or (), 2)
    template = [1]
    for _ in range(5):
        memo(template)
    assert seen == [template]


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name.removesuffix(".jsonl.gz"))
def test_an_object_is_judged_the_same_whether_its_parts_are_known_or_not(path: Path) -> None:
    for creation in creations(path):
        resource = creation.resource
        try:
            obj, _ = decode.decode(resource, creation.raw, creation.content_type, creation.validation)
        except ApiError:
            continue
        obj = conversion.to_storage(defaults.default(resource, obj), resource)
        obj = {**obj, "metadata": {"namespace": "n", **obj.get("metadata", {})}}
        first = validate_create(resource, obj)
        sharing = {**obj, "metadata": {**obj["metadata"]}, **({"spec": {**obj["spec"]}} if obj.get("spec") else {})}
        alike = json.loads(json.dumps(obj))
        assert validate_create(resource, sharing) == first, creation.name
        assert validate_create(resource, copy.deepcopy(obj)) == first, creation.name
        assert validate_create(resource, alike) == first, creation.name
