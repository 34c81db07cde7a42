"""A scenario put to its own test: idle hands fail, each solution passes, each wrong fix fails what it says."""

from __future__ import annotations

from collections.abc import Iterator

from seatrial.scenarios.report import Report, report_of
from seatrial.scenarios.runner import Run, on_new_cluster, played
from seatrial.scenarios.schema import Scenario

NOTHING = "nothing"


def ways(scenario: Scenario) -> dict[str, tuple[str, ...]]:
    """Everything that can be played of a scenario, by name."""
    wrong = {name: fix.do for name, fix in scenario.wrong.items()}
    return {NOTHING: (), **scenario.solutions, **wrong}


def run_of(scenario: Scenario, text: str, way: str) -> Run:
    """A way, played to its end."""
    return played(on_new_cluster(scenario, text), ways(scenario)[way])


def failed(run: Run, report: Report) -> set[str]:
    """Goals and questions that were not reached, and rules that were broken."""
    found = {each.id for each in report.goals if not each.met}
    found |= {each.id for each in report.rules if each.broken_s is not None}
    found |= {each.id for each in report.questions if each.right_s is None}
    later = [staged.stage for staged in run.grader.stages if staged.began_at is None]
    found |= {each.id for stage in later for each in stage.goals}
    return found | {each.id for stage in later for each in stage.questions}


def objection(scenario: Scenario, way: str, run: Run) -> str:
    """What is wrong with how a way ended; empty when nothing is."""
    report, wrong = report_of(run), scenario.wrong.get(way)
    if run.problems:
        return f"{way}: the scenario itself failed: {run.problems[0]}"
    if wrong is not None:
        if report.passed:
            return f"{way}: a wrong fix passes"
        missing = [each for each in wrong.fails if each not in failed(run, report)]
        return f"{way}: it does not fail {', '.join(missing)}" if missing else ""
    if way == NOTHING:
        return f"{way}: who does nothing passes" if report.passed else ""
    if report.passed:
        return ""
    return f"{way}: a solution does not pass: it fails {', '.join(sorted(failed(run, report))) or 'to end'}"


def objections(scenario: Scenario, text: str) -> Iterator[str]:
    """All ways played: what is wrong with how they end."""
    for way in ways(scenario):
        said = objection(scenario, way, run_of(scenario, text, way))
        if said:
            yield said
