"""What awk computes with: values, fields, references, and the closures that its expressions become."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from seatrial.sim.workloads.commands.grep import extended
from seatrial.sim.workloads.commands.printf import printf_text
from seatrial.sim.workloads.process import Proc

Value = Any
TURNS_MAX = 500_000
"""A program runs in no time, so that one without end has to be stopped; *not modelled*: that it takes CPU for ever."""


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
        return str(int(value)) if math.isfinite(value) and value == int(value) else f"{value:.6g}"
    return str(value)


def truth(value: Value) -> bool:
    if isinstance(value, float | int):
        return value != 0
    return number(value) != 0 if numeric(value) else bool(value)


def numeric(value: Value) -> bool:
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
        self._turns = 0

    def record(self, line: str) -> None:
        self.variables["NR"] = number(self.variables["NR"]) + 1
        self.variables["FNR"] = self.variables["NR"]
        self.fields = [Field(line)]
        separator = text(self.variables["FS"])
        if separator == " ":
            parts = line.split()
        elif len(separator) == 1:
            parts = line.split(separator) if line else []
        else:
            parts = re.split(extended(separator), line) if line else []
        self.fields += [Field(part) for part in parts]
        self.variables["NF"] = float(len(parts))

    def array(self, name: str) -> dict[str, Value]:
        """The array of a name. Raises AwkProblem for a variable that holds something else."""
        found = self.variables.setdefault(name, {})
        if not isinstance(found, dict):
            raise AwkProblem(f"{name} is no array")
        return found

    def turn(self) -> None:
        """One more turn of a loop. Raises AwkProblem where there is no end of them."""
        self._turns += 1
        if self._turns > TURNS_MAX:
            raise AwkProblem(f"a loop without end (more than {TURNS_MAX} turns)")

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
    "/": lambda a, b: divided(a, b),
    "%": lambda a, b: a - b * int(a / b) if b else divided(a, b),
    "^": lambda a, b: raised(a, b),
}


def raised(a: float, b: float) -> float:
    """A power as C's pow has it: without end where there is no number for it."""
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 else math.inf
    except ValueError:
        return math.nan if a else math.inf


def divided(a: float, b: float) -> float:
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


def compared(operator: str, a: Value, b: Value) -> float:
    numbers = all(isinstance(value, float | int) or numeric(value) for value in (a, b))
    if numbers:
        return float(COMPARE[operator](number(a), number(b)))
    return float(COMPARE[operator](text(a), text(b)))


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
        return machine.array(str(self.name)).setdefault(text(self.key(machine)), "")

    def put(self, machine: Machine, value: Value) -> None:
        if self.name is None:
            assert self.key is not None
            machine.set_field(int(number(self.key(machine))), text(value))
        elif self.key is None:
            machine.variables[self.name] = value
        else:
            machine.array(str(self.name))[text(self.key(machine))] = value


class Pattern:
    """A regular expression: alone it is matched against the record."""

    def __init__(self, regex: re.Pattern[str]) -> None:
        self.regex = regex

    def __call__(self, machine: Machine) -> Value:
        return float(self.regex.search(machine.field(0)) is not None)


def void(_: object) -> None:
    return None


def raising(problem: type[Exception]) -> Action:
    def run(machine: Machine) -> None:
        raise problem

    return run


def exiting(code: Expression | None) -> Action:
    def run(machine: Machine) -> None:
        raise Stop(0 if code is None else int(number(code(machine))))

    return run


def looping(condition: Expression | None, body: Action, step: Expression | None) -> Action:
    def run(machine: Machine) -> None:
        while condition is None or truth(condition(machine)):
            machine.turn()
            try:
                body(machine)
            except Break:
                return
            except Continue:
                pass
            if step is not None:
                step(machine)

    return run


def each(name: str, array: str, body: Action) -> Action:
    def run(machine: Machine) -> None:
        for key in list(machine.array(array)):
            machine.variables[name] = Field(key)
            try:
                body(machine)
            except Break:
                return
            except Continue:
                continue

    return run


def assigning(target: Expression, operator: str, value: Expression) -> Expression:
    if not isinstance(target, Reference):
        raise AwkProblem("syntax error: not assignable")

    def run(machine: Machine) -> Value:
        made = value(machine)
        if operator != "=":
            made = ARITHMETIC[TARGETS[operator]](number(target(machine)), number(made))
        target.put(machine, made)
        return made

    return run


def stepping(target: Expression, by: int, after: bool) -> Expression:
    if not isinstance(target, Reference):
        raise AwkProblem("syntax error: not assignable")

    def run(machine: Machine) -> Value:
        before = number(target(machine))
        target.put(machine, before + by)
        return before if after else before + by

    return run


def either(a: Expression, b: Expression) -> Expression:
    return lambda machine: float(truth(a(machine)) or truth(b(machine)))


def both(a: Expression, b: Expression) -> Expression:
    return lambda machine: float(truth(a(machine)) and truth(b(machine)))


def member(key: Expression, name: str) -> Expression:
    return lambda machine: float(text(key(machine)) in machine.array(name))


def regex_of(pattern: Expression, machine: Machine) -> re.Pattern[str]:
    return pattern.regex if isinstance(pattern, Pattern) else re.compile(extended(text(pattern(machine))))


def matching(value: Expression, pattern: Expression, negated: bool) -> Expression:
    return lambda machine: float((regex_of(pattern, machine).search(text(value(machine))) is None) == negated)


def comparing(operator: str, a: Expression, b: Expression) -> Expression:
    return lambda machine: compared(operator, a(machine), b(machine))


def joining(a: Expression, b: Expression) -> Expression:
    return lambda machine: text(a(machine)) + text(b(machine))


def subscript(a: Expression, b: Expression) -> Expression:
    return lambda machine: text(a(machine)) + "\x1c" + text(b(machine))


def computing(operator: str, a: Expression, b: Expression) -> Expression:
    return lambda machine: ARITHMETIC[operator](number(a(machine)), number(b(machine)))


def formatted(form: str, values: list[str]) -> str:
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
    if not isinstance(target, Reference):
        raise AwkProblem("split() takes an array")
    machine.variables[str(target.name)] = {str(at): Field(part) for at, part in enumerate(parts, 1)}
    return float(len(parts))


def _substr(machine: Machine, arguments: list[Expression]) -> Value:
    value, begin = text(arguments[0](machine)), int(number(arguments[1](machine)))
    end = begin + int(number(arguments[2](machine))) if len(arguments) > 2 else len(value) + 1
    return value[max(begin, 1) - 1 : max(end - 1, 0)]


def _replace(machine: Machine, arguments: list[Expression], count: int) -> Value:
    target = arguments[2] if len(arguments) > 2 else Reference(lambda _: 0.0, None)
    replacement = text(arguments[1](machine)).replace("\\", "\\\\").replace("&", "\\g<0>")
    made, done = regex_of(arguments[0], machine).subn(replacement, text(target(machine)), count=count)
    if done:
        if not isinstance(target, Reference):
            raise AwkProblem("sub() changes a variable or field")
        target.put(machine, made)
    return float(done)


def _length(machine: Machine, arguments: list[Expression]) -> Value:
    value = arguments[0](machine) if arguments else machine.field(0)
    return float(len(value) if isinstance(value, dict) else len(text(value)))


def _matched(machine: Machine, arguments: list[Expression]) -> Value:
    found = regex_of(arguments[1], machine).search(text(arguments[0](machine)))
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
    "sprintf": lambda machine, a: formatted(text(a[0](machine)), [text(each(machine)) for each in a[1:]]),
    "systime": lambda machine, a: float(machine.proc.clock.now // 1_000_000),
    "rand": lambda machine, a: machine.proc.container.rng.random(),
    "srand": lambda machine, a: 0.0,
}
