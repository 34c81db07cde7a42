"""Seatrial.yaml: what can stand in it, and where a mistake in it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.scenarios.clusterfile import read_spec, template
from seatrial.scenarios.positions import Mistaken


def test_the_template_is_valid_with_and_without_its_comments(tmp_path: Path) -> None:
    text = template("lab", 5)
    spec = read_spec(text, "Seatrial.yaml")
    assert (spec.name, spec.nodes, spec.provision) == ("lab", 5, ())
    (tmp_path / "manifests").mkdir()
    lines = text.splitlines()[4:]
    whole = "\n".join(line.removeprefix("# ") for line in lines)
    spec = read_spec(whole, str(tmp_path / "Seatrial.yaml"))
    assert spec.node.cpus == 2
    assert [bool(step.apply) for step in spec.provision] == [True, False]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("node_name: w\n", ":1:1: node_name: there is no such key (did you mean node_names?)"),
        ("nodes: 3\nnode:\n  cpu: 4\n", ":3:3: node.cpu: there is no such key (did you mean cpus?)"),
        ("nodes: many\n", ":1:8: nodes: Input should be a valid integer"),
        ("nodes: 3\nnodes: 4\n", ":2:1: 'nodes' stands twice"),
        ("nodes: [\n", "it is not YAML"),
        ("- nodes\n", ":1:1: it is no mapping"),
        ("provision:\n- apply: gone.yaml\n", ":2:10: provision.0.apply: there is no gone.yaml"),
        ("provision:\n- nodes: [a]\n", "a step has either apply: or shell:"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(Mistaken) as caught:
        read_spec(text, str(tmp_path / "Seatrial.yaml"))
    assert told in str(caught.value)
