"""NodeResourcesFit and NodeResourcesBalancedAllocation (pkg/scheduler/framework/plugins/noderesources).

*Not modelled*: extended resources backed by DRA device classes; they count like any other extended resource.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.columns import Column, NodeInfo, Rows
from seatrial.sim.scheduler.framework import MAX_SCORE, Code, Depends, Filter, Plugin, Score, Status
from seatrial.sim.scheduler.podinfo import PodInfo, Traits, amount

DEFAULT_RESOURCES: tuple[Mapping[str, Any], ...] = ({"name": "cpu", "weight": 1}, {"name": "memory", "weight": 1})
TOO_MANY_PODS = "Too many pods"
UTILIZATION_SCORE_MAX = 10
"""Scores of a RequestedToCapacityRatio shape go from 0 to this (config.MaxCustomPriorityScore)."""

Resources = tuple[tuple[str, int], ...]
"""(resource, weight)."""


class NodeResourcesFit(Plugin):
    """Filters on free resources, scores by how full nodes would be."""

    name = "NodeResourcesFit"
    events = ("AssignedPod/Delete", "AssignedPod/ScaleDown", "Pod/ScaleDown", "Node/Add", "Node/UpdateAllocatable")

    def __init__(self, args: Mapping[str, Any], cache: Cache) -> None:
        super().__init__(args, cache)
        self.ignored = frozenset(args.get("ignoredResources") or ())
        self.ignored_groups = frozenset(args.get("ignoredResourceGroups") or ())
        strategy = args.get("scoringStrategy") or {}
        self.resources = _resources(strategy.get("resources"))
        shape = (strategy.get("requestedToCapacityRatio") or {}).get("shape") or ()
        self.strategy = _strategy(strategy.get("type") or "", shape)

    def filter(self, traits: Traits) -> Filter:
        wanted = {name: units for name, units in traits.requests.items() if units and not self._ignores(name)}
        return _FitFilter(self.cache, wanted)

    def score(self, traits: Traits) -> Score:
        return _AllocationScore(self.cache, traits, self.resources, self.strategy, defaults=True)

    def _ignores(self, name: str) -> bool:
        return name in self.ignored or ("/" in name and name.split("/", 1)[0] in self.ignored_groups)

    def hint(self, pod: PodInfo, event: str, old: object, new: object) -> bool:
        wanted = pod.traits.requests
        if event.startswith("AssignedPod/") and isinstance(old, PodInfo):
            freed = old.traits.requests
            return not any(wanted.values()) or any(freed.get(name) for name, units in wanted.items() if units)
        if isinstance(new, NodeInfo):
            asked = {name: units for name, units in wanted.items() if units and not self._ignores(name)}
            there = _allocatable(new)
            if any(units > there.get(name, 0) for name, units in asked.items()):
                return False
            before = _allocatable(old) if isinstance(old, NodeInfo) else {}
            return any(there.get(name, 0) > before.get(name, 0) for name in ("pods", *asked))
        return True


class NodeResourcesBalancedAllocation(Plugin):
    """Scores by how much the pod would even out what a node's resources are used to."""

    name = "NodeResourcesBalancedAllocation"

    def __init__(self, args: Mapping[str, Any], cache: Cache) -> None:
        super().__init__(args, cache)
        self.resources = _resources(args.get("resources"))

    def score(self, traits: Traits) -> Score | None:
        if not any(traits.requests.get(name) for name, _ in self.resources):
            return None
        return _AllocationScore(self.cache, traits, self.resources, BalanceGained(), defaults=False)


class _FitFilter(Filter):
    """Verdicts are bit sets: bit 0 too many pods; two bits per wanted resource: lacking now, and lacking for ever."""

    depends = Depends.PODS

    def __init__(self, cache: Cache, wanted: Mapping[str, int]) -> None:
        self.cache = cache
        self.wanted = [(name, cache.resource(name), units) for name, units in wanted.items()]

    def column(self, rows: Rows | None = None) -> Column:
        cache = self.cache
        if rows is not None and len(rows) == 1:
            return np.array([self.one(int(rows[0]))], dtype=np.int64)
        chosen: Any = slice(None) if rows is None else rows
        verdicts: Column = (cache.pod_count[chosen] >= cache.pods_allowed[chosen]).astype(np.int64)
        for position, (_, index, units) in enumerate(self.wanted):
            allocatable = cache.allocatable[index, chosen]
            verdicts |= (units > allocatable - cache.requested[index, chosen]).astype(np.int64) << (2 * position + 1)
            verdicts |= (units > allocatable).astype(np.int64) << (2 * position + 2)
        return verdicts

    def one(self, row: int, added: Sequence[PodInfo] = (), removed: Sequence[PodInfo] = ()) -> int:
        cache = self.cache
        count = cache.pod_count.item(row) + len(added) - len(removed)
        verdict = int(count >= cache.pods_allowed.item(row))
        for position, (name, index, units) in enumerate(self.wanted):
            allocatable = cache.allocatable.item(index, row)
            used = cache.requested.item(index, row)
            for pod in added:
                used += pod.traits.requests.get(name, 0)
            for pod in removed:
                used -= pod.traits.requests.get(name, 0)
            if units > allocatable - used:
                verdict |= 2 << (2 * position)
                if units > allocatable:
                    verdict |= 4 << (2 * position)
        return verdict

    def status(self, verdict: int) -> Status:
        reasons = [TOO_MANY_PODS] if verdict & 1 else []
        hopeless = False
        for position, (name, _, _) in enumerate(self.wanted):
            if verdict & (2 << (2 * position)):
                reasons.append(f"Insufficient {name}")
                hopeless = hopeless or bool(verdict & (4 << (2 * position)))
        return Status(Code.UNSCHEDULABLE_AND_UNRESOLVABLE if hopeless else Code.UNSCHEDULABLE, tuple(reasons))


class _AllocationScore(Score):
    """Scores from what would be requested of each node and what it can give (resourceAllocationScorer)."""

    depends = Depends.PODS

    def __init__(self, cache: Cache, traits: Traits, resources: Resources, strategy: Strategy, defaults: bool) -> None:
        """``defaults``: CPU and memory with what is assumed of containers that request nothing."""
        self.cache, self.strategy, self.defaults = cache, strategy, defaults
        self.considered: list[tuple[int, int]] = []
        """(resource index, the pod's request)."""
        self.weights: list[int] = []
        for name, weight in resources:
            request = traits.requests.get(name, 0)
            if defaults and name in ("cpu", "memory"):
                request = traits.non_zero[name == "memory"]
            if request or not _is_scalar(name):
                self.considered.append((cache.resource(name), request))
                self.weights.append(weight)

    def column(self, rows: Rows | None) -> Column:
        if rows is not None and len(rows) == 1:
            return np.array([self.one(int(rows[0]))], dtype=np.int64)
        chosen: Any = slice(None) if rows is None else rows
        used = [self._used(index)[index, chosen] for index, _ in self.considered]
        have = [self.cache.allocatable[index, chosen] for index, _ in self.considered]
        need = [there + request for there, (_, request) in zip(used, self.considered, strict=True)]
        return self.strategy.column(used, need, have, self.weights)

    def one(self, row: int) -> int:
        """The score of one row."""
        allocatable = self.cache.allocatable
        used: list[int] = []
        need: list[int] = []
        have: list[int] = []
        for index, request in self.considered:
            there = self._used(index).item(index, row)
            used.append(there)
            need.append(there + request)
            have.append(allocatable.item(index, row))
        return self.strategy.one(used, need, have, self.weights)

    def _used(self, index: int) -> Column:
        return self.cache.non_zero if self.defaults and index < 2 else self.cache.requested


class Strategy(ABC):
    """How amounts become a score: once for columns, once for the numbers of one node. ``used``: without the pod,
    ``need``: with it, ``have``: allocatable; one entry per resource."""

    @abstractmethod
    def column(self, used: list[Column], need: list[Column], have: list[Column], weights: list[int]) -> Column:
        """Scores of many nodes."""

    @abstractmethod
    def one(self, used: list[int], need: list[int], have: list[int], weights: list[int]) -> int:
        """The score of one node."""


class LeastAllocated(Strategy):
    """The emptier the better; weighted integer mean over the resources that a node has at all."""

    def column(self, used: list[Column], need: list[Column], have: list[Column], weights: list[int]) -> Column:
        shares = [(h - n).clip(min=0) * MAX_SCORE // np.maximum(h, 1) for n, h in zip(need, have, strict=True)]
        return _mean(shares, have, weights)

    def one(self, used: list[int], need: list[int], have: list[int], weights: list[int]) -> int:
        total = weight = 0
        for n, h, w in zip(need, have, weights, strict=True):
            if h:
                total += w * ((h - n) * MAX_SCORE // h if n <= h else 0)
                weight += w
        return total // weight if weight else 0


class MostAllocated(Strategy):
    """The fuller the better."""

    def column(self, used: list[Column], need: list[Column], have: list[Column], weights: list[int]) -> Column:
        shares = [np.minimum(n, h) * MAX_SCORE // np.maximum(h, 1) for n, h in zip(need, have, strict=True)]
        return _mean(shares, have, weights)

    def one(self, used: list[int], need: list[int], have: list[int], weights: list[int]) -> int:
        total = weight = 0
        for n, h, w in zip(need, have, weights, strict=True):
            if h:
                total += w * (min(n, h) * MAX_SCORE // h)
                weight += w
        return total // weight if weight else 0


class RequestedToCapacityRatio(Strategy):
    """A broken line over utilization; resources that score 0 do not weigh."""

    def __init__(self, shape: Sequence[Mapping[str, Any]]) -> None:
        scale = MAX_SCORE // UTILIZATION_SCORE_MAX
        points = [(p.get("utilization") or 0, (p.get("score") or 0) * scale) for p in shape]
        self.table = np.array([_on_line(points, at) for at in range(MAX_SCORE + 1)], dtype=np.int64)

    def column(self, used: list[Column], need: list[Column], have: list[Column], weights: list[int]) -> Column:
        total: Any = 0
        weight: Any = 0
        for n, h, w in zip(need, have, weights, strict=True):
            score = self.table[np.where(n > h, MAX_SCORE, n * MAX_SCORE // np.maximum(h, 1)).clip(max=MAX_SCORE)]
            weighs = (score > 0) & (h > 0)
            total = total + score * w * weighs
            weight = weight + w * weighs
        rounded: Column = np.floor(total / np.maximum(weight, 1) + 0.5).astype(np.int64)
        return rounded

    def one(self, used: list[int], need: list[int], have: list[int], weights: list[int]) -> int:
        total = weight = 0
        for n, h, w in zip(need, have, weights, strict=True):
            score = self.table.item(MAX_SCORE if n > h else n * MAX_SCORE // h) if h else 0
            if score > 0:
                total += score * w
                weight += w
        return int(total / weight + 0.5) if weight else 0


class BalanceGained(Strategy):
    """50 to 100: 75 when the pod leaves the balance of a node as it is."""

    def column(self, used: list[Column], need: list[Column], have: list[Column], weights: list[int]) -> Column:
        gain = balance_column(need, have) - balance_column(used, have)
        return 50 + (50 + gain) // 2

    def one(self, used: list[int], need: list[int], have: list[int], weights: list[int]) -> int:
        return 50 + (50 + balance(need, have) - balance(used, have)) // 2


def _allocatable(info: NodeInfo) -> dict[str, int]:
    given = (info.node.get("status") or {}).get("allocatable") or {}
    return {name: amount(name, text) for name, text in given.items()}


def _strategy(kind: str, shape: Sequence[Mapping[str, Any]]) -> Strategy:
    if kind == "RequestedToCapacityRatio":
        return RequestedToCapacityRatio(shape)
    return MostAllocated() if kind == "MostAllocated" else LeastAllocated()


def balance(need: Sequence[int], have: Sequence[int]) -> int:
    """100 x (1 - standard deviation of the requested shares), cut to an integer (balancedResourceScorer)."""
    if len(need) == 2 and have[0] and have[1]:
        first, second = need[0] / have[0], need[1] / have[1]
        return int((1 - abs((min(first, 1.0) - min(second, 1.0)) / 2)) * MAX_SCORE)
    shares = [min(n / h, 1.0) for n, h in zip(need, have, strict=True) if h]
    if len(shares) == 2:
        deviation = abs((shares[0] - shares[1]) / 2)
    elif len(shares) > 2:
        mean = sum(shares) / len(shares)
        deviation = math.sqrt(sum((share - mean) * (share - mean) for share in shares) / len(shares))
    else:
        deviation = 0.0
    return int((1 - deviation) * MAX_SCORE)


def balance_column(need: list[Column], have: list[Column]) -> Column:
    """``balance`` of many nodes."""
    if len(need) == 2 and have[0].all() and have[1].all():
        first, second = (np.minimum(n / h, 1.0) for n, h in zip(need, have, strict=True))
        return ((1 - np.abs((first - second) / 2)) * MAX_SCORE).astype(np.int64)
    pairs = zip(np.stack(need, axis=1).tolist(), np.stack(have, axis=1).tolist(), strict=True)
    return np.fromiter((balance(n, h) for n, h in pairs), dtype=np.int64, count=len(need[0]))


def _mean(shares: list[Column], have: list[Column], weights: list[int]) -> Column:
    total: Any = 0
    weight: Any = 0
    for share, h, w in zip(shares, have, weights, strict=True):
        there = h > 0
        total = total + share * there * w
        weight = weight + there * w
    return np.asarray(total // np.maximum(weight, 1), dtype=np.int64)


def _on_line(points: list[tuple[int, int]], at: int) -> int:
    """The score at a utilization (helper.BuildBrokenLinearFunction); divisions cut towards zero, as Go's do."""
    for position, (utilization, score) in enumerate(points):
        if at <= utilization:
            if position == 0:
                return score
            left, left_score = points[position - 1]
            rise, width = (score - left_score) * (at - left), utilization - left
            return left_score + (rise // width if rise >= 0 else -(-rise // width))
    return points[-1][1] if points else 0


def _resources(given: Sequence[Mapping[str, Any]] | None) -> Resources:
    return tuple((str(r["name"]), int(r.get("weight") or 1)) for r in given or DEFAULT_RESOURCES)


def _is_scalar(name: str) -> bool:
    return name not in ("cpu", "memory", "ephemeral-storage")
