"""The abstract syntax of shell scripts (POSIX.1-2017, Shell Command Language, with what ash and bash users expect)."""

from __future__ import annotations

from typing import Any, NamedTuple


class Literal(NamedTuple):
    """Text; quoted text is neither split nor matched against files."""

    text: str
    quoted: bool


class Parameter(NamedTuple):
    """``$name`` or ``${name<op>word}``; ``#`` as operator alone is the length."""

    name: str
    operator: str
    word: Word
    quoted: bool


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


class Simple(NamedTuple):
    assignments: tuple[tuple[str, Word], ...]
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
