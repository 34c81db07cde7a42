"""expr(1): arithmetic, comparisons and pieces of text."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seatrial.sim.workloads.commands.options import say
from seatrial.sim.workloads.process import Proc

LEVELS: Sequence[frozenset[str]] = (
    frozenset("|"),
    frozenset("&"),
    frozenset({"<", "<=", "=", "==", "!=", ">=", ">"}),
    frozenset("+-"),
    frozenset("*/%"),
    frozenset(":"),
)
"""Operators from the loosest to the tightest."""
COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, "=": operator.eq, "==": operator.eq, "!=": operator.ne, ">=": operator.ge,
    ">": operator.gt,
}  # fmt: skip
NUMBER = re.compile(r"-?\d+")


class _Wrong(Exception):
    """``args``: what is told."""


def expr(proc: Proc) -> int:
    """Exit code 0 for a result that is neither empty nor 0, else 1; 2 for an expression that cannot be read."""
    words = proc.argv[1:]
    if not words:
        say(proc, "missing operand")
        return 2
    try:
        value, rest = _read(words, 0)
        if rest:
            raise _Wrong("syntax error")
    except _Wrong as wrong:
        say(proc, str(wrong))
        return 2
    proc.out(value + "\n")
    return int(value in ("", "0"))


def _read(words: Sequence[str], level: int) -> tuple[str, Sequence[str]]:
    if level == len(LEVELS):
        return _operand(words)
    value, rest = _read(words, level + 1)
    while rest and rest[0] in LEVELS[level]:
        sign = rest[0]
        right, rest = _read(rest[1:], level + 1)
        value = _apply(sign, value, right)
    return value, rest


def _operand(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    if not words:
        raise _Wrong("syntax error")
    first, rest = words[0], words[1:]
    if first == "(":
        value, rest = _read(rest, 0)
        if not rest or rest[0] != ")":
            raise _Wrong("syntax error")
        return value, rest[1:]
    if first == "length" and rest:
        return str(len(rest[0])), rest[1:]
    if first == "match" and len(rest) > 1:
        return _match(rest[0], rest[1]), rest[2:]
    if first == "index" and len(rest) > 1:
        places = [place for place, letter in enumerate(rest[0], 1) if letter in rest[1]]
        return str(places[0] if places else 0), rest[2:]
    if first == "substr" and len(rest) > 2:
        start, count = _number(rest[1]), _number(rest[2])
        return (rest[0][start - 1 : start - 1 + count] if start > 0 and count > 0 else ""), rest[3:]
    return first, rest


def _apply(sign: str, left: str, right: str) -> str:
    if sign == "|":
        return left if left not in ("", "0") else right
    if sign == "&":
        return left if left not in ("", "0") and right not in ("", "0") else "0"
    if sign == ":":
        return _match(left, right)
    if sign in COMPARED:
        numbers = NUMBER.fullmatch(left) and NUMBER.fullmatch(right)
        return str(int(COMPARED[sign](int(left), int(right)) if numbers else COMPARED[sign](left, right)))
    a, b = _number(left), _number(right)
    if sign in "/%" and b == 0:
        raise _Wrong("division by zero")
    quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1) if sign in "/%" else 0
    return str({"+": a + b, "-": a - b, "*": a * b, "/": quotient, "%": a - quotient * b}[sign])


def _number(text: str) -> int:
    if not NUMBER.fullmatch(text):
        raise _Wrong("non-integer argument")
    return int(text)


def _match(text: str, pattern: str) -> str:
    """A basic regular expression at the start: what its group took, or how many letters it took."""
    from seatrial.sim.workloads.commands.grep import basic

    found = re.match(basic(pattern), text)
    if found is None:
        return "" if "\\(" in pattern else "0"
    return (found.group(1) or "") if found.re.groups else str(found.end())


COMMANDS: Mapping[str, Callable[[Proc], Any]] = {"expr": expr}
