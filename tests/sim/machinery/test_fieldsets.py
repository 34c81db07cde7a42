"""Sets of fields: their algebra, and what of an object belongs to one."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sim.machinery import fieldsets, schema
from seatrial.sim.machinery.fieldsets import MEMBER, SELF, Keyless, Set

POD = fieldsets.of_type(schema.type_of_kind("", "v1", "Pod"))
ACCOUNT = fieldsets.of_type(schema.type_of_kind("", "v1", "ServiceAccount"))
ANY = fieldsets.of_type(None)

Path = tuple[str, ...]
keys = st.sampled_from(["f:a", "f:b", 'k:{"name":"c"}', 'v:"d"'])
paths = st.sets(st.lists(keys, min_size=1, max_size=3).map(tuple), max_size=6)


def set_of(members: set[Path]) -> Set | None:
    """The set with these paths as its members."""
    root: dict[str, Any] = {}
    for path in sorted(members):
        node = root
        for key in path:
            node = node.setdefault(key, {"!": True})
        node[SELF] = MEMBER
    return _plain(root, top=True) or None


def _plain(node: dict[str, Any], top: bool = False) -> dict[str, Any]:
    found = {key: _plain(inner) if key != SELF else MEMBER for key, inner in node.items() if key != "!"}
    return {} if list(found) == [SELF] else found


def members(one: Set | None, prefix: Path = ()) -> set[Path]:
    found: set[Path] = set()
    for key, node in (one or {}).items():
        if key == SELF:
            continue
        if fieldsets.has_self(node):
            found.add((*prefix, key))
        found |= members(node, (*prefix, key))
    return found


@given(paths, paths)
def test_unions_differences_and_intersections_are_those_of_their_members(one: set[Path], other: set[Path]) -> None:
    a, b = set_of(one), set_of(other)
    assert members(fieldsets.union(a, b)) == one | other
    assert members(fieldsets.difference(a, b)) == one - other
    assert members(fieldsets.intersection(a, b)) == one & other


@given(paths, paths)
def test_what_changes_nothing_gives_the_same_set(one: set[Path], other: set[Path]) -> None:
    a = set_of(one)
    assert fieldsets.union(a, set_of(one & other)) is a
    assert fieldsets.difference(a, set_of(other - one)) is a


@given(paths, paths)
def test_excluding_takes_what_lies_below_as_well(one: set[Path], other: set[Path]) -> None:
    roots = set_of(other)
    found = fieldsets.excluding(set_of(one), roots) if roots else set_of(one)
    assert members(found) == {path for path in one if not any(path[: len(root)] == root for root in other)}


@given(paths)
def test_a_set_survives_being_written(one: set[Path]) -> None:
    found = set_of(one)
    if found is not None:
        again = fieldsets.read(fieldsets.written(found))
        assert members(again) == one
        assert fieldsets.read(fieldsets.written(again)) is again


@given(paths, paths, paths)
def test_a_changed_set_is_arranged_as_if_it_had_been_written_anew(
    owned: set[Path], taken: set[Path], removed: set[Path]
) -> None:
    known = set_of(owned)
    known = None if known is None else fieldsets.read(fieldsets.written(known))
    left = fieldsets.union(fieldsets.difference(known, set_of(removed)), set_of(taken))
    if left is not None:
        found = fieldsets.arranged(left, known)
        assert orjson.dumps(found) == orjson.dumps(fieldsets.read(fieldsets.written(left)))
        assert (found is known) == (left is known)


def test_elements_come_in_upstreams_order() -> None:
    one = {
        'k:{"containerPort":8080,"protocol":"TCP"}': MEMBER,
        'k:{"containerPort":443,"protocol":"TCP"}': MEMBER,
        SELF: MEMBER,
        'k:{"containerPort":443,"protocol":"SCTP"}': MEMBER,
    }
    assert list(fieldsets.read(fieldsets.written(one))) == [
        SELF,
        'k:{"containerPort":443,"protocol":"SCTP"}',
        'k:{"containerPort":443,"protocol":"TCP"}',
        'k:{"containerPort":8080,"protocol":"TCP"}',
    ]


def test_paths_print_as_upstream_prints_them() -> None:
    one = {
        "f:spec": {
            "f:containers": {'k:{"name":"a"}': {"f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': MEMBER}}},
            "f:finalizers": {'v:"x"': MEMBER},
        }
    }
    assert list(fieldsets.paths(one)) == [
        '.spec.containers[name="a"].ports[containerPort=80,protocol="TCP"]',
        '.spec.finalizers[="x"]',
    ]


def test_what_is_new_belongs_to_the_writer_with_all_that_holds_it() -> None:
    pod = {"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 80}]}], "tolerations": [{"key": "t"}]}}
    changed, removed = fieldsets.compare(POD, {"spec": {"containers": None}}, pod)
    assert removed is None
    assert changed == {
        "f:spec": {
            "f:containers": {
                'k:{"name":"a"}': {
                    SELF: MEMBER,
                    "f:name": MEMBER,
                    "f:ports": {
                        SELF: MEMBER,
                        'k:{"containerPort":80,"protocol":"TCP"}': {SELF: MEMBER, "f:containerPort": MEMBER},
                    },
                }
            },
            "f:tolerations": MEMBER,
        }
    }


def test_only_what_differs_is_changed_and_what_is_gone_removed() -> None:
    old = {"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"nodeName": "x", "nodeSelector": {"a": "b"}}}
    new = {"metadata": {"labels": {"a": "1", "b": "3"}}, "spec": {"nodeName": "x", "nodeSelector": {"c": "d"}}}
    assert fieldsets.compare(POD, old, new) == (
        {"f:metadata": {"f:labels": {"f:b": MEMBER}}, "f:spec": {"f:nodeSelector": MEMBER}},
        None,
    )
    assert fieldsets.compare(POD, old, {**old, "metadata": {"labels": {"b": "2"}}})[1] == {
        "f:metadata": {"f:labels": {"f:a": MEMBER}}
    }


def test_a_configuration_claims_leaves_and_items() -> None:
    config = {"metadata": {"labels": {"a": "1"}}, "spec": {"containers": [{"name": "a", "env": []}], "volumes": None}}
    assert fieldsets.applied(POD, config) == {
        "f:metadata": {"f:labels": {"f:a": MEMBER}},
        "f:spec": {"f:containers": {'k:{"name":"a"}': {SELF: MEMBER, "f:name": MEMBER}}, "f:volumes": MEMBER},
    }


def test_without_a_schema_maps_are_granular_and_lists_atomic() -> None:
    config = {"spec": {"list": [{"name": "a"}], "map": {"x": {"y": 1}}}}
    assert fieldsets.applied(ANY, config) == {
        "f:spec": {SELF: MEMBER, "f:list": MEMBER, "f:map": {SELF: MEMBER, "f:x": {SELF: MEMBER, "f:y": MEMBER}}}
    }


def test_an_item_must_have_its_keys() -> None:
    with pytest.raises(Keyless, match='omits key field "name"'):
        fieldsets.applied(ACCOUNT, {"secrets": [{"namespace": "x"}]})
    assert fieldsets.applied(POD, {"spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}]}]}}) == {
        "f:spec": {
            "f:containers": {
                'k:{"name":"c"}': {
                    SELF: MEMBER,
                    "f:name": MEMBER,
                    "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {SELF: MEMBER, "f:containerPort": MEMBER}},
                }
            }
        }
    }, "unless the schema has a default for it"


def test_items_and_members_are_taken_out() -> None:
    pod = {"spec": {"containers": [{"name": "a"}, {"name": "b", "image": "x"}], "nodeName": "n"}}
    gone = {
        "f:spec": {
            "f:containers": {'k:{"name":"a"}': MEMBER, 'k:{"name":"b"}': {"f:image": MEMBER}},
            "f:nodeName": MEMBER,
        }
    }
    assert fieldsets.without_items(POD, pod, gone) == {"spec": {"containers": [{"name": "b"}]}}
    assert fieldsets.without_items(
        POD, {"metadata": {"labels": {"a": "1"}}}, {"f:metadata": {"f:labels": {"f:a": {}}}}
    ) == {"metadata": {"labels": None}}
