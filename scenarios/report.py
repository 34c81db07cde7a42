"""What came of a run, for people and programs.

Times are simulated seconds since time 0 of the scenario. The score is of 100: 70 for the goals and questions by their
points, 15 for the time to recovery (all of them up to the scenario's par, none from four times that on), 15 for the
clients (the share of their requests that was served); a scenario without clients gives these 15 to the goals. A hint
costs 5. Who breaks a rule has 40 at most and has not passed, unless the rule has a price of its own.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from seatrial.scenarios.grader import Grader, Judged, Staged
from seatrial.scenarios.runner import Run
from seatrial.scenarios.schema import Text
from seatrial.sim.config import S
from seatrial.sim.written import duration_us

GOALS, TIME, SERVICE = 70, 15, 15
HINT = 5
BROKEN_MAX = 40
SLOWEST = 4
"""Pars after which time gives nothing any more."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GoalReport(_Value):
    id: str
    text: Text
    points: int
    met: bool
    late: bool
    met_s: float | None
    observed: str
    """Why it is not met; empty when it is."""


class RuleReport(_Value):
    id: str
    text: Text
    broken_s: float | None
    observed: str


class QuestionReport(_Value):
    id: str
    ask: Text
    points: int
    given: tuple[str, ...]
    right_s: float | None


class ClientReport(_Value):
    name: str
    served: int
    failed: int


class Moment(_Value):
    """One line of the timeline."""

    s: float
    kind: str
    """begin, stage, event, change, command, answer, hint, holds, lost, broken, passed."""
    what: str


class Report(_Value):
    """All there is to say of a run."""

    scenario: str
    title: Text
    stage: str
    stages: tuple[int, int]
    """(how many are done, how many there are)."""
    passed: bool
    hopeless: bool
    """Whether it cannot be passed any more."""
    score: int
    elapsed_s: float
    recovery_s: float | None
    par_s: float
    commands: int
    """What the learner changed or ran on nodes."""
    hints: int
    goals: tuple[GoalReport, ...]
    rules: tuple[RuleReport, ...]
    questions: tuple[QuestionReport, ...]
    clients: tuple[ClientReport, ...]
    timeline: tuple[Moment, ...]


def report_of(run: Run) -> Report:
    """The report of a run as it stands."""
    grader, scenario = run.grader, run.scenario
    begun = [staged for staged in grader.stages if staged.began_at is not None]
    recovery = grader.recovery_us()
    clients = tuple(
        ClientReport(name=name, served=tally.served, failed=tally.failed)
        for name, tally in run.clients.totals().items()
    )
    goals = tuple(_goal(run, staged, each) for staged in begun for each in staged.goals)
    questions = tuple(
        QuestionReport(
            id=each.question.id,
            ask=each.question.ask,
            points=each.question.points,
            given=tuple(each.given),
            right_s=seconds(run, each.right_at),
        )
        for each in grader.open_questions()
    )
    rules = tuple(
        RuleReport(id=each.rule.id, text=each.rule.text, broken_s=seconds(run, each.broken_at), observed=each.seen)
        for each in grader.rules
    )
    doings = list(run.doings())
    return Report(
        scenario=scenario.id,
        title=scenario.title,
        stage=grader.stages[grader.current].stage.id,
        stages=(sum(each.passed_at is not None for each in grader.stages), len(grader.stages)),
        passed=run.passed,
        hopeless=grader.hopeless,
        score=score(run, clients),
        elapsed_s=seconds(run, grader.passed_at) or run.elapsed_us / S,
        recovery_s=None if recovery is None or not run.passed else recovery / S,
        par_s=duration_us(scenario.par) / S,
        commands=len(doings),
        hints=run.hints,
        goals=goals,
        rules=rules,
        questions=questions,
        clients=clients,
        timeline=tuple(timeline(run, doings)),
    )


def seconds(run: Run, at: int | None) -> float | None:
    """A moment in seconds since time 0."""
    return None if at is None or run.began_at is None else round((at - run.began_at) / S, 3)


def _goal(run: Run, staged: Staged, each: Judged) -> GoalReport:
    now = run.cluster.now
    end = min(now, staged.passed_at) if staged.passed_at is not None else now
    met, late = staged.passed_at if staged.passed_at is not None else each.met_from(end), staged.too_late(each, now)
    return GoalReport(
        id=each.goal.id,
        text=each.goal.text,
        points=each.goal.points,
        met=met is not None and not late,
        late=late,
        met_s=seconds(run, met if staged.passed_at is None else (each.met_at or met)),
        observed="" if met is not None and not late else _why(each, late, now),
    )


def _why(each: Judged, late: bool, now: int) -> str:
    if late:
        return f"not within {each.goal.within}"
    if each.since is not None and now - each.since < each.holds_us:
        return f"it holds, for {(now - each.since) // S} s of {each.goal.holds} so far"
    if each.since is not None:
        return "it holds; it counts once all that is to happen has happened"
    return each.predicate.observed() or each.predicate.source


def score(run: Run, clients: tuple[ClientReport, ...]) -> int:
    """Of 100."""
    grader = run.grader
    total = got = 0.0
    for staged in grader.stages:
        for goal in staged.goals:
            total += goal.goal.points
            reached = staged.passed_at is not None or goal.met_from(run.cluster.now) is not None
            got += goal.goal.points * (reached and not staged.too_late(goal, run.cluster.now))
        for asked in staged.questions:
            total += asked.question.points
            if asked.right_at is not None:
                got += asked.question.points * (1.0 if len(asked.given) == 1 else 0.5)
    served, failed = sum(each.served for each in clients), sum(each.failed for each in clients)
    share = got / total if total else 1.0
    found = share * (GOALS if served + failed else GOALS + SERVICE)
    if run.passed:
        par, took = duration_us(run.scenario.par), grader.recovery_us() or 0
        found += TIME * min(max(1 - (took - par) / ((SLOWEST - 1) * par), 0), 1)
        if served + failed:
            found += SERVICE * served / (served + failed)
    found -= HINT * run.hints + sum(each.rule.costs or 0 for each in grader.rules if each.broken_at is not None)
    if grader.failed_rules:
        found = min(found, BROKEN_MAX)
    return max(0, round(found)) if _tried(grader) else 0


def _tried(grader: Grader) -> bool:
    """Whether anything was achieved: who does nothing has nothing, though some goals may hold by themselves."""
    return any(staged.passed_at is not None for staged in grader.stages) or any(
        asked.right_at is not None for asked in grader.open_questions()
    )


def timeline(run: Run, doings: list[tuple[int, str, str]]) -> list[Moment]:
    """What happened, in its order: the scenario's doings, the learner's, and what became of the goals."""
    found = [*run.moments, *doings, *run.grader.news]
    if run.grader.passed_at is not None:
        found.append((run.grader.passed_at, "passed", run.scenario.id))
    found.sort(key=lambda each: each[0])
    return [Moment(s=seconds(run, at) or 0.0, kind=kind, what=what) for at, kind, what in found]
