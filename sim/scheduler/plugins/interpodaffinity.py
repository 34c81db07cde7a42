"""InterPodAffinity: pods close to, or away from, other pods (pkg/scheduler/framework/plugins/interpodaffinity)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    DomainSums,
    Mask,
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


def _by_domain(cache: Cache, term: Term, tally: Tally) -> DomainSums:
    """The tally per value of the term's topology key."""
    return DomainSums(cache.labels(term.topology_key), tally)


class _Matched:
    """Carried terms that select the pod, looked up again only when new terms appeared."""

    def __init__(self, cache: Cache, traits: Traits, kinds: tuple[int, ...]) -> None:
        self.cache, self.traits, self.kinds = cache, traits, kinds
        self._known = -1
        self._namespaces = -1
        self._found: list[CarriedTerm] = []
        self._sums: dict[tuple[int, Term], DomainSums] = {}

    def sums(self, carried: CarriedTerm) -> Column:
        """Per domain, how many pods carry the term."""
        key = (carried.kind, carried.term)
        found = self._sums.get(key)
        if found is None:
            found = self._sums[key] = DomainSums(self.cache.labels(carried.term.topology_key), carried.tally)
        return found.now(self.cache.touched)

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
        together = _selected(cache, self.affinity) if self.affinity else None
        self.together = [] if together is None else [_by_domain(cache, term, together) for term in self.affinity]
        self.apart = [(term, tally, _by_domain(cache, term, tally)) for term in self.anti
                      for tally in (_selected(cache, (term,)),)]  # fmt: skip
        self.first_may = bool(self.affinity) and all(
            _selects(term, traits, cache.namespace_labels) for term in self.affinity
        )
        """The pod selects itself: where no other pod does, it may be the first."""

    def trivial(self) -> bool:
        """Nothing to check in this cycle: every node passes."""
        return not self.affinity and not any(t.total for _, t, _ in self.apart) and not self.repelling.terms()

    def column(self, rows: Rows | None = None) -> Column:
        verdicts = np.zeros(len(self.cache.nodes), dtype=np.int64)
        for verdict, taken in self._taken():
            verdicts[taken] = verdict
        if self.together:
            verdicts[~self._with_others()] = AFFINITY
        return verdicts if rows is None else verdicts[rows]

    def passing(self) -> Mask | None:
        barred: Mask | None = None
        for _, taken in self._taken():
            barred = taken if barred is None else barred | taken
        passing = None if barred is None else ~barred
        if self.together:
            company = self._with_others()
            passing = company if passing is None else passing & company
        return passing

    def _taken(self) -> Iterator[tuple[int, Mask]]:
        """(verdict, the rows near somebody who keeps the pod away)."""
        cache = self.cache
        for carried in self.repelling.terms():
            yield EXISTING_ANTI_AFFINITY, cache.labels(carried.term.topology_key).rows(self.repelling.sums(carried) > 0)
        for term, tally, sums in self.apart:
            if tally.total:
                yield ANTI_AFFINITY, cache.labels(term.topology_key).rows(sums.now(cache.touched) > 0)

    def _with_others(self) -> Mask:
        labels = [self.cache.labels(term.topology_key) for term in self.affinity]
        sums = [by_domain.now(self.cache.touched) for by_domain in self.together]
        masks = [column.rows(own > 0) for column, own in zip(labels, sums, strict=True)]
        if self.first_may and not any(np.count_nonzero(own) for own in sums):
            masks = [column.present for column in labels]
        return masks[0] if len(masks) == 1 else np.logical_and.reduce(masks)

    def one(self, row: int, added: Sequence[PodInfo] = (), removed: Sequence[PodInfo] = ()) -> int:
        if self.together and not self._one_affinity(row, added, removed):
            return AFFINITY
        for term, _, sums in self.apart:
            near = self._near(row, term, sums.now(self.cache.touched))
            if near + self._change((term,), added, removed) > 0 and self._has(row, term):
                return ANTI_AFFINITY
        return EXISTING_ANTI_AFFINITY if self._repelled(row, added, removed) else 0

    def _one_affinity(self, row: int, added: Sequence[PodInfo], removed: Sequence[PodInfo]) -> bool:
        if not all(self._has(row, term) for term in self.affinity):
            return False
        change = self._change(self.affinity, added, removed)
        sums = [by_domain.now(self.cache.touched) for by_domain in self.together]
        if all(self._near(row, term, own) + change > 0 for term, own in zip(self.affinity, sums, strict=True)):
            return True
        return self.first_may and not any(own.sum() + change > 0 for own in sums)

    def _repelled(self, row: int, added: Sequence[PodInfo], removed: Sequence[PodInfo]) -> bool:
        for carried in self.repelling.terms():
            left = self._near(row, carried.term, self.repelling.sums(carried))
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

    def _near(self, row: int, term: Term, sums: Column) -> int:
        return sums.item(self.cache.labels(term.topology_key).codes.item(row))

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
        weighed = [(term, term.weight) for term in traits.preferred_affinity]
        weighed += [(term, -term.weight) for term in traits.preferred_anti_affinity]
        self.own = [(term, weight, tally, _by_domain(cache, term, tally)) for term, weight in weighed
                    for tally in (_selected(cache, (term,)),)]  # fmt: skip
        kinds = (PREFERRED_AFFINITY, PREFERRED_ANTI)
        self.others = _Matched(cache, traits, (*kinds, REQUIRED_AFFINITY) if hard_weight > 0 else kinds)

    def column(self, rows: Rows | None) -> Column | None:
        touched = self.cache.touched
        weighted = [(term, weight, sums.now(touched)) for term, weight, tally, sums in self.own if tally.total]
        weighted += [(c.term, self._weight(c), self.others.sums(c)) for c in self.others.terms()]
        if not weighted:
            return None
        tables: dict[str, Column] = {}
        found = False
        for term, weight, sums in weighted:
            found = found or bool(np.count_nonzero(sums))
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
