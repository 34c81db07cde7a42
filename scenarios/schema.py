"""What a scenario is: a cluster, what breaks in it and when, what is to be achieved, and how one would.

One YAML file each; ``read`` gives the scenario of a text, or everything that is wrong with it, with line and column.
``json_schema`` is what editors check files by while they are written (docs/scenario.schema.json).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from seatrial.scenarios.course import book
from seatrial.scenarios.positions import Document, Mistake, Mistaken, Path
from seatrial.scenarios.positions import read as read_yaml
from seatrial.sim.config import ClusterSpec

LANGUAGES = ("en", "ko")
SPAN, WORD = r"^(\d+(\.\d+)?(ms|s|m|h|d))+$", r"^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?$"
FORMS = {SPAN: "a span of time, as in 90s, 6m or 1h30m", WORD: "a name of letters, digits and hyphens"}
Duration = Annotated[str, StringConstraints(pattern=SPAN)]
"""``90s``, ``6m``, ``1h30m``."""
Id = Annotated[str, StringConstraints(pattern=WORD, max_length=40)]
Lines = tuple[str, ...]
"""Commands as typed: ``kubectl …``, ``ssh NODE -- …``, ``curl …``, ``clock advance 6m``, ``answer QUESTION ANSWER``,
``until EXPRESSION``, ``wait``. A command's standard input follows it as a here-document (``<<EOF``)."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(_Value):
    """The same in each language."""

    en: str = Field(min_length=1, description="English.")
    ko: str = Field(min_length=1, description="Korean.")

    def of(self, language: str) -> str:
        return str(getattr(self, language, self.en)).strip()


class Goal(_Value):
    """Something that has to become true, and stay so for a while."""

    id: Id
    text: Text = Field(description="What is wanted, for the learner.")
    that: str = Field(min_length=1, description="A CEL expression over the cluster and what its clients got.")
    holds: Duration = Field(default="10s", description="How long it has to hold without a break.")
    within: Duration | None = Field(
        default=None, description="How long after the stage's last event it may take; for ever when not given."
    )
    once: bool = Field(default=False, description="It counts though it does not hold any more at the end.")
    points: int = Field(default=1, ge=0, description="Its weight among the goals and questions.")


class Rule(_Value):
    """Something that must not be given up on the way."""

    id: Id
    text: Text
    always: str = Field(min_length=1, description="A CEL expression that has to hold at every moment.")
    costs: int | None = Field(
        default=None, ge=1, description="Points that breaking it costs; when not given, the scenario is failed."
    )


class Question(_Value):
    """Something to find out."""

    id: Id
    ask: Text
    choices: dict[str, Text] = Field(default={}, description="The possible answers, by the word to answer with.")
    answer: tuple[str, ...] = Field(min_length=1, description="What is right, in any letter case.")
    points: int = Field(default=1, ge=0, description="Its weight; half of it for an answer that was not the first.")


class Event(_Value):
    """Something that happens, at a time after the stage's beginning. Exactly one thing."""

    at: Duration = "0s"
    fault: dict[str, Any] | None = Field(default=None, description="A fault of the catalogue: kind and parameters.")
    lasts: Duration | None = Field(default=None, description="How long a fault or load lasts; for good when not given.")
    name: str = Field(default="", description="A name for the fault or load.")
    heal: str = Field(default="", description="The name of a fault that ends.")
    load: dict[str, Any] | None = Field(default=None, description="A load that begins.")
    apply: str = Field(default="", description="A manifest that somebody applies.")
    run: str = Field(default="", description="A command that somebody types, as in a solution.")
    say: Text | None = Field(default=None, description="What the learner is told of it.")

    @property
    def what(self) -> str:
        """Which of the things it is."""
        return next((each for each in THINGS if getattr(self, each)), "say")

    @model_validator(mode="after")
    def _is_one_thing(self) -> Event:
        given = [each for each in THINGS if getattr(self, each)]
        if len(given) > 1 or not (given or self.say):
            raise ValueError(f"an event is one of {', '.join(THINGS)}; this one is {' and '.join(given) or 'none'}")
        if self.lasts is not None and self.fault is None and self.load is None:
            raise ValueError("only a fault or a load lasts")
        return self


THINGS = ("fault", "heal", "load", "apply", "run")


def named(event: Event) -> str:
    """What the load of an event is called."""
    return event.name or "load"


class Stage(_Value):
    """A part of a scenario; the next one begins when its goals are reached."""

    id: Id = "main"
    story: Text | None = Field(default=None, description="What is the matter, for the learner.")
    timeline: tuple[Event, ...] = ()
    goals: tuple[Goal, ...] = ()
    shows: Duration = Field(
        default="2m", description="How long after the last event its trouble may take until a goal does not hold."
    )
    questions: tuple[Question, ...] = ()
    hints: tuple[Text, ...] = Field(default=(), description="From a nudge to the way.")

    @model_validator(mode="after")
    def _asks_something(self) -> Stage:
        if not self.goals and not self.questions:
            raise ValueError("a stage has at least one goal or question")
        return self


class WrongFix(_Value):
    """What looks like a solution and is none."""

    do: Lines
    fails: tuple[str, ...] = Field(min_length=1, description="The goals, rules or questions that it fails.")
    why: Text


class Scenario(_Value):
    """One thing to practise."""

    id: Id
    title: Text
    level: int = Field(ge=1, le=5, description="1: visible in kubectl get; 5: a compound incident.")
    topics: tuple[str, ...] = Field(min_length=1, description="What it is about, as in services, nodes.")
    par: Duration = Field(default="5m", description="From the first event to recovery, for who knows their way.")
    limit: Duration = Field(default="15m", description="Simulated time after which nobody waits any longer.")
    story: Text = Field(description="What is the matter, and what is to be done.")
    cluster: ClusterSpec = ClusterSpec()
    seed: int = 0
    course: str = Field(default="", description="The section of a course that it belongs to, as in 3.2.8.")
    files: dict[str, str] = Field(default={}, description="Files at the learner's hand, by their name.")
    book: tuple[str, ...] = Field(default=(), description="Manifests of the book that are at hand like files.")
    manifests: str = Field(default="", description="What runs before anything happens.")
    ready: str = Field(default="calm()", min_length=1, description="When it runs: a CEL expression; time 0 is then.")
    handover: Duration | None = Field(
        default=None,
        description="How long after time 0 the learner gets it; when not given, after the last event of the first "
        "stage that is no load and ends no fault.",
    )
    loads: dict[str, dict[str, Any]] = Field(default={}, description="Clients from time 0 on, by name.")
    rules: tuple[Rule, ...] = ()
    stages: tuple[Stage, ...] = Field(min_length=1)
    solutions: dict[str, Lines] = Field(min_length=1)
    wrong: dict[str, WrongFix] = Field(min_length=1)
    debrief: Text = Field(description="What happened and why, for afterwards.")
    sources: tuple[str, ...] = Field(default=(), description="Where to read on.")

    @field_validator("book")
    @classmethod
    def _are_in_the_book(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in book.names():
                raise ValueError(f"the book has no {name}: {meant(name, book.names())}")
        return names

    @property
    def at_hand(self) -> dict[str, str]:
        """The learner's files, by their name."""
        return {**{name: book.manifest(name) for name in self.book}, **self.files}

    @property
    def goals(self) -> Iterator[Goal]:
        for stage in self.stages:
            yield from stage.goals

    @property
    def questions(self) -> Iterator[Question]:
        for stage in self.stages:
            yield from stage.questions


def read(text: str, file: str = "scenario") -> Scenario:
    """The scenario of a YAML text, checked through. Raises Mistaken."""
    document = read_yaml(text, file)
    if not isinstance(document.value, dict):
        raise Mistaken(file, [Mistake(1, 1, "a scenario is a mapping: id, title, level and so on")])
    try:
        scenario = Scenario.model_validate(document.value)
    except ValidationError as problem:
        errors = [each for each in problem.errors() if not _follows(dict(each), problem)]
        raise Mistaken(file, [_mistake(document, dict(each)) for each in errors]) from None
    from seatrial.scenarios.checks import mistakes

    if wrong := list(mistakes(scenario, document)):
        raise Mistaken(file, wrong)
    return scenario


def _follows(error: Mapping[str, Any], problem: ValidationError) -> bool:
    """Whether a list is called too short only because of what is wrong inside."""
    path = tuple(error["loc"])
    inside = any(len(each["loc"]) > len(path) and tuple(each["loc"])[: len(path)] == path for each in problem.errors())
    return bool(error["type"] == "too_short" and inside)


def _mistake(document: Document, error: Mapping[str, Any]) -> Mistake:
    path: Path = tuple(error["loc"])
    unknown = error["type"] == "extra_forbidden"
    line, column = document.place(path, key=unknown or error["type"] == "missing")
    shown = ".".join(map(str, path))
    if unknown:
        known = fields_at(Scenario, path[:-1])
        return Mistake(line, column, f"{shown}: there is no such field", meant(str(path[-1]), known))
    if error["type"] == "string_pattern_mismatch" and (written := FORMS.get(error["ctx"]["pattern"])):
        return Mistake(line, column, f"{shown}: {error['input']!r} is not {written}")
    if error["type"] == "missing":
        return Mistake(line, column, f"{shown}: it is missing")
    return Mistake(line, column, f"{shown}: {str(error['msg']).removeprefix('Value error, ')}")


def meant(word: str, known: list[str]) -> str:
    """The nearest of the known words, or all of them."""
    near = difflib.get_close_matches(word, known, 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}" if known else ""


def fields_at(model: Any, path: Path) -> list[str]:
    """The names of the fields of what is at a path below a model."""
    kind: Any = model
    for step in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = kind.model_fields.get(str(step))
            kind = field.annotation if field is not None else None
        else:
            kind = next((each for each in reversed(get_args(kind)) if each not in (Ellipsis, type(None))), None)
        while get_args(kind) and type(None) in get_args(kind):
            kind = get_args(kind)[0]
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def json_schema() -> dict[str, Any]:
    """The JSON schema of a scenario's file."""
    schema = Scenario.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Seatrial scenario"}
