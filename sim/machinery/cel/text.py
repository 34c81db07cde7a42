"""Functions over text: the strings extension (version 2) and regular expressions.

Source: github.com/google/cel-go/ext (strings.go, formatting.go) and k8s.io/apiserver/pkg/cel/library (regex.go).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from seatrial.sim.machinery.cel import moments
from seatrial.sim.machinery.cel.declarations import (
    Cost,
    overload,
    pattern,
    produced,
    scaled,
    traversal,
    traversal_twice,
)
from seatrial.sim.machinery.cel.errors import EvaluationError
from seatrial.sim.machinery.cel.standard import expression, shown
from seatrial.sim.machinery.cel.values import Duration, Timestamp, TypeValue, Uint, size_of, type_name

UPPER = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
LOWER = {value: key for key, value in UPPER.items()}
SPACE = "\t\n\v\f\r \x85\u00a0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def char_at(text: str, at: int) -> str:
    if not 0 <= at <= len(text):
        raise EvaluationError(f"index out of range: {at}")
    return text[at : at + 1]


def index_of(text: str, wanted: str, start: int = 0) -> int:
    if not wanted:
        return start
    if not 0 <= start <= len(text):
        raise EvaluationError(f"index out of range: {start}")
    return text.find(wanted, start)


def last_index_of(text: str, wanted: str, start: int | None = None) -> int:
    if not wanted:
        return len(text) if start is None else start
    if start is None:
        return text.rfind(wanted)
    if not 0 <= start <= len(text):
        raise EvaluationError(f"index out of range: {start}")
    return text.rfind(wanted, 0, start + len(wanted))


def replace(text: str, old: str, new: str, count: int = -1) -> str:
    return text.replace(old, new, max(count, -1))


def split(text: str, separator: str, count: int = -1) -> list[str]:
    if count == 0:
        return []
    if not separator:
        characters = list(text)
        return characters if count < 0 or count >= len(characters) else [*characters[: count - 1], text[count - 1 :]]
    return text.split(separator, count - 1 if count > 0 else -1)


def substring(text: str, start: int, end: int | None = None) -> str:
    size = len(text)
    if not 0 <= start <= size:
        raise EvaluationError(f"index out of range: {start}")
    if end is None:
        return text[start:]
    if not 0 <= end <= size:
        raise EvaluationError(f"index out of range: {end}")
    if start > end:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {end}")
    return text[start:end]


def join(parts: list[str], separator: str = "") -> str:
    return separator.join(parts)


QUOTES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}


def quote(text: str) -> str:
    return f'"{"".join(QUOTES.get(character, character) for character in text)}"'


# format


def format_text(text: str, args: list[Any]) -> str:
    """printf of the language: %s %d %f %e %b %o %x %X %%."""
    out: list[str] = []
    used, at = 0, 0
    while at < len(text):
        if text[at] != "%":
            out.append(text[at])
            at += 1
            continue
        at += 1
        if at >= len(text):
            raise _wrong("unexpected end of string")
        if text[at] == "%":
            out.append("%")
            at += 1
            continue
        precision, at = _precision(text, at)
        if at >= len(text):
            raise _wrong("could not parse formatting clause: unexpected end of string")
        clause = text[at]
        if clause not in CLAUSES:
            raise _wrong(f'could not parse formatting clause: unrecognized formatting clause "{clause}"')
        if used >= len(args):
            raise _wrong(f"index {used} out of range")
        out.append(CLAUSES[clause](args[used], precision))
        used += 1
        at += 1
    return "".join(out)


PRECISION_MAX = 1000
"""Digits after the point; no text needs more, and many would fill the memory."""


def _wrong(text: str) -> EvaluationError:
    return EvaluationError(text)


def _precision(text: str, at: int) -> tuple[int, int]:
    if text[at] != ".":
        return 6, at
    end = at + 1
    while end < len(text) and text[end].isdigit():
        end += 1
    if end == at + 1:
        raise _wrong(
            'could not parse formatting clause: error while parsing precision: unable to convert "" to integer'
        )
    if end - at > 5 or int(text[at + 1 : end]) > PRECISION_MAX:
        raise _wrong("could not parse formatting clause: precision too large")
    return int(text[at + 1 : end]), end


def _string(value: Any, precision: int) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int):
        return shown(value) if isinstance(value, bool) else str(int(value))
    if isinstance(value, float):
        if math.isnan(value) or math.isinf(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return str(int(value)) if value.is_integer() and abs(value) < 1e21 else repr(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, Timestamp):
        return moments.timestamp_text(value)
    if isinstance(value, Duration):
        return moments.duration_text(value)
    if isinstance(value, TypeValue):
        return str(value.key)
    if isinstance(value, list):
        return f"[{', '.join(_string(element, precision) for element in value)}]"
    if isinstance(value, dict):
        rows = sorted((_string(key, precision), _string(held, precision)) for key, held in value.items())
        return f"{{{', '.join(f'{key}: {held}' for key, held in rows)}}}"
    raise _wrong(
        f"error during formatting: string clause can only be used on strings, bools, bytes, ints, doubles, maps, "
        f"lists, types, durations, and timestamps, was given {type_name(value)}"
    )


def _decimal(value: Any, precision: int) -> str:
    if type(value) in (int, Uint):
        return str(int(value))
    if type(value) is float and (math.isnan(value) or math.isinf(value)):
        return _string(value, precision)
    raise _wrong(f"error during formatting: decimal clause can only be used on integers, was given {type_name(value)}")


def _float(value: Any, precision: int, style: str) -> str:
    if type(value) in (int, Uint, float):
        if math.isnan(value) or math.isinf(value):
            return _string(float(value), precision)
        return format(float(value), f".{precision}{style}")
    what = "fixed-point" if style == "f" else "scientific"
    raise _wrong(f"error during formatting: {what} clause can only be used on doubles, was given {type_name(value)}")


def _binary(value: Any, precision: int) -> str:
    if type(value) in (int, Uint, bool):
        return format(int(value), "b")
    raise _wrong(
        f"error during formatting: only integers and bools can be formatted as binary, was given {type_name(value)}"
    )


def _octal(value: Any, precision: int) -> str:
    if type(value) in (int, Uint):
        return format(int(value), "o")
    raise _wrong(f"error during formatting: octal clause can only be used on integers, was given {type_name(value)}")


def _hex(value: Any, style: str) -> str:
    if type(value) in (int, Uint):
        return format(int(value), style)
    if isinstance(value, str | bytes):
        digits = (value.encode() if isinstance(value, str) else value).hex()
        return digits.upper() if style == "X" else digits
    raise _wrong(
        "error during formatting: only integers, byte buffers, and strings can be formatted as hex, was given "
        f"{type_name(value)}"
    )


CLAUSES: dict[str, Callable[[Any, int], str]] = {
    "s": _string,
    "d": _decimal,
    "f": lambda value, precision: _float(value, precision, "f"),
    "e": lambda value, precision: _float(value, precision, "e"),
    "b": _binary,
    "o": _octal,
    "x": lambda value, precision: _hex(value, "x"),
    "X": lambda value, precision: _hex(value, "X"),
}


# regular expressions


def find(text: str, regex: str) -> str:
    found = expression(regex).search(text)
    return found.group(0) if found is not None else ""


def find_all(text: str, regex: str, limit: int = -1) -> list[str]:
    found: list[str] = []
    for match in expression(regex).finditer(text):
        if 0 <= limit <= len(found):
            break
        found.append(match.group(0))
    return found


def _list_traversal(args: Any, result: Any) -> int:
    return scaled(size_of(args[0]))


SEARCH: Cost = _list_traversal

LIBRARY = (
    overload("charAt", "string_char_at_int", "string.(int): string", char_at),
    overload("indexOf", "string_index_of_string", "string.(string): int", index_of, SEARCH),
    overload("indexOf", "string_index_of_string_int", "string.(string, int): int", index_of, SEARCH),
    overload("lastIndexOf", "string_last_index_of_string", "string.(string): int", last_index_of, SEARCH),
    overload("lastIndexOf", "string_last_index_of_string_int", "string.(string, int): int", last_index_of, SEARCH),
    overload("lowerAscii", "string_lower_ascii", "string.(): string", lambda text: text.translate(LOWER), traversal),
    overload("upperAscii", "string_upper_ascii", "string.(): string", lambda text: text.translate(UPPER), traversal),
    overload("replace", "string_replace_string_string", "string.(string, string): string", replace, traversal_twice),
    overload(
        "replace", "string_replace_string_string_int", "string.(string, string, int): string", replace, traversal_twice
    ),
    overload("split", "string_split_string", "string.(string): list(string)", split, traversal_twice),
    overload("split", "string_split_string_int", "string.(string, int): list(string)", split, traversal_twice),
    overload("substring", "string_substring_int", "string.(int): string", substring, traversal),
    overload("substring", "string_substring_int_int", "string.(int, int): string", substring, traversal),
    overload("trim", "string_trim", "string.(): string", lambda text: text.strip(SPACE), traversal),
    overload("join", "list_join", "list(string).(): string", join, produced),
    overload("join", "list_join_string", "list(string).(string): string", join, produced),
    overload("format", "string_format", "string.(list(dyn)): string", format_text, traversal),
    overload("strings.quote", "strings_quote", "(string): string", quote, traversal),
    overload("reverse", "string_reverse", "string.(): string", lambda text: text[::-1], traversal),
    overload("find", "string_find_string", "string.(string): string", find, pattern),
    overload("findAll", "string_find_all_string", "string.(string): list(string)", find_all, pattern),
    overload("findAll", "string_find_all_string_int", "string.(string, int): list(string)", find_all, pattern),
)
