"""From the bytes of a request body to plain values: JSON, with Go's words for what cannot be read.

Source: encoding/json (scanner.go) and sigs.k8s.io/json.

Not modelled: values nested more than some 220 levels deep, of which upstream takes 10,000; they are refused.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

STRICT_ERRORS_MAX = 100
"""Unknown and duplicate fields that are reported at most (sigs.k8s.io/json)."""


class Unreadable(ValueError):
    """A body that is no JSON or YAML; the text is Go's."""


DEPTH_SAFE = 200
"""A text with fewer brackets than this is not nested too deeply."""
DEPTH_SPARE = 30
"""Levels that are left for what a value is put into later: a list, a watch's frame, a table."""


def json_value(raw: bytes) -> Any:
    """The value behind a JSON text; of duplicate keys the last wins. Raises Unreadable."""
    try:
        value = orjson.loads(raw)
        return shallow(value) if raw.count(b"{") + raw.count(b"[") > DEPTH_SAFE else value
    except orjson.JSONDecodeError:
        text = raw.decode("utf-8", "replace")
        problem = syntax_problem(text)
        if problem:
            raise Unreadable(problem) from None
        value = json.loads(text)
        return shallow(_without_surrogates(value) if "\\ud" in text.lower() else value)


def shallow(value: Any) -> Any:
    """The value itself. Raises Unreadable when it is nested too deeply to be written again."""
    nested = value
    for _ in range(DEPTH_SPARE):
        nested = [nested]
    try:
        orjson.dumps(nested)
    except TypeError:
        raise Unreadable("exceeded max depth") from None
    return value


def _without_surrogates(value: Any) -> Any:
    """Halves of surrogate pairs become U+FFFD, as Go reads them."""
    text = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return json.loads(text)


def json_duplicates(raw: bytes, value: Any) -> list[str]:
    """Paths of keys that stand twice in an object, in reading order."""
    if b"\\u0022" not in raw and _keys(raw) == _keys(orjson.dumps(value)):
        return []
    found: list[str] = []
    _collect(_Pairs.of(raw.decode("utf-8", "replace")), "", found)
    return found[:STRICT_ERRORS_MAX]


def _keys(raw: bytes) -> int:
    """How many keys a text holds that has at most one blank between key and colon; quotes inside strings are escaped,
    and only a key that ends in a backslash is missed, in every copy."""
    count = raw.count(b'":')
    if b'" :' in raw:
        count += raw.count(b'" :') - raw.count(b'\\" :')
    return count - raw.count(b'\\":') if b'\\"' in raw else count


class _Pairs(list[tuple[str, Any]]):
    """An object as the pairs that were written."""

    @staticmethod
    def of(text: str) -> Any:
        return json.loads(text, object_pairs_hook=_Pairs)


def _collect(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Pairs):
        seen: dict[str, None] = {}
        for key, item in value:
            below = f"{path}.{key}" if path else key
            if key in seen:
                found.append(below)
            seen[key] = None
            _collect(item, below, found)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _collect(item, f"{path}[{index}]", found)


LITERALS = {"t": "true", "f": "false", "n": "null"}
BLANK = re.compile(r"[ \t\n\r]*")
STRING = re.compile(r'[^"\\\x00-\x1f]*')
DIGITS = re.compile(r"[0-9]*")
END = "unexpected end of JSON input"


def syntax_problem(text: str) -> str:
    """What Go's scanner says of a text that is no JSON; empty when it is."""
    try:
        at = _blank(text, _value(text, _blank(text, 0)))
        if at < len(text):
            raise _unexpected(text, at, "after top-level value")
    except Unreadable as problem:
        return str(problem)
    except RecursionError:
        return "exceeded max depth"
    return ""


def _unexpected(text: str, at: int, where: str) -> Unreadable:
    if at >= len(text):
        return Unreadable(END)
    character = text[at]
    shown = {"'": "\\'", '"': '"'}.get(character) or repr(character)[1:-1]
    return Unreadable(f"invalid character '{shown}' {where}")


def _blank(text: str, at: int) -> int:
    match = BLANK.match(text, at)
    return match.end() if match else at


def _value(text: str, at: int) -> int:
    start = text[at : at + 1]
    if start == "{":
        return _members(text, at, "}")
    if start == "[":
        return _members(text, at, "]")
    if start == '"':
        return _string(text, at)
    if start in LITERALS:
        return _literal(text, at, LITERALS[start])
    if start and start in "-0123456789":
        return _number(text, at)
    raise _unexpected(text, at, "looking for beginning of value")


def _members(text: str, at: int, closing: str) -> int:
    at = _blank(text, at + 1)
    if text[at : at + 1] == closing:
        return at + 1
    after = "after object key:value pair" if closing == "}" else "after array element"
    while True:
        if closing == "}":
            if text[at : at + 1] != '"':
                raise _unexpected(text, at, "looking for beginning of object key string")
            at = _blank(text, _string(text, at))
            if text[at : at + 1] != ":":
                raise _unexpected(text, at, "after object key")
            at = _blank(text, at + 1)
        at = _blank(text, _value(text, at))
        follows = text[at : at + 1]
        if follows == closing:
            return at + 1
        if follows != ",":
            raise _unexpected(text, at, after)
        at = _blank(text, at + 1)


def _string(text: str, at: int) -> int:
    at += 1
    while True:
        match = STRING.match(text, at)
        at = match.end() if match else at
        if text[at : at + 1] == '"':
            return at + 1
        if text[at : at + 1] != "\\":
            raise _unexpected(text, at, "in string literal")
        at += 1
        escape = text[at : at + 1]
        if escape == "u":
            for _ in range(4):
                at += 1
                if text[at : at + 1] not in tuple("0123456789abcdefABCDEF"):
                    raise _unexpected(text, at, "in \\u hexadecimal character escape")
        elif escape not in tuple('bfnrt\\/"'):
            raise _unexpected(text, at, "in string escape code")
        at += 1


def _literal(text: str, at: int, word: str) -> int:
    for offset, expected in enumerate(word):
        if text[at + offset : at + offset + 1] != expected:
            raise _unexpected(text, at + offset, f"in literal {word} (expecting '{expected}')")
    return at + len(word)


def _digits(text: str, at: int, where: str) -> int:
    match = DIGITS.match(text, at)
    end = match.end() if match else at
    if end == at:
        raise _unexpected(text, at, where)
    return end


def _number(text: str, at: int) -> int:
    if text[at] == "-":
        at += 1
    at = at + 1 if text[at : at + 1] == "0" else _digits(text, at, "in numeric literal")
    if text[at : at + 1] == ".":
        at = _digits(text, at + 1, "after decimal point in numeric literal")
    if text[at : at + 1] in ("e", "E"):
        at += 1
        if text[at : at + 1] in ("+", "-"):
            at += 1
        at = _digits(text, at, "in exponent of numeric literal")
    return at
