"""Parts of different objects that say the same become one object, and nothing else changes."""

from __future__ import annotations

import sys
from typing import Any

import orjson

from seatrial.sim.kernel.compact import compact
from seatrial.sim.machinery.alike import KNOWN_MAX, LONG_BYTES, shared


def status(address: str) -> dict[str, Any]:
    return {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True", "lastProbeTime": None}],
        "containerStatuses": [{"containerID": address, "state": {"running": {"startedAt": "now"}}, "ready": True}],
        "podIPs": [{"ip": address}],
    }


def test_what_says_the_same_is_one_object_at_any_depth() -> None:
    one, other = shared(status("a"), {}), shared(status("b"), {})
    assert (one, other) == (status("a"), status("b"))
    assert one["conditions"] is other["conditions"]
    assert one["containerStatuses"][0]["state"] is other["containerStatuses"][0]["state"]
    assert one["podIPs"] is not other["podIPs"]


def test_what_only_compares_equal_stays_apart() -> None:
    texts = [orjson.dumps(shared({"a": [value]}, {})) for value in (1, True, 1.0, "1")]
    assert texts == [b'{"a":[1]}', b'{"a":[true]}', b'{"a":[1.0]}', b'{"a":["1"]}']
    assert list(shared({"a": {"y": 1, "x": 2}}, {})["a"]) == ["y", "x"]
    assert list(shared({"a": {"x": 2, "y": 1}}, {})["a"]) == ["x", "y"]


def test_what_did_not_change_is_left_alone() -> None:
    before = {"conditions": [{"type": "Ready"}]}
    after = {**before, "phase": "Running"}
    assert shared(after, before) is after


def test_the_memory_has_a_bound() -> None:
    first = shared({"a": ["first"]}, {})["a"]
    for number in range(KNOWN_MAX):
        shared({"a": [f"other {number}"]}, {})
    again = shared({"a": ["first"]}, {})["a"]
    assert again == first
    assert again is not first


def test_what_is_long_is_not_remembered_but_its_parts_are() -> None:
    """So the memory's size has a bound, not only the number of what it holds."""
    items = [{"number": number, "text": "x" * 100} for number in range(LONG_BYTES // 100)]
    one, other = shared({"a": items}, {})["a"], shared({"a": [*items]}, {})["a"]
    assert one == other == items
    assert one is not other
    assert one[0] is other[0]


def test_compact_bytes_are_the_same_bytes() -> None:
    raw = orjson.dumps(status("a"))
    assert compact(raw) == raw
    assert sys.getsizeof(compact(raw)) == sys.getsizeof(raw)
