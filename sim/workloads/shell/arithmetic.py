"""Arithmetic of ``$(( ))``: C's integer expressions over shell variables."""

from __future__ import annotations

import re
from collections.abc import Callable

TOKEN = re.compile(
    r"\s*(0[xX][0-9a-fA-F]+|\d+|[A-Za-z_]\w*|<<=|>>=|\*\*|[-+*/%&|^]=|<<|>>|<=|>=|==|!=|&&|\|\||\+\+|--|[-+*/%<>=!~&|^?:(),]|\[|\])"
)
LEVELS: tuple[tuple[str, ...], ...] = (
    ("||",),
    ("&&",),
    ("|",),
    ("^",),
    ("&",),
    ("==", "!="),
    ("<", ">", "<=", ">="),
    ("<<", ">>"),
    ("+", "-"),
    ("*", "/", "%"),
)
ASSIGNING = ("=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=")
STEPS = {"++": 1, "--": -1}
WORD_BITS = 64


class ArithmeticProblem(Exception):
    """``args`` is what the shell says."""


def _divided(a: int, b: int) -> int:
    if b == 0:
        raise ArithmeticProblem("divide by zero")
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


BINARY: dict[str, Callable[[int, int], int]] = {
    "||": lambda a, b: int(bool(a or b)),
    "&&": lambda a, b: int(bool(a and b)),
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "&": lambda a, b: a & b,
    "==": lambda a, b: int(a == b),
    "!=": lambda a, b: int(a != b),
    "<": lambda a, b: int(a < b),
    ">": lambda a, b: int(a > b),
    "<=": lambda a, b: int(a <= b),
    ">=": lambda a, b: int(a >= b),
    "<<": lambda a, b: a << (b % WORD_BITS),
    ">>": lambda a, b: a >> (b % WORD_BITS),
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divided,
    "%": lambda a, b: a - b * _divided(a, b),
}


def _wrapped(value: int) -> int:
    value &= (1 << WORD_BITS) - 1
    return value - (1 << WORD_BITS) if value >> (WORD_BITS - 1) else value


class Evaluator:
    """One expression; ``get`` and ``put`` read and write variables, and elements of arrays as ``name[index]``."""

    def __init__(self, text: str, get: Callable[[str], str], put: Callable[[str, str], None]) -> None:
        self._tokens: list[str] = []
        at = 0
        while text[at:].strip():
            match = TOKEN.match(text, at)
            if match is None:
                raise ArithmeticProblem("arithmetic syntax error")
            self._tokens.append(match.group(1))
            at = match.end()
        self._at = 0
        self._get = get
        self._put = put

    def value(self) -> int:
        """Raises ArithmeticProblem."""
        if not self._tokens:
            return 0
        result = self._assignment()
        while self._take(","):
            result = self._assignment()
        if self._at < len(self._tokens):
            raise ArithmeticProblem("arithmetic syntax error")
        return result

    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else ""

    def _take(self, token: str) -> bool:
        if self._peek() != token:
            return False
        self._at += 1
        return True

    def _assignment(self) -> int:
        begin = self._at
        name = self._name()
        operator = self._peek()
        if name is None or operator not in ASSIGNING:
            self._at = begin
            return self._conditional()
        self._at += 1
        value = self._assignment()
        if operator != "=":
            value = BINARY[operator[:-1]](self._variable(name), value)
        self._put(name, str(_wrapped(value)))
        return _wrapped(value)

    def _name(self) -> str | None:
        """A variable, or an element of an array, if that is what comes next."""
        name = self._peek()
        if not (name[:1].isalpha() or name[:1] == "_"):
            return None
        self._at += 1
        if not self._take("["):
            return name
        index = self._assignment()
        if not self._take("]"):
            raise ArithmeticProblem("arithmetic syntax error")
        return f"{name}[{index}]"

    def _conditional(self) -> int:
        condition = self._binary(0)
        if not self._take("?"):
            return condition
        first = self._assignment()
        if not self._take(":"):
            raise ArithmeticProblem("arithmetic syntax error")
        second = self._assignment()
        return first if condition else second

    def _binary(self, level: int) -> int:
        if level == len(LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while (operator := self._peek()) in LEVELS[level]:
            self._at += 1
            left = _wrapped(BINARY[operator](left, self._binary(level + 1)))
        return left

    def _unary(self) -> int:
        name = self._name()
        if name is not None:
            by = STEPS.get(self._peek())
            if by is None:
                return self._variable(name)
            self._at += 1
            return self._step(name, by) - by
        token = self._peek()
        self._at += 1
        if token == "-":
            return -self._unary()
        if token == "+":
            return self._unary()
        if token == "!":
            return int(not self._unary())
        if token == "~":
            return ~self._unary()
        if token in STEPS and (name := self._name()) is not None:
            return self._step(name, STEPS[token])
        if token == "(":
            value = self._assignment()
            if not self._take(")"):
                raise ArithmeticProblem("arithmetic syntax error")
            return value
        if token[:1].isdigit():
            return _number(token)
        raise ArithmeticProblem("arithmetic syntax error")

    def _step(self, name: str, by: int) -> int:
        made = self._variable(name) + by
        self._put(name, str(made))
        return made

    def _variable(self, name: str) -> int:
        text = self._get(name).strip()
        if not text:
            return 0
        if text.lstrip("-+").isdigit() or text.lower().startswith("0x"):
            return -_number(text[1:]) if text.startswith("-") else _number(text.lstrip("+"))
        return Evaluator(text, self._get, self._put).value()


def _number(text: str) -> int:
    try:
        if text[:2].lower() == "0x":
            return int(text, 16)
        return int(text, 8) if text.startswith("0") and len(text) > 1 else int(text)
    except ValueError:
        raise ArithmeticProblem("arithmetic syntax error") from None
