"""awk: patterns and actions over records and fields.

Source: POSIX.1-2017, awk. Not modelled: getline, user functions, output pipes, printf to files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import Any

from seatrial.sim.workloads.commands.options import inputs
from seatrial.sim.workloads.commands.text import extended, printf_text, unescape
from seatrial.sim.workloads.process import Proc

Steps = Generator[Any, Any, int]
Value = Any
TOKEN = re.compile(
    r"""\s*(?:\#[^\n]*)?(?:
    (?P<number>\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)|"(?P<string>(?:\\.|[^"\\])*)"|(?P<name>[A-Za-z_]\w*)|
    (?P<op>\+\+|--|\+=|-=|\*=|/=|%=|\^=|==|!=|<=|>=|&&|\|\||!~|[-+*/%^!<>=~?:,;(){}\[\]$\n]))""",
    re.VERBOSE,
)


class AwkProblem(Exception):
    """``args`` is what awk says."""


class Next(Exception):
    """``next``"""


class Stop(Exception):
    """``exit``"""


class Break(Exception):
    """``break``"""


class Continue(Exception):
    """``continue``"""


def number(value: Value) -> float:
    if isinstance(value, float | int):
        return float(value)
    match = re.match(r"\s*[-+]?(\d+\.?\d*([eE][-+]?\d+)?|\.\d+)", str(value))
    return float(match.group(0)) if match else 0.0


def text(value: Value) -> str:
    if isinstance(value, float | int):
        return str(int(value)) if value == int(value) else f"{value:.6g}"
    return str(value)


def truth(value: Value) -> bool:
    if isinstance(value, float | int):
        return value != 0
    return number(value) != 0 if _numeric(value) else bool(value)


def _numeric(value: Value) -> bool:
    return isinstance(value, Field) and re.fullmatch(r"\s*[-+]?(\d+\.?\d*([eE][-+]?\d+)?|\.\d+)\s*", value) is not None


class Field(str):
    """Text from the input: compared as a number when it looks like one."""

    __slots__ = ()


class Machine:
    """Variables, fields and output of one run."""

    def __init__(self, proc: Proc) -> None:
        self.proc = proc
        self.variables: dict[str, Any] = {
            "FS": " ",
            "OFS": " ",
            "ORS": "\n",
            "NR": 0.0,
            "NF": 0.0,
            "SUBSEP": "\x1c",
            "RS": "\n",
        }
        self.fields: list[str] = [""]
        self.out: list[str] = []

    def record(self, line: str) -> None:
        self.variables["NR"] = number(self.variables["NR"]) + 1
        self.variables["FNR"] = self.variables["NR"]
        self.fields = [Field(line)]
        separator = text(self.variables["FS"])
        if separator == " ":
            parts = line.split()
        elif len(separator) == 1 and separator not in ".|*+?[]()^$\\":
            parts = line.split(separator) if line else []
        else:
            parts = re.split(extended(separator), line) if line else []
        self.fields += [Field(part) for part in parts]
        self.variables["NF"] = float(len(parts))

    def field(self, index: int) -> str:
        return self.fields[index] if 0 <= index < len(self.fields) else ""

    def set_field(self, index: int, value: str) -> None:
        if index == 0:
            self.variables["NR"] = number(self.variables["NR"]) - 1
            self.record(value)
            return
        while len(self.fields) <= index:
            self.fields.append("")
        self.fields[index] = value
        self.variables["NF"] = float(len(self.fields) - 1)
        self.fields[0] = text(self.variables["OFS"]).join(self.fields[1:])


Expression = Callable[[Machine], Value]
Action = Callable[[Machine], None]
TARGETS: dict[str, str] = {"+=": "+", "-=": "-", "*=": "*", "/=": "/", "%=": "%", "^=": "^"}
ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: _divided(a, b),
    "%": lambda a, b: a - b * int(a / b) if b else _divided(a, b),
    "^": lambda a, b: a**b,
}


def _divided(a: float, b: float) -> float:
    if b == 0:
        raise AwkProblem("division by zero")
    return a / b


COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}


def _compared(operator: str, a: Value, b: Value) -> float:
    numbers = all(isinstance(value, float | int) or _numeric(value) for value in (a, b))
    if numbers:
        return float(COMPARE[operator](number(a), number(b)))
    return float(COMPARE[operator](text(a), text(b)))


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
                return _raising(problem)
        if self._take("exit"):
            code = None if self._is("}", ";", "\n") or self._token[0] == "end" else self._expression()
            return _exiting(code)
        if self._take("delete"):
            name = self._token[1]
            self._advance()
            self._need("[")
            key = self._expression()
            self._need("]")
            return lambda machine: _void(machine.variables.setdefault(name, {}).pop(text(key(machine)), None))
        expression = self._expression()
        return lambda machine: _void(expression(machine))

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
        return _looping(condition, body, None)

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
                return _each(name, array, self._statement())
            self._at, self._token = begin
        first = None if self._is(";") else self._expression()
        self._need(";")
        condition = None if self._is(";") else self._expression()
        self._need(";")
        step = None if self._is(")") else self._expression()
        self._need(")")
        self._gaps()
        loop = _looping(condition, self._statement(), step)

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
            machine.out.append(_formatted(values[0], values[1:]))

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
            return _assigning(condition, operator, self._expression())
        return condition

    def _or(self) -> Expression:
        left = self._and()
        while self._take("||"):
            left = _either(left, self._and())
        return left

    def _and(self) -> Expression:
        left = self._in()
        while self._take("&&"):
            left = _both(left, self._in())
        return left

    def _in(self) -> Expression:
        left = self._match()
        while self._take("in"):
            name = self._token[1]
            self._advance()
            left = _member(left, name)
        return left

    def _match(self) -> Expression:
        left = self._comparison()
        while self._is("~", "!~"):
            operator = self._token[1]
            self._advance()
            left = _matching(left, self._comparison(), operator == "!~")
        return left

    def _comparison(self) -> Expression:
        left = self._joined()
        while self._is("==", "!=", "<", "<=", ">=") or (self._is(">") and not self._no_greater):
            operator = self._token[1]
            self._advance()
            left = _comparing(operator, left, self._joined())
        return left

    def _joined(self) -> Expression:
        left = self._sum()
        while self._token[0] in ("number", "string") or self._is("$", "(", "-", "!") or self._starts_name():
            if self._is("-", "!"):
                break
            left = _joining(left, self._sum())
        return left

    def _starts_name(self) -> bool:
        return self._token[0] == "name" and self._token[1] not in ("in", "else", "if", "while", "for")

    def _sum(self) -> Expression:
        left = self._product()
        while self._is("+", "-"):
            operator = self._token[1]
            self._advance()
            left = _computing(operator, left, self._product())
        return left

    def _product(self) -> Expression:
        left = self._unary()
        while self._is("*", "/", "%"):
            operator = self._token[1]
            self._advance()
            left = _computing(operator, left, self._unary())
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
            left = _computing("^", left, self._unary())
        return left

    def _postfix(self) -> Expression:
        if self._is("++", "--"):
            by = 1 if self._token[1] == "++" else -1
            self._advance()
            return _stepping(self._primary(), by, after=False)
        value = self._primary()
        if self._is("++", "--"):
            by = 1 if self._token[1] == "++" else -1
            self._advance()
            return _stepping(value, by, after=True)
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
                key = _subscript(key, self._expression())
            self._need("]")
            return Reference(key, name)
        return Reference(None, name)


class Reference:
    """A variable, an element or a field: readable and assignable."""

    def __init__(self, key: Expression | None, name: str | None) -> None:
        self.key = key
        self.name = name

    def __call__(self, machine: Machine) -> Value:
        if self.name is None:
            assert self.key is not None
            return machine.field(int(number(self.key(machine))))
        if self.key is None:
            return machine.variables.get(self.name, "")
        array = machine.variables.setdefault(self.name, {})
        return array.setdefault(text(self.key(machine)), "")

    def put(self, machine: Machine, value: Value) -> None:
        if self.name is None:
            assert self.key is not None
            machine.set_field(int(number(self.key(machine))), text(value))
        elif self.key is None:
            machine.variables[self.name] = value
        else:
            machine.variables.setdefault(self.name, {})[text(self.key(machine))] = value


class Pattern:
    """A regular expression: alone it is matched against the record."""

    def __init__(self, regex: re.Pattern[str]) -> None:
        self.regex = regex

    def __call__(self, machine: Machine) -> Value:
        return float(self.regex.search(machine.field(0)) is not None)


def _void(_: object) -> None:
    return None


def _raising(problem: type[Exception]) -> Action:
    def run(machine: Machine) -> None:
        raise problem

    return run


def _exiting(code: Expression | None) -> Action:
    def run(machine: Machine) -> None:
        raise Stop(0 if code is None else int(number(code(machine))))

    return run


def _looping(condition: Expression | None, body: Action, step: Expression | None) -> Action:
    def run(machine: Machine) -> None:
        while condition is None or truth(condition(machine)):
            try:
                body(machine)
            except Break:
                return
            except Continue:
                pass
            if step is not None:
                step(machine)

    return run


def _each(name: str, array: str, body: Action) -> Action:
    def run(machine: Machine) -> None:
        for key in list(machine.variables.get(array) or {}):
            machine.variables[name] = Field(key)
            try:
                body(machine)
            except Break:
                return
            except Continue:
                continue

    return run


def _assigning(target: Expression, operator: str, value: Expression) -> Expression:
    if not isinstance(target, Reference):
        raise AwkProblem("syntax error: not assignable")

    def run(machine: Machine) -> Value:
        made = value(machine)
        if operator != "=":
            made = ARITHMETIC[TARGETS[operator]](number(target(machine)), number(made))
        target.put(machine, made)
        return made

    return run


def _stepping(target: Expression, by: int, after: bool) -> Expression:
    if not isinstance(target, Reference):
        raise AwkProblem("syntax error: not assignable")

    def run(machine: Machine) -> Value:
        before = number(target(machine))
        target.put(machine, before + by)
        return before if after else before + by

    return run


def _either(a: Expression, b: Expression) -> Expression:
    return lambda machine: float(truth(a(machine)) or truth(b(machine)))


def _both(a: Expression, b: Expression) -> Expression:
    return lambda machine: float(truth(a(machine)) and truth(b(machine)))


def _member(key: Expression, name: str) -> Expression:
    return lambda machine: float(text(key(machine)) in (machine.variables.get(name) or {}))


def _regex_of(pattern: Expression, machine: Machine) -> re.Pattern[str]:
    return pattern.regex if isinstance(pattern, Pattern) else re.compile(extended(text(pattern(machine))))


def _matching(value: Expression, pattern: Expression, negated: bool) -> Expression:
    return lambda machine: float((_regex_of(pattern, machine).search(text(value(machine))) is None) == negated)


def _comparing(operator: str, a: Expression, b: Expression) -> Expression:
    return lambda machine: _compared(operator, a(machine), b(machine))


def _joining(a: Expression, b: Expression) -> Expression:
    return lambda machine: text(a(machine)) + text(b(machine))


def _subscript(a: Expression, b: Expression) -> Expression:
    return lambda machine: text(a(machine)) + "\x1c" + text(b(machine))


def _computing(operator: str, a: Expression, b: Expression) -> Expression:
    return lambda machine: ARITHMETIC[operator](number(a(machine)), number(b(machine)))


def _formatted(form: str, values: list[str]) -> str:
    count = len(re.findall(r"%[^%]", form.replace("%%", "")))
    whole = re.findall(r"%[-+ #0-9.*]*([a-zA-Z])", form.replace("%%", ""))
    shown = [str(int(number(value))) if kind in "dixXou" else value for kind, value in zip(whole, values, strict=False)]
    return printf_text(form, shown[:count])[0]


def _split(machine: Machine, arguments: list[Expression]) -> Value:
    value, target = text(arguments[0](machine)), arguments[1]
    separator = text(arguments[2](machine)) if len(arguments) > 2 else text(machine.variables["FS"])
    if len(arguments) > 2 and isinstance(arguments[2], Pattern):
        parts = arguments[2].regex.split(value)
    else:
        parts = value.split() if separator == " " else value.split(separator) if value else []
    assert isinstance(target, Reference)
    machine.variables[str(target.name)] = {str(at): Field(part) for at, part in enumerate(parts, 1)}
    return float(len(parts))


def _substr(machine: Machine, arguments: list[Expression]) -> Value:
    value, begin = text(arguments[0](machine)), int(number(arguments[1](machine)))
    end = begin + int(number(arguments[2](machine))) if len(arguments) > 2 else len(value) + 1
    return value[max(begin, 1) - 1 : max(end - 1, 0)]


def _replace(machine: Machine, arguments: list[Expression], count: int) -> Value:
    target = arguments[2] if len(arguments) > 2 else Reference(lambda _: 0.0, None)
    replacement = text(arguments[1](machine)).replace("\\", "\\\\").replace("&", "\\g<0>")
    made, done = _regex_of(arguments[0], machine).subn(replacement, text(target(machine)), count=count)
    if done:
        assert isinstance(target, Reference)
        target.put(machine, made)
    return float(done)


def _length(machine: Machine, arguments: list[Expression]) -> Value:
    value = arguments[0](machine) if arguments else machine.field(0)
    return float(len(value) if isinstance(value, dict) else len(text(value)))


def _matched(machine: Machine, arguments: list[Expression]) -> Value:
    found = _regex_of(arguments[1], machine).search(text(arguments[0](machine)))
    machine.variables["RSTART"] = float(found.start() + 1 if found else 0)
    machine.variables["RLENGTH"] = float(len(found.group(0)) if found else -1)
    return machine.variables["RSTART"]


FUNCTIONS: dict[str, Callable[[Machine, list[Expression]], Value]] = {
    "length": _length,
    "split": _split,
    "substr": _substr,
    "match": _matched,
    "sub": lambda machine, arguments: _replace(machine, arguments, 1),
    "gsub": lambda machine, arguments: _replace(machine, arguments, 0),
    "index": lambda machine, a: float(text(a[0](machine)).find(text(a[1](machine))) + 1),
    "tolower": lambda machine, a: text(a[0](machine)).lower(),
    "toupper": lambda machine, a: text(a[0](machine)).upper(),
    "int": lambda machine, a: float(int(number(a[0](machine)))),
    "sprintf": lambda machine, a: _formatted(text(a[0](machine)), [text(each(machine)) for each in a[1:]]),
    "systime": lambda machine, a: float(machine.proc.clock.now // 1_000_000),
    "rand": lambda machine, a: machine.proc.container.rng.random(),
    "srand": lambda machine, a: 0.0,
}


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
    except AwkProblem as problem:
        proc.err(f"awk: cmd. line:1: {problem}\n")
        return 2
    try:
        _phase(machine, rules, "END")
    except Stop as stop:
        status = int(stop.args[0])
    proc.out("".join(machine.out))
    return status


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
