"""Object templates with the directives of Go's text/template that scheduler_perf uses.

Fields (``{{.Index}}``), variables (``{{$n := or .n 10}}``), functions, nested in parentheses or in pipelines,
``{{if}} … {{else}} … {{end}}``, ``{{range}} … {{end}}`` over a number or a list, and trimming (``{{-``, ``-}}``).
*Not modelled*: named templates, ``with``, ``break`` and Go's other functions; a template with these is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
import yaml

Fields = Mapping[str, Any]
Scope = dict[str, Any]
"""Variables by name; the dot is ``.``."""
Part = Callable[[Scope], str]
Expression = Callable[[Scope], Any]

DIRECTIVES = re.compile(r"(?:\s*\{\{-\s|\{\{)\s*(.*?)\s*(?:\s-\}\}\s*|\}\})", re.DOTALL)
TOKEN = re.compile(r'"[^"]*"|[()|]|:=|[^\s()|]+')
ASSIGNMENT = re.compile(r"(\$\w+)\s*:=\s*(.*)", re.DOTALL)


def _or(*values: Any) -> Any:
    return next((value for value in values if value), values[-1])


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "AddInt": lambda *values: sum(map(int, values)),
    "DivideInt": lambda a, b: int(a) // int(b),
    "Mod": lambda a, b: int(a) % int(b),
    "Int": int,
    "JSON": lambda value: orjson.dumps(value).decode(),
    "eq": lambda a, b: a == b,
    "ge": lambda a, b: int(a) >= int(b),
    "or": _or,
}
CONSTANTS: Mapping[str, Any] = {"nil": None, "true": True, "false": False}


@lru_cache(maxsize=256)
def _text(path: Path) -> str:
    return path.read_text()


@lru_cache(maxsize=256)
def _plain(path: Path) -> bytes | None:
    """The object of a template without directives as JSON, from which copies are made quickly; or None."""
    text = _text(path)
    return None if "{{" in text else orjson.dumps(_parsed(text))


def _parsed(text: str) -> Any:
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@lru_cache(maxsize=1024)
def _rendered_before(text: str) -> bytes:
    return orjson.dumps(_parsed(text))


def make(path: Path, fields: Fields) -> dict[str, Any]:
    """A new object from a template. Raises OSError, and ValueError for directives it does not know."""
    try:
        raw = _plain(path) or _rendered_before(rendered(_text(path), fields, str(path)))
    except (TypeError, yaml.YAMLError) as problem:
        raise ValueError(f"{path}: what it gives is no object: {problem}") from None
    made: dict[str, Any] = orjson.loads(raw)
    return made


def rendered(text: str, fields: Fields, where: str = "") -> str:
    """The text with its directives carried out. Raises ValueError for directives it does not know."""
    return _compiled(text, where)({".": fields, "$": fields})


@lru_cache(maxsize=256)
def _compiled(text: str, where: str) -> Part:
    pieces = DIRECTIVES.split(text)
    body, rest = _block(pieces, 0, where)
    if rest < len(pieces):
        raise ValueError(f"{where}: the directive {{{{{pieces[rest]}}}}} is not known: it ends nothing")
    return body


def _block(pieces: list[str], at: int, where: str) -> tuple[Part, int]:
    """The parts from ``at`` on, texts and directives in turns, up to an ``else`` or ``end`` of an outer directive."""
    parts: list[Part] = []
    while True:
        parts.append(_fixed(pieces[at]))
        at += 1
        if at >= len(pieces) or pieces[at] in ("end", "else"):
            return _sequence(parts), at
        part, at = _directive(pieces, at, where)
        parts.append(part)


def _directive(pieces: list[str], at: int, where: str) -> tuple[Part, int]:
    """One directive with what belongs to it, and where the text behind it is."""
    words = pieces[at]
    keyword, _, rest = words.partition(" ")
    try:
        if keyword in ("if", "range"):
            body, end = _block(pieces, at + 1, where)
            other: Part = _fixed("")
            if end < len(pieces) and pieces[end] == "else":
                other, end = _block(pieces, end + 1, where)
            if end >= len(pieces) or pieces[end] != "end":
                raise ValueError("it has no end")
            return (_choice if keyword == "if" else _loop)(rest, body, other), end + 1
        assigned = ASSIGNMENT.fullmatch(words)
        if assigned is not None:
            return _assignment(assigned.group(1), _expression(assigned.group(2))), at + 1
        return _output(_expression(words), words, where), at + 1
    except (KeyError, StopIteration, TypeError, ValueError) as problem:
        if "directive" in str(problem):
            raise
        raise ValueError(f"{where}: the directive {{{{{words}}}}} is not known") from None


def _fixed(text: str) -> Part:
    return lambda scope: text


def _sequence(parts: list[Part]) -> Part:
    return lambda scope: "".join([part(scope) for part in parts])


def _output(expression: Expression, words: str, where: str) -> Part:
    def part(scope: Scope) -> str:
        try:
            return str(expression(scope))
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"{where}: the directive {{{{{words}}}}} cannot be carried out") from None

    return part


def _assignment(name: str, expression: Expression) -> Part:
    def part(scope: Scope) -> str:
        scope[name] = expression(scope)
        return ""

    return part


def _choice(condition: str, body: Part, other: Part) -> Part:
    wanted = _expression(condition)
    return lambda scope: body(dict(scope)) if wanted(scope) else other(dict(scope))


def _loop(clause: str, body: Part, other: Part) -> Part:
    assigned = ASSIGNMENT.fullmatch(clause)
    name, values = ("", _expression(clause)) if assigned is None else (assigned[1], _expression(assigned[2]))

    def part(scope: Scope) -> str:
        found = values(scope)
        turns = list(range(found) if isinstance(found, int) else found or ())
        return "".join([body({**scope, ".": turn, name: turn}) for turn in turns]) or other(dict(scope))

    return part


def _expression(text: str) -> Expression:
    """A pipeline. Raises ValueError, KeyError, StopIteration for what it does not know."""
    tokens = iter([*TOKEN.findall(text), ")"])
    found = _pipeline(tokens)
    if next(tokens, None) is not None:
        raise ValueError(text)
    return found


def _pipeline(tokens: Iterator[str]) -> Expression:
    """Commands up to the closing parenthesis; what one gives is the last argument of the next."""
    given: Expression | None = None
    terms: list[Expression | str] = []
    for token in tokens:
        if token in ("|", ")"):
            given = _command(terms, given)
            terms = []
            if token == ")":
                return given
        else:
            terms.append(_pipeline(tokens) if token == "(" else _term(token))
    raise ValueError("a parenthesis is not closed")


def _term(token: str) -> Expression | str:
    """A value, or the name of a function."""
    if token == "." or token == "$":
        return lambda scope: scope[token]
    if token.startswith((".", "$.")):
        name = token.lstrip("$")[1:]
        return lambda scope: scope["$"].get(name, "")
    if token.startswith("$"):
        return lambda scope: scope[token]
    if token.startswith('"'):
        return lambda scope: token[1:-1]
    if token in CONSTANTS:
        return lambda scope: CONSTANTS[token]
    if token in FUNCTIONS:
        return token
    number = int(token)
    return lambda scope: number


def _command(terms: list[Expression | str], given: Expression | None) -> Expression:
    first, *rest = terms
    arguments = [term for term in [*rest, given] if term is not None and not isinstance(term, str)]
    if len(arguments) != len(rest) + (given is not None):
        raise ValueError("a function stands for a value")
    if isinstance(first, str):
        function = FUNCTIONS[first]
        return lambda scope: function(*[argument(scope) for argument in arguments])
    if arguments:
        raise ValueError("a value takes no arguments")
    return first
