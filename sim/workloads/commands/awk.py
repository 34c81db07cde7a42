"""awk: patterns and actions over records and fields.

Source: POSIX.1-2017, awk. Not modelled: getline, user functions, output pipes, printf to files.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

from seatrial.sim.workloads.commands.awk_values import (
    FUNCTIONS,
    TARGETS,
    Action,
    AwkProblem,
    Break,
    Continue,
    Expression,
    Field,
    Machine,
    Next,
    Pattern,
    Reference,
    Stop,
    Value,
    assigning,
    both,
    comparing,
    computing,
    each,
    either,
    exiting,
    formatted,
    joining,
    looping,
    matching,
    member,
    number,
    raising,
    stepping,
    subscript,
    text,
    truth,
    void,
)
from seatrial.sim.workloads.commands.grep import extended
from seatrial.sim.workloads.commands.options import inputs
from seatrial.sim.workloads.commands.printf import unescape
from seatrial.sim.workloads.process import Proc

Steps = Generator[Any, Any, int]
TOKEN = re.compile(
    r"""\s*(?:\#[^\n]*)?(?:
    (?P<number>\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)|"(?P<string>(?:\\.|[^"\\])*)"|(?P<name>[A-Za-z_]\w*)|
    (?P<op>\+\+|--|\+=|-=|\*=|/=|%=|\^=|==|!=|<=|>=|&&|\|\||!~|[-+*/%^!<>=~?:,;(){}\[\]$\n]))""",
    re.VERBOSE,
)


class Compiler:
    """Compiles a program into (pattern, action) pairs of closures. Raises AwkProblem."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._token: tuple[str, str] = ("", "")
        self._no_in = False
        self._no_greater = False
        self._advance()

    def _advance(self, regex: bool = False) -> None:
        match = TOKEN.match(self._source, self._at)
        if match is None:
            if self._source[self._at :].strip():
                raise AwkProblem("syntax error")
            self._token = ("end", "")
            return
        self._at = match.end()
        kind = match.lastgroup or ""
        self._token = (kind, match.group(kind))

    def _is(self, *values: str) -> bool:
        return self._token[0] in ("op", "name") and self._token[1] in values

    def _take(self, value: str) -> bool:
        if self._is(value):
            self._advance()
            return True
        return False

    def _need(self, value: str) -> None:
        if not self._take(value):
            raise AwkProblem(f"syntax error near {self._token[1]!r}")

    def _gaps(self) -> None:
        while self._is("\n", ";"):
            self._advance()

    def program(self) -> list[tuple[str, Expression | None, Action | None]]:
        rules: list[tuple[str, Expression | None, Action | None]] = []
        self._gaps()
        while self._token[0] != "end":
            kind, pattern = "main", None
            if self._is("BEGIN", "END"):
                kind = self._token[1]
                self._advance()
            elif not self._is("{"):
                pattern = self._expression()
                if self._take(","):
                    pattern = self._range(pattern, self._expression())
            action = self._block() if self._is("{") else None
            rules.append((kind, pattern, action))
            self._gaps()
        return rules

    @staticmethod
    def _range(first: Expression, last: Expression) -> Expression:
        inside = [False]

        def test(machine: Machine) -> Value:
            if not inside[0] and truth(first(machine)):
                inside[0] = True
                hit = True
            else:
                hit = inside[0]
            if inside[0] and truth(last(machine)):
                inside[0] = False
            return float(hit)

        return test

    def _block(self) -> Action:
        self._need("{")
        actions = []
        self._gaps()
        while not self._is("}"):
            actions.append(self._statement())
            self._gaps()
        self._advance()

        def run(machine: Machine) -> None:
            for action in actions:
                action(machine)

        return run

    def _statement(self) -> Action:
        if self._is("{"):
            return self._block()
        make = {
            "if": self._if,
            "while": self._while,
            "for": self._for,
            "print": self._print,
            "printf": self._printf,
        }.get(self._token[1] if self._token[0] == "name" else "")
        if make is not None:
            self._advance()
            return make()
        for word, problem in (("next", Next), ("break", Break), ("continue", Continue)):
            if self._take(word):
                return raising(problem)
        if self._take("exit"):
            code = None if self._is("}", ";", "\n") or self._token[0] == "end" else self._expression()
            return exiting(code)
        if self._take("delete"):
            name = self._token[1]
            self._advance()
            self._need("[")
            key = self._expression()
            self._need("]")
            return lambda machine: void(machine.array(name).pop(text(key(machine)), None))
        expression = self._expression()
        return lambda machine: void(expression(machine))

    def _if(self) -> Action:
        self._need("(")
        condition = self._expression()
        self._need(")")
        self._gaps()
        then = self._statement()
        self._gaps()
        otherwise: Action | None = None
        if self._take("else"):
            self._gaps()
            otherwise = self._statement()

        def run(machine: Machine) -> None:
            if truth(condition(machine)):
                then(machine)
            elif otherwise is not None:
                otherwise(machine)

        return run

    def _while(self) -> Action:
        self._need("(")
        condition = self._expression()
        self._need(")")
        self._gaps()
        body = self._statement()
        return looping(condition, body, None)

    def _for(self) -> Action:
        self._need("(")
        begin = self._at, self._token
        if self._token[0] == "name":
            name = self._token[1]
            self._advance()
            if self._take("in"):
                array = self._token[1]
                self._advance()
                self._need(")")
                self._gaps()
                return each(name, array, self._statement())
            self._at, self._token = begin
        first = None if self._is(";") else self._expression()
        self._need(";")
        condition = None if self._is(";") else self._expression()
        self._need(";")
        step = None if self._is(")") else self._expression()
        self._need(")")
        self._gaps()
        loop = looping(condition, self._statement(), step)

        def run(machine: Machine) -> None:
            if first is not None:
                first(machine)
            loop(machine)

        return run

    def _arguments(self) -> list[Expression]:
        found: list[Expression] = []
        self._no_greater = True
        while not (self._is("}", ";", "\n", ">") or self._token[0] == "end"):
            found.append(self._expression())
            if not self._take(","):
                break
        self._no_greater = False
        return found

    def _print(self) -> Action:
        arguments = self._arguments()

        def run(machine: Machine) -> None:
            if arguments:
                parts = [text(argument(machine)) for argument in arguments]
                line = text(machine.variables["OFS"]).join(parts)
            else:
                line = machine.field(0)
            machine.out.append(line + text(machine.variables["ORS"]))

        return run

    def _printf(self) -> Action:
        arguments = self._arguments()

        def run(machine: Machine) -> None:
            values = [text(argument(machine)) for argument in arguments]
            machine.out.append(formatted(values[0], values[1:]))

        return run

    # Expressions

    def _expression(self) -> Expression:
        condition = self._or()
        if self._take("?"):
            first = self._expression()
            self._need(":")
            second = self._expression()
            return lambda machine: first(machine) if truth(condition(machine)) else second(machine)
        if self._token[0] == "op" and (self._is("=") or self._token[1] in TARGETS):
            operator = self._token[1]
            self._advance()
            return assigning(condition, operator, self._expression())
        return condition

    def _or(self) -> Expression:
        left = self._and()
        while self._take("||"):
            left = either(left, self._and())
        return left

    def _and(self) -> Expression:
        left = self._in()
        while self._take("&&"):
            left = both(left, self._in())
        return left

    def _in(self) -> Expression:
        left = self._match()
        while self._take("in"):
            name = self._token[1]
            self._advance()
            left = member(left, name)
        return left

    def _match(self) -> Expression:
        left = self._comparison()
        while self._is("~", "!~"):
            operator = self._token[1]
            self._advance()
            left = matching(left, self._comparison(), operator == "!~")
        return left

    def _comparison(self) -> Expression:
        left = self._joined()
        while self._is("==", "!=", "<", "<=", ">=") or (self._is(">") and not self._no_greater):
            operator = self._token[1]
            self._advance()
            left = comparing(operator, left, self._joined())
        return left

    def _joined(self) -> Expression:
        left = self._sum()
        while self._token[0] in ("number", "string") or self._is("$", "(", "-", "!") or self._starts_name():
            if self._is("-", "!"):
                break
            left = joining(left, self._sum())
        return left

    def _starts_name(self) -> bool:
        return self._token[0] == "name" and self._token[1] not in ("in", "else", "if", "while", "for")

    def _sum(self) -> Expression:
        left = self._product()
        while self._is("+", "-"):
            operator = self._token[1]
            self._advance()
            left = computing(operator, left, self._product())
        return left

    def _product(self) -> Expression:
        left = self._unary()
        while self._is("*", "/", "%"):
            operator = self._token[1]
            self._advance()
            left = computing(operator, left, self._unary())
        return left

    def _unary(self) -> Expression:
        if self._take("!"):
            value = self._unary()
            return lambda machine: float(not truth(value(machine)))
        if self._take("-"):
            value = self._unary()
            return lambda machine: -number(value(machine))
        if self._take("+"):
            return self._unary()
        left = self._postfix()
        if self._take("^"):
            left = computing("^", left, self._unary())
        return left

    def _postfix(self) -> Expression:
        if self._is("++", "--"):
            by = 1 if self._token[1] == "++" else -1
            self._advance()
            return stepping(self._primary(), by, after=False)
        value = self._primary()
        if self._is("++", "--"):
            by = 1 if self._token[1] == "++" else -1
            self._advance()
            return stepping(value, by, after=True)
        return value

    def _primary(self) -> Expression:
        kind, value = self._token
        if kind == "number":
            self._advance()
            constant = float(value)
            return lambda _: constant
        if kind == "string":
            self._advance()
            literal = unescape(value)[0]
            return lambda _: literal
        if self._take("$"):
            return Reference(self._primary(), None)
        if self._take("("):
            saved, self._no_greater = self._no_greater, False
            inner = self._expression()
            self._need(")")
            self._no_greater = saved
            return lambda machine: inner(machine)
        if self._is("/"):
            return self._regex()
        if kind == "name":
            return self._named(value)
        raise AwkProblem(f"syntax error near {value!r}")

    def _regex(self) -> Expression:
        end = self._at
        while self._source[end] != "/":
            end += 2 if self._source[end] == "\\" else 1
        pattern = re.compile(extended(self._source[self._at : end].replace("\\/", "/")))
        self._at = end + 1
        self._advance()
        return Pattern(pattern)

    def _named(self, name: str) -> Expression:
        self._advance()
        function = FUNCTIONS.get(name)
        if function is not None:
            arguments: list[Expression] = []
            if self._take("("):
                while not self._is(")"):
                    arguments.append(self._expression())
                    if not self._take(","):
                        break
                self._need(")")
            return lambda machine: function(machine, arguments)
        if self._take("["):
            key = self._expression()
            while self._take(","):
                key = subscript(key, self._expression())
            self._need("]")
            return Reference(key, name)
        return Reference(None, name)


def awk(proc: Proc) -> Steps:
    machine = Machine(proc)
    words = proc.argv[1:]
    source: str | None = None
    while words and words[0].startswith("-") and len(words[0]) > 1:
        word = words.pop(0)
        value = word[2:] or (words.pop(0) if words else "")
        if word.startswith("-F"):
            machine.variables["FS"] = unescape(value)[0]
        elif word.startswith("-v"):
            name, _, given = value.partition("=")
            machine.variables[name] = Field(unescape(given)[0])
        elif word.startswith("-f"):
            source = proc.fs.read(value, proc.cwd).decode()
    if source is None:
        source = words.pop(0)
    try:
        rules = Compiler(source).program()
    except (AwkProblem, re.error, IndexError) as problem:
        proc.err(f"awk: cmd. line:1: {problem}\n")
        return 2
    status = 0
    try:
        _phase(machine, rules, "BEGIN")
        if any(kind != "BEGIN" for kind, _, _ in rules):
            found, status = yield from inputs(proc, [word for word in words if "=" not in word])
            for path, data in found:
                machine.variables["FILENAME"] = path
                for line in data.decode(errors="surrogateescape").splitlines():
                    machine.record(line)
                    _record(machine, rules)
    except Stop as stop:
        status = int(stop.args[0])
    except (AwkProblem, Next, Break, Continue) as problem:
        return _gave_up(machine, problem)
    try:
        _phase(machine, rules, "END")
    except Stop as stop:
        status = int(stop.args[0])
    except (AwkProblem, Next, Break, Continue) as problem:
        return _gave_up(machine, problem)
    proc.out("".join(machine.out))
    return status


def _gave_up(machine: Machine, problem: Exception) -> int:
    """What was printed before stays; a ``next`` or ``break`` outside of what it leaves says only where it stands."""
    machine.proc.out("".join(machine.out))
    machine.proc.err(f"awk: cmd. line:1: {problem if problem.args else 'Unexpected token'}\n")
    return 2


def _phase(machine: Machine, rules: list[tuple[str, Expression | None, Action | None]], kind: str) -> None:
    for found, _, action in rules:
        if found == kind and action is not None:
            action(machine)


def _record(machine: Machine, rules: list[tuple[str, Expression | None, Action | None]]) -> None:
    try:
        for kind, pattern, action in rules:
            if kind != "main" or (pattern is not None and not truth(pattern(machine))):
                continue
            if action is None:
                machine.out.append(machine.field(0) + "\n")
            else:
                action(machine)
    except Next:
        return


COMMANDS = {"awk": awk, "gawk": awk, "mawk": awk}
