"""What is wrong with a scenario beyond its shape: faults and loads that there are not, expressions that cannot be
compiled, names that lead nowhere, commands that nobody knows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from seatrial.scenarios import script
from seatrial.scenarios.positions import Document, Mistake, Path
from seatrial.scenarios.predicates import Compiler, Object, Tally
from seatrial.scenarios.schema import Scenario, meant, named
from seatrial.sim.faults.catalogue import CATALOGUE, fault_of
from seatrial.sim.loads.load import load_of
from seatrial.sim.machinery import legacy
from seatrial.sim.machinery.cel.errors import CelError, location
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.written import objects_of, resource_of

DEFINES = "kind: CustomResourceDefinition"
"""Manifests that define kinds of their own."""
OPERATORS = {"and": "&&", "or": "||", "not": "!", "=": "=="}
"""What other languages write, and CEL's own."""
OPERATOR = re.compile(r"\s*(and\b|or\b|not\b|=(?!=))")


def mistakes(scenario: Scenario, document: Document) -> Iterator[Mistake]:
    """All of them, each where it stands."""
    yield from _expressions(scenario, document)
    yield from _events(scenario, document)
    yield from _names(scenario, document)
    yield from _commands(scenario, document)
    yield from _manifest(scenario, scenario.manifests, document, ("manifests",))


class _Nowhere:
    """A scene without objects: enough to compile by."""

    def __init__(self, scenario: Scenario) -> None:
        self._kinds = legacy.table(scenario.cluster.api_profile)
        self._clients = [*scenario.loads, *(named(each) for stage in scenario.stages for each in stage.timeline
                                            if each.load is not None)]  # fmt: skip

    def resource(self, kind: str) -> Resource:
        return resource_of(self._kinds, kind)

    def client(self, name: str) -> None:
        if name not in self._clients:
            raise ValueError(
                f"there is no client {name!r}: {meant(name, self._clients) or 'the scenario has no loads'}"
            )

    def one(self, storage: str, namespace: str, name: str) -> Object | None:
        return None

    def all(self, storage: str, namespace: str | None) -> list[Any]:
        return []

    def tally(self, client: str, span_us: int) -> Tally:
        return Tally(0, 0)

    def first_uid(self, storage: str, namespace: str, name: str) -> str:
        return ""


def _expressions(scenario: Scenario, document: Document) -> Iterator[Mistake]:
    compiler = Compiler(_Nowhere(scenario))
    found: list[tuple[Path, str]] = [(("ready",), scenario.ready)]
    found += [(("rules", at, "always"), rule.always) for at, rule in enumerate(scenario.rules)]
    for number, stage in enumerate(scenario.stages):
        found += [(("stages", number, "goals", at, "that"), goal.that) for at, goal in enumerate(stage.goals)]
    for group, lines in _scripts(scenario):
        for at, line in enumerate(lines):
            if line.startswith("until "):
                found.append(((*group, at), line.removeprefix("until ")))
    for path, source in found:
        try:
            compiler.compile(source)
        except CelError as problem:
            yield from _told(problem, source, path, document)


def _told(problem: CelError, source: str, path: Path, document: Document) -> Iterator[Mistake]:
    for issue in problem.issues:
        line, column, _ = location(source, issue.at)
        shown = ".".join(map(str, path))
        yield Mistake(
            *document.within(path, line, column), f"{shown}: {issue.text}", hint(issue.text, source, issue.at)
        )


def hint(text: str, source: str, at: int) -> str:
    """What may have been meant by a word that nobody knows."""
    from seatrial.scenarios.predicates import USES

    if not text.startswith("undeclared reference to "):
        written = OPERATOR.match(source, at)
        return f"did you mean {OPERATORS[written[1]]}?" if written is not None else ""
    word = text.split("'")[1] if "'" in text else source[at:].split("(")[0]
    if f"{word}(" not in source:
        return f"names are written in quotes: {word!r}"
    return meant(word, sorted(USES))


def _events(scenario: Scenario, document: Document) -> Iterator[Mistake]:
    for number, stage in enumerate(scenario.stages):
        faults: list[str] = []
        for at, event in enumerate(stage.timeline):
            path: Path = ("stages", number, "timeline", at)
            if event.fault is not None:
                yield from _fault(event.fault, (*path, "fault"), document)
                faults.append(event.name)
            elif event.heal and event.heal not in faults:
                yield Mistake(*document.place((*path, "heal")), f"no fault before is named {event.heal!r}")
            elif event.apply:
                yield from _manifest(scenario, event.apply, document, (*path, "apply"))
            elif event.load is not None:
                yield from _load(event.load, (*path, "load"), document)
            elif event.run and (wrong := script.problem(event.run)):
                yield Mistake(*document.place((*path, "run")), wrong)
    for name, load in scenario.loads.items():
        yield from _load(load, ("loads", name), document)


def _fault(value: dict[str, Any], path: Path, document: Document) -> Iterator[Mistake]:
    kind = str(value.get("kind", ""))
    if kind not in CATALOGUE:
        place = document.place((*path, "kind"))
        yield Mistake(*place, f"there is no fault {kind!r}", meant(kind, list(CATALOGUE)))
        return
    try:
        fault_of(value)
    except ValueError as problem:
        yield Mistake(*document.place((*path, _field(value, str(problem))), key=True), str(problem))


def _field(value: dict[str, Any], said: str) -> str:
    """Which of its fields an objection is about."""
    return next((key for key in value if key != "kind" and (f"{key}:" in said or f"'{key}'" in said)), "kind")


def _load(value: dict[str, Any], path: Path, document: Document) -> Iterator[Mistake]:
    try:
        load_of(value)
    except ValueError as problem:
        yield Mistake(*document.place((*path, _field(value, str(problem))), key=True), str(problem))


def _manifest(scenario: Scenario, text: str, document: Document, path: Path) -> Iterator[Mistake]:
    shown = ".".join(map(str, path))
    try:
        objects = objects_of(text)
    except ValueError as problem:
        yield Mistake(*document.place(path), f"{shown}: {problem}")
        return
    if DEFINES in scenario.manifests:
        return
    kinds = legacy.table(scenario.cluster.api_profile)
    for each in objects:
        if kinds.of(each) is None:
            kind, version = str(each.get("kind")), str(each.get("apiVersion"))
            line = next((number for number, line in enumerate(text.splitlines(), 1) if f"kind: {kind}" in line), 1)
            near = meant(kind, sorted({row.kind for row in kinds if prefix(row) == version} or {r.kind for r in kinds}))
            yield Mistake(*document.within(path, line, 1), f"{shown}: there is no kind {kind!r} in {version}", near)


def prefix(row: Resource) -> str:
    """The apiVersion of a kind."""
    return f"{row.group}/{row.version}" if row.group else row.version


def _names(scenario: Scenario, document: Document) -> Iterator[Mistake]:
    named: list[tuple[str, Path]] = [(rule.id, ("rules", at)) for at, rule in enumerate(scenario.rules)]
    for number, stage in enumerate(scenario.stages):
        named += [(goal.id, ("stages", number, "goals", at)) for at, goal in enumerate(stage.goals)]
        named += [(each.id, ("stages", number, "questions", at)) for at, each in enumerate(stage.questions)]
        for at, each in enumerate(stage.questions):
            if each.choices and (strange := [word for word in each.answer if word not in each.choices]):
                path = ("stages", number, "questions", at, "answer")
                yield Mistake(*document.place(path), f"no choice is {strange[0]!r}", meant(strange[0], [*each.choices]))
    yield from _twice(named, document)
    known = [name for name, _ in named]
    for name, fix in scenario.wrong.items():
        for at, failed in enumerate(fix.fails):
            if failed not in known:
                place = document.place(("wrong", name, "fails", at))
                yield Mistake(*place, f"no goal, rule or question is {failed!r}", meant(failed, known))


def _twice(named: Iterable[tuple[str, Path]], document: Document) -> Iterator[Mistake]:
    seen: set[str] = set()
    for name, path in named:
        if name in seen:
            yield Mistake(*document.place(path), f"two goals, rules or questions are called {name!r}")
        seen.add(name)


def _scripts(scenario: Scenario) -> Iterator[tuple[Path, tuple[str, ...]]]:
    for name, lines in scenario.solutions.items():
        yield ("solutions", name), lines
    for name, fix in scenario.wrong.items():
        yield ("wrong", name, "do"), fix.do


def _commands(scenario: Scenario, document: Document) -> Iterator[Mistake]:
    questions = {each.id for each in scenario.questions}
    for path, lines in _scripts(scenario):
        for at, line in enumerate(lines):
            wrong = script.problem(line, questions)
            if wrong:
                yield Mistake(*document.place((*path, at)), wrong)
