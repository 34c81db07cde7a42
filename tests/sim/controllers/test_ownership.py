"""From a changed child to the owners that it concerns."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.controllers.controller import Seen
from seatrial.sim.controllers.ownership import REPLICA_SET, children_keys
from seatrial.sim.store.view import View

SET = {
    "kind": "ReplicaSet",
    "metadata": {"namespace": "default", "name": "web", "uid": "1", "resourceVersion": "1"},
    "spec": {"selector": {"matchLabels": {"app": "web"}}},
}
OURS = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1", "controller": True}
THEIRS = {"apiVersion": "batch/v1", "kind": "Job", "name": "web", "uid": "2", "controller": True}
MERE = {"apiVersion": "v1", "kind": "ConfigMap", "name": "web", "uid": "3"}


def pod(*owners: dict[str, Any]) -> dict[str, Any]:
    metadata = {"namespace": "default", "name": "a", "uid": "9", "labels": {"app": "web"}}
    return {"kind": "Pod", "metadata": {**metadata, "ownerReferences": list(owners)} if owners else metadata}


CASES = [
    ("a child of the kind", pod(OURS), None, True),
    ("a child of another kind", pod(THEIRS), None, False),
    ("a child of another kind, changed", pod(THEIRS), pod(THEIRS), False),
    ("taken over by another kind", pod(THEIRS), pod(OURS), True),
    ("left by another kind", pod(), pod(THEIRS), True),
    ("an orphan", pod(), None, True),
    ("an orphan that somebody owns without controlling it", pod(MERE), None, True),
]


@pytest.mark.parametrize(("what", "new", "old", "concerned"), CASES, ids=[case[0] for case in CASES])
def test_a_changed_child_concerns(what: str, new: Any, old: Any, concerned: bool) -> None:
    sets = View()
    sets.apply("ADDED", SET)
    seen = Seen("ADDED" if old is None else "MODIFIED", new, old, lambda storage: sets, {}, 0, None)
    assert list(children_keys(REPLICA_SET)(seen)) == ([("default", "web")] if concerned else [])
