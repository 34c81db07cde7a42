"""Preemption: which pods would have to go so that a more important one fits.

Source: pkg/scheduler/framework/preemption and pkg/scheduler/framework/plugins/defaultpreemption. Deciding is pure; the
scheduler carries it out.

*Not modelled*: preemption for pod groups; pods with affinity to their own victims, which upstream leaves out too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from seatrial.sim.kernel.clock import parse_stamp
from seatrial.sim.machinery.selectors import labels
from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.columns import Rows
from seatrial.sim.scheduler.decide import Decision, Framework, reasons_text
from seatrial.sim.scheduler.framework import Code, Status, unresolvable
from seatrial.sim.scheduler.labels import Object
from seatrial.sim.scheduler.plan import Plan
from seatrial.sim.scheduler.podinfo import NOT_STARTED, PodInfo

BUDGETS = "poddisruptionbudgets.policy"
MIN_CANDIDATES_PERCENTAGE = 10
MIN_CANDIDATES = 100
PRIORITY_SHIFT = 2**31
"""Added to every priority so that a sum of negative ones does not favour many victims over few."""
JUST_NOW = 2**62
"""Stands for the start of a pod that has not started."""
PART = 256
"""So many rows are looked at together."""
COSTS = 5
"""Criteria by which candidates are compared."""
NO_VICTIMS = unresolvable("No preemption victims found for incoming pod")
NOT_HELPFUL = unresolvable("Preemption is not helpful for scheduling")
NEVER = "not eligible due to preemptionPolicy=Never."
TERMINATING = "not eligible due to a terminating pod on the nominated node."
BY_SCHEDULER = "PreemptionByScheduler"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that would take the pod once the victims are gone."""

    node: str
    victims: tuple[PodInfo, ...]
    """Most important first."""
    violations: int
    """How many of them a disruption budget protects."""
    cost: tuple[int, int, int, int, int]
    """Violations, highest priority, sum of priorities, number of victims, and minus the µs at which the first of the
    most important victims started: less is better, one after the other."""


@dataclass(frozen=True, slots=True)
class Preemption:
    """What preemption came to: a candidate, or a message and whether an earlier nomination is to be withdrawn."""

    candidate: Candidate | None = None
    message: str = ""
    clears_nomination: bool = False


Offer = tuple["Memory", Rows]
"""Rows that are candidates, and the memory that knows who would go there."""


def preempt(
    framework: Framework, pod: PodInfo, decision: Decision, rng: Random, args: Mapping[str, Any] | None = None
) -> Preemption:
    """Find the cheapest node to make room on, after no node suited the pod."""
    found = look_for_room(framework, pod, decision, rng, args)
    return found if isinstance(found, Preemption) else Preemption(candidate=choose(*found, rng))


def look_for_room(
    framework: Framework, pod: PodInfo, decision: Decision, rng: Random, args: Mapping[str, Any] | None = None
) -> Offer | Preemption:
    """The nodes on which room could be made, or why there are none."""
    cache = framework.cache
    plan = framework.plan(pod.traits)
    if not pod.nominated and plan.futile is not None and plan.futile[0] == plan.standing():
        known: Preemption = plan.futile[1]
        return known
    refusal = _ineligible(cache, pod, decision)
    if refusal:
        return Preemption(message=f"preemption: {refusal}")
    rows = [r.rows for r in decision.rejected if r.status.code == Code.UNSCHEDULABLE]
    statuses: list[Status] = []
    if rows:
        potential = rows[0] if len(rows) == 1 else np.sort(np.concatenate(rows))
        if min(cache.priorities, default=pod.priority) >= pod.priority:
            statuses = [NO_VICTIMS] * len(potential)
        else:
            memory, candidates, statuses = search(plan, pod, potential, rng, args or {})
            if len(candidates):
                return memory, candidates
    counted = [*statuses, *([NOT_HELPFUL] * (decision.nodes - len(statuses)))]
    text = reasons_text((status, 1) for status in counted)
    message = f"preemption: 0/{decision.nodes} nodes are available: {text}."
    outcome = Preemption(message=message, clears_nomination=bool(pod.nominated))
    if not pod.nominated:
        plan.futile = (plan.standing(), outcome)
    return outcome


class Memory:
    """Dry runs of pods of some traits, remembered per row until the row's pods, or budgets, change."""

    def __init__(self, rows: int) -> None:
        self.versions = np.full(rows, -1, dtype=np.int64)
        """Of the row at its dry run; -1: none yet."""
        self.changes = -1
        """Of the other objects at the dry runs."""
        self.fits = np.zeros(rows, dtype=np.bool_)
        """Whether the row is a candidate."""
        self.outcomes: list[Candidate | Status] = [NO_VICTIMS] * rows
        self.costs = np.zeros((COSTS, rows), dtype=np.int64)

    def candidate(self, row: int) -> Candidate:
        """Who would go from a row that is a candidate."""
        found = self.outcomes[row]
        assert isinstance(found, Candidate)
        return found

    def keep(self, row: int, version: int, outcome: Candidate | Status) -> None:
        """Remember an outcome."""
        self.versions[row] = version
        self.outcomes[row] = outcome
        self.fits[row] = isinstance(outcome, Candidate)
        if isinstance(outcome, Candidate):
            self.costs[:, row] = outcome.cost


def search(
    plan: Plan, pod: PodInfo, potential: Rows, rng: Random, args: Mapping[str, Any]
) -> tuple[Memory, Rows, list[Status]]:
    """Dry-run rows from a random start until there are enough candidates: these, and why other rows would not do."""
    cache = plan.cache
    memory: Memory = plan.memory or Memory(len(cache.nodes))
    if memory.changes != cache.changes or not all(judge.trivial() for judge in plan.on_cluster):
        memory = Memory(len(cache.nodes))
    memory.changes = cache.changes
    plan.memory = memory
    percentage = args.get("minCandidateNodesPercentage", MIN_CANDIDATES_PERCENTAGE)
    wanted = max(len(potential) * percentage // 100, args.get("minCandidateNodesAbsolute", MIN_CANDIDATES))
    start = rng.randrange(len(potential))
    order = np.concatenate((potential[start:], potential[:start]))
    budgets = _budgets(cache)
    parts: list[Rows] = []
    found, harmless = 0, False
    for begin in range(0, len(order), PART):
        part = order[begin : begin + PART]
        for position in (memory.versions[part] != cache.row_versions[part]).nonzero()[0].tolist():
            row = part.item(position)
            memory.keep(row, cache.row_versions.item(row), dry_run(plan, pod, row, budgets))
        parts.append(part)
        reached = memory.fits[part].cumsum() + found
        found = reached.item(-1)
        if harmless and found < wanted:
            continue
        spared = (memory.fits[part] & (memory.costs[0, part] == 0)).nonzero()[0]
        if found >= wanted and (harmless or len(spared)):
            end = max(int(reached.searchsorted(wanted)), 0 if harmless else spared.item(0)) + 1
            parts[-1] = part[:end]
            break
        harmless = harmless or len(spared) > 0
    rows = np.concatenate(parts)
    candidates = rows[memory.fits[rows]]
    statuses = [] if len(candidates) else [memory.outcomes[row] for row in rows.tolist()]
    return memory, candidates, [status for status in statuses if isinstance(status, Status)]


def choose(memory: Memory, candidates: Rows, rng: Random) -> Candidate:
    """The cheapest candidate; any of those that cost the same (pickOneNodeForPreemption)."""
    for costs in memory.costs:
        if len(candidates) == 1:
            break
        own = costs[candidates]
        candidates = candidates[own == own.min()]
    row = candidates.item(rng.randrange(len(candidates)) if len(candidates) > 1 else 0)
    return memory.candidate(row)


def cheapest(candidates: Sequence[Candidate], rng: Random) -> Candidate:
    """``choose`` among candidates that are at hand."""
    least = min(candidate.cost for candidate in candidates)
    equals = [candidate for candidate in candidates if candidate.cost == least]
    return equals[rng.randrange(len(equals)) if len(equals) > 1 else 0]


def dry_run(plan: Plan, pod: PodInfo, row: int, budgets: Sequence[Object]) -> Candidate | Status:
    """The fewest and least important pods that would have to leave a node (SelectVictimsOnNode)."""
    cache = plan.cache
    lesser = [other for other in cache.nodes[row].pods.values() if outranks(pod, other)]
    if not lesser:
        return NO_VICTIMS
    expected = cache.nominated_on(row, pod.priority, pod.uid)

    refused = (plan.judge(row, expected, lesser) if expected else None) or plan.judge(row, (), lesser)
    if refused is not None:
        return refused
    lesser.sort(key=importance)
    protected, others = _by_budget(lesser, budgets)
    removed = list(lesser)
    violations = 0
    for group, counts in ((protected, 1), (others, 0)):
        for victim in group:
            without = [other for other in removed if other is not victim]
            if plan.fits(row, (), without) and (not expected or plan.fits(row, expected, without)):
                removed = without
            else:
                violations += counts
    return candidate_of(cache.nodes[row].name, removed, violations)


def candidate_of(node: str, victims: list[PodInfo], violations: int) -> Candidate:
    """The candidate with these victims, the most important first."""
    highest = victims[0].priority if victims else -PRIORITY_SHIFT
    total = sum(victim.priority + PRIORITY_SHIFT for victim in victims)
    starts = [v.start for v in victims if v.priority == highest and v.start != NOT_STARTED]
    started = min(map(parse_stamp, starts)) if starts else JUST_NOW
    return Candidate(node, tuple(victims), violations, (violations, highest, total, len(victims), -started))


def outranks(pod: PodInfo, other: PodInfo) -> bool:
    """Whether the pod may make the other one go: only lower priorities ever do."""
    return other.priority < pod.priority


def importance(pod: PodInfo) -> tuple[int, str]:
    """Sorts more important pods first: higher priority, then running for longer (util.MoreImportantPod)."""
    return -pod.priority, pod.start


def _ineligible(cache: Cache, pod: PodInfo, decision: Decision) -> str:
    """Why the pod may not preempt now, or nothing (PodEligibleToPreemptOthers)."""
    if not pod.traits.preempts:
        return NEVER
    row = cache.row_of.get(pod.nominated) if pod.nominated else None
    if row is None:
        return ""
    hopeless = (r.rows for r in decision.rejected if r.status.code == Code.UNSCHEDULABLE_AND_UNRESOLVABLE)
    if any(row in rows for rows in hopeless):
        return ""
    others = cache.nodes[row].pods.values()
    if any(other.priority < pod.priority and preempted(other) for other in others):
        return TERMINATING
    return ""


def preempted(pod: PodInfo) -> bool:
    """Whether the pod is on its way out because the scheduler preempted it."""
    if not pod.terminating:
        return False
    conditions = (pod.pod.get("status") or {}).get("conditions") or ()
    target = next((c for c in conditions if c.get("type") == "DisruptionTarget"), None)
    return target is not None and target.get("status") == "True" and target.get("reason") == BY_SCHEDULER


def _budgets(cache: Cache) -> list[Object]:
    return list(cache.objects.get(BUDGETS, {}).values())


def _by_budget(pods: Iterable[PodInfo], budgets: Sequence[Object]) -> tuple[list[PodInfo], list[PodInfo]]:
    """Pods whose eviction would break a budget, and the others; order is kept (filterPodsWithPDBViolation)."""
    left = [((budget.get("status") or {}).get("disruptionsAllowed") or 0) for budget in budgets]
    protected: list[PodInfo] = []
    others: list[PodInfo] = []
    for pod in pods:
        violates = False
        for index, budget in enumerate(budgets) if pod.traits.labels else ():
            if _protects(budget, pod):
                left[index] -= 1
                violates = violates or left[index] < 0
        (protected if violates else others).append(pod)
    return protected, others


def _protects(budget: Object, pod: PodInfo) -> bool:
    selector = (budget.get("spec") or {}).get("selector")
    if budget["metadata"].get("namespace") != pod.namespace or not selector or not any(selector.values()):
        return False
    if pod.name in ((budget.get("status") or {}).get("disruptedPods") or {}):
        return False
    return labels(selector)(pod.traits.labels)
