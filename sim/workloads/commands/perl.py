"""perl, as far as one-liners that print go.

Source: perlrun(1), bignum(3perl). Followed are ``-e``, ``-E``, ``-l``, ``-n``-less programs of ``print`` and ``say``
with texts, whole numbers and ``bpi(digits)``; *not modelled*: any other program, which is taken to do its work and to
succeed, as one of an image that nobody described.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import Any

from seatrial.sim.workloads.process import Proc
from seatrial.sim.workloads.shell.arithmetic import ArithmeticProblem, Evaluator
from seatrial.sim.workloads.undescribed import WORK_US

Steps = Generator[Any, Any, int]
SAYING = re.compile(r"\s*(print|say)\b\s*\(?(.*?)\)?\s*;?\s*", re.DOTALL)
PARTS = re.compile(r"""\s*("(?:\\.|[^"\\])*"|'[^']*'|bpi\(\s*\d+\s*\)|[\d\s+*/%()-]+)\s*(?:,|$)""")
DIGITS_MAX = 20_000


def pi(digits: int) -> str:
    """So many significant digits of pi, the last one rounded (Machin's formula in whole numbers)."""
    unit: int = 10 ** (digits + 10)

    def arctan(inverse: int) -> int:
        total = term = unit // inverse
        square, divisor, sign = inverse * inverse, 3, -1
        while term:
            term //= square
            total += sign * (term // divisor)
            sign, divisor = -sign, divisor + 2
        return total

    value = 4 * (4 * arctan(5) - arctan(239))
    rounded = (value + 5 * 10**10) // 10**11
    text = str(rounded)
    return text[0] + ("." + text[1:] if len(text) > 1 else "")


def perl(proc: Proc) -> Steps:
    """perl [-Mmodule] [-wl] -e program"""
    text, newline = _program(proc.argv[1:])
    yield proc.clock.sleep(WORK_US)
    said = _said(text) if text is not None else None
    if said is not None:
        proc.out(said + ("\n" if newline or (text or "").lstrip().startswith("say") else ""))
    return 0


def _program(words: list[str]) -> tuple[str | None, bool]:
    """(the program of -e, whether every print ends with a newline)."""
    newline = False
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word[1:2] in ("M", "m", "I"):
            continue
        newline = newline or "l" in word
        if word[-1] in "eE":
            return (words[0] if words else ""), newline
    return None, newline


def _said(text: str) -> str | None:
    """What a program prints; None for one that is not followed."""
    told = SAYING.fullmatch(text)
    if told is None:
        return None
    rest, made = told[2], ""
    if rest.count("(") > rest.count(")"):
        rest += ")"
    while rest.strip():
        part = PARTS.match(rest)
        if part is None:
            return None
        value = _value(part[1].strip())
        if value is None:
            return None
        made, rest = made + value, rest[part.end() :]
    return made


def _value(text: str) -> str | None:
    if text.startswith("'"):
        return text[1:-1]
    if text.startswith('"'):
        inside = text[1:-1]
        return (
            None
            if re.search(r"[$@]\w", inside)
            else inside.replace("\\n", "\n").replace("\\t", "\t").replace('\\"', '"')
        )
    if text.startswith("bpi"):
        digits = int(text[4:-1])
        return pi(digits) if 0 < digits <= DIGITS_MAX else None
    if "/" in text or "**" in text:
        # Not modelled: fractions and powers, which the shell's integers have none of.
        return None
    try:
        return str(Evaluator(text, lambda _: "", lambda *_: None).value())
    except (ArithmeticProblem, ZeroDivisionError):
        return None


COMMANDS: dict[str, Callable[[Proc], Any]] = {"perl": perl}
