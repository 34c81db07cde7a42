"""Templates with directives, as scheduler_perf writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.scenarios.templates import make, rendered

RENDERED = [
    ("pod-{{.Index}}", "pod-7"),
    ("{{ Mod .Index 3 }}", "1"),
    ("{{AddInt 8000 (Mod .Index (DivideInt .pods .nodes))}}", "8001"),
    ("{{if .priority}}p{{AddInt 0 .priority}}{{else}}none{{end}}", "none"),
    ('{{if eq .class "a"}}yes{{else}}no{{end}}', "yes"),
    ("{{ if .Index }}x{{ end }}", "x"),
]


@pytest.mark.parametrize(("text", "expected"), RENDERED)
def test_directives_are_carried_out(text: str, expected: str) -> None:
    assert rendered(text, {"Index": 7, "pods": 20, "nodes": 10, "class": "a"}) == expected


@pytest.mark.parametrize("text", ["{{range .x}}{{end}}", "{{ $name := .x }}", "{{.x | JSON}}", "{{Shout .x}}"])
def test_what_is_not_known_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not known"):
        rendered(text, {"x": 1})


def test_every_object_is_a_new_one(tmp_path: Path) -> None:
    file = tmp_path / "pod.yaml"
    file.write_text("metadata: {labels: {a: b}}\n")
    first, second = make(file, {}), make(file, {})
    first["metadata"]["labels"]["a"] = "c"
    assert second == {"metadata": {"labels": {"a": "b"}}}
