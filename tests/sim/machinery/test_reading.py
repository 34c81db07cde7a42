"""JSON texts: what they mean, and what Go says of those that mean nothing."""

from __future__ import annotations

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
