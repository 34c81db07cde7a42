"""sed: addresses, s, y, p, d, q, a, i, c, n, N, =, {}, !. Not modelled: branches and the hold space."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

from seatrial.sim.workloads.commands.grep import basic, extended
from seatrial.sim.workloads.commands.options import inputs, parsed, say
from seatrial.sim.workloads.process import Exited, Proc

Steps = Generator[Any, Any, int]


class Command(NamedTuple):
    first: Any
    """Address: None, a line number, ``$`` or a compiled pattern."""
    last: Any
    negated: bool
    name: str
    argument: Any


class Script:
    """Parses a sed script. Raises ValueError."""

    def __init__(self, text: str, extended_patterns: bool) -> None:
        self._text = text
        self._at = 0
        self._extended = extended_patterns

    def commands(self) -> list[Command]:
        found: list[Command] = []
        while self._at < len(self._text):
            char = self._text[self._at]
            if char in " \t\n;":
                self._at += 1
                continue
            if char == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
                continue
            if char == "}":
                self._at += 1
                return found
            found.append(self._command())
        return found

    def _command(self) -> Command:
        first, last = self._address(), None
        if self._peek() == ",":
            self._at += 1
            last = self._address()
        self._spaces()
        negated = self._peek() == "!"
        if negated:
            self._at += 1
            self._spaces()
        name = self._peek()
        self._at += 1
        if name == "{":
            return Command(first, last, negated, name, self.commands())
        if name == "s":
            return Command(first, last, negated, name, self._substitution())
        if name == "y":
            a, b, _ = self._delimited()
            return Command(first, last, negated, name, str.maketrans(a, b))
        if name in "aic":
            return Command(first, last, negated, name, self._text_argument())
        if name not in "pdqn=NGDPhHgxl":
            raise ValueError(f"unsupported command {name}")
        return Command(first, last, negated, name, None)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _spaces(self) -> None:
        while self._peek() in (" ", "\t"):
            self._at += 1

    def _address(self) -> Any:
        self._spaces()
        char = self._peek()
        if char.isdigit():
            match = re.match(r"\d+", self._text[self._at :])
            assert match is not None
            self._at += match.end()
            return int(match.group(0))
        if char == "$":
            self._at += 1
            return "$"
        if char in ("/", "\\"):
            if char == "\\":
                self._at += 1
            delimiter = self._peek()
            self._at += 1
            return self._pattern(self._until(delimiter), "")
        return None

    def _until(self, delimiter: str) -> str:
        parts = []
        while (char := self._peek()) and char != delimiter:
            if char == "\\" and self._text[self._at + 1 : self._at + 2] == delimiter:
                self._at += 1
                char = delimiter
            elif char == "\\":
                parts.append(char)
                self._at += 1
                char = self._peek()
            parts.append(char)
            self._at += 1
        self._at += 1
        return "".join(parts)

    def _delimited(self) -> tuple[str, str, str]:
        delimiter = self._peek()
        self._at += 1
        first, second = self._until(delimiter), self._until(delimiter)
        begin = self._at
        while self._peek() and self._peek() not in " \t\n;}":
            self._at += 1
        return first, second, self._text[begin : self._at]

    def _pattern(self, text: str, flags: str) -> re.Pattern[str]:
        made = extended(text) if self._extended else basic(text)
        return re.compile(made, re.IGNORECASE if "i" in flags or "I" in flags else 0)

    def _substitution(self) -> tuple[re.Pattern[str], str, str]:
        pattern, replacement, flags = self._delimited()
        made = re.sub(r"(?<!\\)&", r"\\g<0>", replacement).replace("\\&", "&").replace("\\/", "/").replace("\\n", "\n")
        return self._pattern(pattern, flags), made, flags

    def _text_argument(self) -> str:
        self._spaces()
        if self._peek() == "\\":
            self._at += 1
            if self._peek() == "\n":
                self._at += 1
        end = self._text.find("\n", self._at)
        text = self._text[self._at :] if end < 0 else self._text[self._at : end]
        self._at = len(self._text) if end < 0 else end
        return text


class Editor:
    """Runs a script over lines."""

    def __init__(self, commands: list[Command], quiet: bool) -> None:
        self._commands = commands
        self._quiet = quiet
        self._inside: dict[int, bool] = {}
        self._out: list[str] = []
        self._after: list[str] = []
        self._quit = False

    def run(self, text: str) -> str:
        lines = text.split("\n")
        ended = text.endswith("\n")
        if ended:
            lines.pop()
        for number, line in enumerate(lines, 1):
            self._number, self._last, self._line = number, number == len(lines), line
            self._deleted = False
            self._all(self._commands)
            if not self._quiet and not self._deleted:
                self._out.append(self._line)
            self._out += self._after
            self._after = []
            if self._quit:
                break
        return "".join(line + "\n" for line in self._out) if ended or not self._out else "\n".join(self._out)

    def _all(self, commands: list[Command]) -> None:
        for command in commands:
            if self._deleted or self._quit:
                return
            if self._chosen(command) != command.negated:
                self._do(command)

    def _chosen(self, command: Command) -> bool:
        if command.first is None:
            return True
        if command.last is None:
            return self._at(command.first)
        key = id(command)
        if self._inside.get(key):
            self._inside[key] = not self._ends(command.last)
            return True
        if self._at(command.first):
            self._inside[key] = not (isinstance(command.last, int) and command.last <= self._number)
            return True
        return False

    def _ends(self, address: Any) -> bool:
        return self._number >= address if isinstance(address, int) else self._at(address)

    def _at(self, address: Any) -> bool:
        if isinstance(address, int):
            return self._number == address
        if address == "$":
            return self._last
        return address.search(self._line) is not None

    def _do(self, command: Command) -> None:
        name, argument = command.name, command.argument
        if name == "{":
            self._all(argument)
        elif name == "s":
            pattern, replacement, flags = argument
            made, count = pattern.subn(replacement, self._line, count=0 if "g" in flags else 1)
            self._line = made
            if count and "p" in flags:
                self._out.append(made)
        elif name == "y":
            self._line = self._line.translate(argument)
        elif name in "pP":
            self._out.append(self._line)
        elif name in "dD":
            self._deleted = True
        elif name == "q":
            self._quit = True
        elif name == "=":
            self._out.append(str(self._number))
        elif name == "a":
            self._after.append(argument)
        elif name == "i":
            self._out.append(argument)
        elif name == "c":
            self._out.append(argument)
            self._deleted = True


def sed(proc: Proc) -> Steps:
    words = []
    scripts = []
    rest = iter(proc.argv[1:])
    for word in rest:
        if word in ("-e", "--expression"):
            scripts.append(_operand(proc, word, rest))
        elif word == "-f":
            scripts.append(proc.fs.read(_operand(proc, word, rest), proc.cwd).decode())
        else:
            words.append("-i" if word.startswith("-i") else word)
    proc.argv = [proc.argv[0], *words]
    options, operands = parsed(proc, "nErisu")
    if not scripts:
        scripts.append(operands.pop(0))
    try:
        commands = Script("\n".join(scripts), "E" in options or "r" in options).commands()
    except (ValueError, re.error) as error:
        proc.err(f"sed: {error}\n")
        return 1
    found, status = yield from inputs(proc, operands)
    if "i" in options:
        for path, data in found:
            made = Editor(commands, "n" in options).run(data.decode(errors="surrogateescape"))
            proc.fs.write(path, made.encode(errors="surrogateescape"), proc.cwd)
        proc.container.touched()
        return status
    text = b"".join(data for _, data in found).decode(errors="surrogateescape")
    proc.out(Editor(commands, "n" in options).run(text))
    return status


def _operand(proc: Proc, option: str, rest: Iterator[str]) -> str:
    found = next(rest, None)
    if found is None:
        say(proc, f"option requires an argument -- '{option.lstrip('-')[:1]}'")
        raise Exited(1)
    return found


COMMANDS = {"sed": sed}
