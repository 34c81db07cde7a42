"""A profile compiled for pods of some traits: what every plug-in says of every node, kept up to date.

Between two decisions only rows whose pods changed are worked out anew; a plan is thrown away when nodes or objects that
it read change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.columns import Column, Mask, Rows
from seatrial.sim.scheduler.framework import Code, Depends, Filter, Plugin, Profile, Rejected, Score, Status
from seatrial.sim.scheduler.podinfo import PodInfo, Traits

BULK = 8
"""Above so many touched rows columns are quicker than one row after the other."""


def _no_node(plugins: Sequence[str]) -> str:
    """What is said when the nodes that plug-ins narrow a pod to have none in common (RunPreFilterPlugins)."""
    if len(plugins) == 1:
        return f"node(s) didn't satisfy plugin {plugins[0]}"
    return f"node(s) didn't satisfy plugin(s) [{' '.join(plugins)}] simultaneously"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Nodes that one plug-in turned down with one verdict."""

    status: Status
    rows: Rows
    nodes: list[str] = field(default_factory=list)
    """Their names; filled in for explanations."""


class Plan:
    """A profile's plug-ins compiled for pods of some traits, with what they said of every node."""

    def __init__(self, profile: Profile, cache: Cache, traits: Traits) -> None:
        self.profile, self.cache, self.traits = profile, cache, traits
        self.layout = cache.layout
        self._changes = cache.changes
        self.read = [
            (key, cache.version(*key))
            for plugin in (*profile.filters, *(plugin for plugin, _ in profile.scores))
            for key in plugin.reads(traits)
        ]
        self.rejection: Status | None = None
        self.filters: list[tuple[Plugin, Filter]] = []
        self.only: Rows | None = None
        self._seen = 0
        self._feasible: Rows | None = None
        self._hopeless: tuple[tuple[int, int], list[Rejection]] | None = None
        self.memory: Any = None
        """What preemption remembers of its dry runs for such pods."""
        self.futile: tuple[tuple[int, int], Any] | None = None
        """How things stood when no preemption could help, and what came of it."""
        try:
            self._compile()
        except Rejected as rejected:
            self.rejection = rejected.status

    def _compile(self) -> None:
        only: frozenset[str] | None = None
        narrowing: list[str] = []
        for plugin in self.profile.filters:
            try:
                judge = plugin.filter(self.traits)
            except Rejected as rejected:
                status = rejected.status
                raise Rejected(Status(status.code, status.reasons, plugin.name)) from None
            if judge is None:
                continue
            self.filters.append((plugin, judge))
            if judge.only is not None:
                only = judge.only if only is None else only & judge.only
                narrowing = sorted([*narrowing, plugin.name])
                if not only:
                    raise Rejected(Status(Code.UNSCHEDULABLE, (_no_node(narrowing),), plugin.name))
        if only is not None:
            rows = sorted(row for row in map(self.cache.row_of.get, only) if row is not None)
            self.only = np.array(rows, dtype=np.intp)
        reason = f"node(s) didn't satisfy plugin(s) [{' '.join(narrowing)}]"
        self.absent = Status(Code.UNSCHEDULABLE_AND_UNRESOLVABLE, (reason,))
        self.local = [(p, f) for p, f in self.filters if f.depends != Depends.CLUSTER]
        self.on_pods = [f for _, f in self.local if f.depends == Depends.PODS]
        self.on_cluster = [f for _, f in self.filters if f.depends == Depends.CLUSTER]

    def stale(self) -> bool:
        """Whether nodes or objects changed since the plan was made."""
        if self.layout != self.cache.layout:
            return True
        if self._changes == self.cache.changes:
            return False
        self._changes = self.cache.changes
        return any(self.cache.version(*key) != seen for key, seen in self.read)

    def standing(self) -> tuple[int, int]:
        """What a decision of this plan depends on: equal as long as nothing happened that could change it."""
        return len(self.cache.touched), self.cache.changes

    def give_up(self, rejections: list[Rejection]) -> None:
        """No node suits such pods, for these reasons."""
        self._hopeless = (self.standing(), rejections)

    def hopeless(self) -> list[Rejection] | None:
        """Why no node suits such pods, when that is known and nothing has happened since."""
        if self._hopeless is None or self._hopeless[0] != self.standing():
            return None
        return self._hopeless[1]

    # filtering

    @cached_property
    def verdicts(self) -> dict[int, Column]:
        """Verdict columns of the filters that look at nothing but the node and its pods, by ``id`` of the filter."""
        self._seen = len(self.cache.touched)
        columns = {id(judge): judge.column() for _, judge in self.local}
        self._content = frozenset(
            id(judge) for _, judge in self.local if judge.depends == Depends.NODES and not columns[id(judge)].any()
        )
        """Filters to which every node is right, whatever pods do."""
        self._nodes_pass = np.ones(len(self.cache.nodes), dtype=np.bool_)
        for _, judge in self.local:
            if judge.depends == Depends.NODES:
                self._nodes_pass &= columns[id(judge)] == 0
        self._ok = self._nodes_pass.copy()
        for judge in self.on_pods:
            self._ok &= columns[id(judge)] == 0
        self._crowded: dict[int, int] = {}
        for name in self.cache.nominated:
            row = self.cache.row_of.get(name)
            if row is not None:
                self._with_nominated(row, columns)
        return columns

    def local_pass(self) -> Mask:
        """The rows that every local filter lets pass, up to date; nominated pods of this or higher priority count
        as present."""
        columns = self.verdicts
        touched = self.cache.touched
        seen = self._seen
        if seen == len(touched):
            return self._ok
        self._seen = len(touched)
        if len(touched) - seen > BULK:
            rows = np.array(sorted(frozenset(touched[seen:])), dtype=np.intp)
            for judge in self.on_pods:
                columns[id(judge)][rows] = judge.column(rows)
            self._ok[rows] = self._nodes_pass[rows]
            for judge in self.on_pods:
                self._ok[rows] &= columns[id(judge)][rows] == 0
            self._feasible = None
            changed = rows.tolist()
        else:
            changed = touched[seen:]
            for row in changed:
                self._renew(row, columns)
        if self.cache.nominated or self._crowded:
            for row in changed:
                self._with_nominated(row, columns)
        return self._ok

    def _renew(self, row: int, columns: dict[int, Column]) -> None:
        passing = self._nodes_pass.item(row)
        for judge in self.on_pods:
            verdict = judge.one(row)
            columns[id(judge)][row] = verdict
            if verdict:
                passing = False
        if self._ok.item(row) != passing:
            self._ok[row] = passing
            self._feasible = None

    def _with_nominated(self, row: int, columns: dict[int, Column]) -> None:
        """Judge a row again as if the pods nominated to it were there (RunFilterPluginsWithNominatedPods)."""
        self._crowded.pop(row, None)
        if not self._ok[row]:
            return
        expected = self.cache.nominated_on(row, self.traits.priority, "")
        if not expected:
            return
        for judge in self.on_pods:
            verdict = judge.one(row, added=expected)
            if verdict:
                columns[id(judge)][row] = verdict
                self._crowded[row] = verdict
                self._ok[row] = False
                self._feasible = None
                return

    def passing(self) -> Mask | None:
        """The rows that every filter lets pass; None: exactly those of ``local_rows``."""
        masks = [mask for judge in self.on_cluster if (mask := judge.passing()) is not None]
        if not masks:
            return None
        passing = self.local_pass() & masks[0]
        for mask in masks[1:]:
            passing &= mask
        if self.cache.nominated:
            self._nominated_elsewhere(passing)
        return passing

    def _nominated_elsewhere(self, passing: Mask) -> None:
        for name in self.cache.nominated:
            row = self.cache.row_of.get(name)
            if row is None or not passing[row]:
                continue
            expected = self.cache.nominated_on(row, self.traits.priority, "")
            if expected and any(judge.one(row, added=expected) for judge in self.on_cluster):
                passing[row] = False

    def local_rows(self) -> Rows:
        """The rows of ``local_pass``, ascending."""
        passing = self.local_pass()
        if self._feasible is None:
            self._feasible = np.flatnonzero(passing)
        return self._feasible

    def judge(self, row: int, added: Sequence[PodInfo] = (), removed: Sequence[PodInfo] = ()) -> Status | None:
        """The first objection to one node with these pods imagined on or off it, or None."""
        found = self._objection(row, added, removed)
        if found is None:
            return None
        plugin, judge, verdict = found
        status = judge.status(verdict)
        return Status(status.code, status.reasons, plugin.name)

    def fits(self, row: int, added: Sequence[PodInfo] = (), removed: Sequence[PodInfo] = ()) -> bool:
        """Whether ``judge`` has no objection."""
        return self._objection(row, added, removed) is None

    def _objection(
        self, row: int, added: Sequence[PodInfo], removed: Sequence[PodInfo]
    ) -> tuple[Plugin, Filter, int] | None:
        if self.only is None:
            columns, content = self.verdicts, self._content
        else:
            columns, content = {}, frozenset()
        for plugin, judge in self.filters:
            if id(judge) in content:
                continue
            if judge.depends == Depends.NODES and columns:
                verdict = columns[id(judge)].item(row)
            elif judge.depends == Depends.CLUSTER and not added and judge.trivial():
                continue
            else:
                verdict = judge.one(row, added, removed)
            if verdict:
                return plugin, judge, verdict
        return None

    def rejections(self) -> list[Rejection]:
        """Why nodes do not suit: each row counts for the first filter that objects."""
        columns = self.verdicts
        self.local_pass()
        count = len(self.cache.nodes)
        left = np.arange(count) if self.only is None else self.only
        found: list[Rejection] = []
        if len(left) < count:
            found.append(Rejection(self.absent, np.setdiff1d(np.arange(count), left)))
        for plugin, judge in self.filters:
            if id(judge) in self._content:
                continue
            own = columns.get(id(judge))
            if own is None:
                if judge.trivial():
                    continue
                own = judge.column()
            if len(left) < count:
                own = own[left]
            hit = own.nonzero()[0]
            if not len(hit):
                continue
            verdicts = own[hit]
            alike = not (verdicts != verdicts[0]).nonzero()[0].size
            for verdict in [verdicts.item(0)] if alike else sorted(frozenset(verdicts.tolist())):
                status = judge.status(verdict)
                rows = left[hit] if alike else left[own == verdict]
                found.append(Rejection(Status(status.code, status.reasons, plugin.name), rows))
            left = left[own == 0]
            if not len(left):
                return found
        open_rows = frozenset(left.tolist()) if self.on_cluster and self.cache.nominated else frozenset()
        for name in self.cache.nominated if self.on_cluster else ():
            row = self.cache.row_of.get(name)
            if row is None or row not in open_rows:
                continue
            refused = self.judge(row, added=self.cache.nominated_on(row, self.traits.priority, ""))
            if refused is not None:
                found.append(Rejection(refused, np.array([row], dtype=np.intp)))
        return found

    # scoring

    @cached_property
    def scores(self) -> list[tuple[Plugin, int, Score]]:
        """The plug-ins that score, with their weights."""
        found = []
        for plugin, weight in self.profile.scores:
            score = plugin.score(self.traits)
            if score is not None:
                found.append((plugin, weight, score))
        return found

    @cached_property
    def _fixed(self) -> Column:
        """Weighted sum of the scores that need no normalizing and depend on a row alone."""
        self._scored = len(self.cache.touched)
        total = np.zeros(len(self.cache.nodes), dtype=np.int64)
        static = np.zeros(len(self.cache.nodes), dtype=np.int64)
        self._moving: list[tuple[int, Score]] = []
        self._stretched: list[tuple[int, Score, Column]] = []
        self._by_cluster: list[tuple[int, Score]] = []
        for _, weight, score in self.scores:
            if score.depends == Depends.CLUSTER:
                self._by_cluster.append((weight, score))
                continue
            column = _whole(score.column(None))
            if score.normalizes:
                if column.any():
                    self._stretched.append((weight, score, column))
            elif score.depends == Depends.PODS:
                self._moving.append((weight, score))
                total += column * weight
            else:
                static += column * weight
        self._static = static
        total += static
        return total

    def totals(self, rows: Rows) -> Column:
        """Final scores of feasible rows, up to a constant that is the same for all."""
        fixed = self._fixed
        touched = self.cache.touched
        seen = self._scored
        if seen < len(touched):
            self._scored = len(touched)
            if len(touched) - seen > BULK:
                fresh = np.array(sorted(frozenset(touched[seen:])), dtype=np.intp)
                renewed = self._static[fresh]
                for weight, score in self._moving:
                    renewed = renewed + _whole(score.column(fresh)) * weight
                fixed[fresh] = renewed
            else:
                for row in touched[seen:]:
                    total = self._static.item(row)
                    for weight, score in self._moving:
                        total += weight * score.one(row)
                    fixed[row] = total
        totals = fixed[rows]
        for weight, score, column in self._stretched:
            totals = totals + weight * score.normalized(rows, column[rows])
        for weight, score in self._by_cluster:
            raw = score.column(rows)
            if raw is not None:
                totals = totals + weight * (score.normalized(rows, raw) if score.normalizes else raw)
        return totals

    def explain(self, rows: Rows) -> dict[str, dict[str, int]]:
        """Node -> plug-in -> weighted score of feasible rows."""
        names = [self.cache.nodes[row].name for row in rows.tolist()]
        found: dict[str, dict[str, int]] = {name: {} for name in names}
        for plugin, weight, score in self.scores:
            raw = score.column(rows)
            if raw is None:
                continue
            values = (score.normalized(rows, raw) if score.normalizes else raw) * weight
            for name, value in zip(names, values.tolist(), strict=True):
                found[name][plugin.name] = value
        return found


def _whole(column: Column | None) -> Column:
    """The column of a score that depends on rows alone, and so has one."""
    if column is None:
        raise TypeError("only a score that depends on the cluster may have no opinion")
    return column
