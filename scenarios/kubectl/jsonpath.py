"""kubectl's JSONPath templates: ``{range .items[*]}{.metadata.name}{"\\n"}{end}``.

Source: k8s.io/client-go/util/jsonpath (parser.go, jsonpath.go).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from seatrial.scenarios.kubectl.failures import Failure
from seatrial.scenarios.kubectl.values import compact

MISSING = object()


class Step(NamedTuple):
    """One step of a path: field, wildcard, slice, union, filter, recursive, root, current."""

    op: str
    value: Any = None


class Part(NamedTuple):
    """A part of a template: text, path, range or end."""

    op: str
    value: Any = None


class NotThere(Failure):
    """A key that an object does not have, where that is an error."""


def _cut(text: str) -> Iterator[tuple[bool, str]]:
    """Text and braces in turn."""
    at = 0
    while at < len(text):
        opened = text.find("{", at)
        if opened < 0:
            yield False, text[at:]
            return
        if opened > at:
            yield False, text[at:opened]
        depth, end, quote = 1, opened + 1, ""
        while end < len(text) and depth:
            letter = text[end]
            if quote:
                if letter == "\\":
                    end += 1
                elif letter == quote:
                    quote = ""
            elif letter in "'\"":
                quote = letter
            elif letter == "{":
                depth += 1
            elif letter == "}":
                depth -= 1
            end += 1
        if depth:
            inner = text[opened + 1 :]
            what = (
                "filter"
                if inner.count("[?(") > inner.count(")]")
                else "array"
                if inner.count("[") > inner.count("]")
                else ""
            )
            raise Failure(f"error parsing jsonpath {text}, {f'unterminated {what}' if what else 'unclosed action'}")
        yield True, text[opened + 1 : end - 1]
        at = end


@lru_cache(maxsize=256)
def parse(template: str) -> tuple[Part, ...]:
    """The parts of a template. Raises Failure."""
    parts: list[Part] = []
    depth = 0
    for braced, text in _cut(template):
        if not braced:
            parts.append(Part("text", text))
            continue
        text = text.strip()
        if text.startswith("range"):
            depth += 1
            parts.append(Part("range", path(text[5:].strip(), template)))
        elif text == "end":
            if not depth:
                raise Failure("not in range, nothing to end")
            depth -= 1
            parts.append(Part("end"))
        else:
            parts += [part for word in _words(text) for part in (_word(word, template),)]
    if depth:
        raise Failure("unterminated range")
    return tuple(parts)


def _words(text: str) -> list[str]:
    """Pieces of an action between blanks outside quotes and brackets."""
    found, start, depth, quote = [], 0, 0, ""
    for position, letter in enumerate(text):
        if quote:
            if letter == quote and text[position - 1] != "\\":
                quote = ""
        elif letter in "'\"":
            quote = letter
        elif letter in "[(":
            depth += 1
        elif letter in ")]":
            depth -= 1
        elif letter.isspace() and not depth:
            found.append(text[start:position])
            start = position + 1
    found.append(text[start:])
    return [word for word in found if word]


def _word(word: str, template: str) -> Part:
    if word[0] in "'\"":
        return Part("text", unquoted(word))
    return Part("path", path(word, template))


def unquoted(word: str) -> str:
    """A quoted text of the template, escapes read."""
    inner = word[1:-1]
    try:
        return str(json.loads('"' + inner.replace('\\"', '"').replace('"', '\\"') + '"', strict=False))
    except ValueError:
        return inner


TOKEN = re.compile(
    r"""
    \.\.(?P<recursive>) | \[(?P<bracket>(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\?\(.*?\)(?=\])|[^\]])*)\]
    | \.?\*(?P<wild>) | \.(?P<field>(?:\\.|[^.\[\]\s|@$*'"(){},])+)
    | (?P<bare>(?:\\.|[^.\[\]\s|@$*'"(){},])+) | (?P<root>\$) | (?P<current>@) | (?P<dot>\.)
    """,
    re.VERBOSE,
)


@lru_cache(maxsize=512)
def path(text: str, template: str = "") -> tuple[Step, ...]:
    """The steps of a path. Raises Failure."""
    steps: list[Step] = []
    at = 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise Failure(
                f"error parsing jsonpath {template or text}, unrecognized character in action: U+{ord(text[at]):04X} '{text[at]}'"
            )
        at = match.end()
        kind = match.lastgroup
        if kind == "recursive":
            steps.append(Step("recursive"))
        elif kind == "bracket":
            steps.append(_bracket(match["bracket"].strip(), template or text))
        elif kind == "wild":
            steps.append(Step("wildcard"))
        elif kind in ("field", "bare"):
            steps.append(Step("field", re.sub(r"\\(.)", r"\1", match[kind])))
        elif kind == "root":
            steps.append(Step("root"))
    return tuple(steps)


def _bracket(inside: str, template: str) -> Step:
    if inside.startswith("?("):
        return Step("filter", condition(inside[2:].rstrip().removesuffix(")"), template))
    if inside == "*":
        return Step("wildcard")
    parts = [part.strip() for part in re.findall(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^,]+", inside)]
    if any(part[:1] in "'\"" for part in parts):
        names = [unquoted(part) if part[:1] in "'\"" else part for part in parts]
        return Step("field", names[0]) if len(names) == 1 else Step("names", names)
    if len(parts) > 1:
        return Step("union", [_slice(part, template) for part in parts])
    return Step("slice", _slice(parts[0] if parts else "", template))


def _slice(text: str, template: str) -> tuple[int | None, int | None, int | None, bool]:
    """(start, end, step, whether it is one index)."""
    numbers = text.split(":")
    try:
        values = [int(number) if number else None for number in numbers]
    except ValueError:
        raise Failure(f"error parsing jsonpath {template}, invalid array index {text}") from None
    if len(values) == 1:
        return values[0], None, None, True
    return values[0], values[1], values[2] if len(values) > 2 else None, False


CONDITION = re.compile(r"^(.*?)\s*(==|!=|<=|>=|<|>)\s*(.*)$", re.DOTALL)


def condition(text: str, template: str) -> tuple[Any, str, Any]:
    """(left, operator, right): each side a constant or the steps of a path."""
    match = CONDITION.match(text)
    if match is None:
        return _side(text, template), "exists", None
    return _side(match[1], template), match[2], _side(match[3], template)


def _side(text: str, template: str) -> Any:
    text = text.strip()
    if text[:1] in ("'", '"'):
        return [unquoted(text)]
    if text in ("true", "false"):
        return [text == "true"]
    try:
        return [int(text)]
    except ValueError:
        pass
    try:
        return [float(text)]
    except ValueError:
        return path(text, template)


# finding


def find(steps: tuple[Step, ...], values: list[Any], root: Any, strict: bool) -> list[Any]:
    """What the steps lead to. Raises NotThere for a missing key when ``strict``."""
    for position, step in enumerate(steps):
        if step.op == "root":
            values = [root]
        elif step.op == "recursive":
            rest = steps[position + 1 :]
            return [each for value in values for each in _recursive(rest, value, root)]
        elif step.op == "names":
            values = [
                each for name in step.value for value in values for each in find(path(f".{name}"), [value], root, False)
            ]
        else:
            values = [each for value in values for each in _next(step, value, root, strict)]
    return values


def _recursive(rest: tuple[Step, ...], value: Any, root: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        if rest:
            yield from find(rest, [value], root, False) if not _index(rest[0], value) else ()
        else:
            yield value
        for child in value.values() if isinstance(value, dict) else value:
            yield from _recursive(rest, child, root)


def _index(step: Step, value: Any) -> bool:
    return step.op == "field" and not isinstance(value, dict)


def _next(step: Step, value: Any, root: Any, strict: bool) -> Iterator[Any]:
    match step.op:
        case "field":
            if isinstance(value, dict) and step.value in value:
                yield value[step.value]
            elif strict:
                raise NotThere(f"{step.value} is not found")
        case "wildcard":
            if isinstance(value, dict):
                yield from (value[key] for key in sorted(value))
            elif isinstance(value, list):
                yield from value
        case "slice":
            yield from _sliced(step.value, value, strict)
        case "union":
            for each in step.value:
                yield from _sliced(each, value, strict)
        case "filter":
            items = value if isinstance(value, list) else [value]
            yield from (item for item in items if _holds(step.value, item, root))


def _sliced(bounds: tuple[int | None, int | None, int | None, bool], value: Any, strict: bool) -> Iterator[Any]:
    start, end, step, single = bounds
    if not isinstance(value, list):
        if strict and value is not None:
            raise Failure(f"{compact(value)} is not array or slice")
        return
    if single:
        index = start or 0
        if -len(value) <= index < len(value):
            yield value[index]
        elif strict:
            raise Failure(f"array index out of bounds: index {index}, length {len(value)}")
        return
    yield from value[start:end:step]


def _holds(test: tuple[Any, str, Any], item: Any, root: Any) -> bool:
    left, op, right = test
    found = left if isinstance(left, list) else find(left, [item], root, False)
    if op == "exists":
        return bool(found)
    other = right if isinstance(right, list) else find(right, [item], root, False)
    if not found or not other:
        return False
    a, b = found[0], other[0]
    if op == "==":
        return bool(a == b)
    if op == "!=":
        return bool(a != b)
    try:
        return bool({"<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b}[op])
    except TypeError:
        return False


def shown(value: Any) -> str:
    """One result as it is printed (evalToText): texts as they are, structures as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else compact(value)


def render(template: str, value: Any, lenient: bool = True) -> str:
    """What a template makes of a value. Raises Failure."""
    out: list[str] = []
    _render(list(parse(template)), value, value, lenient, out)
    return "".join(out)


def _render(parts: list[Part], value: Any, root: Any, lenient: bool, out: list[str]) -> None:
    at = 0
    while at < len(parts):
        part = parts[at]
        if part.op == "text":
            out.append(part.value)
        elif part.op == "path":
            found = find(part.value, [value], root, not lenient)
            out.append(" ".join(shown(each) for each in found))
        elif part.op == "range":
            end = _end(parts, at)
            for each in find(part.value, [value], root, not lenient):
                _render(parts[at + 1 : end], each, each, lenient, out)
            at = end
        at += 1


def _end(parts: list[Part], start: int) -> int:
    depth = 0
    for position in range(start, len(parts)):
        depth += {"range": 1, "end": -1}.get(parts[position].op, 0)
        if not depth:
            return position
    return len(parts)


def relaxed(text: str) -> str:
    """``.metadata.name``, ``metadata.name`` and ``{.metadata.name}`` alike (RelaxedJSONPathExpression)."""
    if not text:
        return text
    match = re.fullmatch(r"\{\.?([^{}]+)\}|\.?([^{}]+)", text, re.DOTALL)
    if match is None:
        raise Failure(
            "unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'"
        )
    return "{." + (match[1] or match[2]) + "}"


def values(expression: str, value: Any) -> list[Any]:
    """What a relaxed expression of one path finds."""
    found: list[Any] = []
    for part in parse(relaxed(expression)):
        if part.op == "path":
            found += find(part.value, [value], value, False)
    return found
