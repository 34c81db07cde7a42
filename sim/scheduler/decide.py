"""One scheduling decision: filter, score, choose (k8s.io/kubernetes/pkg/scheduler/schedule_one.go).

Pods of equal traits share a ``Plan``: compiled filters and scores with their columns. Between two decisions only rows
whose pods changed are worked out anew; a plan is thrown away when nodes or objects it read change.

*Not modelled*: upstream filters nodes in parallel and may look at a few more than it needs, which moves the start of
the next search by as many; here it stops exactly at the last node it needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

import numpy as np

from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.columns import Column, Rows
from seatrial.sim.scheduler.framework import Profile, Status
from seatrial.sim.scheduler.plan import Plan, Rejection
from seatrial.sim.scheduler.podinfo import PodInfo, Traits

MIN_FEASIBLE_NODES = 100
MIN_FEASIBLE_PERCENTAGE = 5
ROWS_KEPT = 1 << 20
"""How many rows all plans of a profile may have together: some hundred plans of a large cluster, thousands of a small
one, where pods with volumes of their own need one each."""
PLANS_MIN, PLANS_MAX = 64, 8192
NO_ROWS: Rows = np.zeros(0, dtype=np.intp)
NO_NODES = "no nodes available to schedule pods"


@dataclass(slots=True)
class Decision:
    """What became of one attempt to place a pod."""

    pod: PodInfo
    node: str | None = None
    nodes: int = 0
    """All nodes of the cluster."""
    evaluated: int = 0
    feasible: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    pre_filter: Status | None = None
    """Set when a plug-in turned the pod down before looking at nodes."""
    scores: dict[str, dict[str, int]] = field(default_factory=dict)
    """Node -> plug-in -> weighted score; filled on request, and empty when there was nothing to choose."""
    final: dict[str, int] = field(default_factory=dict)
    post_filter: str = ""
    names: list[str] = field(default_factory=list)
    """All nodes, and of these the feasible ones that the search found; filled on request."""
    fitting: list[str] = field(default_factory=list)

    @property
    def plugins(self) -> list[str]:
        """The plug-ins that turned nodes down, each once (UnschedulablePlugins)."""
        if self.pre_filter is not None:
            return [self.pre_filter.plugin]
        return list(dict.fromkeys(rejection.status.plugin for rejection in self.rejected if rejection.status.plugin))

    @property
    def message(self) -> str:
        """Why the pod could not be placed, in upstream's words (FitError)."""
        if self.node is not None:
            return ""
        if self.nodes == 0:
            return NO_NODES
        text = f"0/{self.nodes} nodes are available:"
        if self.pre_filter is not None:
            text += f" {self.pre_filter.message}."
        elif self.rejected:
            text += f" {reasons_text((r.status, len(r.rows)) for r in self.rejected)}."
        return f"{text} {self.post_filter}" if self.post_filter else text


def reasons_text(counted: Iterable[tuple[Status, int]]) -> str:
    """``1 Insufficient cpu, 2 …``: each node counts for every reason it gave; entries sorted as text."""
    counts: dict[str, int] = {}
    for status, nodes in counted:
        for reason in status.reasons:
            counts[reason] = counts.get(reason, 0) + nodes
    return ", ".join(sorted(f"{nodes} {reason}" for reason, nodes in counts.items()))


def feasible_nodes_to_find(nodes: int, percentage: int) -> int:
    """After how many feasible nodes the search stops (numFeasibleNodesToFind); 0 per cent: adapt to the size."""
    if nodes < MIN_FEASIBLE_NODES or percentage >= 100:
        return nodes
    percentage = percentage or max(50 - nodes // 125, MIN_FEASIBLE_PERCENTAGE)
    return max(nodes * percentage // 100, MIN_FEASIBLE_NODES)


def plans_kept(nodes: int) -> int:
    """How many plans are worth their memory."""
    return min(max(ROWS_KEPT // max(nodes, 1), PLANS_MIN), PLANS_MAX)


class Framework:
    """A profile at work on a cache."""

    def __init__(self, profile: Profile, cache: Cache) -> None:
        self.profile, self.cache = profile, cache
        self._plans: dict[Traits, Plan] = {}

    def plan(self, traits: Traits) -> Plan:
        """The plan for pods of these traits, made anew if it is out of date."""
        self.cache.refresh()
        plan = self._plans.get(traits)
        if plan is None or plan.stale():
            plan = Plan(self.profile, self.cache, traits)
            if plan.only is None:
                self._plans.pop(traits, None)
                if len(self._plans) >= plans_kept(len(self.cache.nodes)):
                    del self._plans[next(iter(self._plans))]
                self._plans[traits] = plan
        return plan

    def decide(self, pod: PodInfo, rng: Random, detail: bool = False) -> Decision:
        """Where the pod should go. ``detail``: keep every plug-in's score and verdict, for explaining.

        The search for feasible nodes goes round; where it stopped is kept in the cache.
        """
        decision, rows = self.search(pod)
        self.choose(decision, rows, rng, detail=detail)
        if detail:
            names = [info.name for info in self.cache.nodes]
            decision.names = names
            decision.fitting = [names[row] for row in rows.tolist()]
            if decision.node is not None:
                decision.rejected = self.plan(pod.traits).rejections()
            for rejection in decision.rejected:
                rejection.nodes[:] = [names[row] for row in rejection.rows.tolist()]
        return decision

    def search(self, pod: PodInfo) -> tuple[Decision, Rows]:
        """The feasible rows, and a decision that says why there are none or is still open."""
        plan = self.plan(pod.traits)
        count = len(self.cache.nodes)
        decision = Decision(pod, nodes=count)
        if count == 0:
            return decision, NO_ROWS
        if plan.rejection is not None:
            decision.pre_filter = plan.rejection
            return decision, NO_ROWS
        hopeless = None if pod.nominated else plan.hopeless()
        if hopeless is not None:
            decision.evaluated, decision.rejected = count, hopeless
            return decision, NO_ROWS
        if pod.nominated and self._nominated_fits(plan, pod):
            rows = np.array([self.cache.row_of[pod.nominated]], dtype=np.intp)
            decision.evaluated = 1
        else:
            rows = self._find(plan, pod, decision)
        decision.feasible = len(rows)
        if len(rows) == 0:
            decision.rejected = plan.rejections()
            if not pod.nominated:
                plan.give_up(decision.rejected)
        return decision, rows

    def choose(
        self, decision: Decision, rows: Rows, rng: Random, extra: Column | None = None, detail: bool = False
    ) -> None:
        """Close a decision with one of the best of the feasible rows. ``extra``: what extenders add to their scores."""
        if len(rows) <= 1:
            decision.node = self.cache.nodes[rows.item(0)].name if len(rows) else None
            return
        plan = self.plan(decision.pod.traits)
        totals = plan.totals(rows)
        if extra is not None:
            totals = totals + extra
        best = (totals == totals[totals.argmax()]).nonzero()[0]
        row = rows.item(best.item(rng.randrange(len(best)) if len(best) > 1 else 0))
        decision.node = self.cache.nodes[row].name
        if detail:
            decision.scores = plan.explain(rows)
            decision.final = {name: sum(parts.values()) for name, parts in decision.scores.items()}

    def _nominated_fits(self, plan: Plan, pod: PodInfo) -> bool:
        """Whether the pod may go where it was nominated to go (evaluateNominatedNode)."""
        row = self.cache.row_of.get(pod.nominated)
        if row is None:
            return False
        return self._row_fits(plan, pod, row)

    def _row_fits(self, plan: Plan, pod: PodInfo, row: int) -> bool:
        expected = self.cache.nominated_on(row, pod.priority, pod.uid)
        return (not expected or plan.fits(row, added=expected)) and plan.fits(row)

    def _find(self, plan: Plan, pod: PodInfo, decision: Decision) -> Rows:
        """The feasible rows that the search comes upon, in its order; moves the start of the next one."""
        cache = self.cache
        count = decision.nodes
        if plan.only is not None:
            rows = np.array([row for row in plan.only.tolist() if self._row_fits(plan, pod, row)], dtype=np.intp)
            decision.evaluated = len(plan.only)
            cache.next_start = (cache.next_start + len(plan.only)) % count
            return rows
        passing = plan.passing()
        rows = plan.local_rows() if passing is None else np.flatnonzero(passing)
        if pod.nominated:
            row = cache.row_of.get(pod.nominated)
            if row is not None and self._row_fits(plan, pod, row) and row not in rows:
                rows = np.sort(np.append(rows, row))
        wanted = feasible_nodes_to_find(count, self.profile.percentage_of_nodes_to_score)
        start = cache.next_start % count
        if start:
            turn = int(rows.searchsorted(start))
            if turn + wanted <= len(rows):
                rows = rows[turn : turn + wanted]
            else:
                rows = np.concatenate((rows[turn:], rows[:turn]))[:wanted]
        else:
            rows = rows[:wanted]
        if len(rows) < wanted or wanted == count:
            decision.evaluated = count
        else:
            decision.evaluated = (rows.item(-1) - start) % count + 1
        cache.next_start = (start + decision.evaluated) % count
        return rows
