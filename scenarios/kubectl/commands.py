"""kubectl's commands and flags, and how a line is read into them.

The tables are compiled from kubectl's own help; the reading is that of github.com/spf13/cobra and pflag: flags and
arguments in any order, ``--`` ends the flags.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from seatrial.scenarios.kubectl.failures import Failure

UNSPLIT = frozenset(
    {"from-literal", "env", "rule", "annotation", "as-group", "as-user-extra", "annotations-from", "for", "keys"}
)
"""List flags whose values keep their commas (pflag's StringArray)."""
BARE = {"dry-run": "unchanged", "validate": "strict", "cascade": "background"}
"""Flags that may stand without a value, and what that means (pflag's NoOptDefVal)."""
TRUE = ("1", "t", "T", "TRUE", "true", "True")
FALSE = ("0", "f", "F", "FALSE", "false", "False")
DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
RECORD = ("record", "", "false", "Record current kubectl command in the resource annotation.")
"""Kubernetes 1.18 had this flag and its manuals use it; kubectl 1.37 refuses it. Hidden here."""
CPU_PERCENT = (
    "cpu-percent",
    "",
    "-1",
    "The target average CPU utilization (represented as a percent of requested CPU).",
)
DEPRECATED: Mapping[str, str] = {
    "record": "--record will be removed in the future",
    "cpu-percent": "Use --cpu with percentage or resource quantity format (e.g., '70%' for utilization or '500m' for "
    "milliCPU).",
}
"""Flags that help does not show, and what is said when one is used."""
RECORDING = frozenset(
    {"apply", "create", "annotate", "label", "patch", "edit", "expose", "run", "scale", "autoscale", "replace",
     "set image", "set env", "set resources", "set selector", "set serviceaccount", "rollout undo"}
)  # fmt: skip
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "create deployment": ("image",), "run": ("image",), "scale": ("replicas",), "create cronjob": ("image", "schedule"),
    "create priorityclass": ("value",), "create service externalname": ("external-name",), "create ingress": (),
    "autoscale": ("max",), "create clusterrolebinding": ("clusterrole",),
}  # fmt: skip


class Flag(NamedTuple):
    """A flag: ``kind`` is string, bool, int, duration, slice or array."""

    name: str
    short: str
    kind: str
    default: Any
    usage: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command by its path (``create deployment``), with its own flags and the global ones."""

    path: str
    help: str
    flags: Mapping[str, Flag]
    shorts: Mapping[str, Flag]
    children: tuple[str, ...]


@dataclass(slots=True)
class Flags:
    """The flags of one line: values by name, and which were given."""

    values: dict[str, Any]
    given: set[str] = field(default_factory=set)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)

    def changed(self, name: str) -> bool:
        return name in self.given


@cache
def data() -> Mapping[str, Any]:
    raw = resources.files("seatrial.scenarios.kubectl.data").joinpath("commands.json.gz").read_bytes()
    found: Mapping[str, Any] = json.loads(gzip.decompress(raw))
    return found


def _flag(row: Sequence[str]) -> Flag:
    name, short, default, usage = row
    if default in ("true", "false"):
        return Flag(name, short, "bool", default == "true", usage)
    if default.startswith("["):
        return Flag(name, short, "array" if name in UNSPLIT else "slice", [], usage)
    if default.startswith("'") or default == "":
        return Flag(name, short, "string", default.strip("'"), usage)
    if re.fullmatch(r"-?\d+", default):
        return Flag(name, short, "int", int(default), usage)
    return Flag(name, short, "duration", duration(default), usage)


@cache
def command(path: str) -> Command:
    """A command by its full path. Raises KeyError."""
    row = data()["commands"][path]
    rows = [*row.get("flags", ()), *data()["global"]]
    if path in RECORDING:
        rows.append(RECORD)
    if path == "autoscale":
        rows.append(CPU_PERCENT)
    flags: dict[str, Flag] = {}
    for each in rows:
        flags.setdefault(each[0], _flag(each))
    shorts = {flag.short: flag for flag in flags.values() if flag.short}
    return Command(path, row["help"], flags, shorts, tuple(row.get("children", ())))


def child(path: str, word: str) -> str:
    """The path of a sub-command by its name or alias; empty when there is none."""
    row = data()["commands"][path]
    for name in row.get("children", ()):
        full = f"{path} {name}".strip()
        if word == name or word in data()["commands"][full].get("aliases", ()):
            return full
    return "options" if word == "options" and not path else ""


def find(argv: Sequence[str]) -> tuple[str, list[str]]:
    """The command that a line means and the words that are left (cobra's Find)."""
    path, words, rest = "", list(argv), list[str]()
    while words:
        word = words.pop(0)
        if word == "--":
            rest += [word, *words]
            break
        if word.startswith("-") and word != "-":
            rest.append(word)
            if takes_next(command(path), word) and words:
                rest.append(words.pop(0))
            continue
        deeper = child(path, word)
        if not deeper:
            rest += [word, *words]
            break
        path = deeper
    return path, rest


def takes_next(of: Command, word: str) -> bool:
    """Whether a flag's value is the next word."""
    if word.startswith("--"):
        flag = of.flags.get(word[2:])
        return "=" not in word and flag is not None and flag.kind != "bool" and flag.name not in BARE
    flag = of.shorts.get(word[-1])
    return len(word) == 2 and flag is not None and flag.kind != "bool"


class Line(NamedTuple):
    """A line as read: ``dash`` is how many arguments stand before ``--``, -1 without one."""

    args: list[str]
    flags: Flags
    dash: int
    help: bool


def read(of: Command, words: Sequence[str]) -> Line:
    """Flags and arguments of a line. Raises Failure in pflag's words."""
    flags = Flags({name: list(flag.default) if isinstance(flag.default, list) else flag.default
                   for name, flag in of.flags.items()})  # fmt: skip
    args: list[str] = []
    waiting = list(words)
    dash, helped = -1, False
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            dash = len(args)
            args += waiting
            break
        if not word.startswith("-") or word == "-":
            args.append(word)
        elif word.startswith("--"):
            helped = _long(of, flags, word, waiting) or helped
        else:
            helped = _short(of, flags, word, waiting) or helped
    return Line(args, flags, dash, helped)


def wrong(of: Command, text: str) -> Failure:
    return Failure(f"{text}\nSee 'kubectl {of.path} --help' for usage.".replace("kubectl  ", "kubectl "))


def _long(of: Command, flags: Flags, word: str, waiting: list[str]) -> bool:
    name, equals, value = word[2:].partition("=")
    flag = of.flags.get(name) or of.flags.get(name.replace("_", "-"))
    if flag is None:
        if name == "help":
            return True
        raise wrong(of, f"unknown flag: --{name}")
    if not equals:
        if flag.kind == "bool":
            value = "true"
        elif flag.name in BARE:
            value = BARE[flag.name]
        elif waiting:
            value = waiting.pop(0)
        else:
            raise wrong(of, f"flag needs an argument: --{name}")
    _set(of, flags, flag, value)
    return False


def _short(of: Command, flags: Flags, word: str, waiting: list[str]) -> bool:
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        flag = of.shorts.get(letter)
        if flag is None:
            if letter == "h":
                return True
            raise wrong(of, f"unknown shorthand flag: '{letter}' in {word}")
        if letters.startswith("="):
            value, letters = letters[1:], ""
        elif flag.kind == "bool":
            value = "true"
        elif letters:
            value, letters = letters, ""
        elif waiting:
            value = waiting.pop(0)
        else:
            raise wrong(of, f"flag needs an argument: '{letter}' in {word}")
        _set(of, flags, flag, value)
    return False


def _set(of: Command, flags: Flags, flag: Flag, text: str) -> None:
    try:
        value = _value(flag, text)
    except ValueError as problem:
        shown = f"-{flag.short}, --{flag.name}" if flag.short else f"--{flag.name}"
        raise wrong(of, f'invalid argument "{text}" for "{shown}" flag: {problem}') from None
    if flag.kind in ("slice", "array"):
        held = flags.values[flag.name] if flag.name in flags.given else []
        value = held + value
    flags.values[flag.name] = value
    flags.given.add(flag.name)


def _value(flag: Flag, text: str) -> Any:
    match flag.kind:
        case "bool":
            if text in TRUE:
                return True
            if text in FALSE:
                return False
            raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')
        case "int":
            try:
                return int(text, 0) if not re.fullmatch(r"[-+]?0\d+", text) else int(text, 8)
            except ValueError:
                raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
        case "duration":
            return duration(text)
        case "slice":
            return split(text)
        case "array":
            return [text]
    return text


def split(text: str) -> list[str]:
    """The values of a slice flag: one line of CSV."""
    if not text:
        return []
    if '"' not in text:
        return text.split(",")
    import csv

    return next(csv.reader([text]))


def duration(text: str) -> float:
    """Go's time.ParseDuration, in seconds. Raises ValueError in its words."""
    sign, rest = (-1.0, text[1:]) if text.startswith("-") else (1.0, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    parts = DURATION.findall(rest)
    if not rest or "".join(number + unit for number, unit in parts) != rest:
        if re.fullmatch(r"[\d.]+", rest):
            raise ValueError(f'time: missing unit in duration "{text}"')
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * sum(float(number) * UNITS_S[unit] for number, unit in parts)


def suggestions(word: str) -> Iterator[str]:
    """Commands that may have been meant (cobra's SuggestionsFor)."""
    for name in data()["commands"][""]["children"]:
        if _distance(word.lower(), name) <= 2 or name.startswith(word.lower()):
            yield name


def _distance(left: str, right: str) -> int:
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]
