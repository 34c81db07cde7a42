"""Conditions as kubectl wait takes them."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.scenarios.waiting import condition_of

POD = {
    "metadata": {"name": "a", "generation": 2, "labels": {"app.kubernetes.io/name": "x"}},
    "status": {
        "phase": "Running",
        "conditions": [
            {"type": "Ready", "status": "True"},
            {"type": "Late", "status": "True", "observedGeneration": 1},
        ],
        "containerStatuses": [{"name": "c", "restartCount": 3, "ready": True}],
    },
}


@pytest.mark.parametrize(
    ("text", "of_pod", "of_none"),
    [
        ("condition=Ready", True, False),
        ("condition=ready=true", True, False),
        ("condition=Ready=False", False, False),
        ("condition=Missing", False, False),
        ("condition=Late", False, False),
        ("jsonpath={.status.phase}=Running", True, False),
        ("jsonpath='{.status.phase}'=Pending", False, False),
        ("jsonpath={.status.podIP}", False, False),
        ("jsonpath={.status.phase}", True, False),
        ("jsonpath={.status.containerStatuses[0].restartCount}=3", True, False),
        ("jsonpath={.status.containerStatuses[0].ready}=true", True, False),
        ('jsonpath={.status.conditions[?(@.type=="Ready")].status}=True', True, False),
        ("jsonpath={.metadata.labels.app\\.kubernetes\\.io/name}=x", True, False),
        ("jsonpath=.status.phase=Running", True, False),
        ("delete", False, True),
        ("create", True, False),
    ],
)
def test_conditions(text: str, of_pod: bool, of_none: bool) -> None:
    condition = condition_of(text)
    assert (condition.holds(POD), condition.holds(None)) == (of_pod, of_none)


@pytest.mark.parametrize(
    "text", ["", "ready", "condition=", "jsonpath=", "jsonpath={.a[}", "jsonpath={.a}Running", "x=1"]
)
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not understood"):
        condition_of(text)


def test_a_generation_that_is_not_seen_yet_does_not_count() -> None:
    holds = condition_of("condition=Available").holds
    state: dict[str, Any] = {"conditions": [{"type": "Available", "status": "True"}], "observedGeneration": 1}
    assert not holds({"metadata": {"generation": 2}, "status": state})
    assert holds({"metadata": {"generation": 1}, "status": state})
