"""``seatrial up --file FILE``: a cluster from a Seatrial.yaml, and what is wrong with one that is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.api.cli.here import read_spec
from seatrial.api.cli.up import prepare
from seatrial.api.problem import Problem
from seatrial.api.server.state import Home


def test_options_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "Seatrial.yaml"
    file.write_text("nodes: 7\nclient: {scheduler_qps: 5000}\nnode: {cpus: 16}\n")
    _, settings, new = prepare(Home(tmp_path / "lab"), False, None, {"nodes": 2}, read_spec(file, "lab"))
    assert new and settings.spec.nodes == 2
    assert settings.spec.client.scheduler_qps == 5000 and settings.spec.node.cpus == 16
    assert settings.spec.name == "lab"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nodes: many", "nodes: Input should be a valid integer"),
        ("node: {legs: 4}", "node.legs: there is no such key"),
        ("- nodes", "it is no mapping"),
        ("{", "it is not YAML"),
    ],
)
def test_a_wrong_file_is_named_with_the_reason(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "Seatrial.yaml"
    file.write_text(text)
    with pytest.raises(Problem) as problem:
        read_spec(file, "lab")
    assert str(file) in str(problem.value) and why in str(problem.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="cannot be read"):
        read_spec(tmp_path / "none.yaml", "lab")
