"""What a component counts, and how it tells: Prometheus' text format.

``families`` knows the metric families of each component (type, help, labels, buckets). ``Meters`` is what one process
has counted since it began; the hot paths of components call it, so it does no more than look up and add. Labels are
always given in the order of their names. Source: k8s.io/component-base/metrics and Prometheus' exposition format 0.0.4.

Not modelled: exemplars, native histograms, protobuf. A family of which nothing was counted shows its head alone, where
the real ones show nothing.
"""

from __future__ import annotations

import gzip
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any, Final, NamedTuple

import orjson

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
COUNTER, GAUGE, HISTOGRAM, SUMMARY = "counter", "gauge", "histogram", "summary"
Labels = tuple[str, ...]
Rows = Mapping[Labels, float]
"""Values by the labels' values, in the order of the labels' names."""
S = 1_000_000
GO_VERSION: Final = "go1.26.8"
"""As /version says."""


class Family(NamedTuple):
    """One metric family."""

    name: str
    type: str
    help: str
    labels: Labels
    """In the order of their names."""
    buckets: tuple[float, ...]
    """Upper bounds of a histogram, without infinity."""


@lru_cache(maxsize=1)
def _catalogue() -> Mapping[str, Mapping[str, list[Any]]]:
    raw = resources.files("seatrial.sim.machinery.data").joinpath("metrics.json.gz").read_bytes()
    found: Mapping[str, Mapping[str, list[Any]]] = orjson.loads(gzip.decompress(raw))
    return found


@lru_cache(maxsize=32)
def families(component: str) -> Mapping[str, Family]:
    """The families of a component by name, e.g. ``kube-apiserver``, ``kubelet``, ``cadvisor``. Raises KeyError."""
    return {
        name: Family(name, kind, text, tuple(labels), tuple(bounds))
        for name, (kind, text, labels, bounds) in _catalogue()[component].items()
    }


class Distribution:
    """The observations of one series of a histogram."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times


class Meters:
    """What one process counts; ``component`` says whose families they are."""

    __slots__ = ("_families", "counters", "distributions")

    def __init__(self, component: str) -> None:
        self._families = component
        self.counters: dict[str, dict[Labels, float]] = {}
        self.distributions: dict[str, dict[Labels, Distribution]] = {}

    def count(self, name: str, labels: Labels = (), by: float = 1) -> None:
        """Adds to a counter."""
        rows = self.counters.get(name)
        if rows is None:
            rows = self.counters[name] = {}
        rows[labels] = rows.get(labels, 0) + by

    def observe(self, name: str, us: int, labels: Labels = (), times: int = 1) -> None:
        """Adds a duration in µs to a histogram of seconds."""
        self.observe_value(name, us / S, labels, times)

    def observe_value(self, name: str, value: float, labels: Labels = (), times: int = 1) -> None:
        """Adds a value to a histogram."""
        rows = self.distributions.get(name)
        if rows is None:
            rows = self.distributions[name] = {}
        found = rows.get(labels)
        if found is None:
            found = rows[labels] = Distribution(families(self._families)[name].buckets)
        found.add(value, times)

    def text(self, gauges: Mapping[str, Rows | float], only: Iterable[str] | None = None) -> bytes:
        """Everything in the text format: what was counted, and ``gauges`` (counters, too) that were looked up now. Of
        all families of the component, or ``only`` of some."""
        known = families(self._families)
        chosen = [known[name] for name in only] if only is not None else list(known.values())
        return exposition(chosen, {**self.counters, **gauges}, self.distributions)


def standing(version: str, began_us: int) -> dict[str, Rows | float]:
    """What every component tells of itself: its build, and since when (µs) the process runs."""
    major, minor, _ = version.removeprefix("v").split(".")
    build = ("1970-01-01T00:00:00Z", "gc", "$Format:%H$", "clean", version, GO_VERSION, major, minor, "linux/amd64")
    return {
        "kubernetes_build_info": {build: 1},
        "go_info": {(GO_VERSION,): 1},
        "process_start_time_seconds": began_us / S,
    }


def exposition(
    chosen: Iterable[Family],
    values: Mapping[str, Rows | float],
    distributions: Mapping[str, Mapping[Labels, Distribution]] | None = None,
    open_metrics: bool = False,
) -> bytes:
    """Families in the text format, by name; those without labels that have no value are zero."""
    lines: list[str] = []
    for family in sorted(chosen):
        name = family.name
        title = name.removesuffix("_total") if open_metrics and family.type == COUNTER else name
        lines += [f"# HELP {title} {_escaped(family.help)}", f"# TYPE {title} {_kind(family, open_metrics)}"]
        if family.type in (HISTOGRAM, SUMMARY):
            lines += _distributions(family, (distributions or {}).get(name) or {})
            continue
        rows = values.get(name)
        if rows is None:
            rows = {} if family.labels else {(): 0}
        elif not isinstance(rows, Mapping):
            rows = {(): rows}
        suffix = "_total" if open_metrics and family.type == COUNTER and not name.endswith("_total") else ""
        lines += [f"{name}{suffix}{_labels(family.labels, labels)} {number(value)}" for labels, value in rows.items()]
    if open_metrics:
        lines.append("# EOF")
    return ("\n".join(lines) + "\n").encode()


def _kind(family: Family, open_metrics: bool) -> str:
    return "unknown" if open_metrics and family.type == "untyped" else family.type


def _distributions(family: Family, rows: Mapping[Labels, Distribution]) -> Iterator[str]:
    name = family.name
    if not rows and not family.labels:
        rows = {(): Distribution(family.buckets)}
    for labels, found in rows.items():
        sum_of = 0
        if family.type == HISTOGRAM:
            for bound, count in zip((*(number(each) for each in family.buckets), "+Inf"), found.counts, strict=True):
                sum_of += count
                yield f"{name}_bucket{_labels((*family.labels, 'le'), (*labels, bound))} {sum_of}"
        else:
            sum_of = sum(found.counts)
        yield f"{name}_sum{_labels(family.labels, labels)} {number(found.total)}"
        yield f"{name}_count{_labels(family.labels, labels)} {sum_of}"


def _labels(names: Labels, values: Labels) -> str:
    if not names:
        return ""
    inside = ",".join(f'{name}="{_quoted(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{inside}}}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def number(value: float) -> str:
    """A value as Go prints it (strconv's 'g'): ``1e+06``, ``0.005``, ``17``."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    shortest = repr(float(value))
    mantissa, _, exponent = shortest.removeprefix("-").partition("e")
    if not exponent and abs(value) < 1e6:
        return shortest
    whole = mantissa.partition(".")[0]
    power = int(exponent) if exponent else len(whole) - 1
    digits = mantissa.replace(".", "").rstrip("0")
    fraction = f".{digits[1:]}" if digits[1:] else ""
    return f"{'-' if value < 0 else ''}{digits[0]}{fraction}e{'-' if power < 0 else '+'}{abs(power):02d}"
