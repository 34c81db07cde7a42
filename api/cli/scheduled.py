"""What ``seatrial fault`` and ``seatrial load`` have in common: parameters as text, kinds told, plans read, tables."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from seatrial.api.problem import Problem

Value = Mapping[str, Any]
WIDTH = 100


def setting(text: str, parameters: Mapping[str, Value]) -> tuple[str, Any]:
    """``key=value`` as name and value; lists are separated by commas, mappings are YAML. Raises ValueError."""
    key, equals, value = text.partition("=")
    name = key.strip().replace("-", "_")
    if not equals or not name:
        raise ValueError(f"--set {text}: write it as KEY=VALUE")
    kind = parameters.get(name, {}).get("type")
    if kind == "array":
        return name, [part.strip() for part in value.split(",") if part.strip()]
    if kind == "object":
        return name, yaml.safe_load(value)
    return name, value


def settings(texts: Iterable[str], parameters: Mapping[str, Value]) -> dict[str, Any]:
    """All ``--set`` options. Raises ValueError."""
    found: dict[str, Any] = {}
    for text in texts:
        name, value = setting(text, parameters)
        found[name] = value
    return found


def schedule(name: str, at: str, after: str, lasts: str) -> dict[str, str]:
    """What a schedule adds to a value."""
    return {key: each for key, each in (("name", name), ("at", at), ("after", after), ("for", lasts)) if each}


def plan(path: Path, section: str) -> list[Any]:
    """The entries of a plan: a YAML or JSON list, or a mapping with the section. Raises Problem."""
    what = f"plan {path}"
    mend = f"it is a list of entries such as {{kind: …, after: 30s, for: 5m}}, or a mapping with {section}:"
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text()
        found = yaml.safe_load(text)
    except OSError as problem:
        raise Problem(what, problem.strerror or str(problem), "give the path of a file that can be read") from None
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise Problem(what, f"it is not YAML: {problem}", mend) from None
    if isinstance(found, Mapping):
        found = found.get(section)
    if not isinstance(found, list) or not found:
        raise Problem(what, f"there are no {section} in it", mend)
    return found


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Aligned columns."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]


def parameter_lines(row: Value) -> list[str]:
    """The parameters of a kind, for people."""
    found = []
    for name, each in row["parameters"].items():
        said = each.get("description", "")
        if each.get("enum"):
            said += f" One of {', '.join(str(one) or 'nothing' for one in each['enum'])}."
        if each["required"]:
            said += " Must be given."
        elif each.get("default") not in (None, "", [], {}):
            said += f" Default: {each['default']}."
        found += wrapped(f"  {name}", said)
    return found


def wrapped(head: str, text: str, indent: int = 16) -> list[str]:
    """A word and what is said of it, in lines."""
    begin = head.ljust(indent) if len(head) < indent else head + " "
    lines = textwrap.wrap(text, WIDTH - indent) or [""]
    return [begin + lines[0], *(" " * indent + line for line in lines[1:])]


def when(stamp: str | None) -> str:
    """The time of day of a moment."""
    return stamp[11:19] if stamp else "-"
