"""Views: indexes follow the objects; a new list is told as differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from seatrial.sim.store.view import View

Object = Mapping[str, Any]


def thing(name: str, revision: int, *keys: str) -> Object:
    metadata = {"name": name, "namespace": "default", "resourceVersion": str(revision)}
    return {"metadata": metadata, "keys": list(keys)}


def view() -> View:
    return View({"key": lambda obj: obj["keys"]})


def test_deliveries_advance_the_revision_and_return_what_was_there() -> None:
    fed = view()
    first, second = thing("a", 5, "x"), thing("a", 7, "y")
    assert fed.apply("ADDED", first) is None
    assert fed.apply("MODIFIED", second) is first
    assert (fed.revision, fed.indexed("key", "x"), fed.indexed("key", "y")) == (7, [], [second])
    assert fed.apply("DELETED", thing("a", 9, "y")) is second
    assert (fed.revision, len(fed), fed.list("default"), fed.indexed("key", "y")) == (9, 0, [], [])


def test_new_list_is_told_as_differences() -> None:
    fed = view()
    kept, changed, gone = thing("kept", 1), thing("changed", 2), thing("gone", 3)
    fed.replace([kept, changed, gone], 3)
    newer, new = thing("changed", 6), thing("new", 7)
    assert fed.replace([kept, newer, new], 8) == [
        ("MODIFIED", newer, changed),
        ("ADDED", new, None),
        ("DELETED", gone, gone),
    ]
    assert fed.revision == 8
    assert {obj["metadata"]["name"] for obj in fed.list()} == {"kept", "changed", "new"}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.lists(st.sampled_from("xyz"), unique=True), st.booleans())))
def test_indexes_are_what_a_search_would_find(changes: list[tuple[str, list[str], bool]]) -> None:
    fed = view()
    for revision, (name, keys, delete) in enumerate(changes, 1):
        fed.apply("DELETED" if delete else "MODIFIED", thing(name, revision, *keys))
    for key in "xyz":
        found = sorted(obj["metadata"]["name"] for obj in fed.indexed("key", key))
        assert found == sorted(obj["metadata"]["name"] for obj in fed.list() if key in obj["keys"])
