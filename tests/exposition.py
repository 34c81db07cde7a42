"""A strict reader of Prometheus' text format 0.0.4, for tests: what it takes, Prometheus takes."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)(?: (-?\d+))?")
TYPES = ("counter", "gauge", "histogram", "summary", "untyped")


class Sample(NamedTuple):
    name: str
    labels: dict[str, str]
    value: float


class Read(NamedTuple):
    """One family as it was read."""

    type: str
    help: str
    samples: list[Sample]

    def value(self, **labels: str) -> float:
        """The sum of the samples that have these labels."""
        return sum(each.value for each in self.samples if labels.items() <= each.labels.items())


def read(text: str) -> dict[str, Read]:
    """The families by name. Fails for what is not in the format."""
    assert text.endswith("\n")
    found: dict[str, Read] = {}
    helps: dict[str, str] = {}
    seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    current = ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, _, words = line[7:].partition(" ")
            assert words and name not in helps, line
            helps[name] = words
        elif line.startswith("# TYPE "):
            current, _, kind = line[7:].partition(" ")
            assert kind in TYPES and current not in found and re.fullmatch(NAME, current), line
            found[current] = Read(kind, helps[current], [])
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            labels = dict(LABEL.findall(match[2] or ""))
            inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
            assert inside == (match[2] or ""), line
            key = (match[1], tuple(sorted(labels.items())))
            assert key not in seen, f"twice: {line}"
            seen.add(key)
            assert match[1].removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") in (
                current, current.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count"),
            ), f"{line} below {current}"  # fmt: skip
            value = float(match[3].replace("+Inf", "inf"))
            assert not math.isnan(value), line
            found[current].samples.append(Sample(match[1], labels, value))
    for name, family in found.items():
        if family.type == "histogram":
            _check(name, family)
    return found


def _check(name: str, family: Read) -> None:
    """Buckets only grow, and the last one is the count."""
    last: dict[tuple[tuple[str, str], ...], float] = {}
    for sample in family.samples:
        key = tuple((label, value) for label, value in sample.labels.items() if label != "le")
        if sample.name == f"{name}_bucket":
            assert sample.value >= last.get(key, 0), sample
            last[key] = sample.value
        elif sample.name == f"{name}_count":
            assert last.get(key) == sample.value, sample
