"""How values are printed inside error messages."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.machinery.fields import FieldError, printed, quoted

QUOTED = [
    ("web", '"web"'),
    ('say "hi"\\', r'"say \"hi\"\\"'),
    ("a\tb\nc\x01\x7f", r'"a\tb\nc\x01\x7f"'),
    ("café", '"café"'),
    ("zero\u200bwidth", r'"zero\u200bwidth"'),
    (-3, "-3"),
    (True, "true"),
    (None, "null"),
    (1.5, "1.5"),
    (2.0, "2"),
    (1e22, "1e+22"),
    ({"matchLabels": {"app": "<a>"}}, r'{"matchLabels":{"app":"\u003ca\u003e"}}'),
    (["v1", ""], '["v1",""]'),
]
PRINTED = [
    ({"spec": {"replicas": "three", "a": None}}, "map[spec:map[a:<nil> replicas:three]]"),
    ([1, True, "x", 2.5], "[1 true x 2.5]"),
]


@pytest.mark.parametrize(("value", "text"), QUOTED, ids=[text for _, text in QUOTED])
def test_field_errors_quote_as_go_does(value: Any, text: str) -> None:
    assert quoted(value) == text


@pytest.mark.parametrize(("value", "text"), PRINTED, ids=[text for _, text in PRINTED])
def test_patches_are_printed_as_go_prints_maps(value: Any, text: str) -> None:
    assert printed(value) == text


def test_an_error_names_its_field() -> None:
    assert str(FieldError("FieldValueRequired", "spec.selector", "Required value")) == "spec.selector: Required value"
