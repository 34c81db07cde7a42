"""Upstream's own workloads: every file is read, and the first workload of every case is played on a small scale.

The archive holds the YAML of k8s.io/kubernetes/test/integration/scheduler_perf.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seatrial.scenarios.scheduler_perf import OPCODES, Workload, read_workloads
from seatrial.scenarios.scheduler_targets import run
from seatrial.sim.scheduler.config import default_config

ARCHIVE = Path(__file__).parent.parent / "data" / "scheduler_perf.tar.gz"
FEW = 12
REASONS = {
    "",
    "allocation of devices: not modelled",
    "scheduling of pod groups: not modelled",
    "allocation of devices and scheduling of pod groups: not modelled",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("perf")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(where, filter="data")
    return where / "scheduler_perf"


def files() -> list[str]:
    with tarfile.open(ARCHIVE) as archive:
        return sorted(name for name in archive.getnames() if name.endswith("performance-config.yaml"))


def fewer(step: Any) -> Any:
    """A step with fewer objects; those whose numbers belong together are few already."""
    if not isinstance(step, dict):
        return step
    return {
        key: min(value, FEW) if key == "count" and isinstance(value, int) else fewer(value)
        for key, value in step.items()
    }


def firsts(folder: Path, file: str) -> Iterator[Workload]:
    """The first workload of every case, made smaller."""
    seen: dict[str, None] = {}
    for workload in read_workloads(folder.parent / file):
        if workload.case not in seen:
            seen[workload.case] = None
            small = workload.case.startswith("EventHandling")
            yield workload if small else replace(workload, steps=tuple(fewer(step) for step in workload.steps))


@pytest.mark.parametrize("file", files())
def test_every_workload_is_read(folder: Path, file: str) -> None:
    workloads = read_workloads(folder.parent / file)
    assert workloads
    for workload in workloads:
        assert workload.unsupported in REASONS, workload.title
        assert all(step["opcode"] in OPCODES for step in workload.steps)


@pytest.mark.parametrize("whole", [False, True], ids=["decisions", "whole path"])
@pytest.mark.parametrize("file", files())
def test_every_case_is_played(folder: Path, file: str, whole: bool) -> None:
    for workload in firsts(folder, file):
        result = run(workload, default_config(), whole=whole)
        assert result.skipped == workload.unsupported
        if not result.skipped:
            assert result.pods > 0 and result.seconds > 0, workload.title
            assert not result.waiting, f"{workload.title}: {result.waiting} pods found no node"


BROKEN = {
    "{": "not YAML",
    "a: b": "not a list",
    "[{name: a, workloadTemplate: [{opcode: dance}], workloads: [{name: b}]}]": "unknown opcode 'dance'",
    "[{name: a, workloadTemplate: [{opcode: createPods, podTemplatePath: p.yaml}], workloads: [{name: b}]}]": "p.yaml",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_file_is_named_with_the_reason(tmp_path: Path, text: str) -> None:
    path = tmp_path / "performance-config.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=BROKEN[text]) as problem:
        read_workloads(path)
    assert str(path) in str(problem.value)


def test_a_parameter_without_a_value_is_named(tmp_path: Path) -> None:
    path = tmp_path / "performance-config.yaml"
    path.write_text("[{name: a, workloadTemplate: [{opcode: createNodes, countParam: $n}], workloads: [{name: b}]}]")
    (workload,) = read_workloads(path)
    assert workload.unsupported == "parameter n has no value"
