"""The abstract syntax of shell scripts (POSIX.1-2017, Shell Command Language, with what ash and bash users expect)."""

from __future__ import annotations

from typing import Any, NamedTuple


class Literal(NamedTuple):
    """Text; quoted text is neither split nor matched against files."""

    text: str
    quoted: bool


class Parameter(NamedTuple):
    """``$name`` or ``${name[at]<op>word}``; operators of one's own are ``length`` and ``keys``, written before it."""

    name: str
    operator: str
    word: Word
    quoted: bool
    at: Word | None = None


class Substitution(NamedTuple):
    """``$(commands)``."""

    body: Sequence
    quoted: bool


class Arithmetic(NamedTuple):
    """``$((expression))``."""

    expression: Word
    quoted: bool


Part = Literal | Parameter | Substitution | Arithmetic
Word = tuple[Any, ...]
"""Parts, joined without anything between."""


class Redirection(NamedTuple):
    """``fd operator target``; a here-document's operator is ``<<`` and its target the text."""

    fd: int
    operator: str
    target: Word


class Items(NamedTuple):
    """``( word ... )``: what an array is made of."""

    words: tuple[Word, ...]


class Assignment(NamedTuple):
    """``name=value``, ``name[at]=value``; with ``+=`` it appends."""

    name: str
    value: Word | Items
    at: Word | None = None
    appends: bool = False

    @property
    def is_plain(self) -> bool:
        return not self.appends and self.at is None and not isinstance(self.value, Items)


class Simple(NamedTuple):
    assignments: tuple[Assignment, ...]
    words: tuple[Word, ...]
    redirections: tuple[Redirection, ...]


class Pipeline(NamedTuple):
    negated: bool
    commands: tuple[Any, ...]


class AndOr(NamedTuple):
    first: Pipeline
    rest: tuple[tuple[str, Pipeline], ...]


class Sequence(NamedTuple):
    """Commands one after the other; those marked run in the background."""

    items: tuple[tuple[AndOr, bool], ...]


class Subshell(NamedTuple):
    body: Sequence
    redirections: tuple[Redirection, ...] = ()


class Group(NamedTuple):
    body: Sequence
    redirections: tuple[Redirection, ...] = ()


class If(NamedTuple):
    branches: tuple[tuple[Sequence, Sequence], ...]
    otherwise: Sequence | None
    redirections: tuple[Redirection, ...] = ()


class While(NamedTuple):
    condition: Sequence
    body: Sequence
    until: bool
    redirections: tuple[Redirection, ...] = ()


class For(NamedTuple):
    name: str
    words: tuple[Word, ...] | None
    body: Sequence
    redirections: tuple[Redirection, ...] = ()


class Case(NamedTuple):
    word: Word
    items: tuple[tuple[tuple[Word, ...], Sequence], ...]
    redirections: tuple[Redirection, ...] = ()


class Function(NamedTuple):
    name: str
    body: Any


class Test(NamedTuple):
    """``[[ ... ]]``: words are not split."""

    words: tuple[Word, ...]
    redirections: tuple[Redirection, ...] = ()


class Evaluate(NamedTuple):
    """``(( expression ))``."""

    expression: Word
    redirections: tuple[Redirection, ...] = ()


class SyntaxProblem(Exception):
    """A script that is no script: ``args`` is what the shell says."""
