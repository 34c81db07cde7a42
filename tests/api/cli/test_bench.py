"""``seatrial bench scheduler``: what it plays, prints and writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from seatrial.api.cli.bench import bench
from seatrial.api.problem import Problem

PLUGIN = '''
from seatrial.sim.scheduler.framework import PerNode


class OddNodes(PerNode):
    """Likes nodes whose name ends in an odd digit."""

    name = "OddNodes"

    def filter_node(self, pod, node):
        return None if int(node.name[-1]) % 2 else "node(s) were even"
'''
CONFIG = """
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- plugins:
    multiPoint:
      enabled:
      - name: OddNodes
"""


def test_a_trace_is_played_with_several_seeds_and_written_down(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    result = CliRunner().invoke(bench, ["scheduler", "generated:10x30", "--seeds", "2", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "generated-10x30-poisson" in result.output
    assert len(out.read_text().splitlines()) == 3


def test_a_plugin_of_ones_own_is_loaded_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(PLUGIN)
    (tmp_path / "odd.yaml").write_text(CONFIG)
    out = tmp_path / "out.csv"
    arguments = ["scheduler", "generated:10x30", "--plugin", f"{tmp_path}/odd.py:OddNodes"]
    arguments += ["--config", f"{tmp_path}/odd.yaml", "--out", str(out)]
    result = CliRunner().invoke(bench, arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    assert ",odd," in out.read_text()


@pytest.mark.parametrize(
    ("arguments", "about"),
    [
        (["generated:none"], "that is no trace"),
        (["tasks.csv"], "it has tasks, but no nodes"),
        (["missing.yaml"], "No such file"),
        (["generated:1x1", "--plugin", "nowhere:Nothing"], "it cannot be loaded"),
    ],
)
def test_what_is_wrong_is_told(arguments: list[str], about: str) -> None:
    result = CliRunner().invoke(bench, ["scheduler", *arguments])
    assert isinstance(result.exception, Problem)
    assert about in str(result.exception)


def test_a_wrong_configuration_gets_upstreams_error(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(CONFIG)
    result = CliRunner().invoke(bench, ["scheduler", "generated:1x1", "--config", str(file)])
    assert isinstance(result.exception, Problem)
    assert 'Plugin "OddNodes" does not exist' in str(result.exception)
