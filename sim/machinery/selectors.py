"""Selectors: the grammar of label selectors, and what they match; field selectors are a module of their own.

Source: k8s.io/apimachinery/pkg/labels (selector.go), k8s.io/apimachinery/pkg/apis/meta/v1/helpers.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from seatrial.sim.machinery import errors
from seatrial.sim.machinery.field_selectors import fields
from seatrial.sim.machinery.fields import quoted
from seatrial.sim.machinery.validation.names import label_value, qualified_name

__all__ = ["Labels", "Matches", "Requirement", "fields", "labels", "parse", "requirements", "text_of"]

Labels = Mapping[str, str]
Matches = Callable[[Labels], bool]

BINARY = ("in", "notin", "=", "==", "!=", "gt", "lt")
SYMBOLS = {"=": "=", "==": "==", "!=": "!=", ">": "gt", "<": "lt", "in": "in", "notin": "notin"}
SIGNS = {"gt": ">", "lt": "<"}
WORDS = re.compile(r"[ \t\r\n]*(?:([=!(),<>]+)|([^=!(),<> \t\r\n]+))?")
TOKENS = ("==", "!=", "=", "!", "(", ")", ",", "<", ">")
OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
"""The operators of a LabelSelector object, as the grammar calls them."""


class Requirement(NamedTuple):
    """``key operator values``; the operators are those of the grammar and ``exists`` and ``!``."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Labels) -> bool:
        """Whether a set of labels meets the requirement."""
        found = labels.get(self.key)
        operator = self.operator
        if operator in ("in", "=", "=="):
            return found is not None and found in self.values
        if operator in ("notin", "!="):
            return found is None or found not in self.values
        if operator == "exists":
            return found is not None
        if operator == "!":
            return found is None
        ours = _integer(found)
        if ours is None:
            return False
        limit = int(self.values[0])
        return ours > limit if operator == "gt" else ours < limit

    def __str__(self) -> str:
        if self.operator == "exists":
            return self.key
        if self.operator == "!":
            return f"!{self.key}"
        if self.operator in ("in", "notin"):
            return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"
        return f"{self.key}{SIGNS.get(self.operator, self.operator)}{self.values[0]}"


def _integer(text: str | None) -> int | None:
    """A label as strconv.ParseInt reads it."""
    return int(text) if text is not None and re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII) else None


def labels(selector: str | Mapping[str, Any] | None) -> Matches:
    """The predicate of a selector's text or of a LabelSelector object.

    An empty selector matches everything; None and one with an unknown operator match nothing. Raises ApiError 400 for
    a text that cannot be parsed, in the server's words.
    """
    if isinstance(selector, str):
        return _predicate(parse(selector))
    if selector is None:
        return _never
    exact, expressions = selector.get("matchLabels"), selector.get("matchExpressions")
    if not expressions:
        return _equals(tuple((exact or {}).items()))
    terms = tuple(requirements(selector))
    return _predicate(terms) if all(term.operator for term in terms) else _never


def _never(labels: Labels) -> bool:
    return False


@lru_cache(maxsize=1 << 14)
def _equals(pairs: tuple[tuple[str, str], ...]) -> Matches:
    if not pairs:
        return lambda labels: True
    if len(pairs) == 1:
        ((only, wanted),) = pairs
        return lambda labels: labels.get(only) == wanted
    all_wanted = dict(pairs).items()
    return lambda labels: all_wanted <= labels.items()


@lru_cache(maxsize=1 << 14)
def _predicate(terms: tuple[Requirement, ...]) -> Matches:
    if all(term.operator in ("=", "==") for term in terms):
        return _equals(tuple((term.key, term.values[0]) for term in terms))
    return lambda labels: all(term.matches(labels) for term in terms)


def requirements(selector: Mapping[str, Any]) -> Iterator[Requirement]:
    """The requirements of a LabelSelector object, matchLabels in key order first (LabelSelectorAsSelector)."""
    for key, value in sorted((selector.get("matchLabels") or {}).items()):
        yield Requirement(key, "=", (value,))
    for term in selector.get("matchExpressions") or ():
        yield Requirement(term["key"], OPERATORS.get(term["operator"], ""), tuple(term.get("values") or ()))


def text_of(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector object in the grammar, as printers show it: ``<none>`` when it is empty (FormatLabelSelector)."""
    if selector is None:
        return "<none>"
    terms = list(requirements(selector))
    if any(not term.operator for term in terms):
        return "<error>"
    return ",".join(str(term) for term in sorted(terms, key=lambda term: term.key)) or "<none>"


@lru_cache(maxsize=4096)
def parse(text: str) -> tuple[Requirement, ...]:
    """The requirements of a selector's text, in key order. Raises ApiError 400 (labels.Parse)."""
    try:
        return tuple(sorted(_Parser(text).selector(), key=lambda term: term.key))
    except ValueError as problem:
        raise errors.bad_request(str(problem)) from None


def _tokens(text: str) -> Iterator[tuple[str, bool]]:
    """(literal, whether it is a word) of each token; the last one is empty."""
    position = 0
    while position < len(text):
        shape = WORDS.match(text, position)
        assert shape is not None
        position = shape.end()
        symbols, word = shape.groups()
        while symbols:
            token = next(token for token in TOKENS if symbols.startswith(token))
            yield token, False
            symbols = symbols[len(token) :]
        if word:
            yield word, True
    yield "", False


class _Parser:
    """Recursive descent over the tokens; every error is a ValueError in upstream's words."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    def _peek(self) -> tuple[str, bool]:
        return self._tokens[min(self._at, len(self._tokens) - 1)]

    def _next(self) -> tuple[str, bool]:
        token = self._peek()
        self._at += 1
        return token

    def selector(self) -> Iterator[Requirement]:
        while True:
            literal, word = self._peek()
            if not word and literal == "":
                return
            if not word and literal != "!":
                raise ValueError(f"found '{literal}', expected: !, identifier, or 'end of string'")
            try:
                yield self._requirement()
            except ValueError as problem:
                raise ValueError(f"unable to parse requirement: {problem}") from None
            literal, word = self._next()
            if not word and literal == "":
                return
            if word or literal != ",":
                raise ValueError(f"found '{literal}', expected: ',' or 'end of string'")
            literal, word = self._peek()
            if not word and literal != "!":
                raise ValueError(f"found '{literal}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        key, word = self._next()
        absent = not word and key == "!"
        if absent:
            key, word = self._next()
        if not word:
            raise ValueError(f"found '{key}', expected: identifier")
        problems = qualified_name(key)
        if problems:
            raise ValueError(f"<nil>: Invalid value: {quoted(key)}: {'; '.join(problems)}")
        literal, word = self._peek()
        if absent:
            return Requirement(key, "!")
        if not word and literal in ("", ","):
            return Requirement(key, "exists")
        literal, _ = self._next()
        operator = SYMBOLS.get(literal)
        if operator is None:
            raise ValueError(f"found '{literal}', expected: {', '.join(BINARY)}")
        values = self._values() if operator in ("in", "notin") else [self._value()]
        return _checked(Requirement(key, operator, tuple(sorted(dict.fromkeys(values)))))

    def _value(self) -> str:
        literal, word = self._peek()
        if not word and literal in ("", ","):
            return ""
        self._at += 1
        if not word:
            raise ValueError(f"found '{literal}', expected: identifier")
        return literal

    def _values(self) -> list[str]:
        literal, word = self._next()
        if word or literal != "(":
            raise ValueError(f"found '{literal}' expected: '('")
        literal, word = self._peek()
        if not word and literal == ")":
            self._at += 1
            return []
        if not word and literal != ",":
            raise ValueError(f"found '{literal}', expected: ',', ')' or identifier")
        found: list[str] = []
        while True:
            literal, word = self._next()
            if word:
                found.append(literal)
                literal, word = self._peek()
                if not word and literal == ")":
                    break
                if word or literal != ",":
                    raise ValueError(f"found '{literal}', expected: ',' or ')'")
            elif literal == ",":
                if not found:
                    found.append("")
                literal, word = self._peek()
                if not word and literal == ")":
                    found.append("")
                    break
                if not word and literal == ",":
                    self._at += 1
                    found.append("")
            else:
                raise ValueError(f"found '{literal}', expected: ',', or identifier")
        self._at += 1
        return found


def _checked(term: Requirement) -> Requirement:
    """What NewRequirement refuses. Raises ValueError."""
    problems = []
    if term.operator in ("in", "notin") and not term.values:
        problems.append("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty")
    if term.operator in ("gt", "lt") and _integer(term.values[0]) is None:
        why = "for 'Gt', 'Lt' operators, the value must be an integer"
        problems.append(f"values[0]: Invalid value: {quoted(term.values[0])}: {why}")
    for position, value in enumerate(term.values):
        wrong = label_value(value)
        if wrong:
            problems.append(f"values[{position}][{term.key}]: Invalid value: {quoted(value)}: {'; '.join(wrong)}")
    if problems:
        raise ValueError(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
    return term
