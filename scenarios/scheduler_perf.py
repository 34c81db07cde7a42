"""scheduler_perf's workload files: read, with their parameters filled in and their templates at hand.

Source: k8s.io/kubernetes/test/integration/scheduler_perf (the ``performance-config.yaml`` files and their operations).

*Not modelled*: pod groups, DRA claims and updates of objects in place; a workload that needs them says so when read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from seatrial.scenarios import templates

Object = Mapping[str, Any]
OPCODES = frozenset((
    "createNodes", "createNamespaces", "createPods", "createPodSets", "createAny", "churn", "barrier", "sleep",
    "startCollectingMetrics", "stopCollectingMetrics", "deletePods",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Workload:
    """One row of a file: a test case with one set of parameters."""

    case: str
    name: str
    folder: Path
    steps: tuple[Object, ...]
    """Operations, their parameters filled in."""
    default_pod: str | None = None
    labels: tuple[str, ...] = ()
    threshold: float | None = None
    """Pods per second that upstream asks of itself."""
    unsupported: str = ""
    """Why it cannot be run, or nothing."""
    params: Object = field(default_factory=dict)

    @property
    def title(self) -> str:
        """As upstream names it: case/workload."""
        return f"{self.case}/{self.name}"

    def make(self, path: str, index: int = 0, count: int = 1, params: Object | None = None) -> dict[str, Any]:
        """A new object from one of its templates, the ``index``-th of ``count``."""
        return templates.make(self.folder / path, {**(params or {}), "Index": index, "Count": count})


def read_workloads(path: Path, only: str = "", label: str = "") -> list[Workload]:
    """The workloads of a file. ``only``: a regular expression on case/workload; ``label``: one they must carry.

    Raises OSError, yaml.YAMLError, and ValueError for a file of another form.
    """
    cases = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    if not isinstance(cases, list) or not all(isinstance(case, Mapping) and "workloads" in case for case in cases):
        raise ValueError(f"{path}: not a list of scheduler_perf test cases")
    found = [workload for case in cases for workload in _workloads(path.parent, case)]
    chosen = [workload for workload in found if re.search(only, workload.title)]
    return [workload for workload in chosen if not label or label in workload.labels]


def _workloads(folder: Path, case: Object) -> Iterator[Workload]:
    for given in case["workloads"]:
        params = given.get("params") or {}
        steps, problem = _steps(folder, case, params)
        yield Workload(
            case=case["name"],
            name=given["name"],
            folder=folder,
            steps=steps,
            default_pod=case.get("defaultPodTemplatePath"),
            labels=tuple(given.get("labels") or ()),
            threshold=_threshold(given.get("threshold")),
            unsupported=problem,
            params=params,
        )


def _threshold(given: Any) -> float | None:
    if isinstance(given, Mapping):
        given = next((value for value in given.values() if isinstance(value, int | float)), None)
    return float(given) if isinstance(given, int | float) else None


def _steps(folder: Path, case: Object, params: Object) -> tuple[tuple[Object, ...], str]:
    steps: list[Object] = []
    for given in case.get("workloadTemplate") or ():
        opcode = given.get("opcode")
        if opcode not in OPCODES:
            return (), f"operation {opcode}"
        try:
            step = _filled(given, params)
        except KeyError as missing:
            return (), f"parameter {missing.args[0]} has no value"
        for template in _templates(step, case):
            try:
                templates.make(folder / template, {**(step.get("templateParams") or {}), "Index": 0, "Count": 1})
            except (OSError, ValueError) as problem:
                return (), str(problem)
        steps.append(step)
    return tuple(steps), ""


def _templates(step: Object, case: Object) -> Iterator[str]:
    for key, value in step.items():
        if key.endswith("TemplatePath") or key == "templatePath":
            yield value
        elif key == "templatePaths":
            yield from value
    if step["opcode"] == "createPods" and "podTemplatePath" not in step and case.get("defaultPodTemplatePath"):
        yield case["defaultPodTemplatePath"]


def _filled(given: Any, params: Object) -> Any:
    """``countParam: $initNodes`` becomes ``count: 5``; ``$name|default`` has a default. Raises KeyError."""
    if isinstance(given, Mapping):
        filled = {}
        for key, value in given.items():
            if isinstance(value, str) and value.startswith("$"):
                name, _, default = value[1:].partition("|")
                if name not in params and not _:
                    raise KeyError(name)
                found = params.get(name, default)
                filled[key.removesuffix("Param")] = int(found) if isinstance(found, str) and found.isdigit() else found
            else:
                filled[key] = _filled(value, params)
        return filled
    if isinstance(given, Sequence) and not isinstance(given, str):
        return [_filled(item, params) for item in given]
    return given
