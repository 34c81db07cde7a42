"""What is kept current pod by pod and node by node is what one who looks at everything anew would find."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.sim.controllers import replicaset
from seatrial.sim.controllers.controller import Seen
from seatrial.sim.controllers.daemonset_tally import Tally, note_node, note_pod, tallies
from seatrial.sim.store.view import View

SPEC: dict[str, Any] = {"selector": {"matchLabels": {"app": "a"}}, "template": {"metadata": {"labels": {"app": "a"}}}}
OWNER: dict[str, Any] = {
    "kind": "DaemonSet",
    "metadata": {"namespace": "default", "name": "d", "uid": "u", "generation": 1},
    "spec": {**SPEC, "template": {**SPEC["template"], "spec": {"containers": [], "nodeSelector": {"disk": "ssd"}}}},
}
REF = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": True}


def pod(name: str, node: str, phase: str, ready: bool, app: str, digest: str, leaving: bool) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "namespace": "default",
        "name": name,
        "uid": name,
        "labels": {"app": app, "controller-revision-hash": digest},
        "ownerReferences": [REF],
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "resourceVersion": "1",
    }
    if leaving:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {
        "metadata": metadata,
        "spec": {"nodeName": node},
        "status": {"phase": phase, "conditions": conditions},
    }


def node(name: str, disk: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"disk": disk}, "resourceVersion": "1"}, "spec": {}}


NODES = st.sampled_from(["n1", "n2", "n3"])
PODS = st.builds(
    pod,
    st.sampled_from(["p1", "p2", "p3", "p4"]),
    st.one_of(NODES, st.just("")),
    st.sampled_from(["Pending", "Running", "Failed", "Succeeded"]),
    st.booleans(),
    st.sampled_from(["a", "a", "a", "b"]),
    st.sampled_from(["x", "y"]),
    st.booleans(),
)
CHANGES = st.tuples(
    st.booleans(),  # a deletion
    st.one_of(PODS, st.builds(node, NODES, st.sampled_from(["ssd", "hdd"]))),
    st.booleans(),  # a turn follows
)


@settings(max_examples=60)
@given(st.lists(CHANGES, max_size=25))
def test_a_daemon_set_judges_nodes_one_by_one_as_all_at_once(changes: list[Any]) -> None:
    nodes, pods, memory = View(), View(), {}
    tally = tallies(memory)["default", "d"] = Tally(OWNER, "x", [])
    tally.judge(OWNER, "x", nodes, 0)
    for gone, obj, turn in changes:
        is_pod = "ownerReferences" in obj["metadata"]
        view = pods if is_pod else nodes
        old = view.get(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        if gone and old is None:
            continue
        view.apply("DELETED" if gone else "MODIFIED", obj)
        seen = Seen("", None if gone else obj, old, lambda _: View(), memory, 0)
        note_pod(seen) if is_pod else note_node(seen)
        if turn:
            tally.judge(OWNER, "x", nodes, 0)
    tally.judge(OWNER, "x", nodes, 0)
    whole = Tally(OWNER, "x", pods.list())
    whole.judge(OWNER, "x", nodes, 0)
    assert tally.todo() == whole.todo()
    assert tally.counts == whole.counts
    assert tally.strange == whole.strange
    assert {name: sorted(each["metadata"]["name"] for each in found) for name, found in tally.by_node().items()} == {
        name: sorted(each["metadata"]["name"] for each in found) for name, found in whole.by_node().items()
    }


@settings(max_examples=60)
@given(st.lists(st.tuples(st.booleans(), PODS, st.booleans()), max_size=25))
def test_a_replica_set_counts_pods_one_by_one_as_all_at_once(changes: list[Any]) -> None:
    there: dict[str, Any] = {}
    tally = replicaset.Tally(OWNER, [])
    for gone, obj, turn in changes:
        name = obj["metadata"]["name"]
        if gone:
            there.pop(name, None)
        else:
            there[name] = obj
        tally.note(name, None if gone else obj)
        if turn:
            tally.catch_up()
    tally.catch_up()
    whole = replicaset.Tally(OWNER, there.values())
    for what in ("active", "labelled", "ready", "leaving", "strange"):
        assert getattr(tally, what) == getattr(whole, what)
    assert sorted(each["metadata"]["name"] for each in tally.active_pods()) == sorted(
        each["metadata"]["name"] for each in whole.active_pods()
    )
