"""PodTopologySpread: pods of a kind evenly over zones, hosts or what else (plugins/podtopologyspread)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from seatrial.sim.machinery.selectors import Matches, labels
from seatrial.sim.scheduler.cache import Anchor, Cache
from seatrial.sim.scheduler.columns import HOSTNAME, ZONE, Column, DomainSums, LabelColumn, Mask, NodeInfo, Rows, Tally
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
from seatrial.sim.scheduler.labels import Object, untolerated
from seatrial.sim.scheduler.plugins.nodeaffinity import required_mask
from seatrial.sim.scheduler.podinfo import REQUIRED, PodInfo, Traits

REASON_SKEW = "node(s) didn't match pod topology spread constraints"
REASON_LABEL = f"{REASON_SKEW} (missing required label)"
HARD, SOFT = "DoNotSchedule", "ScheduleAnyway"
SYSTEM_DEFAULTS: tuple[Object, ...] = (
    {"maxSkew": 3, "topologyKey": HOSTNAME, "whenUnsatisfiable": SOFT},
    {"maxSkew": 5, "topologyKey": ZONE, "whenUnsatisfiable": SOFT},
)
REPELLING = frozenset(("NoSchedule", "NoExecute"))
OWNERS = {
    "ReplicationController": "replicationcontrollers",
    "ReplicaSet": "replicasets.apps",
    "StatefulSet": "statefulsets.apps",
}
"""Kinds of controllers whose selector the default constraints use -> where they are stored."""
UNBOUNDED = 2**31 - 1


class Constraint:
    """One constraint, compiled for pods of some traits."""

    def __init__(self, cache: Cache, traits: Traits, given: Object, selector: Object | None) -> None:
        self.key: str = given["topologyKey"]
        self.max_skew: int = given["maxSkew"]
        self.min_domains: int = given.get("minDomains") or 1
        self.honors_affinity = (given.get("nodeAffinityPolicy") or "Honor") == "Honor"
        self.honors_taints = (given.get("nodeTaintsPolicy") or "Ignore") == "Honor"
        self.matches: Matches = labels(selector)
        self.selects_itself = self.matches(traits.labels)
        self.column: LabelColumn = cache.labels(self.key)
        self.tally = _tally(cache, traits.namespace, selector, self.matches)

    def eligible(self, cache: Cache, traits: Traits) -> Mask | None:
        """The nodes whose pods count, by the inclusion policies; None: all."""
        mask: Mask | None = None
        if self.honors_affinity:
            required = traits.node_affinity.get(REQUIRED)
            if traits.node_selector or required is not None:
                terms = None if required is None else tuple(required.get("nodeSelectorTerms") or ())
                mask = required_mask(cache, traits.node_selector, terms)
        if self.honors_taints:
            nodes = cache.nodes
            clean = np.fromiter(
                (not untolerated(info.taints, traits.tolerations, REPELLING) for info in nodes), np.bool_, len(nodes)
            )
            mask = clean if mask is None else mask & clean
        return mask


def _tally(cache: Cache, namespace: str, selector: Object | None, matches: Matches) -> Tally:
    def counts(traits: Traits, terminating: bool) -> int:
        return int(not terminating and traits.namespace == namespace and matches(traits.labels))

    key = ("spread", namespace, orjson.dumps(selector, option=orjson.OPT_SORT_KEYS))
    anchor: Anchor | None = None
    for name, value in ((selector or {}).get("matchLabels") or {}).items():
        anchor = (namespace, name, value)  # the last tells most as a rule: pod-template-hash comes after what was given
    return cache.tally(key, counts, anchor)


class PodTopologySpread(Plugin):
    """Filters on hard constraints, scores by soft ones."""

    name = "PodTopologySpread"
    events = (
        "AssignedPod/Add", "AssignedPod/Delete", "AssignedPod/UpdateLabel", "Pod/UpdateLabel",
        "Node/Add", "Node/Delete", "Node/UpdateLabel", "Node/UpdateTaint",
    )  # fmt: skip

    def __init__(self, args: Mapping[str, Any], cache: Cache) -> None:
        super().__init__(args, cache)
        self.system_defaults = (args.get("defaultingType") or "System") == "System"
        self.defaults = SYSTEM_DEFAULTS if self.system_defaults else tuple(args.get("defaultConstraints") or ())
        self._counting: tuple[Traits | None, list[Matches]] = (None, [])

    def reads(self, traits: Traits) -> tuple[tuple[str, str], ...]:
        if traits.spread or not self.defaults:
            return ()
        return tuple((storage, traits.namespace) for storage in ("services", *OWNERS.values()))

    def filter(self, traits: Traits) -> Filter | None:
        constraints = self._constraints(traits, HARD)
        return _SpreadFilter(self.cache, traits, constraints) if constraints else None

    def score(self, traits: Traits) -> Score | None:
        constraints = self._constraints(traits, SOFT)
        if not constraints:
            return None
        every_key = bool(traits.spread) or not self.system_defaults
        return _SpreadScore(self.cache, traits, constraints, every_key)

    def hint(self, pod: PodInfo, event: str, old: object, new: object) -> bool:
        if event.startswith("Node/"):
            return self._moves_domains(pod.traits, old, new)
        if not event.startswith("AssignedPod/"):
            return True
        return any(
            isinstance(other, PodInfo)
            and other.namespace == pod.namespace
            and any(matches(other.traits.labels) for matches in self._counted_by(pod.traits))
            for other in (old, new)
        )

    def _moves_domains(self, traits: Traits, old: object, new: object) -> bool:
        """Whether a node that came, went or changed has, or had, a say in the hard constraints of such pods."""
        keys = [given["topologyKey"] for given in self._hard(traits)]
        nodes = [node if isinstance(node, NodeInfo) else None for node in (old, new)]
        counted = [node is not None and all(key in node.labels for key in keys) for node in nodes]
        before, after = nodes
        if before is None or after is None or counted[0] != counted[1]:
            return any(counted)
        moved = any(before.labels[key] != after.labels[key] for key in keys) if counted[1] else False
        return moved or (counted[1] and before.taints != after.taints)

    def _counted_by(self, traits: Traits) -> list[Matches]:
        """Whom the hard constraints of such pods count."""
        hard = self._hard(traits)
        if hard and not traits.spread:
            selector = self._owners_selector(traits)
            return [] if selector is None else [labels(selector)]
        if self._counting[0] is not traits:
            self._counting = (traits, [labels(_selector(given, traits)) for given in hard])
        return self._counting[1]

    def _hard(self, traits: Traits) -> list[Object]:
        """The pod's own hard constraints, or the profile's for those who have none at all."""
        return [given for given in traits.spread or self.defaults if given.get("whenUnsatisfiable") == HARD]

    def _constraints(self, traits: Traits, when: str) -> list[Constraint]:
        if traits.spread:
            return [
                Constraint(self.cache, traits, given, _selector(given, traits))
                for given in traits.spread
                if given.get("whenUnsatisfiable") == when
            ]
        given_defaults = [given for given in self.defaults if given.get("whenUnsatisfiable") == when]
        selector = self._owners_selector(traits) if given_defaults else None
        if selector is None:
            return []
        return [Constraint(self.cache, traits, given, selector) for given in given_defaults]

    def _owners_selector(self, traits: Traits) -> Object | None:
        """What the services and the controller that select the pod select (helper.DefaultSelector)."""
        exact: dict[str, str] = {}
        for service in self.cache.objects_in("services", traits.namespace):
            wanted = (service.get("spec") or {}).get("selector") or {}
            if wanted and all(traits.labels.get(key) == value for key, value in wanted.items()):
                exact.update(wanted)
        expressions: list[Object] = []
        owner = traits.owner
        storage = OWNERS.get(owner.get("kind") or "") if owner else None
        controller = self.cache.object(storage, traits.namespace, owner["name"]) if storage and owner else None
        if controller is not None:
            selector = (controller.get("spec") or {}).get("selector") or {}
            if storage == "replicationcontrollers":
                exact.update(selector)
            else:
                exact.update(selector.get("matchLabels") or {})
                expressions += selector.get("matchExpressions") or ()
        if not exact and not expressions:
            return None
        return {"matchLabels": exact, "matchExpressions": expressions}


def _selector(given: Object, traits: Traits) -> Object | None:
    """The constraint's selector with matchLabelKeys merged in, unless the API server already did so."""
    selector: Object | None = given.get("labelSelector")
    extra = [
        {"key": key, "operator": "In", "values": [traits.labels[key]]}
        for key in given.get("matchLabelKeys") or ()
        if key in traits.labels
    ]
    if selector is None or not extra:
        return selector
    present = list(selector.get("matchExpressions") or ())
    return {**selector, "matchExpressions": present + [e for e in extra if e not in present]}


class _SpreadFilter(Filter):
    """Verdict 2k + 1: the node lacks the key of constraint k; 2k + 2: constraint k would be too skewed."""

    depends = Depends.CLUSTER

    def __init__(self, cache: Cache, traits: Traits, constraints: list[Constraint]) -> None:
        self.cache, self.traits, self.constraints = cache, traits, constraints
        complete = np.ones(len(cache.nodes), dtype=np.bool_)
        for constraint in constraints:
            complete &= constraint.column.present
        self.counted: list[Mask] = []
        self.domains: list[Column] = []
        """Per constraint the codes of the domains that count."""
        for constraint in constraints:
            eligible = constraint.eligible(cache, traits)
            counted = complete if eligible is None else complete & eligible
            self.counted.append(counted)
            self.domains.append(np.flatnonzero(np.bincount(constraint.column.codes[counted])))
        self.sums = [
            DomainSums(c.column, c.tally, counted) for c, counted in zip(constraints, self.counted, strict=True)
        ]

    def column(self, rows: Rows | None = None) -> Column:
        verdicts = np.zeros(len(self.cache.nodes), dtype=np.int64)
        for position in range(len(self.constraints) - 1, -1, -1):
            by_code = np.where(self._skewed(position), 2 * position + 2, 0)
            by_code[0] = 2 * position + 1
            own = by_code[self.constraints[position].column.codes]
            verdicts = np.where(own > 0, own, verdicts)
        return verdicts if rows is None else verdicts[rows]

    def passing(self) -> Mask | None:
        passing: Mask | None = None
        for position, constraint in enumerate(self.constraints):
            roomy = ~self._skewed(position)
            roomy[0] = False
            if np.count_nonzero(roomy) == len(roomy) - 1 and constraint.column.everywhere:
                continue
            mask = constraint.column.rows(roomy)
            passing = mask if passing is None else passing & mask
        return passing

    def _skewed(self, position: int) -> Mask:
        """By code of a domain, whether one more would be too many there."""
        constraint, sums = self.constraints[position], self._sums(position)
        most = self._least(position, sums) + constraint.max_skew - constraint.selects_itself
        skewed: Mask = sums > most
        return skewed

    def one(self, row: int, added: Sequence[PodInfo] = (), removed: Sequence[PodInfo] = ()) -> int:
        complete = all(constraint.column.codes[row] for constraint in self.constraints)
        for position, constraint in enumerate(self.constraints):
            code = int(constraint.column.codes[row])
            if code == 0:
                return 2 * position + 1
            sums = self._sums(position)
            if (added or removed) and complete and self.counted[position][row]:
                sums = sums.copy()
                sums[code] += self._matching(constraint, added) - self._matching(constraint, removed)
            if sums[code] + constraint.selects_itself - self._least(position, sums) > constraint.max_skew:
                return 2 * position + 2
        return 0

    def _matching(self, constraint: Constraint, pods: Sequence[PodInfo]) -> int:
        return sum(pod.namespace == self.traits.namespace and constraint.matches(pod.traits.labels) for pod in pods)

    def _sums(self, position: int) -> Column:
        return self.sums[position].now(self.cache.touched)

    def _least(self, position: int, sums: Column) -> int:
        """The global minimum; 0 while there are fewer domains than minDomains."""
        domains = self.domains[position]
        if len(domains) < self.constraints[position].min_domains:
            return 0
        return int(sums[domains].min()) if len(domains) else UNBOUNDED

    def status(self, verdict: int) -> Status:
        return unresolvable(REASON_LABEL) if verdict % 2 else unschedulable(REASON_SKEW)


class _SpreadScore(Score):
    depends = Depends.CLUSTER
    normalizes = True

    def __init__(self, cache: Cache, traits: Traits, constraints: list[Constraint], every_key: bool) -> None:
        """``every_key``: nodes without one of the keys are left out; only the system's defaults do not ask for it."""
        self.cache, self.constraints, self.every_key = cache, constraints, every_key
        complete = np.ones(len(cache.nodes), dtype=np.bool_)
        for constraint in constraints if every_key else ():
            complete &= constraint.column.present
        self.complete = complete
        self.counted: list[Mask] = []
        for constraint in constraints:
            eligible = constraint.eligible(cache, traits)
            self.counted.append(complete if eligible is None else complete & eligible)
        self.sums = [
            DomainSums(c.column, c.tally, counted) for c, counted in zip(constraints, self.counted, strict=True)
        ]

    def column(self, rows: Rows | None) -> Column:
        chosen = np.arange(len(self.cache.nodes)) if rows is None else rows
        scored = self.complete[chosen]
        totals = np.zeros(len(chosen), dtype=np.float64)
        for position, constraint in enumerate(self.constraints):
            codes = constraint.column.codes[chosen]
            if constraint.key == HOSTNAME:
                counts = constraint.tally.column[chosen]
                size = int(scored.sum())
            else:
                counts = self.sums[position].now(self.cache.touched)[codes]
                size = int((np.bincount(codes[scored], minlength=1) > 0).sum())
            totals += np.where(codes > 0, counts * math.log(size + 2) + (constraint.max_skew - 1), 0.0)
        whole = np.floor(totals)
        rounded = (whole + (totals - whole >= 0.5)).astype(np.int64)
        return np.where(scored, rounded, -1)

    def normalized(self, rows: Rows, raw: Column) -> Column:
        scored = raw >= 0
        if not scored.any():
            return np.zeros(len(raw), dtype=np.int64)
        highest, lowest = int(raw[scored].max()), int(raw[scored].min())
        if highest == 0:
            return np.where(scored, MAX_SCORE, 0)
        return np.where(scored, MAX_SCORE * (highest + lowest - raw) // highest, 0)
