"""What became of a scenario: which goals hold and since when, what was broken on the way, and how it all counts.

Goals are looked at whenever something changes that they ask about, and once a second if they ask about clients.
Everything is in simulated time; how somebody typed plays no part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from seatrial.scenarios.predicates import ANYTHING, CLIENTS, Compiler, Object, Predicate, Tally
from seatrial.scenarios.schema import Goal, Question, Rule, Scenario, Stage
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import S
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.store.log import Change
from seatrial.sim.written import duration_us

TICK_US = S
"""How often goals about clients are looked at."""
Tallies = Callable[[str, int], Tally]


class ClusterScene:
    """A cluster as expressions see it. ``tally`` counts what a client got in a span of the past (µs)."""

    def __init__(self, cluster: Cluster, tally: Tallies) -> None:
        self._cluster = cluster
        self._kinds: dict[str, Resource] = {}
        self._first: dict[tuple[str, str, str], str] = {}
        self.tally = tally

    def resource(self, kind: str) -> Resource:
        found = self._kinds.get(kind)
        if found is None:
            found = self._kinds[kind] = self._cluster.resource(kind)
        return found

    def client(self, name: str) -> None:
        """Any may come in the scenario's course."""

    def one(self, storage: str, namespace: str, name: str) -> Object | None:
        return self._cluster.server.store.get(storage, namespace, name)

    def all(self, storage: str, namespace: str | None) -> list[Any]:
        return self._cluster.server.store.list(storage, namespace)

    def first_uid(self, storage: str, namespace: str, name: str) -> str:
        return self._first.get((storage, namespace, name), "")

    def remember(self) -> None:
        """What ``kept`` compares with."""
        store = self._cluster.server.store
        for storage in store.storages():
            for obj in store.list(storage):
                metadata = obj["metadata"]
                self._first[storage, metadata.get("namespace", ""), metadata["name"]] = metadata["uid"]


@dataclass(slots=True)
class Judged:
    """A goal on its way. Times in µs since the Unix epoch."""

    goal: Goal
    predicate: Predicate
    holds_us: int
    after: int = 0
    """From when on it counts that it holds: the last event of its stage."""
    since: int | None = None
    """Since when it holds, while it does."""
    met_at: int | None = None
    """When it was first met: it had held long enough."""
    lost: bool = False
    """Whether it was ever seen not to hold."""

    def look(self, now: int) -> bool | None:
        """Notes whether it holds; whether that is news."""
        holds = self.predicate.holds()
        self.lost |= not holds
        if holds == (self.since is not None):
            return None
        if not holds:
            self.note_met(now)
        self.since = now if holds else None
        return holds

    def note_met(self, now: int) -> None:
        if self.met_at is None and self.since is not None:
            met = max(self.since, self.after) + self.holds_us
            self.met_at = met if met <= now else None

    def met_from(self, now: int) -> int | None:
        """Since when it counts as met, if it does now."""
        if self.goal.once and self.met_at is not None:
            return self.met_at
        if self.since is None:
            return None
        met = max(self.since, self.after) + self.holds_us
        return met if met <= now else None


@dataclass(slots=True)
class Watched:
    """A rule on its way."""

    rule: Rule
    predicate: Predicate
    broken_at: int | None = None
    seen: str = ""


@dataclass(slots=True)
class Asked:
    """A question and what was answered."""

    question: Question
    given: list[str] = field(default_factory=list)
    right_at: int | None = None


@dataclass(slots=True)
class Staged:
    """A stage on its way."""

    stage: Stage
    goals: list[Judged]
    questions: list[Asked]
    began_at: int | None = None
    trouble_at: int | None = None
    """When its first event happened; its beginning, if there is none."""
    passed_at: int | None = None
    shown: bool = False
    """Whether a goal was seen not to hold."""

    @property
    def last_event_us(self) -> int:
        """When the last of its events happens."""
        assert self.began_at is not None
        return self.began_at + max((duration_us(each.at) for each in self.stage.timeline), default=0)

    def done(self, now: int) -> int | None:
        """When all of it was achieved, if it is.

        Trouble takes its time to show. So what holds in the beginning counts only after some goal was seen not to hold,
        or when the trouble had time enough to show and did not, because somebody was quick.
        """
        if self.began_at is None or any(self.too_late(each, now) for each in self.goals):
            return None
        moments = [each.met_from(now) for each in self.goals]
        moments += [each.right_at for each in self.questions]
        if self.goals and not self.shown:
            moments.append(self.last_event_us + duration_us(self.stage.shows))
        found = [each for each in moments if each is not None and each <= now]
        return max(found) if len(found) == len(moments) else None

    def too_late(self, judged: Judged, now: int) -> bool:
        """Whether a goal's time was up before it began to hold."""
        if judged.goal.within is None or self.began_at is None:
            return False
        deadline = judged.after + duration_us(judged.goal.within)
        if judged.met_at is not None:
            return judged.met_at - judged.holds_us > deadline
        return (now if judged.since is None else max(judged.since, judged.after)) > deadline


class Grader:
    """Judges one run of a scenario on a cluster."""

    def __init__(self, scenario: Scenario, cluster: Cluster, tally: Tallies) -> None:
        self.scenario = scenario
        self.cluster = cluster
        self.scene = ClusterScene(cluster, tally)
        compiler = Compiler(self.scene)
        self.compile = compiler.compile
        self.rules = [Watched(rule, self.compile(rule.always)) for rule in scenario.rules]
        self.stages = [
            Staged(
                stage,
                [Judged(goal, self.compile(goal.that), duration_us(goal.holds)) for goal in stage.goals],
                [Asked(question) for question in stage.questions],
            )
            for stage in scenario.stages
        ]
        self.began_at: int | None = None
        self.ended = False
        self.news: list[tuple[int, str, str]] = []
        """(when, kind, about whom): goals reached and lost, rules broken."""
        self._by_kind: dict[str, list[Judged | Watched]] = {}
        self._timed: list[Judged | Watched] = []

    # its course

    def begin(self) -> None:
        """Time 0: from now on everything counts."""
        self.began_at = self.cluster.now
        self.scene.remember()
        self._watch(self.rules)
        self.cluster.store.observe(self._changed)
        self.begin_stage(0)

    def begin_stage(self, number: int) -> None:
        staged, now = self.stages[number], self.cluster.now
        staged.began_at = now
        first = min((duration_us(each.at) for each in staged.stage.timeline if each.what != "say"), default=0)
        staged.trouble_at = now + first
        self._watch(staged.goals)
        for each in staged.goals:
            each.after = staged.last_event_us
            self._look(each)

    def _watch(self, watched: Iterable[Judged | Watched]) -> None:
        for each in watched:
            kinds = each.predicate.depends
            if kinds & {CLIENTS, ANYTHING} or not kinds:
                self._timed.append(each)
            for kind in kinds - {CLIENTS}:
                self._by_kind.setdefault(kind, []).append(each)

    def _changed(self, change: Change) -> None:
        if self.ended:
            return
        for each in self._by_kind.get(change.storage, ()):
            self._look(each)

    def tick(self) -> None:
        """Looks at what may change by itself; notices a stage that is done."""
        if self.ended or self.began_at is None:
            return
        for each in self._timed:
            self._look(each)
        self._notice()

    def _look(self, each: Judged | Watched) -> None:
        now = self.cluster.now
        if isinstance(each, Judged):
            told = each.look(now)
            if told is not None:
                self.news.append((now, "holds" if told else "lost", each.goal.id))
        elif each.broken_at is None and not each.predicate.holds():
            each.broken_at, each.seen = now, each.predicate.observed()
            self.news.append((now, "broken", each.rule.id))

    def _notice(self) -> None:
        now = self.cluster.now
        for staged in self.stages:
            for each in staged.goals:
                each.note_met(now)
                staged.shown |= staged.began_at is not None and each.lost
            if staged.began_at is not None and staged.passed_at is None:
                staged.passed_at = staged.done(now)

    def answer(self, name: str, word: str) -> bool:
        """Takes an answer; whether it is right. Raises KeyError for a question that there is not (yet)."""
        for asked in self.open_questions():
            if asked.question.id == name:
                asked.given.append(word)
                right = word.strip().lower() in {each.lower() for each in asked.question.answer}
                if right and asked.right_at is None:
                    asked.right_at = self.cluster.now
                return right
        raise KeyError(name)

    def open_questions(self) -> Iterator[Asked]:
        for staged in self.stages:
            if staged.began_at is not None:
                yield from staged.questions

    # its end

    @property
    def current(self) -> int:
        """The stage that is under way, the last one when all are done."""
        return max((at for at, staged in enumerate(self.stages) if staged.began_at is not None), default=0)

    @property
    def failed_rules(self) -> list[Watched]:
        return [each for each in self.rules if each.broken_at is not None and each.rule.costs is None]

    @property
    def passed_at(self) -> int | None:
        """When everything was achieved, nothing forbidden having been done."""
        if self.failed_rules or any(staged.passed_at is None for staged in self.stages):
            return None
        return self.stages[-1].passed_at

    @property
    def hopeless(self) -> bool:
        """Whether it cannot be passed any more."""
        now = self.cluster.now
        late = any(staged.too_late(each, now) for staged in self.stages for each in staged.goals)
        return bool(self.failed_rules) or late

    def recovery_us(self) -> int | None:
        """From trouble to the end of it, over all stages that are through; None before."""
        spans = [
            max(0, staged.passed_at - staged.trouble_at)
            for staged in self.stages
            if staged.passed_at is not None and staged.trouble_at is not None
        ]
        return sum(spans) if len(spans) == len(self.stages) else None
