"""Object templates with the few directives of Go's text/template that scheduler_perf uses for pods and nodes.

Fields (``{{.Index}}``), whole-number functions (``{{Mod .Index 12}}``, nested in parentheses) and ``{{if .x}}…{{else}}…
{{end}}``. *Not modelled*: loops, variables and pipelines; a template with these is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
import yaml

DIRECTIVE = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}")
CHOICE = re.compile(r"\{\{-?\s*if\s+([^{}]*?)\s*-?\}\}((?:(?!\{\{-?\s*if\b).)*?)\{\{-?\s*end\s*-?\}\}", re.DOTALL)
ELSE = re.compile(r"\{\{-?\s*else\s*-?\}\}")
TOKEN = re.compile(r'\(|\)|"[^"]*"|[^\s()]+')
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "AddInt": lambda *values: sum(map(int, values)),
    "DivideInt": lambda a, b: int(a) // int(b),
    "Mod": lambda a, b: int(a) % int(b),
    "eq": lambda a, b: a == b,
    "ge": lambda a, b: int(a) >= int(b),
}


@lru_cache(maxsize=256)
def _text(path: Path) -> str:
    return path.read_text()


@lru_cache(maxsize=256)
def _plain(path: Path) -> bytes | None:
    """The object of a template without directives as JSON, from which copies are made quickly; or None."""
    text = _text(path)
    return None if DIRECTIVE.search(text) else orjson.dumps(_parsed(text))


def _parsed(text: str) -> Any:
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def make(path: Path, fields: Mapping[str, Any]) -> dict[str, Any]:
    """A new object from a template. Raises OSError, and ValueError for directives it does not know."""
    plain = _plain(path)
    made: dict[str, Any]
    if plain is not None:
        made = orjson.loads(plain)
        return made
    made = _parsed(rendered(_text(path), fields, str(path)))
    return made


def rendered(text: str, fields: Mapping[str, Any], where: str = "") -> str:
    """The text with its directives carried out."""

    def evaluate(expression: str) -> Any:
        tokens = iter([*TOKEN.findall(expression), ")"])
        try:
            return _call(tokens, fields)
        except (KeyError, StopIteration, TypeError, ValueError):
            raise ValueError(f"{where}: the directive {{{{{expression}}}}} is not known") from None

    def chosen(found: re.Match[str]) -> str:
        first, *second = ELSE.split(found.group(2), 1)
        return first if evaluate(found.group(1)) else "".join(second)

    before = ""
    while before != text:
        before, text = text, CHOICE.sub(chosen, text)
    return DIRECTIVE.sub(lambda found: str(evaluate(found.group(1))), text)


def _call(tokens: Iterator[str], fields: Mapping[str, Any]) -> Any:
    """One expression up to its closing parenthesis: a value, or a function with values."""
    parts: list[Any] = []
    function: Callable[..., Any] | None = None
    for token in tokens:
        if token == ")":
            break
        if token == "(":
            parts.append(_call(tokens, fields))
        elif token.startswith("."):
            parts.append(fields.get(token[1:], ""))
        elif token.startswith('"'):
            parts.append(token[1:-1])
        elif function is None and not parts and token in FUNCTIONS:
            function = FUNCTIONS[token]
        else:
            parts.append(int(token))
    if function is not None:
        return function(*parts)
    (value,) = parts
    return value
