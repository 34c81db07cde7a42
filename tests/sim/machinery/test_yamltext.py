"""YAML texts: what they mean to the API server."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sim.machinery.reading import Unreadable
from seatrial.sim.machinery.yamltext import yaml_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 0644", {"a": 420}),
        ("a: 0o17", {"a": 15}),
        ("a: 0xb1F\nb: -0b11", {"a": 0xB1F, "b": -3}),
        ("a: 99999999999999999999999", {"a": 1e23}),
        ("a: 1_000", {"a": 1000}),
        ("a: yes\nb: off", {"a": True, "b": False}),
        ("a: y\nb: N\nc: yy", {"a": True, "b": False, "c": "yy"}),
        ("a: 2020-01-01", {"a": "2020-01-01"}),
        ("a: 1:30", {"a": "1:30"}),
        ("a: 1e3\nb: 1.5", {"a": 1000, "b": 1.5}),
        ("a: 1.2.3\nb: 123abc", {"a": "1.2.3", "b": "123abc"}),
        ("1: a\ntrue: b\n~: c", {"1": "a", "true": "b", "null": "c"}),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        ("a: ~", {"a": None}),
        ("---\n", None),
        ("a: 1\n---\nb: 2", {"a": 1}),
    ],
)
def test_yaml_as_the_server_reads_it(text: str, value: Any) -> None:
    assert yaml_value(text.encode()) == (value, [])


def test_yaml_keys_that_stand_twice_are_named_with_their_line() -> None:
    assert yaml_value(b"a: 1\nb:\n  c: 1\n  c: 2\n") == (
        {"a": 1, "b": {"c": 2}},
        ['line 4: key "c" already set in map'],
    )


@given(st.binary(max_size=30) | st.text("ab:-[]{}&*!|>\n '\"?,#%@`\t", max_size=20).map(str.encode))
def test_any_bytes_are_yaml_or_are_refused(raw: bytes) -> None:
    with contextlib.suppress(Unreadable):
        yaml_value(raw)


def test_aliases_that_grow_without_bounds_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(Unreadable, match="excessive aliasing"):
        yaml_value("\n".join(lines).encode())


def test_a_value_that_contains_itself_is_refused() -> None:
    with pytest.raises(Unreadable):
        yaml_value(b"a: &a [*a]")
