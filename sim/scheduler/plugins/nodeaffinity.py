"""NodeAffinity: where a pod must and would like to run, by labels (pkg/scheduler/framework/plugins/nodeaffinity)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.columns import Column, Mask, NodeInfo, Rows
from seatrial.sim.scheduler.framework import Filter, Plugin, Rejected, Score, Status, stretch, unresolvable
from seatrial.sim.scheduler.labels import Object, requirement, value_match
from seatrial.sim.scheduler.podinfo import PREFERRED, REQUIRED, PodInfo, Traits

REASON_POD = "node(s) didn't match Pod's node affinity/selector"
REASON_ENFORCED = "node(s) didn't match scheduler-enforced node affinity"
REASON_CONFLICT = "pod affinity terms conflict"


class NodeAffinity(Plugin):
    """Filters on nodeSelector and required node affinity, scores by preferred terms; ``addedAffinity`` is the
    profile's own, for every pod."""

    name = "NodeAffinity"
    events = ("Node/Add", "Node/UpdateLabel")

    def __init__(self, args: Mapping[str, Any], cache: Cache) -> None:
        super().__init__(args, cache)
        added = args.get("addedAffinity") or {}
        self.added_required = _terms(added)
        self.added_preferred = tuple(added.get(PREFERRED) or ())

    def filter(self, traits: Traits) -> Filter | None:
        required = _terms(traits.node_affinity)
        if self.added_required is None and required is None and not traits.node_selector:
            return None
        only = _named_nodes(required)
        if only is not None and not only:
            raise Rejected(unresolvable(REASON_CONFLICT))
        return _AffinityFilter(self.cache, self.added_required, traits.node_selector, required, only)

    def score(self, traits: Traits) -> Score | None:
        preferred = (*self.added_preferred, *(traits.node_affinity.get(PREFERRED) or ()))
        return _AffinityScore(self.cache, preferred) if preferred else None

    def hint(self, pod: PodInfo, event: str, old: object, new: object) -> bool:
        if not isinstance(new, NodeInfo):
            return True
        return matches_required(new, pod.traits) and (
            not isinstance(old, NodeInfo) or event == "Node/Add" or not matches_required(old, pod.traits)
        )


class _AffinityFilter(Filter):
    def __init__(
        self,
        cache: Cache,
        added: tuple[Object, ...] | None,
        selector: Mapping[str, str],
        required: tuple[Object, ...] | None,
        only: frozenset[str] | None,
    ) -> None:
        self.cache, self.added, self.selector, self.required, self.only = cache, added, selector, required, only

    def column(self, rows: Rows | None = None) -> Column:
        verdicts = np.zeros(len(self.cache.nodes) if rows is None else len(rows), dtype=np.int64)
        verdicts[~required_mask(self.cache, self.selector, self.required, rows)] = 1
        if self.added is not None:
            verdicts[~terms_mask(self.cache, self.added, rows)] = 2
        return verdicts

    def status(self, verdict: int) -> Status:
        return unresolvable(REASON_POD if verdict == 1 else REASON_ENFORCED)


class _AffinityScore(Score):
    normalizes = True

    def __init__(self, cache: Cache, preferred: tuple[Object, ...]) -> None:
        self.cache, self.preferred = cache, preferred

    def column(self, rows: Rows | None) -> Column:
        sums = np.zeros(len(self.cache.nodes) if rows is None else len(rows), dtype=np.int64)
        for item in self.preferred:
            weight = item.get("weight") or 0
            if weight:
                sums[term_mask(self.cache, item.get("preference") or {}, rows)] += weight
        return sums

    def normalized(self, rows: Rows, raw: Column) -> Column:
        return stretch(raw)


def required_mask(
    cache: Cache, selector: Mapping[str, str], required: tuple[Object, ...] | None, rows: Rows | None = None
) -> Mask:
    """The rows that match a nodeSelector and required terms."""
    mask = np.ones(len(cache.nodes) if rows is None else len(rows), dtype=np.bool_)
    for key, value in selector.items():
        mask &= _holds(cache, key, requirement({"operator": "In", "values": [value]}), rows)
    if required is not None:
        mask &= terms_mask(cache, required, rows)
    return mask


def terms_mask(cache: Cache, terms: Iterable[Object], rows: Rows | None = None) -> Mask:
    """The rows that match any of the terms."""
    mask = np.zeros(len(cache.nodes) if rows is None else len(rows), dtype=np.bool_)
    for term in terms:
        mask |= term_mask(cache, term, rows)
    return mask


def term_mask(cache: Cache, term: Object, rows: Rows | None = None) -> Mask:
    """The rows that match one term: all its expressions and fields; an empty one matches nothing."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    count = len(cache.nodes) if rows is None else len(rows)
    if not expressions and not fields:
        return np.zeros(count, dtype=np.bool_)
    mask = np.ones(count, dtype=np.bool_)
    for expression in expressions:
        mask &= _holds(cache, expression["key"], requirement(expression), rows)
    for field in fields:
        matches = value_match(field.get("operator"), tuple(field.get("values") or ()))
        chosen = cache.nodes if rows is None else [cache.nodes[row] for row in rows.tolist()]
        named = field.get("key") == "metadata.name"
        mask &= np.fromiter((named and matches(info.name) for info in chosen), dtype=np.bool_, count=count)
    return mask


def _holds(cache: Cache, key: str, matches: Any, rows: Rows | None) -> Mask:
    if rows is None:
        return cache.labels(key).where(matches)
    return np.fromiter((matches(cache.nodes[row].labels.get(key)) for row in rows.tolist()), np.bool_, len(rows))


def matches_required(info: NodeInfo, traits: Traits) -> bool:
    """Whether one node matches a pod's nodeSelector and required node affinity (GetRequiredNodeAffinity)."""
    labels = info.labels
    if any(labels.get(key) != value for key, value in traits.node_selector.items()):
        return False
    required = _terms(traits.node_affinity)
    return required is None or any(matches_term(info.name, labels, term) for term in required)


def matches_term(name: str, labels: Mapping[str, str], term: Object) -> bool:
    """Whether one node matches one node selector term."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    return all(requirement(e)(labels.get(e["key"])) for e in expressions) and all(
        field.get("key") == "metadata.name"
        and value_match(field.get("operator"), tuple(field.get("values") or ()))(name)
        for field in fields
    )


def _terms(node_affinity: Object) -> tuple[Object, ...] | None:
    required = node_affinity.get(REQUIRED)
    return None if required is None else tuple(required.get("nodeSelectorTerms") or ())


def _named_nodes(required: tuple[Object, ...] | None) -> frozenset[str] | None:
    """The nodes that the terms name; None unless every term names some."""
    if not required:
        return None
    names: set[str] = set()
    for term in required:
        wanted = [
            frozenset(field.get("values") or ())
            for field in term.get("matchFields") or ()
            if field.get("key") == "metadata.name" and field.get("operator") == "In"
        ]
        if not wanted:
            return None
        names |= frozenset.intersection(*wanted)
    return frozenset(names)
