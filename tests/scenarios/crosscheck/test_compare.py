"""Facts of recordings, and what of two recordings is the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from seatrial.api.cli.crosscheck import crosscheck
from seatrial.api.problem import Problem
from seatrial.scenarios.crosscheck.compare import Tolerances, compare, table
from seatrial.scenarios.crosscheck.facts import facts_of, masked
from seatrial.scenarios.crosscheck.record import documents
from seatrial.scenarios.crosscheck.recording import Recording, Seen, read
from seatrial.scenarios.crosscheck.scenario import chosen, load


def pod(name: str, phase: str, ready: bool = False) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready)}]
    metadata = {"name": name, "uid": name}
    return {"kind": "Pod", "metadata": metadata, "status": {"phase": phase, "conditions": conditions}}


def event(name: str, message: str) -> dict[str, Any]:
    about = {"kind": "Pod", "name": name}
    source = {"component": "kubelet"}
    metadata = {"name": f"{name}.17", "uid": message}
    said = {"type": "Normal", "reason": "Pulled", "message": message, "involvedObject": about, "source": source}
    return {"kind": "Event", "metadata": metadata, **said}


def recording(name: str = "web-7d4b9c6f5-x2x7k", ready_at: float = 3.0, took: str = "1.2s") -> Recording:
    pulled = f'Successfully pulled image "nginx" in {took} ({took} including waiting). Image size: 100 bytes.'
    changes = (
        Seen(0.1, "ADDED", pod(name, "Pending")),
        Seen(1.0, "ADDED", event(name, pulled)),
        Seen(ready_at, "MODIFIED", pod(name, "Running", True)),
        Seen(9.0, "DELETED", pod(name, "Running")),
    )
    return Recording("one", "v1.37.2", changes)


def test_what_chance_draws_is_no_difference() -> None:
    one, two = {"one": recording()}, {"one": recording("web-7d4b9c6f5-k8s2z", 3.9, "700ms")}
    result = compare(one, two)
    assert result.differences == ()
    assert result.share == 1


def test_a_life_is_told_in_phases() -> None:
    assert ("pod lives", "web-…-…: Pending → Running ready → gone") in facts_of(recording()).counted


@pytest.mark.parametrize(
    ("other", "tolerances", "different"),
    [
        (recording(ready_at=8.0), Tolerances(), 1),
        (recording(ready_at=8.0), Tolerances(seconds=5), 0),
        (recording(ready_at=3.2), Tolerances(seconds=0, share=0.1), 0),
        (Recording("one", "", recording().changes[:3]), Tolerances(), 3),
        (Recording("one", "", recording().changes[:3]), Tolerances(ignore=("gone", "Running ready")), 0),
        (Recording("one", "", ()), Tolerances(), 5),
    ],
)
def test_what_differs_is_named(other: Recording, tolerances: Tolerances, different: int) -> None:
    result = compare({"one": recording()}, {"one": other}, tolerances)
    assert len(result.differences) == different, result.differences


def test_the_table_sums_up() -> None:
    lines = table(compare({"one": recording()}, {"one": recording(ready_at=8.0)}))
    assert lines[0].split()[0] == "SCENARIO"
    assert lines[-1].split() == ["all", "80.0%"]


def test_hashes_and_addresses_are_masked() -> None:
    assert masked("Created pod: web-7d4b9c6f5-x2x7k") == "Created pod: web-…-…"
    assert masked("assigned crosscheck/web to kind-worker2") == "assigned crosscheck/web …"


def test_recordings_are_kept_and_read_again(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_bytes(recording().dump())
    assert read(tmp_path) == {"one": recording()}
    (tmp_path / "bad.jsonl").write_text("{}")
    with pytest.raises(ValueError, match=r"bad\.jsonl"):
        read(tmp_path)


def test_the_library_is_sound() -> None:
    names = [scenario.name for scenario in chosen(())]
    assert len(names) == len(set(names)) >= 8


def test_a_wrong_scenario_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("{name: bad, about: x, steps: [{wait: 1, kubectl: get pods}]}")
    with pytest.raises(ValueError, match="one of apply, kubectl and wait"):
        load(path)


def test_documents_come_as_they_are_complete() -> None:
    code = "import json,sys; [sys.stdout.write(json.dumps({'n': n}, indent=2)) for n in range(3)]"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert list(documents(process.stdout)) == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_the_command_compares_folders(tmp_path: Path) -> None:
    for name, ready_at in (("real", 3.0), ("ours", 8.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.jsonl").write_bytes(recording(ready_at=ready_at).dump())
    folders = [str(tmp_path / "real"), str(tmp_path / "ours")]
    shown = CliRunner().invoke(crosscheck, ["compare", *folders, "-o", "json"], catch_exceptions=False)
    assert json.loads(shown.output)["same"] == 0.8
    page = CliRunner().invoke(crosscheck, ["report", *folders], catch_exceptions=False).output
    assert "| one | times |" in page
    failed = CliRunner().invoke(crosscheck, ["compare", *folders, "--least", "0.9"])
    assert isinstance(failed.exception, Problem)
    for pair in ([folders[0], str(tmp_path / "none")], [str(tmp_path / "none"), folders[1]]):
        failed = CliRunner().invoke(crosscheck, ["compare", *pair])
        assert isinstance(failed.exception, Problem)
        assert "it holds no recordings" in str(failed.exception)
