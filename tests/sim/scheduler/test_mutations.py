"""Every way to get a verdict wrong is caught by the comparison with the plain scheduler or a property of preemption."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from seatrial.sim.scheduler import preemption
from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.columns import DomainSums, LabelColumn, Rows
from seatrial.sim.scheduler.plan import Plan
from seatrial.sim.scheduler.plugins import (
    imagelocality,
    interpodaffinity,
    nodeaffinity,
    nodeports,
    noderesources,
    nodeunschedulable,
    podtopologyspread,
    tainttoleration,
)
from tests.sim.scheduler.test_decide import a_history
from tests.sim.scheduler.test_preemption import room_is_made

DOMAIN_SUMS = DomainSums.now
Patch = tuple[str, Any, str, Any]
"""What the history is about, and what is replaced by what."""


def _forgets_changes(plan: Plan) -> Any:
    plan.verdicts  # noqa: B018
    return plan._ok


def _first_sums(self: DomainSums, touched: list[int]) -> Any:
    return self._sums if self._recounts >= 0 else DOMAIN_SUMS(self, touched)


def _wants_nothing(self: Any, cache: Cache, wanted: Any) -> None:
    self.cache, self.wanted = cache, []


def _all(cache: Cache, rows: Rows | None) -> Any:
    """The verdict of a filter to which every node is right."""
    return np.zeros(len(cache.nodes) if rows is None else len(rows), dtype=np.int64)


def _no_sums(self: LabelColumn, column: Any) -> Any:
    return np.zeros(self.size, dtype=np.int64)


VERDICTS: dict[str, Patch] = {
    "host ports never clash": ("room", nodeports, "clash", lambda wanted, used: False),
    "every taint is tolerated": ("room", tainttoleration, "untolerated", lambda taints, tolerations, effects: []),
    "pods do not fill a node": ("room", noderesources._FitFilter, "one", lambda self, row, added=(), removed=(): 0),
    "spread compares with nothing": (
        "spread",
        podtopologyspread._SpreadFilter,
        "_least",
        lambda self, position, sums: 0,
    ),
    "another reason is given": (
        "spread",
        podtopologyspread._SpreadFilter,
        "status",
        lambda self, verdict: podtopologyspread.unschedulable("something else"),
    ),
    "other pods' terms are ignored": ("company", interpodaffinity._Matched, "terms", lambda self: []),
    "nobody keeps anybody away": ("company", interpodaffinity._AffinityFilter, "_taken", lambda self: iter(())),
    "domains are single nodes": (
        "company",
        LabelColumn,
        "sums",
        lambda self, column: np.zeros(self.size, dtype=np.int64),
    ),
    "requests are of no interest": ("room", noderesources._FitFilter, "__init__", _wants_nothing),
    "selectors of nodes are ignored": (
        "anything",
        nodeaffinity,
        "required_mask",
        lambda cache, selector, required, rows=None: _all(cache, rows) == 0,
    ),
    "cordoned nodes are open": (
        "anything",
        nodeunschedulable._UnschedulableFilter,
        "column",
        lambda self, rows=None: _all(self.cache, rows),
    ),
    "company is not wanted": (
        "company",
        interpodaffinity._AffinityFilter,
        "_with_others",
        lambda self: np.ones(len(self.cache.nodes), dtype=np.bool_),
    ),
    "images weigh alike wherever they are": ("room", imagelocality, "MIN_THRESHOLD", 0),
    "what changed is forgotten": ("room", Plan, "local_pass", _forgets_changes),
    "what was hopeless stays so": ("room", Plan, "standing", lambda self: (0, 0)),
    "sums are made once": ("company", DomainSums, "now", _first_sums),
}
PREEMPTIONS: dict[str, tuple[Any, str, Any]] = {
    "nobody is spared": (preemption, "_by_budget", lambda pods, budgets: ([], [])),
    "equals make each other go": (preemption, "outranks", lambda pod, other: other.priority <= pod.priority),
    "anybody makes anybody go": (preemption, "outranks", lambda pod, other: True),
    "the important go first": (preemption, "importance", lambda pod: (pod.priority, pod.start)),
}


def caught(body: Callable[[st.DataObject], None]) -> None:
    """The body fails for some example."""

    @given(st.data())
    @settings(max_examples=600, phases=[Phase.generate], database=None)
    def run(data: st.DataObject) -> None:
        body(data)

    with pytest.raises((AssertionError, ExceptionGroup)):
        run()


@pytest.mark.parametrize("name", VERDICTS)
def test_a_wrong_verdict_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    about, *patch = VERDICTS[name]
    monkeypatch.setattr(*patch)
    caught(lambda data: a_history(data, about))


@pytest.mark.parametrize("name", PREEMPTIONS)
def test_a_wrong_victim_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*PREEMPTIONS[name])
    caught(room_is_made)
