"""The scheduling framework: what a plug-in is and what it answers (k8s.io/kube-scheduler/framework).

A plug-in compiles a pod's traits against the cache into a ``Filter`` and a ``Score``. These answer for all nodes at
once, as columns of integers, or for one node with some pods imagined on or off it (preemption, nominated pods). A
plug-in that would rather look at one node after the other derives from ``PerNode``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np

from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.columns import Column, Mask, NodeInfo, Rows
from seatrial.sim.scheduler.podinfo import PodInfo, Traits

MAX_SCORE = 100
"""framework.MaxNodeScore."""


class Code(IntEnum):
    """How a plug-in's answer is meant (framework.Code)."""

    SUCCESS = 0
    ERROR = 1
    UNSCHEDULABLE = 2
    UNSCHEDULABLE_AND_UNRESOLVABLE = 3
    WAIT = 4
    SKIP = 5
    PENDING = 6

    def __str__(self) -> str:
        return "".join(word.capitalize() if word != "AND" else "And" for word in self.name.split("_"))


@dataclass(frozen=True, slots=True)
class Status:
    """A plug-in's answer."""

    code: Code = Code.SUCCESS
    reasons: tuple[str, ...] = ()
    plugin: str = ""

    @property
    def message(self) -> str:
        """The reasons as upstream joins them."""
        return ", ".join(self.reasons)


SUCCESS = Status()


def unschedulable(*reasons: str) -> Status:
    """The node does not suit now; taking pods off it could help."""
    return Status(Code.UNSCHEDULABLE, reasons)


def unresolvable(*reasons: str) -> Status:
    """The node does not suit, and taking pods off it would not help."""
    return Status(Code.UNSCHEDULABLE_AND_UNRESOLVABLE, reasons)


class Rejected(Exception):
    """PreFilter turned the pod down on every node."""

    def __init__(self, status: Status) -> None:
        super().__init__(status)
        self.status = status


class Depends(IntEnum):
    """When a column has to be worked out anew."""

    NODES = 0
    """Only when nodes themselves change."""
    PODS = 1
    """For the rows whose pods changed."""
    CLUSTER = 2
    """In every cycle: pods on other nodes matter."""


class Filter(ABC):
    """A plug-in's judgement of the nodes for pods of some traits. Verdict 0: the node passes."""

    depends: Depends = Depends.NODES
    only: frozenset[str] | None = None
    """The only nodes that can pass (PreFilterResult), or None."""

    @abstractmethod
    def column(self, rows: Rows | None = None) -> Column:
        """The verdicts of these rows, or of all."""

    def trivial(self) -> bool:
        """For verdicts that depend on the cluster: whether, as things are, every node passes."""
        return False

    def passing(self) -> Mask | None:
        """For verdicts that depend on the cluster: the rows that pass, to be read only; None: every row does."""
        return None if self.trivial() else self.column() == 0

    def one(self, row: int, added: Sequence[PodInfo] = (), removed: Sequence[PodInfo] = ()) -> int:
        """The verdict of one row with these pods imagined on the node, and those off it."""
        return int(self.column(np.array([row], dtype=np.intp))[0])

    @abstractmethod
    def status(self, verdict: int) -> Status:
        """What a verdict other than 0 means."""


class Score(ABC):
    """A plug-in's preference among the nodes for pods of some traits."""

    depends: Depends = Depends.NODES
    normalizes = False

    @abstractmethod
    def column(self, rows: Rows | None) -> Column | None:
        """Raw scores of these rows, or of all. A score that depends on the cluster is only asked for the feasible
        rows, and may answer None: it has no opinion (PreScore said Skip)."""

    def one(self, row: int) -> int:
        """The raw score of one row, for scores that depend on the row alone."""
        column = self.column(np.array([row], dtype=np.intp))
        assert column is not None
        return int(column[0])

    def normalized(self, rows: Rows, raw: Column) -> Column:
        """Raw scores of the feasible rows brought to 0..100."""
        return raw


class Plugin:
    """One plug-in of a profile. Sub-classes override what they take part in."""

    name = ""
    events: tuple[str, ...] = ()
    """What may make a pod schedulable that this plug-in turned down, e.g. ``Node/Add`` (EventsToRegister)."""

    def __init__(self, args: Mapping[str, Any], cache: Cache) -> None:
        self.args = args
        self.cache = cache

    def filter(self, traits: Traits) -> Filter | None:
        """PreFilter and Filter: None when the plug-in has nothing to say. Raises Rejected."""
        return None

    def score(self, traits: Traits) -> Score | None:
        """PreScore and Score: None when the plug-in does not score such pods."""
        return None

    def reads(self, traits: Traits) -> tuple[tuple[str, str], ...]:
        """The (kind, namespace) of other objects that the compiled answers depend on (claims, services, ...)."""
        return ()

    def hint(self, pod: PodInfo, event: str, old: Any, new: Any) -> bool:
        """Whether an event that the plug-in registered for may make the pod schedulable (QueueingHintFn)."""
        return True


@dataclass(frozen=True, slots=True)
class Profile:
    """Which plug-ins decide for pods of one ``schedulerName``."""

    name: str
    filters: tuple[Plugin, ...]
    scores: tuple[tuple[Plugin, int], ...]
    post_filters: tuple[str, ...] = ("DynamicResources", "DefaultPreemption")
    percentage_of_nodes_to_score: int = 0
    preemption: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of DefaultPreemption."""

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """Every plug-in that filters or scores, once."""
        every = (*self.filters, *(plugin for plugin, _ in self.scores))
        return tuple({plugin.name: plugin for plugin in every}.values())


class PerNode(Plugin):
    """A plug-in that looks at one node after the other: the easiest to write, and slow beyond a thousand nodes.

    Override ``filter_node`` (a reason why the node does not suit, or None), ``score_node`` (any integer), or both.
    """

    normalizes = True
    """Whether raw scores are stretched so that the best node gets 100 (helper.DefaultNormalizeScore)."""

    def filter_node(self, pod: Traits, node: NodeInfo) -> str | Status | None:
        """Why the node does not suit the pod, or None."""
        return None

    def score_node(self, pod: Traits, node: NodeInfo) -> int:
        """How much the pod would like the node."""
        return 0

    def filter(self, traits: Traits) -> Filter | None:
        if type(self).filter_node is PerNode.filter_node:
            return None
        return _PerNodeFilter(self, traits)

    def score(self, traits: Traits) -> Score | None:
        if type(self).score_node is PerNode.score_node:
            return None
        return _PerNodeScore(self, traits)


class _PerNodeFilter(Filter):
    depends = Depends.PODS

    def __init__(self, plugin: PerNode, traits: Traits) -> None:
        self.plugin, self.traits = plugin, traits
        self.verdicts: list[Status] = [SUCCESS]

    def column(self, rows: Rows | None = None) -> Column:
        nodes = self.plugin.cache.nodes
        chosen = range(len(nodes)) if rows is None else rows.tolist()
        return np.fromiter((self._verdict(nodes[row]) for row in chosen), dtype=np.int64, count=len(chosen))

    def one(self, row: int, added: Sequence[PodInfo] = (), removed: Sequence[PodInfo] = ()) -> int:
        info = self.plugin.cache.nodes[row]
        if added or removed:
            imagined = NodeInfo(info.node)
            gone = {pod.uid for pod in removed}
            imagined.pods = {uid: pod for uid, pod in info.pods.items() if uid not in gone}
            imagined.pods.update((pod.uid, pod) for pod in added)
            info = imagined
        return self._verdict(info)

    def _verdict(self, info: NodeInfo) -> int:
        answer = self.plugin.filter_node(self.traits, info)
        if answer is None:
            return 0
        status = unschedulable(answer) if isinstance(answer, str) else answer
        if status.code == Code.SUCCESS:
            return 0
        if status not in self.verdicts:
            self.verdicts.append(status)
        return self.verdicts.index(status)

    def status(self, verdict: int) -> Status:
        return self.verdicts[verdict]


class _PerNodeScore(Score):
    depends = Depends.CLUSTER

    def __init__(self, plugin: PerNode, traits: Traits) -> None:
        self.plugin, self.traits = plugin, traits
        self.normalizes = plugin.normalizes

    def column(self, rows: Rows | None) -> Column:
        nodes = self.plugin.cache.nodes
        score = self.plugin.score_node
        chosen = range(len(nodes)) if rows is None else rows.tolist()
        return np.fromiter((score(self.traits, nodes[row]) for row in chosen), dtype=np.int64, count=len(chosen))

    def normalized(self, rows: Rows, raw: Column) -> Column:
        return stretch(raw) if self.normalizes else raw


def stretch(raw: Column, reverse: bool = False) -> Column:
    """Scores scaled so that the highest is 100, turned round if fewer is better (helper.DefaultNormalizeScore)."""
    highest = int(raw.max()) if len(raw) else 0
    if highest == 0:
        return np.full(len(raw), MAX_SCORE, dtype=np.int64) if reverse else raw
    scaled = raw * MAX_SCORE // highest
    return MAX_SCORE - scaled if reverse else scaled
