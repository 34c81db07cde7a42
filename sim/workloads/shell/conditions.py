"""The expressions of ``test``, ``[`` and ``[[``."""

from __future__ import annotations

from collections.abc import Callable

import re2

from seatrial.sim.workloads.filesystem import Dir, File, Link, Node
from seatrial.sim.workloads.process import Proc
from seatrial.sim.workloads.shell import patterns as shell_patterns

Matched = Callable[[list[str]], None]
POSIX = re2.Options()
"""Extended regular expressions: of those that begin first the longest, in time that grows with the text alone."""
POSIX.longest_match, POSIX.log_errors = True, False


class TestProblem(Exception):
    """``args`` is what test says."""


def _node(proc: Proc, path: str, follow: bool = True) -> Node | None:
    try:
        return proc.fs.walk(path, proc.cwd, follow)[0]
    except OSError:
        return None


def _size(node: Node | None) -> int:
    if isinstance(node, File):
        return len(node.read())
    return 1 if isinstance(node, Dir) else 0


UNARY: dict[str, Callable[[Proc, str], bool]] = {
    "-n": lambda proc, text: bool(text),
    "-z": lambda proc, text: not text,
    "-e": lambda proc, path: _node(proc, path) is not None,
    "-a": lambda proc, path: _node(proc, path) is not None,
    "-f": lambda proc, path: isinstance(_node(proc, path), File),
    "-d": lambda proc, path: isinstance(_node(proc, path), Dir),
    "-h": lambda proc, path: isinstance(_node(proc, path, follow=False), Link),
    "-L": lambda proc, path: isinstance(_node(proc, path, follow=False), Link),
    "-s": lambda proc, path: _size(_node(proc, path)) > 0,
    "-r": lambda proc, path: _node(proc, path) is not None,
    "-w": lambda proc, path: (node := _node(proc, path)) is not None and bool(node.mode & 0o222),
    "-x": lambda proc, path: (node := _node(proc, path)) is not None and bool(node.mode & 0o111),
    "-p": lambda proc, path: False,
    "-S": lambda proc, path: False,
    "-b": lambda proc, path: False,
    "-c": lambda proc, path: isinstance(node := _node(proc, path), File) and bool(node.device),
    "-t": lambda proc, number: number.isdigit() and proc.fds.get(int(number), proc.stdin).is_tty,
}


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise TestProblem(f"{text}: bad number") from None


def _newer(proc: Proc, a: str, b: str) -> bool:
    first, second = _node(proc, a), _node(proc, b)
    return first is not None and (second is None or first.mtime_us > second.mtime_us)


BINARY: dict[str, Callable[[Proc, str, str], bool]] = {
    "=": lambda proc, a, b: a == b,
    "==": lambda proc, a, b: a == b,
    "!=": lambda proc, a, b: a != b,
    "<": lambda proc, a, b: a < b,
    ">": lambda proc, a, b: a > b,
    "-eq": lambda proc, a, b: _number(a) == _number(b),
    "-ne": lambda proc, a, b: _number(a) != _number(b),
    "-lt": lambda proc, a, b: _number(a) < _number(b),
    "-le": lambda proc, a, b: _number(a) <= _number(b),
    "-gt": lambda proc, a, b: _number(a) > _number(b),
    "-ge": lambda proc, a, b: _number(a) >= _number(b),
    "-nt": _newer,
    "-ot": lambda proc, a, b: _newer(proc, b, a),
    "-ef": lambda proc, a, b: _node(proc, a) is not None and _node(proc, a) is _node(proc, b),
}
PATTERNS: dict[str, Callable[[str, str], bool]] = {
    "=": shell_patterns.matches,
    "==": shell_patterns.matches,
    "!=": lambda text, pattern: not shell_patterns.matches(text, pattern),
}


class _Expression:
    def __init__(self, proc: Proc, words: list[str], matched: Matched | None) -> None:
        self._proc = proc
        self._matched = matched
        patterns = matched is not None
        self._words = words
        self._at = 0
        self._patterns = patterns
        self._or, self._and = ("||", "&&") if patterns else ("-o", "-a")

    def whole(self) -> bool:
        value = self._either()
        if self._at < len(self._words):
            raise TestProblem(f"{self._words[self._at]}: unknown operand")
        return value

    def _peek(self, ahead: int = 0) -> str | None:
        at = self._at + ahead
        return self._words[at] if at < len(self._words) else None

    def _either(self) -> bool:
        value = self._both()
        while self._peek() == self._or:
            self._at += 1
            value = self._both() or value
        return value

    def _both(self) -> bool:
        value = self._not()
        while self._peek() == self._and:
            self._at += 1
            value = self._not() and value
        return value

    def _not(self) -> bool:
        if self._peek() == "!" and self._peek(1) is not None:
            self._at += 1
            return not self._not()
        return self._primary()

    def _primary(self) -> bool:
        first, operator, second = self._peek(), self._peek(1), self._peek(2)
        if first is None:
            raise TestProblem("argument expected")
        if operator is not None and second is not None:
            if operator == "=~" and self._matched is not None:
                self._at += 3
                return self._matches(first, second, self._matched)
            if self._patterns and operator in PATTERNS:
                self._at += 3
                return PATTERNS[operator](first, second)
            if operator in BINARY:
                self._at += 3
                return BINARY[operator](self._proc, first, second)
        if first == "(":
            self._at += 1
            value = self._either()
            if self._peek() != ")":
                raise TestProblem("closing paren expected")
            self._at += 1
            return value
        if first in UNARY and operator is not None:
            self._at += 2
            return UNARY[first](self._proc, operator)
        self._at += 1
        return bool(first)

    @staticmethod
    def _matches(text: str, pattern: str, matched: Matched) -> bool:
        try:
            found = re2.compile(_bytes(pattern), POSIX).search(_bytes(text))
        except re2.error:
            raise TestProblem(f"{pattern}: bad regular expression") from None
        groups = [] if found is None else [found.group(), *found.groups()]
        matched([(group or b"").decode(errors="surrogateescape") for group in groups])
        return found is not None


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def evaluate(proc: Proc, words: list[str], matched: Matched | None = None) -> bool:
    """The value of an expression. ``matched``: the expression is one of ``[[``, whose patterns and regular expressions
    count; it is told what a regular expression matched, with its groups. Raises TestProblem."""
    return bool(words) and _Expression(proc, words, matched).whole()
