"""Objects as text, rows in columns, and lines as they are read."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.scenarios.kubectl import commands
from seatrial.scenarios.kubectl.failures import Failure
from seatrial.scenarios.kubectl.tabwriter import Columns, align
from seatrial.scenarios.kubectl.values import compact, pretty, yaml_text
from seatrial.sim.machinery.yamltext import yaml_value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": "x"}, "a: x\nb: 1\n"),
        ({"a": []}, "a: []\n"),
        ({"a": {}}, "a: {}\n"),
        ({"a": ""}, 'a: ""\n'),
        ({"a": "1"}, 'a: "1"\n'),
        ({"a": "true", "b": True}, 'a: "true"\nb: true\n'),
        ({"a": "yes"}, 'a: "yes"\n'),
        ({"a": None}, "a: null\n"),
        ({"a": "*/5 * * * *"}, "a: '*/5 * * * *'\n"),
        ({"a": "x: y"}, "a: 'x: y'\n"),
        ({"a": "one\ntwo\n"}, "a: |\n  one\n  two\n"),
        ({"a": "one\ntwo"}, "a: |-\n  one\n  two\n"),
        ({"a": "2026-11-23T03:51:57Z"}, 'a: "2026-11-23T03:51:57Z"\n'),
        ({"a": "25%", "b": "10m", "c": "1e3"}, 'a: 25%\nb: 10m\nc: "1e3"\n'),
        ({"a": [{"b": 1, "c": [2]}]}, "a:\n- b: 1\n  c:\n  - 2\n"),
        ({"a10": 1, "a9": 2}, "a9: 2\na10: 1\n"),
    ],
)
def test_yaml_is_written_as_sigs_yaml_writes_it(value: Any, text: str) -> None:
    assert yaml_text(value) == text


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20)
KEYS = st.text("abc019./-", min_size=1, max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=60)
@given(st.dictionaries(st.text("abcXY/.", min_size=1, max_size=6), JSON, max_size=4))
def test_what_is_written_is_what_is_read(value: dict[str, Any]) -> None:
    assert yaml_value(yaml_text(value).encode())[0] == value or yaml.safe_load(yaml_text(value)) == value


def test_json_escapes_what_go_escapes() -> None:
    assert compact({"b": "<a>&", "a": 1}) == '{"a":1,"b":"\\u003ca\\u003e\\u0026"}'
    assert pretty({"a": [1]}) == '{\n    "a": [\n        1\n    ]\n}'


@pytest.mark.parametrize(
    ("text", "aligned"),
    [
        ("a\tb\nccc\td\n", "a    b\nccc  d\n"),
        ("a\tb\n\tc\n", "a  b\n   c\n"),
        ("Name:\tx\nLong title\nA:\ty\n", "Name:  x\nLong title\nA:  y\n"),
        ("a\tb\tc\nd\te\nfff\tg\th\n", "a    b  c\nd    e\nfff  g  h\n"),
    ],
)
def test_columns_are_runs_of_lines(text: str, aligned: str) -> None:
    assert align(text) == aligned


def test_a_watch_keeps_the_widths_that_it_has_seen() -> None:
    columns = Columns()
    assert columns.lines([["NAME", "READY"], ["a-long-name", "1/1"]])[1] == "a-long-name   1/1"
    assert columns.lines([["b", "0/1"]]) == ["b             0/1"]


@pytest.mark.parametrize(
    ("line", "path", "args", "given"),
    [
        ("get pods -A", "get", ["pods"], {"all-namespaces": True}),
        ("-n x get pods -o=wide", "get", ["pods"], {"namespace": "x", "output": "wide"}),
        ("get -nkube-system pods", "get", ["pods"], {"namespace": "kube-system"}),
        ("create deploy web --image a,b --image c", "create deployment", ["web"], {"image": ["a", "b", "c"]}),
        ("create cm x --from-literal=a=1,2", "create configmap", ["x"], {"from-literal": ["a=1,2"]}),
        ("exec -it web -- ls -l", "exec", ["web", "ls", "-l"], {"stdin": True, "tty": True}),
        ("apply -f a.yaml --dry-run", "apply", [], {"filename": ["a.yaml"], "dry-run": "unchanged"}),
        ("rollout status deploy/web --timeout 1m30s", "rollout status", ["deploy/web"], {"timeout": 90.0}),
        ("get pods --watch=false", "get", ["pods"], {"watch": False}),
        ("scale --replicas=3 deploy web", "scale", ["deploy", "web"], {"replicas": 3}),
    ],
)
def test_a_line_is_read_as_cobra_reads_it(line: str, path: str, args: list[str], given: dict[str, Any]) -> None:
    found, words = commands.find(line.split())
    assert found == path
    read = commands.read(commands.command(path), words)
    assert read.args == args
    assert {name: read.flags[name] for name in read.flags.given} == given


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("get pods --chunk-size=x", 'invalid argument "x" for "--chunk-size" flag: strconv.ParseInt: parsing "x"'),
        ("get pods -z", "unknown shorthand flag: 'z' in -z"),
        ("wait --timeout=abc x", 'invalid argument "abc" for "--timeout" flag: time: invalid duration "abc"'),
        ("wait --timeout=5 x", 'invalid argument "5" for "--timeout" flag: time: missing unit in duration "5"'),
    ],
)
def test_a_flag_that_is_wrong_is_refused_in_pflags_words(line: str, said: str) -> None:
    path, words = commands.find(line.split())
    with pytest.raises(Failure) as refused:
        commands.read(commands.command(path), words)
    assert refused.value.text.startswith(said)


def test_every_command_has_its_help() -> None:
    for path, row in commands.data()["commands"].items():
        assert row["help"], path
