"""Tables of checks."""

from __future__ import annotations

from typing import Any

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.problems import Errors, at, invalid, join, required, same
from seatrial.sim.machinery.validation.table import REQUIRED, Required, table


def odd(value: int) -> Errors:
    return () if value % 2 else (invalid("", value, "must be odd"),)


CHECK = table(
    {
        "": lambda value: () if len(value) < 4 else (invalid("", len(value), "too many fields"),),
        "name": REQUIRED,
        "kind": Required("must say what it is"),
        "a.b": odd,
        "list[]": odd,
        "list": lambda values: () if len(values) < 3 else (invalid("", len(values), "too long"),),
        "map{}.x": (REQUIRED, odd),
    }
)


def found(value: dict[str, Any]) -> list[tuple[str, str]]:
    return [(error.path, error.message) for error in CHECK(value)]


def test_absent_fields_are_not_checked() -> None:
    assert found({"name": "n", "kind": "k"}) == []
    assert found({"name": "n", "kind": "k", "a": {}}) == []


def test_required_fields_have_a_value() -> None:
    assert found({"name": "", "a": {"b": 2}}) == [
        ("name", "Required value"),
        ("kind", "Required value: must say what it is"),
        ("a.b", "Invalid value: 2: must be odd"),
    ]


def test_every_element_is_checked_and_the_whole() -> None:
    assert found({"name": "n", "kind": "k", "list": [1, 2, 4]}) == [
        ("list[1]", "Invalid value: 2: must be odd"),
        ("list[2]", "Invalid value: 4: must be odd"),
        ("list", "Invalid value: 3: too long"),
    ]
    assert found({"name": "n", "kind": "k", "map": {"p": {"x": 2}, "q": {}}}) == [
        ("map[p].x", "Invalid value: 2: must be odd"),
        ("map[q].x", "Required value"),
    ]


def test_a_row_may_be_of_the_whole_value() -> None:
    assert found({"name": "n", "kind": "k", "c": 1, "d": 1}) == [("", "Invalid value: 4: too many fields")]


def test_paths_are_put_together() -> None:
    assert join("spec", "a") == "spec.a"
    assert join("spec", "[0]") == "spec[0]"
    assert join("spec", "") == "spec"
    assert at("spec", [required("a")]) == [FieldError("FieldValueRequired", "spec.a", "Required value")]


def test_absent_and_empty_are_the_same() -> None:
    assert same({"a": None, "b": []}, {})
    assert same(None, {})
    assert same([{"a": {}}], [{}])
    assert not same([{}], [])
    assert not same({"a": 0}, {"a": 1})
    assert not same({"a": "x"}, {"a": ["x"]})
