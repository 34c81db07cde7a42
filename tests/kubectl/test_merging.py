"""Applying: the patch from what was applied last, what is wanted and what is there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.scenarios.kubectl.merging import three_way
from seatrial.sim.machinery.patch import merge_patch
from seatrial.sim.machinery.schema import type_of_kind
from seatrial.sim.machinery.strategic import strategic_merge

DEPLOYMENT = type_of_kind("apps", "v1", "Deployment")


def deployment(replicas: int | None, **containers: dict[str, Any]) -> dict[str, Any]:
    listed = [{"name": name, **fields} for name, fields in containers.items()]
    spec: dict[str, Any] = {"template": {"spec": {"containers": listed}}}
    if replicas is not None:
        spec["replicas"] = replicas
    return {"spec": spec}


@pytest.mark.parametrize(
    ("original", "modified", "current", "after"),
    [
        pytest.param(deployment(3, a={"image": "1"}), deployment(3, a={"image": "2"}),
                     deployment(3, a={"image": "1", "tty": True}), deployment(3, a={"image": "2", "tty": True}),
                     id="what others set stays"),
        pytest.param(deployment(3, a={"image": "1"}), deployment(None, a={"image": "1"}),
                     deployment(3, a={"image": "1"}), deployment(None, a={"image": "1"}),
                     id="what the file dropped goes"),
        pytest.param(deployment(3, a={"image": "1"}, b={"image": "1"}), deployment(3, a={"image": "1"}),
                     deployment(3, a={"image": "1"}, b={"image": "1"}), deployment(3, a={"image": "1"}),
                     id="a container that was dropped goes"),
        pytest.param(deployment(3, a={"image": "1"}), deployment(3, a={"image": "1"}, b={"image": "2"}),
                     deployment(3, a={"image": "1"}), deployment(3, a={"image": "1"}, b={"image": "2"}),
                     id="a container is added"),
        pytest.param(deployment(3, a={"image": "1"}), deployment(3, a={"image": "1"}),
                     deployment(5, a={"image": "1"}), deployment(3, a={"image": "1"}), id="what drifted comes back"),
        pytest.param(deployment(3, a={"env": [{"name": "X", "value": "1"}]}), deployment(3, a={"env": []}),
                     deployment(3, a={"env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}),
                     deployment(3, a={"env": [{"name": "Y", "value": "2"}]}), id="a variable of another's stays"),
    ],
)  # fmt: skip
def test_a_strategic_patch(original: Any, modified: Any, current: Any, after: Any) -> None:
    patch = three_way(original, modified, current, DEPLOYMENT)
    assert strategic_merge(current, patch, DEPLOYMENT) == after


def test_nothing_to_do_is_no_patch() -> None:
    same = deployment(3, a={"image": "1", "ports": [{"containerPort": 80}]})
    assert three_way(same, same, same, DEPLOYMENT) == {}


VALUES = st.recursive(st.integers(0, 3), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3))
OBJECTS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@settings(max_examples=40)
@given(OBJECTS, OBJECTS)
def test_applying_what_is_there_from_nothing_else_gives_what_is_wanted(current: Any, modified: Any) -> None:
    """Where everything was applied before, the merge patch makes the object what the file says."""
    assert merge_patch(current, three_way(current, modified, current, None)) == modified
