"""Scenario files: what is wrong with one is told with file, line and column, and with what was meant."""

from __future__ import annotations

import pytest

from seatrial.scenarios.positions import Mistaken
from seatrial.scenarios.schema import read
from seatrial.scenarios.script import parsed, problem
from seatrial.scenarios.template import template

GOOD = template("MY-01")


def told(text: str) -> list[str]:
    with pytest.raises(Mistaken) as caught:
        read(text, "my.yaml")
    return str(caught.value).splitlines()


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def test_the_template_is_a_scenario() -> None:
    assert read(GOOD, "my.yaml").id == "MY-01"
    assert template("a b/c").splitlines()[1] == "id: a-b-c"


MISTAKES = [
    ("level: 1", "levle: 1", "levle", ["levle: there is no such field (did you mean level?)", "level: it is missing"]),
    ("level: 1", "level: 9", "level", ["level: Input should be less than or equal to 5"]),
    ("par: 3m", "par: soon", "par:", ["par: 'soon' is not a span of time"]),
    ("nodes: 2", "nods: 2", "nods", ["cluster.nods: there is no such field (did you mean nodes?)"]),
    ("that: endpoints('web') == 2", "that: endpoints('web') ==", "that:", ["Syntax error"]),
    ("that: endpoints('web') == 2", "that: endpoint('web') == 2", "that:", ["did you mean endpoints?"]),
    ("that: endpoints('web') == 2", "that: endpoints('web')", "that:", ["neither true nor false but of type int"]),
    ("kept('deployment/web')", "kept('deploymnt/web')", "always:", ["a resource type 'deploymnt'"]),
    ("kept('deployment/web')", "kept('deployment')", "always:", ["kept wants kind/name, as in 'deployment/web'"]),
    ("fails: [endpoints]", "fails: [endpoint]", "fails:", ["is 'endpoint' (did you mean endpoints?)"]),
    ("  - until endpoints('web') == 0\n", "  - kubeclt get pods\n", "kubeclt", ["there is no command 'kubeclt' here"]),
    ("- id: endpoints", "- id: keep", "", ["two goals, rules or questions are called 'keep'"]),
    ("level: 1", "level: 1\nlevel: 2", "level: 2", ["'level' stands twice (first in line"]),
    ("level: 1", "level: [1", "", ["it is not YAML"]),
    ("that: endpoints('web') == 2", "that: endpoints('web') = 2", "that:", ["did you mean ==?"]),
    ("that: endpoints('web') == 2", "that: there('svc/web') and calm()", "that:", ["did you mean &&?"]),
    ("that: endpoints('web') == 2", "that: endpoints(web) == 2", "that:", ["names are written in quotes: 'web'"]),
    ("that: endpoints('web') == 2", "that: failed('shp', '30s') == 0", "that:", ["there is no client 'shp'"]),
    ("par: 3m", "par: 3 m", "par:", ["par: '3 m' is not a span of time, as in 90s, 6m or 1h30m"]),
    ("kind: Deployment", "kind: Deploymnt", "Deploymnt", ["no kind 'Deploymnt' in apps/v1 (did you mean Deployment?)"]),
    ("level: 1", "level: 1\nbook: [nodeprt.yaml]", "book:", ["no nodeprt.yaml: did you mean nodeport.yaml?"]),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "where", "said"), MISTAKES, ids=[each[1].strip() for each in MISTAKES])
def test_a_mistake_is_told_where_it_stands(right: str, wrong: str, where: str, said: list[str]) -> None:
    assert right in GOOD
    text = GOOD.replace(right, wrong, 1)
    lines = told(text)
    for each in said:
        assert any(each in line for line in lines), lines
    assert all(line.startswith("my.yaml:") for line in lines)
    if where:
        assert any(line.startswith(f"my.yaml:{line_of(text, where)}:") for line in lines), lines


def test_an_unknown_fault_and_a_wrong_parameter_are_told() -> None:
    event = GOOD[GOOD.index("    run: |\n") : GOOD.index("  goals:\n")]
    lines = told(GOOD.replace(event, "    fault: {kind: node-crush, node: w1-k8s}\n"))
    assert lines == [
        f"my.yaml:{line_of(GOOD, '    run: |')}:19: there is no fault 'node-crush' (did you mean node-crash?)"
    ]
    lines = told(GOOD.replace(event, "    fault: {kind: node-crash, nod: w1-k8s}\n"))
    assert lines[0].startswith(f"my.yaml:{line_of(GOOD, '    run: |')}:31: ")
    assert "did you mean 'node'?" in lines[0]
    lines = told(GOOD.replace(event, "    heal: f1\n"))
    assert "no fault before is named 'f1'" in lines[0]
    lines = told(GOOD.replace(event, "    fault: {kind: node-crash, node: w1-k8s}\n    heal: f1\n"))
    assert "an event is one of fault, heal, load, apply, run; this one is fault and heal" in lines[0]


def test_a_place_inside_a_block_is_told_too() -> None:
    text = GOOD.replace("that: endpoints('web') == 2", "that: |\n      there('svc/web') &&\n      endpoint('web') == 2")
    (line,) = told(text)
    assert line.startswith(f"my.yaml:{line_of(text, '  endpoint(')}:15: ")


@pytest.mark.parametrize(
    ("line", "command", "words"),
    [
        ("kubectl get pods -o wide", "kubectl", ("get", "pods", "-o", "wide")),
        ("kubectl apply -f - <<EOF\nkind: Pod\nEOF", "kubectl", ("apply", "-f", "-")),
        ("ssh w1-k8s -- systemctl start kubelet", "ssh", ("w1-k8s", "--", "systemctl", "start", "kubelet")),
        (
            "until ready('deploy/web') == 1",
            "until",
            ("ready('deploy/web') == 1",),
        ),
        ("clock advance 6m", "clock", ("advance", "6m")),
        ("kubectl patch svc web \\\n  -p '{}'", "kubectl", ("patch", "svc", "web", "-p", "{}")),
    ],
)
def test_lines_are_read_as_a_shell_would(line: str, command: str, words: tuple[str, ...]) -> None:
    assert parsed(line) == (command, words)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("rm -rf /", "there is no command 'rm' here"),
        ("kubectl get 'pods", "cannot be read"),
        ("kubectl ptach service web -p '{}'", "kubectl has no command 'ptach' (did you mean"),
        ("kubectl get pods --sort=name", "kubectl: unknown flag: --sort"),
        ("clock back 6m", "clock advance 6m"),
        ("clock advance soon", "not a duration"),
        ("ssh w1-k8s", "ssh w1-k8s -- systemctl status kubelet"),
        ("answer why", "answer QUESTION ANSWER"),
        ("answer who me", "there is no question 'who'"),
        ("", "the line is empty"),
    ],
)
def test_what_is_no_line_is_told(line: str, said: str) -> None:
    assert said in problem(line, {"why"})
