"""No pod waits that would fit: whatever happens in a cluster, queueing hints bring back whoever it helps."""

from __future__ import annotations

from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pytest import MonkeyPatch, mark, raises

from seatrial.sim.scheduler.intake import Intake
from seatrial.sim.scheduler.plugins.interpodaffinity import InterPodAffinity
from seatrial.sim.scheduler.plugins.noderesources import NodeResourcesFit
from tests.sim.scheduler import plain
from tests.sim.scheduler.test_scheduler import Stage

ZONE, HOSTNAME = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
BACKOFFS_US = 25_000_000
"""Longer than any back-off, shorter than the five minutes after which every pod is tried anyway."""
TERM = {"labelSelector": {"matchLabels": {"app": "a"}}, "topologyKey": HOSTNAME}
WISHES: dict[str, dict[str, Any]] = {
    "small": {"cpu": "500m"},
    "large": {"cpu": "1500m"},
    "zone": {"nodeSelector": {ZONE: "z1"}},
    "tolerant": {"tolerations": [{"key": "k", "operator": "Exists"}]},
    "friend": {"affinity": {"podAffinity": {plain.REQUIRED: [TERM]}}},
    "loner": {"affinity": {"podAntiAffinity": {plain.REQUIRED: [TERM]}}, "labels": {"app": "a"}},
    "spread": {
        "labels": {"app": "a"},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": HOSTNAME,
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"app": "a"}},
            }
        ],
    },
}
NODE_CHANGES: tuple[dict[str, Any], ...] = (
    {"spec": {"unschedulable": True}},
    {"spec": {"unschedulable": None}},
    {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}},
    {"spec": {"taints": None}},
    {"metadata": {"labels": {ZONE: "z1"}}},
    {"metadata": {"labels": {ZONE: None}}},
)
DELETE = st.tuples(st.just("delete"), st.integers(0, 9))
WAIT = st.tuples(st.just("wait"), st.integers(1, 3000))


def steps_of(*wishes: str) -> Any:
    """What may happen where pods have these wishes."""
    pod = st.tuples(st.just("pod"), st.sampled_from(wishes))
    change = st.tuples(st.just("change"), st.tuples(st.integers(0, 2), st.sampled_from(NODE_CHANGES)))
    return st.one_of(pod, pod, pod, DELETE, DELETE, change, st.tuples(st.just("node"), st.just(0)), WAIT)


ROOM = st.lists(
    st.one_of(st.tuples(st.just("pod"), st.sampled_from(("large", "small"))), DELETE, WAIT), min_size=4, max_size=12
)
"""Nodes are full, and pods come and go."""
COMPANY = st.lists(steps_of("friend", "loner", "spread"), min_size=4, max_size=12)
ANYTHING = st.lists(steps_of(*sorted(WISHES)), min_size=4, max_size=14)


def live(steps: list[tuple[str, Any]]) -> None:
    """Play the steps, wait for the back-offs, and see whether anybody is stuck who need not be."""
    stage = Stage(nodes=1)
    made: list[str] = []
    nodes = ["w1"]
    for number, (kind, what) in enumerate(steps):
        if kind == "pod":
            made.append(f"p{number}")
            stage.add_pod(made[-1], **WISHES[what])
        elif kind == "delete" and made:
            stage.delete_pod(made.pop(what % len(made)))
        elif kind == "change":
            stage.patch_node(nodes[what[0] % len(nodes)], what[1])
        elif kind == "node" and len(nodes) < 4:
            nodes.append(f"w{len(nodes) + 1}")
            stage.add_node(nodes[-1])
        elif kind == "wait":
            stage.cluster.run(what * 1000)
    stage.cluster.run(BACKOFFS_US)
    cluster = plain.PlainCluster(namespaces={"default": {}})
    for node in stage.cluster.store.list("nodes"):
        cluster.nodes[node["metadata"]["name"]] = node
    pods = stage.cluster.store.list("pods")
    for pod in pods:
        if pod["spec"].get("nodeName"):
            cluster.pods[pod["metadata"]["uid"]] = (pod, pod["spec"]["nodeName"])
    for pod in pods:
        if not pod["spec"].get("nodeName"):
            fits = [name for name, node in cluster.nodes.items() if plain.rejection(cluster, pod, node) is None]
            assert not fits, f"{pod['metadata']['name']} waits, but fits {fits}"


@given(st.one_of(ROOM, COMPANY, ANYTHING))
@settings(max_examples=60)
def test_no_pod_waits_that_would_fit(steps: list[tuple[str, Any]]) -> None:
    live(steps)


MUTATIONS: dict[str, tuple[Any, Any, str, Any]] = {
    "departures of pods are not told": (ROOM, Intake, "_gone", lambda self, old: None),
    "room is never expected": (ROOM, NodeResourcesFit, "events", ()),
    "new neighbours are not expected": (COMPANY, InterPodAffinity, "hint", lambda self, pod, event, old, new: False),
}


@mark.parametrize("name", MUTATIONS)
def test_a_hint_that_is_missing_is_noticed(name: str, monkeypatch: MonkeyPatch) -> None:
    happenings, *patch = MUTATIONS[name]
    monkeypatch.setattr(*patch)

    @given(happenings)
    @settings(max_examples=200, phases=[Phase.generate], database=None)
    def run(steps: list[tuple[str, Any]]) -> None:
        live(steps)

    with raises((AssertionError, ExceptionGroup)):
        run()
