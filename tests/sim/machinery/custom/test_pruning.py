"""What a structural schema keeps, drops and fills in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sim.machinery.custom.pruning import default, prune
from seatrial.sim.machinery.custom.schema import Node

KEEP = {"x-kubernetes-preserve-unknown-fields": True}
TEXT, NUMBER = {"type": "string"}, {"type": "integer"}


def thing(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("schema", "given_", "kept", "unknown"),
    [
        (thing(a=TEXT), {"a": "x", "b": 1}, {"a": "x"}, ["b"]),
        (thing(a=thing(b=TEXT)), {"a": {"b": "x", "c": {"d": 1}}}, {"a": {"b": "x"}}, ["a.c"]),
        (
            thing(a={"type": "array", "items": thing(b=TEXT)}),
            {"a": [{"b": "x"}, {"c": 1}]},
            {"a": [{"b": "x"}, {}]},
            ["a[1].c"],
        ),
        (
            thing(a={"type": "object", "additionalProperties": thing(b=TEXT)}),
            {"a": {"k": {"b": "x", "c": 1}}},
            {"a": {"k": {"b": "x"}}},
            ["a.k.c"],
        ),
        (thing(a={**thing(b=thing()), **KEEP}), {"a": {"b": {"c": 1}, "d": 2}}, {"a": {"b": {}, "d": 2}}, ["a.b.c"]),
        (thing(), {"apiVersion": "v1", "kind": "K", "metadata": {"name": "x"}}, None, []),
        (thing(a=TEXT, b=NUMBER), {"a": None, "b": 1}, {"b": 1}, []),
        (thing(a={**TEXT, "nullable": True}), {"a": None}, None, []),
        (thing(a={**TEXT, "default": "x"}), {"a": None}, None, []),
    ],
)
def test_unknown_fields_go_and_are_named(schema: Any, given_: Any, kept: Any, unknown: list[str]) -> None:
    pruned, gone = prune(given_, Node(schema))
    assert pruned == (given_ if kept is None else kept)
    assert gone == unknown
    if kept is None:
        assert pruned is given_


def test_an_embedded_resource_keeps_its_identity_and_loses_what_no_metadata_has() -> None:
    embedded = {**thing(spec=thing(a=TEXT)), "x-kubernetes-embedded-resource": True}
    inner = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "junk": 1}, "spec": {"a": "x", "b": 1}}
    pruned, gone = prune({"template": inner}, Node(thing(template=embedded)))
    template = pruned["template"]
    assert (template["apiVersion"], template["kind"], template["spec"]) == ("v1", "Pod", {"a": "x"})
    assert template["metadata"]["name"] == "x"
    assert "junk" not in template["metadata"]
    assert gone == ["template.spec.b", "template.metadata.junk"]


@pytest.mark.parametrize(
    ("schema", "given_", "wanted"),
    [
        (thing(a={**NUMBER, "default": 1}), {}, {"a": 1}),
        (thing(a={**NUMBER, "default": 1}), {"a": 0}, {"a": 0}),
        (thing(a={**NUMBER, "default": 1}), {"a": None}, {"a": 1}),
        (thing(a={**NUMBER, "default": 1, "nullable": True}), {"a": None}, {"a": None}),
        (thing(a={**thing(b={**NUMBER, "default": 1}), "default": {}}), {}, {"a": {"b": 1}}),
        (thing(a=thing(b={**NUMBER, "default": 1})), {}, {}),
        (
            thing(a={"type": "array", "items": thing(b={**NUMBER, "default": 1})}),
            {"a": [{}, {"b": 2}]},
            {"a": [{"b": 1}, {"b": 2}]},
        ),
        (
            thing(a={"type": "object", "additionalProperties": {**TEXT, "default": "x"}}),
            {"a": {"k": None, "l": "y"}},
            {"a": {"k": "x", "l": "y"}},
        ),
    ],
)
def test_defaults_fill_what_is_absent(schema: Any, given_: Any, wanted: Any) -> None:
    assert default(given_, Node(schema)) == wanted


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)
NODES = st.recursive(
    st.sampled_from([TEXT, NUMBER, KEEP, {**NUMBER, "default": 1}, {**TEXT, "nullable": True}]),
    lambda inner: (
        st.builds(lambda items: {"type": "array", "items": items}, inner)
        | st.builds(lambda more: {"type": "object", "additionalProperties": more}, inner)
        | st.builds(
            lambda named: {"type": "object", "properties": named},
            st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        )
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=3), NODES)
def test_a_second_time_changes_nothing(value: Any, raw: Any) -> None:
    node = Node(raw)
    once = default(prune(value, node)[0], node)
    again, gone = prune(once, node)
    assert gone == []
    assert again is once
    assert default(once, node) is once
