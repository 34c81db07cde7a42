"""Word expansion: parameters, commands, arithmetic, field splitting, path names (POSIX.1-2017, 2.6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from seatrial.sim.workloads.shell import arrays, patterns
from seatrial.sim.workloads.shell.arithmetic import ArithmeticProblem, Evaluator
from seatrial.sim.workloads.shell.syntax import Arithmetic, Literal, Parameter, Substitution, Word

if TYPE_CHECKING:
    from seatrial.sim.workloads.shell.interpreter import Shell

Steps = Generator[Any, Any, Any]
Field = list[tuple[str, bool]]
"""Pieces of text, each quoted or not."""
CASES: dict[str, Callable[[str], str]] = {
    "^^": str.upper,
    ",,": str.lower,
    "^": lambda text: text[:1].upper() + text[1:],
    ",": lambda text: text[:1].lower() + text[1:],
}


class ShellProblem(Exception):
    """An error that ends a script: ``args`` is what the shell says."""


class Expansion:
    """Expands words for one shell."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell

    def words(self, words: tuple[Word, ...]) -> Steps:
        """The fields that words expand to."""
        found: list[str] = []
        for word in words:
            if len(word) == 1 and type(word[0]) is Literal and not _special(word[0]):
                found.append(word[0].text)
            else:
                found += yield from self.fields(word)
        return found

    def fields(self, word: Word) -> Steps:
        """One word's fields, split and matched against files."""
        made: list[Field] = []
        current: Field | None = None
        for index, part in enumerate(word):
            if type(part) is Literal:
                text = self._tilde(part, index)
                current = current if current is not None else []
                current.append((text, part.quoted))
                continue
            values = yield from self._values(part)
            if part.quoted:
                current = self._join_quoted(made, current, values, part)
            else:
                current = self._split(made, current, values)
        if current is not None:
            made.append(current)
        result: list[str] = []
        for field in made:
            result += self._paths(field)
        return result

    def text(self, word: Word) -> Steps:
        """One word as a single text, neither split nor matched (assignments, here-documents, case)."""
        parts: list[str] = []
        for index, part in enumerate(word):
            if type(part) is Literal:
                parts.append(self._tilde(part, index))
            else:
                values = yield from self._values(part)
                parts.append(" ".join(values))
        return "".join(parts)

    def pattern(self, word: Word, escape: Callable[[str], str] = patterns.escape) -> Steps:
        """One word as a pattern: quoted text stands for itself."""
        parts: list[str] = []
        for index, part in enumerate(word):
            if type(part) is Literal:
                text = self._tilde(part, index)
                parts.append(escape(text) if part.quoted else text)
            else:
                values = yield from self._values(part)
                text = " ".join(values)
                parts.append(escape(text) if part.quoted else text)
        return "".join(parts)

    def arithmetic(self, word: Word) -> Steps:
        """The value of an arithmetic expression."""
        return self._computed((yield from self.text(word)))

    def _computed(self, text: str) -> int:
        shell = self.shell
        try:
            return Evaluator(
                text, lambda name: arrays.get(shell, name) or "", lambda name, value: arrays.put(shell, name, value)
            ).value()
        except ArithmeticProblem as problem:
            raise ShellProblem(str(problem)) from None

    def _span(self, part: Parameter, size: int) -> Steps:
        """Where ``${name:offset:length}`` begins and ends in so many; both may count from the end."""
        offset, parted, length = (yield from self.text(part.word)).partition(":")
        begin = self._computed(offset)
        begin = min(begin if begin >= 0 else begin + size, size)
        if begin < 0:
            return size, size
        if not parted:
            return begin, size
        count = self._computed(length)
        end = size + count if count < 0 else min(begin + count, size)
        if end < begin:
            raise ShellProblem(f"{length}: substring expression < 0")
        return begin, end

    # Parts

    def _tilde(self, part: Literal, index: int) -> str:
        if index == 0 and not part.quoted and part.text.startswith("~") and part.text[1:2] in ("", "/"):
            return (self.shell.get("HOME") or "/root") + part.text[1:]
        return part.text

    def _values(self, part: Any) -> Steps:
        """What a part stands for: one text, or several for ``$@`` and ``$*``."""
        if type(part) is Parameter:
            return (yield from self._parameter(part))
        if type(part) is Substitution:
            output = yield from self.shell.captured(part.body)
            return [output.decode(errors="surrogateescape").rstrip("\n")]
        assert type(part) is Arithmetic
        value = yield from self.arithmetic(part.expression)
        return [str(value)]

    def _parameter(self, part: Parameter) -> Steps:
        shell, name, operator = self.shell, part.name, part.operator
        if part.at is not None or operator == "keys":
            return (yield from self._element(part))
        if name in ("@", "*") and not operator:
            if name == "*" and part.quoted:
                separator = shell.get("IFS")
                return [(" " if separator is None else separator[:1]).join(shell.arguments)]
            return list(shell.arguments)
        if name in ("@", "*") and operator != "length":
            # Only a slice can begin before the first argument: with the shell's own name.
            own = [shell.name] if operator == ":" else []
            return (yield from self._each(part, [*own, *shell.arguments], name))
        value = shell.parameter(name)
        if not operator:
            if value is None:
                if shell.options.get("u") and name not in "@*":
                    raise ShellProblem(f"{name}: parameter not set")
                return [""]
            return [value]
        if operator == "length":
            return [str(len(shell.arguments) if name in ("@", "*") else len(value or ""))]
        return (yield from self._operated(part, value))

    def _element(self, part: Parameter) -> Steps:
        """An element of an array, or each; ``${!name}`` without an index is the variable of that name."""
        shell, operator = self.shell, part.operator
        if part.at is None:
            return [shell.parameter(shell.get(part.name) or "") or ""]
        found = yield from arrays.values_of(shell, part)
        if not isinstance(found, list):
            if operator == "length":
                return [str(len(found or ""))]
            return [found or ""] if operator in ("", "keys") else (yield from self._operated(part, found))
        if operator == "length":
            return [str(len(found))]
        return (yield from self._each(part, found, part.at[0].text))

    def _each(self, part: Parameter, found: list[str], whole: str) -> Steps:
        """All of an array, or of the arguments, with what an operator does to each; ``whole`` is ``@`` or ``*``."""
        operator = part.operator
        if operator == ":":
            begin, end = yield from self._span(part, len(found))
            found = found[begin:end]
        elif operator not in ("", "keys"):
            if operator[-1] in "-=?+":
                if bool(found) != (operator[-1] == "+"):
                    return found
                return (yield from self._operated(part, " ".join(found) if found else None))
            for at, value in enumerate(found):
                found[at] = yield from self._changed(part, value)
        return [" ".join(found)] if part.quoted and whole == "*" else found

    def _operated(self, part: Parameter, value: str | None) -> Steps:
        operator = part.operator
        missing = value is None or (operator.startswith(":") and operator != ":" and not value)
        plain = operator[1:] if operator in (":-", ":=", ":?", ":+") else operator
        if plain == "-":
            return [(yield from self.text(part.word))] if missing else [value or ""]
        if plain == "+":
            return [""] if missing else [(yield from self.text(part.word))]
        if plain == "=":
            if missing:
                value = yield from self.text(part.word)
                self.shell.put(part.name, value)
            return [value or ""]
        if plain == "?":
            if missing:
                said = yield from self.text(part.word)
                raise ShellProblem(f"{part.name}: {said or 'parameter not set or null'}")
            return [value or ""]
        return [(yield from self._changed(part, value or ""))]

    def _changed(self, part: Parameter, value: str) -> Steps:
        operator = part.operator
        if operator in ("#", "##", "%", "%%"):
            pattern = yield from self.pattern(part.word)
            return patterns.trimmed(value, pattern, operator)
        if operator in ("/", "//"):
            whole = yield from self.pattern(part.word)
            pattern, _, replacement = whole.partition("/")
            regex = re.compile(patterns.compiled(pattern).pattern, re.DOTALL)
            return regex.sub(lambda _: replacement, value, count=0 if operator == "//" else 1)
        if operator in CASES:
            return CASES[operator](value)
        begin, end = yield from self._span(part, len(value))
        return value[begin:end]

    # Fields

    @staticmethod
    def _join_quoted(made: list[Field], current: Field | None, values: list[str], part: Any) -> Field | None:
        if arrays.spreads(part):
            for index, value in enumerate(values):
                if index and current is not None:
                    made.append(current)
                    current = None
                current = current if current is not None else []
                current.append((value, True))
            return current
        current = current if current is not None else []
        current += [(value, True) for value in values]
        return current

    def _split(self, made: list[Field], current: Field | None, values: list[str]) -> Field | None:
        separators = self.shell.get("IFS")
        separators = " \t\n" if separators is None else separators
        for index, value in enumerate(values):
            if index and current is not None:
                made.append(current)
                current = None
            current = _split_one(made, current, value, separators)
        return current

    def split(self, text: str) -> list[str]:
        """A text's fields, not matched against files."""
        made: list[Field] = []
        last = self._split(made, None, [text])
        return ["".join(piece for piece, _ in field) for field in [*made, *([last] if last is not None else [])]]

    def _paths(self, field: Field) -> list[str]:
        text = "".join(piece for piece, _ in field)
        wild = any(not quoted and any(char in piece for char in patterns.SPECIAL) for piece, quoted in field)
        if not wild or self.shell.options.get("f"):
            return [text]
        pattern = "".join(patterns.escape(piece) if quoted else piece for piece, quoted in field)
        proc = self.shell.proc
        return patterns.files(proc.fs, proc.cwd, pattern) or [text]


def _special(part: Literal) -> bool:
    if part.quoted:
        return False
    return part.text.startswith("~") or any(char in part.text for char in patterns.SPECIAL)


def _split_one(made: list[Field], current: Field | None, value: str, separators: str) -> Field | None:
    """Splits one unquoted value; white space separators fold, others each end a field."""
    spaces = "".join(char for char in separators if char in " \t\n")
    begin, size, after_space = 0, len(value), False
    while begin < size:
        char = value[begin]
        if char in separators:
            if current is not None:
                made.append(current)
                current, after_space = None, char in spaces
            elif char not in spaces:
                if not after_space:
                    made.append([("", False)])
                after_space = False
            begin += 1
            continue
        end = begin
        while end < size and value[end] not in separators:
            end += 1
        current = current if current is not None else []
        current.append((value[begin:end], False))
        begin, after_space = end, False
    return current
