"""What differs between two moments."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.scenarios.differences import Difference, differences, fields, unified
from seatrial.scenarios.moments import moment_of, revision_at
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, S
from seatrial.sim.kernel.clock import stamp_of

BARE = ClusterSpec(nodes=0, controllers="none")


def configmap(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


@pytest.fixture
def lived() -> Cluster:
    """A minute apart: a and b made; a changed, b gone, c made; c changed and back."""
    cluster = Cluster(BARE)
    cluster.advance("1m")
    cluster.apply([configmap("a", x="1"), configmap("b")])
    cluster.advance("1m")
    cluster.apply([configmap("a", x="2", y="3"), configmap("c", z="1")])
    cluster.delete("configmap", "b")
    cluster.advance("1m")
    for value in ("2", "1"):
        cluster.apply(configmap("c", z=value))
    cluster.advance("1m")
    return cluster


def found(cluster: Cluster, since: str, until: str) -> list[tuple[str, str]]:
    ends = [revision_at(cluster, moment_of(text, cluster)) for text in (since, until)]
    return [(each.verb, each.shown["metadata"]["name"]) for each in differences(cluster.store, *ends)]


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        ("3m30s", "2m30s", [("added", "a"), ("added", "b")]),
        ("2m30s", "1m30s", [("changed", "a"), ("removed", "b"), ("added", "c")]),
        ("1m30s", "2m30s ago", [("changed", "a"), ("added", "b"), ("removed", "c")]),
        ("1m30s", "now", []),
        ("start", "now", [("added", "a"), ("added", "c")]),
        ("now", "now", []),
    ],
)
def test_objects(lived: Cluster, since: str, until: str, expected: list[tuple[str, str]]) -> None:
    assert found(lived, since, until) == expected


def test_differences_are_what_the_store_held(lived: Cluster) -> None:
    """From any revision to any other, applied to the one, they give the other."""
    store = lived.store
    revisions = range(store.floor + 1, store.revision + 1)
    for since in revisions:
        for until in revisions:
            held = {obj["metadata"]["name"]: obj for obj in store.list_at("configmaps", "default", since)}
            for each in differences(store, since, until):
                if each.title.startswith("ConfigMap default/"):
                    assert held.pop(each.shown["metadata"]["name"], None) == each.before
                    if each.after is not None:
                        held[each.shown["metadata"]["name"]] = each.after
            then = {obj["metadata"]["name"]: obj for obj in store.list_at("configmaps", "default", until)}
            assert {name: obj["data"] for name, obj in held.items() if "data" in obj} == {
                name: obj["data"] for name, obj in then.items() if "data" in obj
            }


def test_fields_and_text(lived: Cluster) -> None:
    ends = [revision_at(lived, moment_of(text, lived)) for text in ("2m30s", "90s")]
    changed = next(each for each in differences(lived.store, *ends) if each.verb == "changed")
    assert fields(changed) == [("data.x", "1", "2"), ("data.y", None, "3")]
    lines = unified(changed, ("before", "after"))
    assert lines[:2] == ["--- ConfigMap default/a  before", "+++ ConfigMap default/a  after"]
    assert [line for line in lines[2:] if line[0] in "+-"] == ["-  x: '1'", "+  x: '2'", "+  y: '3'"]


def test_entries_of_lists_are_named() -> None:
    before = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "x:1"}, {"name": "b"}]}}
    after = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "b"}, {"name": "a", "image": "x:2"}]}}
    assert fields(Difference("pods", before, after)) == [("spec.containers[name=a].image", "x:1", "x:2")]


def test_moments(lived: Cluster) -> None:
    now = lived.now
    assert moment_of("90s", lived).at_us == now - 90 * S
    assert moment_of(stamp_of(now - 60 * S), lived).at_us == now - 60 * S
    tip = lived.store.revision
    assert moment_of(str(tip), lived) == (now - 60 * S, tip)
    assert moment_of("start", lived).at_us == BARE.epoch_us


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2h", "before this boot"),
        ("2030-01-01T00:00:00Z", "still to come"),
        ("99999", "not in the log"),
        ("soon", "no"),
    ],
)
def test_what_is_no_moment_is_refused(lived: Cluster, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        moment_of(text, lived)
