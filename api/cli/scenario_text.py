"""Scenarios and reports as text on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from seatrial.api.cli.here import used_name
from seatrial.api.control import durations
from seatrial.scenarios.report import Report
from seatrial.scenarios.schema import Scenario, Text

WORDS = {
    "en": {
        "goals": "Goals", "questions": "Questions", "rules": "On the way", "passed": "PASSED", "open": "not passed yet",
        "lost": "FAILED", "score": "score", "time": "time", "recovery": "recovery", "par": "par", "hints": "hints",
        "changes": "changes", "clients": "Clients", "served": "served", "failed": "failed", "timeline": "What happened",
        "stage": "Stage", "solutions": "Solutions", "wrong": "What does not help", "debrief": "What it teaches",
    },
    "ko": {
        "goals": "목표", "questions": "질문", "rules": "지켜야 할 것", "passed": "통과", "open": "아직 통과하지 못함",
        "lost": "실패", "score": "점수", "time": "시간", "recovery": "복구 시간", "par": "기준", "hints": "힌트",
        "changes": "변경", "clients": "클라이언트", "served": "성공", "failed": "실패", "timeline": "일어난 일",
        "stage": "단계", "solutions": "풀이", "wrong": "도움이 되지 않는 것", "debrief": "배울 점",
    },
}  # fmt: skip
YES, NO = click.style("✓", fg="green"), click.style("✗", fg="red")


def told(text: Text | dict[str, str], lang: str) -> str:
    return text.of(lang) if isinstance(text, Text) else str(text[lang]).strip()


def span(seconds: float | None) -> str:
    return "-" if seconds is None else durations.show(round(seconds * 1_000_000))


def heading(text: str) -> None:
    click.echo()
    click.echo(click.style(text, bold=True))


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """A table that knows how wide letters are."""
    made = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in columns:
        made.add_column(column.upper(), no_wrap=True)
    for row in rows:
        made.add_row(*row)
    Console(highlight=False, width=200).print(made, soft_wrap=True)


def listing(scenarios: Iterable[Scenario], lang: str) -> None:
    shown = list(scenarios)
    rows = [(each.id, "●" * each.level, each.title.of(lang), ", ".join(each.topics)) for each in shown]
    if any(each.course for each in shown):
        sections = [each.course for each in shown]
        table(
            ("section", "id", "level", "title", "about"), ((at, *row) for at, row in zip(sections, rows, strict=True))
        )
        return
    table(("id", "level", "title", "about"), rows)


def about(scenario: Scenario, lang: str, solution: bool) -> None:
    """What a scenario is about; with how it is solved, if wanted."""
    words = WORDS[lang]
    click.echo(click.style(f"{scenario.id}  {scenario.title.of(lang)}", bold=True))
    click.echo(f"{'●' * scenario.level}  {', '.join(scenario.topics)}  {words['par']} {scenario.par}")
    click.echo(f"\n{scenario.story.of(lang)}")
    for stage in scenario.stages:
        if len(scenario.stages) > 1:
            heading(f"{words['stage']} {stage.id}")
            if stage.story is not None:
                click.echo(stage.story.of(lang))
        if stage.goals:
            heading(words["goals"])
        for goal in stage.goals:
            click.echo(f"  {goal.text.of(lang)}")
        if stage.questions:
            heading(words["questions"])
        for question in stage.questions:
            click.echo(f"  {question.id}: {question.ask.of(lang)}")
            for word, choice in question.choices.items():
                click.echo(f"    {word}: {choice.of(lang)}")
    if scenario.rules:
        heading(words["rules"])
    for rule in scenario.rules:
        click.echo(f"  {rule.text.of(lang)}")
    if solution:
        solved(scenario, lang)


def solved(scenario: Scenario, lang: str) -> None:
    words = WORDS[lang]
    heading(words["solutions"])
    for name, lines in scenario.solutions.items():
        click.echo(f"  {name}")
        for line in lines:
            click.echo("".join(f"    {part}\n" for part in line.strip().splitlines()), nl=False)
    heading(words["wrong"])
    for name, fix in scenario.wrong.items():
        click.echo(f"  {name}: {fix.why.of(lang)}")
    heading(words["debrief"])
    click.echo(scenario.debrief.of(lang))
    for source in scenario.sources:
        click.echo(source)


def begun(scenario: Scenario, view: dict[str, Any], cluster: str, lang: str) -> None:
    """What a learner reads first."""
    click.echo()
    about(scenario, lang, False)
    click.echo()
    where = "" if used_name() == cluster else f" --cluster {cluster}"
    click.echo(f"seatrial scenario check | hint | report      seatrial clock advance 1m{where}")


def under_way(view: dict[str, Any], report: Report, lang: str) -> None:
    words = WORDS[lang]
    click.echo(click.style(f"{report.scenario}  {report.title.of(lang)}", bold=True))
    done, count = report.stages
    stages = f"{words['stage']} {min(done + 1, count)}/{count}, " if count > 1 else ""
    state = words["passed" if report.passed else "lost" if report.hopeless else "open"]
    click.echo(f"{state}, {stages}{words['time']} {span(report.elapsed_s)}, {words['changes']} {report.commands}")
    click.echo(f"\n{told(view['story'], lang)}")
    for each in view["said"]:
        click.echo(f"\n> {told(each, lang)}")
    for each in view["problems"]:
        click.echo(f"\nthe scenario itself failed: {each}", err=True)


def checked(view: dict[str, Any], report: Report, lang: str) -> None:
    """How it goes; what it teaches, once it is passed."""
    summary(report, lang)
    goals(report, lang)
    for each in view["problems"]:
        click.echo(f"the scenario itself failed: {each}", err=True)
    if view["debrief"] is not None:
        heading(WORDS[lang]["debrief"])
        click.echo(told(view["debrief"], lang))


def summary(report: Report, lang: str) -> None:
    words = WORDS[lang]
    state, colour = ("passed", "green") if report.passed else ("lost", "red") if report.hopeless else ("open", "yellow")
    title = f"{report.scenario}  {report.title.of(lang)}"
    click.echo(f"{click.style(title, bold=True)}   {click.style(words[state], fg=colour, bold=True)}")
    facts = [f"{words['score']} {report.score}/100", f"{words['time']} {span(report.elapsed_s)}"]
    if report.recovery_s is not None:
        facts.append(f"{words['recovery']} {span(report.recovery_s)} ({words['par']} {span(report.par_s)})")
    facts += [f"{words['changes']} {report.commands}", f"{words['hints']} {report.hints}"]
    click.echo("   ".join(facts))


def goals(report: Report, lang: str) -> None:
    words = WORDS[lang]
    if report.goals:
        heading(words["goals"])
    for goal in report.goals:
        at = f" ({span(goal.met_s)})" if goal.met and goal.met_s is not None else ""
        click.echo(f" {YES if goal.met else NO} {goal.text.of(lang)}{at}")
        if goal.observed:
            click.echo(f"     {goal.observed}")
    broken = [rule for rule in report.rules if rule.broken_s is not None]
    if broken:
        heading(words["rules"])
    for rule in broken:
        click.echo(f" {NO} {rule.text.of(lang)} ({span(rule.broken_s)})")
        if rule.observed:
            click.echo(f"     {rule.observed}")
    if report.questions:
        heading(words["questions"])
    for question in report.questions:
        given = f" — {', '.join(question.given)}" if question.given else ""
        click.echo(f" {YES if question.right_s is not None else NO} {question.id}: {question.ask.of(lang)}{given}")


def report(facts: Report, lang: str) -> None:
    """Everything."""
    words = WORDS[lang]
    summary(facts, lang)
    goals(facts, lang)
    if facts.clients:
        heading(words["clients"])
        rows = [(each.name, f"{each.served}", f"{each.failed}") for each in facts.clients]
        table(("", words["served"], words["failed"]), rows)
    heading(words["timeline"])
    for moment in facts.timeline:
        click.echo(f" {span(moment.s):>8}  {moment.kind:<8} {moment.what}")
