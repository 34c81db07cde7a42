"""scheduler_perf's workload files: read, with their parameters filled in and their templates at hand.

Source: k8s.io/kubernetes/test/integration/scheduler_perf (the ``performance-config.yaml`` files and their operations).

*Not modelled*: pod groups and the allocation of devices, which are behind feature gates of the scheduler that are not
modelled either; a workload that needs them says so when it is played. Other feature gates are left as they are by
default.
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
    "allocResourceClaims", "barrier", "churn", "createAny", "createNamespaces", "createNodes", "createPodGroups",
    "createPodSets", "createPods", "deletePods", "sleep", "startCollectingMetrics", "stopCollectingMetrics",
    "updateAny",
))  # fmt: skip
DEVICES, GROUPS = "allocation of devices", "scheduling of pod groups"
NOT_MODELLED: Mapping[str, str] = {
    "allocResourceClaims": DEVICES,
    "DeviceClass": DEVICES,
    "DeviceTaintRule": DEVICES,
    "ResourceClaim": DEVICES,
    "ResourceClaimTemplate": DEVICES,
    "ResourceSlice": DEVICES,
}
"""Operations and kinds that a workload cannot be played with, and what they are for."""


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
    config: Path | None = None
    """A KubeSchedulerConfiguration of its own."""

    @property
    def title(self) -> str:
        """As upstream names it: case/workload."""
        return f"{self.case}/{self.name}"

    def make(self, path: str, index: int = 0, count: int = 1, params: Object | None = None) -> dict[str, Any]:
        """A new object from one of its templates, the ``index``-th of ``count``."""
        return templates.make(self.folder / path, {**(params or {}), "Index": index, "Count": count})


def read_workloads(path: Path, only: str = "", label: str = "") -> list[Workload]:
    """The workloads of a file. ``only``: a regular expression on case/workload; ``label``: one they must carry.

    Raises OSError, and ValueError for a file of another form, with an operation that does not exist or a template
    that cannot be read.
    """
    try:
        cases = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as problem:
        raise ValueError(f"{path}: not YAML: {problem}") from None
    if not isinstance(cases, list) or not all(isinstance(case, Mapping) and "workloads" in case for case in cases):
        raise ValueError(f"{path}: not a list of scheduler_perf test cases")
    try:
        chosen = re.compile(only)
    except re.error as problem:
        raise ValueError(f"{only!r} is no regular expression: {problem}") from None
    found = [workload for case in cases for workload in _workloads(path, case)]
    return [workload for workload in found if chosen.search(workload.title) and (not label or label in workload.labels)]


def _workloads(path: Path, case: Object) -> Iterator[Workload]:
    for given in case["workloads"]:
        where = f"{path}: {case.get('name')}/{given.get('name')}"
        params = given.get("params") or {}
        missing: list[str] = []
        steps = tuple(_steps(where, case.get("workloadTemplate") or (), params, missing))
        lacks = f"parameter {missing[0]} has no value" if missing else ""
        config = case.get("schedulerConfigPath")
        yield Workload(
            case=case["name"],
            name=given["name"],
            folder=path.parent,
            steps=steps,
            default_pod=case.get("defaultPodTemplatePath"),
            labels=tuple(given.get("labels") or ()),
            threshold=_threshold(given.get("threshold")),
            unsupported=_not_modelled(where, path.parent, case, steps) or lacks,
            params=params,
            config=path.parent / config if config else None,
        )


def _threshold(given: Any) -> float | None:
    if isinstance(given, Mapping):
        given = next((value for value in given.values() if isinstance(value, int | float)), None)
    return float(given) if isinstance(given, int | float) else None


def _steps(where: str, given: Sequence[Object], params: Object, missing: list[str]) -> Iterator[Object]:
    """The operations with their parameters; names of ``missing`` ones are added to the list."""
    for number, each in enumerate(given):
        opcode = each.get("opcode")
        if opcode not in OPCODES:
            raise ValueError(f"{where}: step {number} has an unknown opcode {opcode!r}")
        try:
            step = _filled(each, params)
        except KeyError as unknown:
            missing.append(unknown.args[0])
            continue
        if "countMultiplier" in step:
            step["count"] = step.get("count", 1) * step["countMultiplier"]
        yield step


def _not_modelled(where: str, folder: Path, case: Object, steps: Sequence[Object]) -> str:
    """What the workload needs and cannot have; every template is read on the way."""
    needs: dict[str, None] = {}
    for step in steps:
        if step["opcode"] == "createPodGroups":
            continue  # what counts is whether a pod belongs to one
        if step["opcode"] in NOT_MODELLED:
            needs[NOT_MODELLED[step["opcode"]]] = None
        for template in _templates(step, case):
            fields = {**(step.get("templateParams") or {}), "Index": 0, "Count": step.get("count", 1)}
            try:
                made = templates.make(folder / template, fields)
            except (OSError, ValueError) as problem:
                raise ValueError(f"{where}: {problem}") from None
            if made.get("kind") in NOT_MODELLED:
                needs[NOT_MODELLED[made["kind"]]] = None
            if made.get("kind") == "Pod" and made["spec"].get("schedulingGroup"):
                needs[GROUPS] = None
    return f"{' and '.join(needs)}: not modelled" if needs else ""


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
