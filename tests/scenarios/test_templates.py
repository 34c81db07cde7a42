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
    ("{{if .a}}{{if .b}}1{{else}}2{{end}}{{else}}{{if .Index}}3{{end}}{{end}}", "3"),
    ("{{$n := or .n 2}}{{$n}}", "2"),
    ("{{$n := (or .pods 2) | Int}}{{AddInt $n 1}}", "21"),
    ("{{range 3}}<{{.}}>{{end}}", "<0><1><2>"),
    ("{{range $i := (2 | Int)}}{{range $j := 2}}{{$i}}{{$j}}{{$.Index}} {{end}}{{end}}", "007 017 107 117 "),
    ("{{range .nothing}}x{{else}}none{{end}}", "none"),
    ("a\n  {{- if ge .Index 7}}\nb\n  {{- end}}\nc", "a\nb\nc"),
    ("{{(or .selectors nil) | JSON}}", "null"),
    ("{{.list | JSON}}", '[{"a":1}]'),
]


@pytest.mark.parametrize(("text", "expected"), RENDERED)
def test_directives_are_carried_out(text: str, expected: str) -> None:
    assert rendered(text, {"Index": 7, "pods": 20, "nodes": 10, "class": "a", "list": [{"a": 1}]}) == expected


@pytest.mark.parametrize(
    "text", ["{{range .x}}", "{{end}}", "{{if (.x}}{{end}}", "{{.x | Shout}}", "{{Shout .x}}", "{{template}}"]
)
def test_what_is_not_known_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not known"):
        rendered(text, {"x": 1})


def test_every_object_is_a_new_one(tmp_path: Path) -> None:
    file = tmp_path / "pod.yaml"
    file.write_text("metadata: {labels: {a: b}}\n")
    first, second = make(file, {}), make(file, {})
    first["metadata"]["labels"]["a"] = "c"
    assert second == {"metadata": {"labels": {"a": "b"}}}
