"""JSON and YAML texts: what they mean, and what Go says of those that mean nothing."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sim.machinery import reading

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "unexpected end of JSON input"),
        (b"{not json", "invalid character 'n' looking for beginning of object key string"),
        (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":1 "b":2}', "invalid character '\"' after object key:value pair"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b"[1,]", "invalid character ']' looking for beginning of value"),
        (b"nulx", "invalid character 'x' in literal null (expecting 'l')"),
        (b"01", "invalid character '1' after top-level value"),
        (b"-x", "invalid character 'x' in numeric literal"),
        (b"1.x", "invalid character 'x' after decimal point in numeric literal"),
        (b"1ex", "invalid character 'x' in exponent of numeric literal"),
        (b'"\\x"', "invalid character 'x' in string escape code"),
        (b'"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"),
        (b'"\n"', "invalid character '\\n' in string literal"),
        (b"NaN", "invalid character 'N' looking for beginning of value"),
    ],
)
def test_what_is_no_json_is_refused_in_gos_words(text: bytes, problem: str) -> None:
    with pytest.raises(reading.Unreadable) as caught:
        reading.json_value(text)
    assert str(caught.value) == problem


@given(VALUES, st.sampled_from([None, 1]))
def test_json_is_read_as_it_was_written(value: Any, indent: int | None) -> None:
    raw = json.dumps(value, indent=indent).encode()
    assert reading.json_value(raw) == value
    assert reading.json_duplicates(raw, value) == []
    assert reading.syntax_problem(raw.decode()) == ""


@given(st.text('{}[]",:\\ntrue0.1e-u', max_size=12))
def test_a_text_is_read_or_its_problem_named(text: str) -> None:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        assert reading.syntax_problem(text)
    else:
        assert reading.syntax_problem(text) == ""


def test_bytes_that_are_no_text_become_replacement_characters() -> None:
    assert reading.json_value(b'{"a":"\xff"}') == {"a": "\ufffd"}
    assert reading.json_value(b'{"a":"\\ud800"}') == {"a": "\ufffd"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a":1,"a":2}', ["a"]),
        ('{"a": {"b" :1,"b" :2}}', ["a.b"]),
        ('[{"x":[{"y":1,"y":1}]}]', ["[0].x[0].y"]),
        ('{"a":1,"\\u0061":2}', ["a"]),
        ('{"a":"\\":","b":"\\\\"}', []),
        ('{"a":"\\u0022:","a":1}', ["a"]),
    ],
)
def test_keys_that_stand_twice(text: str, found: list[str]) -> None:
    assert reading.json_duplicates(text.encode(), json.loads(text)) == found


@given(st.dictionaries(TEXTS, VALUES, min_size=1))
def test_a_repeated_key_is_always_found(value: dict[str, Any]) -> None:
    key = next(iter(value))
    text = json.dumps(value, ensure_ascii=False)
    raw = f"{text[:-1]}, {json.dumps(key, ensure_ascii=False)}: 1}}".encode()
    assert reading.json_duplicates(raw, json.loads(raw)) == [key]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 0644", {"a": 420}),
        ("a: 0o17", {"a": 15}),
        ("a: 0x1F", {"a": 31}),
        ("a: 1_000", {"a": 1000}),
        ("a: yes\nb: off", {"a": True, "b": False}),
        ("a: 2020-01-01", {"a": "2020-01-01"}),
        ("a: 1:30", {"a": "1:30"}),
        ("a: 1e3", {"a": 1000.0}),
        ("a: 1.2.3\nb: 123abc", {"a": "1.2.3", "b": "123abc"}),
        ("1: a\ntrue: b\n~: c", {"1": "a", "true": "b", "null": "c"}),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        ("a: ~", {"a": None}),
        ("---\n", None),
        ("a: 1\n---\nb: 2", {"a": 1}),
    ],
)
def test_yaml_as_the_server_reads_it(text: str, value: Any) -> None:
    assert reading.yaml_value(text.encode()) == (value, [])


def test_yaml_keys_that_stand_twice_are_named_with_their_line() -> None:
    assert reading.yaml_value(b"a: 1\nb:\n  c: 1\n  c: 2\n") == (
        {"a": 1, "b": {"c": 2}},
        ['line 4: key "c" already set in map'],
    )


@given(st.binary(max_size=30) | st.text("ab:-[]{}&*!|>\n '\"?,#%@`\t", max_size=20).map(str.encode))
def test_any_bytes_are_yaml_or_are_refused(raw: bytes) -> None:
    with contextlib.suppress(reading.Unreadable):
        reading.yaml_value(raw)
