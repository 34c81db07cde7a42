"""Rules of custom kinds: what they refuse, what they are estimated to cost."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.machinery.cel import rules


def node(schema: dict[str, Any], *listed: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "x-kubernetes-validations": list(listed)}


def texts(schema: dict[str, Any], value: Any, old: Any = None) -> list[str]:
    return [str(error) for error in rules.validate(rules.validator(schema), value, old).errors]


SHIP = {
    "type": "object",
    "properties": {
        "crew": {"type": "integer"},
        "sails": {"type": "integer"},
        "speed": {"type": "number"},
        "built": {"type": "string", "format": "date-time"},
        "home-port": {"type": "string"},
        "namespace": {"type": "string"},
        "share": {"x-kubernetes-int-or-string": True},
        "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "decks": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "properties": {"name": {"type": "string"}, "guns": {"type": "integer"}}},
        },
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}


@pytest.mark.parametrize(
    ("rule", "value", "holds"),
    [
        ("self.crew >= self.sails", {"crew": 2, "sails": 2}, True),
        ("self.crew >= self.sails", {"crew": 1, "sails": 2}, False),
        ("self.speed > 1.5", {"speed": 2}, True),
        ("self.built < timestamp('2000-01-01T00:00:00Z')", {"built": "1999-01-01T00:00:00Z"}, True),
        ("self.home__dash__port == 'Busan'", {"home-port": "Busan"}, True),
        ("self.__namespace__ == 'x'", {"namespace": "x"}, True),
        ("type(self.share) == string ? self.share.endsWith('%') : self.share > 1", {"share": "5%"}, True),
        ("self.tags == ['b', 'a']", {"tags": ["a", "b"]}, True),
        ("(self.tags + ['a']).size() == 2", {"tags": ["a", "b"]}, True),
        ("self.labels.all(k, self.labels[k] != k)", {"labels": {"a": "b"}}, True),
        ("!has(self.crew) || self.crew > 0", {}, True),
        ("self.?crew.orValue(3) == 3", {}, True),
        ("self.metadata.name == 'm' && self.kind == 'Ship'", {"metadata": {"name": "m"}, "kind": "Ship"}, True),
    ],
)
def test_a_rule(rule: str, value: dict[str, Any], holds: bool) -> None:
    found = texts(node(SHIP, {"rule": rule}), value)
    assert found == ([] if holds else [f": Invalid value: failed rule: {rule}"])


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ({"rule": "self.crew > 1", "message": " too few "}, "spec: Invalid value: too few"),
        (
            {"rule": "self.crew > 1", "messageExpression": "'only ' + string(self.crew)"},
            "spec: Invalid value: only 1",
        ),
        (
            {"rule": "self.crew > 1", "message": "m", "messageExpression": "self.labels['x']"},
            "spec: Invalid value: m",
        ),
        (
            {"rule": "self.crew > 1", "reason": "FieldValueForbidden", "fieldPath": ".crew", "message": "m"},
            "spec.crew: Forbidden: m",
        ),
        ({"rule": "self.crew > 1", "reason": "FieldValueRequired", "message": "m"}, "spec: Required value: m"),
        ({"rule": "self.crew > 1", "reason": "FieldValueDuplicate"}, "spec: Duplicate value"),
        (
            {"rule": "self.sails == 1"},
            'spec: Invalid value: "object": no such key: sails evaluating rule: self.sails == 1',
        ),
        (
            {"rule": "self.share > 1"},
            "spec: Invalid value: \"object\": 'no such overload': call arguments did not match a supported operator, "
            "function or macro signature for rule: self.share > 1",
        ),
    ],
)
def test_what_is_said(rule: dict[str, Any], problem: str) -> None:
    schema = {"type": "object", "properties": {"spec": node(SHIP, rule)}}
    assert texts(schema, {"spec": {"crew": 1, "share": "x"}}) == [problem]


def test_transition_rules_need_something_to_compare_with() -> None:
    name = node({"type": "string"}, {"rule": "self == oldSelf", "message": "immutable"})
    schema = {"type": "object", "properties": {"name": name}}
    assert texts(schema, {"name": "a"}) == []
    assert texts(schema, {"name": "a"}, {"name": "a"}) == []
    assert texts(schema, {"name": "a"}, {"name": "b"}) == ['name: Invalid value: "a": immutable']


def test_an_optional_old_self_is_there_for_new_objects() -> None:
    rule = {"rule": "oldSelf.hasValue() || self == 'new'", "optionalOldSelf": True}
    schema = {"type": "object", "properties": {"phase": node({"type": "string"}, rule)}}
    assert texts(schema, {"phase": "new"}) == []
    assert len(texts(schema, {"phase": "old"})) == 1
    assert texts(schema, {"phase": "old"}, {"phase": "new"}) == []


def test_items_of_a_map_list_are_compared_by_key() -> None:
    schema = {**SHIP, "properties": {**SHIP["properties"]}}
    decks = dict(schema["properties"]["decks"])
    decks["items"] = node(decks["items"], {"rule": "self.guns >= oldSelf.guns", "message": "fewer guns"})
    schema["properties"]["decks"] = decks
    old = {"decks": [{"name": "a", "guns": 1}, {"name": "b", "guns": 2}]}
    new = {"decks": [{"name": "b", "guns": 1}, {"name": "a", "guns": 5}, {"name": "c", "guns": 0}]}
    assert texts(schema, new, old) == ["decks[0]: Invalid value: fewer guns"]


def test_what_did_not_change_only_warns() -> None:
    schema = {"type": "object", "properties": {"crew": node({"type": "integer"}, {"rule": "self > 1"})}}
    found = rules.validate(rules.validator(schema), {"crew": 1}, {"crew": 1})
    assert (found.errors, found.warnings) == ([], ["crew: Invalid value: 1: failed rule: self > 1"])


def test_the_budget_of_an_object_runs_out() -> None:
    schema = node({"type": "array", "items": {"type": "integer"}}, {"rule": "self.all(x, x > 0)"})
    found = rules.validate(rules.validator(schema, root=False), [1] * 100, budget=50)
    assert found.budget < 0
    assert [str(error) for error in found.errors] == [f': Invalid value: "array": {rules.OUT_OF_BUDGET}']


@pytest.mark.parametrize(
    ("schema", "rule", "cost"),
    [
        ({"type": "array", "items": {"type": "number"}}, "self.all(x, true)", 4718591),
        ({"type": "array", "items": {"type": "number"}, "maxItems": 10}, "self.all(x, true)", 32),
        ({"type": "array", "items": {"type": "string"}}, "self.all(x, true)", 3145727),
        ({"type": "string"}, "self.contains('test')", 314574),
        ({"type": "string", "maxLength": 10}, "self.contains('test')", 5),
        ({"type": "string"}, "self.startsWith('test')", 2),
        ({"type": "string", "maxLength": 10}, "self.split('/')[0].matches('abcd')", 15),
        ({"type": "string", "maxLength": 10}, "self.split('/').all(part, part.matches('abcd'))", 370),
        ({"type": "string"}, "matches(self, '^[a-z]+$')", 2),
        ({"type": "string", "format": "byte", "maxLength": 40}, "string(self).findAll('a').size() < 2", 12),
        ({"type": "string", "maxLength": 63}, "size(self) == 0 || format.dns1123Label().validate(self) == null", 838),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "self.all(x, true)", 1179647),
        (SHIP, "self.crew >= self.sails", 5),
    ],
)
def test_an_estimate(schema: dict[str, Any], rule: str, cost: int) -> None:
    (compiled,) = rules.compile_rules(node(schema, {"rule": rule}))
    assert (compiled.error, compiled.cost) == ("", cost)


def test_a_rule_without_bounds_is_dear() -> None:
    strings = {"type": "array", "items": {"type": "string"}}
    (compiled,) = rules.compile_rules(node(strings, {"rule": "self.all(x, self.all(y, x == y))"}))
    assert compiled.cost > rules.OBJECT_BUDGET * 100


def test_a_reserved_word_may_name_a_field_as_it_is() -> None:
    properties = {"namespace": {"type": "string"}, "for": {"type": "string"}}
    schema = node({"type": "object", "properties": properties}, {"rule": "!has(self.namespace) || self.__for__ == ''"})
    assert texts(schema, {"for": "x"}) == []
    assert len(texts(schema, {"namespace": "a", "for": "x"})) == 1
