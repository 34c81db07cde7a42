"""Which pod ordered scaling waits for."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.controllers.statefulset_plan import Members, first_unavailable

S = 1_000_000


def pod(ordinal: int, ready: bool) -> dict[str, Any]:
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": "1970-01-01T00:00:00Z"}
    return {"metadata": {"name": f"s-{ordinal}"}, "status": {"phase": "Running", "conditions": [condition]}}


@pytest.mark.parametrize(
    ("kept", "condemned", "expected"),
    [
        ([], [False, False, False], 0),
        ([], [True, False, True], 1),
        ([True], [False, False], 1),
        ([False], [True, False], 0),
        ([True], [True], None),
    ],
)
def test_it_is_the_lowest_that_is_not_available(kept: list[bool], condemned: list[bool], expected: int | None) -> None:
    pods = [pod(ordinal, ready) for ordinal, ready in enumerate([*kept, *condemned])]
    found = Members(pods[: len(kept)], pods[: len(kept) - 1 : -1] if kept else pods[::-1])
    waited_for = first_unavailable({"spec": {}}, found, 60 * S)
    assert waited_for is (None if expected is None else pods[expected])
