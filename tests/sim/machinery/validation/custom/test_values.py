"""Values against their schema: what the server says of each."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.machinery.custom.schema import Node
from seatrial.sim.machinery.validation.custom.formats import check_of
from seatrial.sim.machinery.validation.custom.values import MISSING, problems


def said(schema: Any, new: Any, old: Any = MISSING, prefix: str = "") -> list[str]:
    return [str(error) for error in problems(Node(schema), new, old, prefix)]


def spec(**schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}}


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "value", "wanted"),
    [
        (spec(type="string"), 3, ['a: Invalid value: "integer": a in body must be of type string: "integer"']),
        (spec(type="string"), None, ['a: Invalid value: "null": a in body must be of type string: "null"']),
        (spec(type="string", nullable=True), None, []),
        (spec(type="integer"), 1.5, ['a: Invalid value: "number": a in body must be of type integer: "number"']),
        (spec(type="integer"), 2.0, []),
        (spec(type="number"), 2, []),
        (spec(type="integer", minimum=0), -1, ["a: Invalid value: -1: a in body should be greater than or equal to 0"]),
        (
            spec(type="number", maximum=1.5, exclusiveMaximum=True),
            1.5,
            ["a: Invalid value: 1.5: a in body should be less than 1.5"],
        ),
        (spec(type="integer", multipleOf=5), 7, ["a: Invalid value: 7: a in body should be a multiple of 5"]),
        (spec(type="string", maxLength=2), "abc", ["a: Too long: may not be more than 2 bytes"]),
        (spec(type="string", minLength=1), "", ['a: Invalid value: "": a in body should be at least 1 chars long']),
        (spec(type="string", pattern="^x"), "y", ["a: Invalid value: \"y\": a in body should match '^x'"]),
        (
            spec(type="string", enum=["S", "M"]),
            "L",
            ['a: Unsupported value: "L": supported values: "S", "M"'],
        ),
        (
            spec(type="string", format="date-time"),
            "noon",
            ['a: Invalid value: "noon": a in body must be of type date-time: "noon"'],
        ),
        (spec(type="string", format="unheard-of"), "noon", []),
        (spec(type="array", items=TEXT, maxItems=1), ["x", "y"], ["a: Too many: 2: must have at most 1 item"]),
        (
            spec(type="array", items=TEXT, minItems=1),
            [],
            ["a: Invalid value: 0: a in body should have at least 1 items"],
        ),
        (
            spec(type="array", items=TEXT),
            ["x", 1],
            ['a[1]: Invalid value: "integer": a[1] in body must be of type string: "integer"'],
        ),
        (
            spec(type="object", additionalProperties=TEXT),
            {"k": 1},
            ['a.k: Invalid value: "integer": a.k in body must be of type string: "integer"'],
        ),
        (
            spec(type="object", properties={"b": TEXT, "c": TEXT}, required=["b", "c"]),
            {"c": 1},
            ['a.c: Invalid value: "integer": a.c in body must be of type string: "integer"', "a.b: Required value"],
        ),
        (spec(type="object", maxProperties=0), {"x": 1}, ["a: Too many: 1: must have at most 0 items"]),
        (
            spec(type="object", minProperties=1),
            {},
            ["a: Invalid value: 0: a in body should have at least 1 properties"],
        ),
        (spec(**{"x-kubernetes-int-or-string": True}), "50%", []),
        (
            spec(**{"x-kubernetes-int-or-string": True}),
            True,
            ['a: Invalid value: "boolean": a in body must be of type integer,string: "boolean"'],
        ),
        (
            spec(type="integer", oneOf=[{"minimum": 5}, {"maximum": 9}]),
            7,
            ['<nil>: Invalid value: "": "a" must validate one and only one schema (oneOf). Found 2 valid alternatives'],
        ),
        (
            spec(type="object", properties={"b": TEXT, "c": TEXT}, oneOf=[{"required": ["b"]}, {"required": ["c"]}]),
            {},
            [
                '<nil>: Invalid value: "": "a" must validate one and only one schema (oneOf). Found none valid',
                "a.b: Required value",
            ],
        ),
        (
            spec(type="integer", anyOf=[{"minimum": 5}, {"minimum": 9}]),
            1,
            [
                '<nil>: Invalid value: "": "a" must validate at least one schema (anyOf)',
                "a: Invalid value: 1: a in body should be greater than or equal to 5",
            ],
        ),
        (
            spec(type="integer", allOf=[{"minimum": 5}, {"maximum": 9}]),
            1,
            [
                "a: Invalid value: 1: a in body should be greater than or equal to 5",
                '<nil>: Invalid value: "": "a" must validate all the schemas (allOf)',
            ],
        ),
        (
            {**spec(type="integer"), "not": {"required": ["a"]}},
            1,
            ['<nil>: Invalid value: "": "" must not validate the schema (not)'],
        ),
    ],
)
def test_what_is_wrong_is_said_in_the_servers_words(schema: Any, value: Any, wanted: list[str]) -> None:
    assert said(schema, {"a": value}) == wanted


def test_a_part_that_has_not_changed_is_let_pass() -> None:
    schema = spec(type="object", properties={"b": {"type": "string", "maxLength": 1}, "c": TEXT})
    assert said(schema, {"a": {"b": "long", "c": "new"}}, {"a": {"b": "long", "c": "old"}}) == []
    assert said(schema, {"a": {"b": "longer"}}, {"a": {"b": "long"}}) == ["a.b: Too long: may not be more than 1 bytes"]


def test_items_are_told_apart_by_their_keys_only() -> None:
    item = {"type": "object", "properties": {"name": TEXT, "size": {"type": "integer", "maximum": 1}}}
    keyed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    old, new = [{"name": "x", "size": 5}], [{"name": "y", "size": 1}, {"name": "x", "size": 5}]
    assert said(spec(type="array", items=item, **keyed), {"a": new}, {"a": old}) == []
    assert len(said(spec(type="array", items=item), {"a": new}, {"a": old})) == 1


def test_a_status_is_named_by_its_own_path_and_found_by_the_whole() -> None:
    assert said(spec(type="integer"), {"a": "x"}, prefix="status") == [
        'status.a: Invalid value: "string": a in body must be of type integer: "string"'
    ]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date", "2026-02-28", "2026-02-30"),
        ("date-time", "2026-01-01T00:00:00Z", "2026-01-01"),
        ("ipv4", "10.0.0.1", "10.0.0.256"),
        ("ipv6", "::1", "10.0.0.1"),
        ("cidr", "10.0.0.0/8", "10.0.0.0"),
        ("uri", "https://example.com/x", "no scheme"),
        ("hostname", "a.example.com", "-a"),
        ("email", "a@example.com", "a"),
        ("uuid", "0d1b3bde-72a3-4d0f-8f1f-1e4f3a0b2c3d", "0d1b"),
        ("mac", "01:23:45:67:89:ab", "01:23"),
        ("byte", "YQ==", "!"),
        ("duration", "1h30m", "soon"),
        ("k8s-short-name", "a-b", "A"),
        ("k8s-long-name", "a.b", "a_b"),
    ],
)
def test_formats(name: str, good: str, bad: str) -> None:
    fits = check_of(name)
    assert fits is not None
    assert fits(good)
    assert not fits(bad)
