"""InterPodAffinity: pods close to, or away from, other pods (pkg/scheduler/framework/plugins/interpodaffinity)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.columns import (
    PREFERRED_AFFINITY,
    PREFERRED_ANTI,
    REQUIRED_AFFINITY,
    REQUIRED_ANTI,
    CarriedTerm,
    Column,
    Rows,
    Tally,
)
from seatrial.sim.scheduler.framework import (
    MAX_SCORE,
    Depends,
    Filter,
    Plugin,
    Score,
    Status,
    unresolvable,
    unschedulable,
)
from seatrial.sim.scheduler.podinfo import PodInfo, Term, Traits

AFFINITY, ANTI_AFFINITY, EXISTING_ANTI_AFFINITY = 1, 2, 3
STATUSES = {
    AFFINITY: unresolvable("node(s) didn't match pod affinity rules"),
    ANTI_AFFINITY: unschedulable("node(s) didn't match pod anti-affinity rules"),
    EXISTING_ANTI_AFFINITY: unschedulable("node(s) didn't satisfy existing pods anti-affinity rules"),
}


class InterPodAffinity(Plugin):
    """Filters on required terms (the pod's own, and anti-affinity of pods that are there), scores by the others."""

    name = "InterPodAffinity"
    events = (
        "AssignedPod/Add", "AssignedPod/Delete", "AssignedPod/UpdateLabel", "Pod/UpdateLabel",
        "Node/Add", "Node/UpdateLabel", "Namespace/UpdateLabel",
    )  # fmt: skip

    def __init__(self, args: Mapping[str, Any], cache: Cache) -> None:
        super().__init__(args, cache)
        weight = args.get("hardPodAffinityWeight")
        self.hard_weight = 1 if weight is None else int(weight)
        self.ignores_existing = bool(args.get("ignorePreferredTermsOfExistingPods"))

    def filter(self, traits: Traits) -> Filter:
        return _AffinityFilter(self.cache, traits)

    def score(self, traits: Traits) -> Score | None:
        if self.ignores_existing and not traits.preferred_affinity and not traits.preferred_anti_affinity:
            return None
        return _AffinityScore(self.cache, traits, self.hard_weight)

    def hint(self, pod: PodInfo, event: str, old: object, new: object) -> bool:
        if not event.startswith("AssignedPod/"):
            return True
        return any(isinstance(other, PodInfo) and self._concerns(pod, other) for other in (old, new))

    def _concerns(self, pod: PodInfo, other: PodInfo) -> bool:
        traits = pod.traits
        terms = (*traits.required_affinity, *traits.required_anti_affinity)
        namespaces = self.cache.namespace_labels
        if any(_selects(term, other.traits, namespaces) for term in terms):
            return True
        return any(_selects(term, traits, namespaces) for term in other.traits.required_anti_affinity)


def _selects(term: Term, traits: Traits, namespaces: Mapping[str, Mapping[str, str]]) -> bool:
    return term.matches(traits.namespace, traits.labels, namespaces.get(traits.namespace) or {})


def _matched(cache: Cache, traits: Traits, kinds: tuple[int, ...]) -> list[CarriedTerm]:
    """Terms carried by pods on nodes that select pods of these traits."""
    labels = cache.namespace_labels.get(traits.namespace) or {}
    return [
        carried
        for (kind, term), carried in cache.carried.items()
        if kind in kinds and term.matches(traits.namespace, traits.labels, labels)
    ]


def _selected(cache: Cache, terms: tuple[Term, ...]) -> Tally:
    """Pods on nodes that all of the terms select."""

    def counts(traits: Traits, terminating: bool) -> int:
        return int(all(_selects(term, traits, cache.namespace_labels) for term in terms))

    return cache.tally(("selected", *terms), counts)


class _Matched:
    """Carried terms that select the pod, looked up again only when new terms appeared."""

    def __init__(self, cache: Cache, traits: Traits, kinds: tuple[int, ...]) -> None:
        self.cache, self.traits, self.kinds = cache, traits, kinds
        self._known = -1
        self._namespaces = -1
        self._found: list[CarriedTerm] = []

    def terms(self) -> list[CarriedTerm]:
        if self._known != len(self.cache.carried) or self._namespaces != self.cache.version("namespaces", ""):
            self._known, self._namespaces = len(self.cache.carried), self.cache.version("namespaces", "")
            self._found = _matched(self.cache, self.traits, self.kinds)
        return [carried for carried in self._found if carried.tally.total]


class _AffinityFilter(Filter):
    depends = Depends.CLUSTER

    def __init__(self, cache: Cache, traits: Traits) -> None:
        self.cache, self.traits = cache, traits
        self.repelling = _Matched(cache, traits, (REQUIRED_ANTI,))
        self.affinity = traits.required_affinity
        self.anti = traits.required_anti_affinity
        self.together = _selected(cache, self.affinity) if self.affinity else None
        self.apart = [_selected(cache, (term,)) for term in self.anti]
        self.first_may = bool(self.affinity) and all(
            _selects(term, traits, cache.namespace_labels) for term in self.affinity
        )
        """The pod selects itself: where no other pod does, it may be the first."""

    def trivial(self) -> bool:
        """Nothing to check in this cycle: every node passes."""
        return not self.affinity and not any(t.total for t in self.apart) and not self.repelling.terms()

    def column(self, rows: Rows | None = None) -> Column:
        cache = self.cache
        verdicts = np.zeros(len(cache.nodes), dtype=np.int64)
        for carried in self.repelling.terms():
            labels = cache.labels(carried.term.topology_key)
            verdicts[(labels.sums(carried.tally.column) > 0)[labels.codes]] = EXISTING_ANTI_AFFINITY
        for term, tally in zip(self.anti, self.apart, strict=True):
            if tally.total:
                labels = cache.labels(term.topology_key)
                verdicts[(labels.sums(tally.column) > 0)[labels.codes]] = ANTI_AFFINITY
        if self.together is not None:
            verdicts[~self._with_others(self.together)] = AFFINITY
        return verdicts if rows is None else verdicts[rows]

    def _with_others(self, together: Tally) -> Any:
        has_keys = np.ones(len(self.cache.nodes), dtype=np.bool_)
        near = np.ones(len(self.cache.nodes), dtype=np.bool_)
        anywhere = False
        for term in self.affinity:
            labels = self.cache.labels(term.topology_key)
            sums = labels.sums(together.column)
            anywhere = anywhere or bool(sums.any())
            has_keys &= labels.present
            near &= (sums > 0)[labels.codes]
        return has_keys if not anywhere and self.first_may else has_keys & near

    def one(self, row: int, added: Sequence[PodInfo] = (), removed: Sequence[PodInfo] = ()) -> int:
        if self.together is not None and not self._one_affinity(self.together, row, added, removed):
            return AFFINITY
        for term, tally in zip(self.anti, self.apart, strict=True):
            if self._near(row, term, tally) + self._change((term,), added, removed) > 0 and self._has(row, term):
                return ANTI_AFFINITY
        return EXISTING_ANTI_AFFINITY if self._repelled(row, added, removed) else 0

    def _one_affinity(self, together: Tally, row: int, added: Sequence[PodInfo], removed: Sequence[PodInfo]) -> bool:
        if not all(self._has(row, term) for term in self.affinity):
            return False
        change = self._change(self.affinity, added, removed)
        if all(self._near(row, term, together) + change > 0 for term in self.affinity):
            return True
        anywhere = any(
            self.cache.labels(term.topology_key).sums(together.column).sum() + change > 0 for term in self.affinity
        )
        return not anywhere and self.first_may

    def _repelled(self, row: int, added: Sequence[PodInfo], removed: Sequence[PodInfo]) -> bool:
        for carried in self.repelling.terms():
            left = self._near(row, carried.term, carried.tally)
            for pods, sign in ((added, 1), (removed, -1)):
                left += sign * sum(pod.traits.required_anti_affinity.count(carried.term) for pod in pods)
            if left > 0 and self._has(row, carried.term):
                return True
        namespaces = self.cache.namespace_labels
        return any(
            self._has(row, term) and _selects(term, self.traits, namespaces)
            for pod in added
            for term in pod.traits.required_anti_affinity
        )

    def _has(self, row: int, term: Term) -> bool:
        return term.topology_key in self.cache.nodes[row].labels

    def _near(self, row: int, term: Term, tally: Tally) -> int:
        labels = self.cache.labels(term.topology_key)
        return int(labels.sums(tally.column)[labels.codes[row]])

    def _change(self, terms: tuple[Term, ...], added: Sequence[PodInfo], removed: Sequence[PodInfo]) -> int:
        namespaces = self.cache.namespace_labels

        def count(pods: Sequence[PodInfo]) -> int:
            return sum(all(_selects(term, pod.traits, namespaces) for term in terms) for pod in pods)

        return count(added) - count(removed)

    def status(self, verdict: int) -> Status:
        return STATUSES[verdict]


class _AffinityScore(Score):
    depends = Depends.CLUSTER
    normalizes = True

    def __init__(self, cache: Cache, traits: Traits, hard_weight: int) -> None:
        self.cache, self.hard_weight = cache, hard_weight
        self.own = [(term, term.weight, _selected(cache, (term,))) for term in traits.preferred_affinity]
        self.own += [(term, -term.weight, _selected(cache, (term,))) for term in traits.preferred_anti_affinity]
        kinds = (PREFERRED_AFFINITY, PREFERRED_ANTI)
        self.others = _Matched(cache, traits, (*kinds, REQUIRED_AFFINITY) if hard_weight > 0 else kinds)

    def column(self, rows: Rows | None) -> Column | None:
        weighted = [(term, weight, tally) for term, weight, tally in self.own if tally.total]
        weighted += [(c.term, self._weight(c), c.tally) for c in self.others.terms()]
        if not weighted:
            return None
        tables: dict[str, Column] = {}
        found = False
        for term, weight, tally in weighted:
            labels = self.cache.labels(term.topology_key)
            sums = labels.sums(tally.column)
            found = found or bool(sums.any())
            table = sums * weight
            tables[term.topology_key] = tables[term.topology_key] + table if term.topology_key in tables else table
        if not found:
            return None
        scores = np.zeros(len(self.cache.nodes) if rows is None else len(rows), dtype=np.int64)
        for key, table in tables.items():
            codes = self.cache.labels(key).codes
            scores += table[codes if rows is None else codes[rows]]
        return scores

    def _weight(self, carried: CarriedTerm) -> int:
        if carried.kind == REQUIRED_AFFINITY:
            return self.hard_weight
        return carried.term.weight if carried.kind == PREFERRED_AFFINITY else -carried.term.weight

    def normalized(self, rows: Rows, raw: Column) -> Column:
        lowest, highest = int(raw.min()), int(raw.max())
        if lowest == highest:
            return np.zeros(len(raw), dtype=np.int64)
        return (MAX_SCORE * ((raw - lowest) / (highest - lowest))).astype(np.int64)
