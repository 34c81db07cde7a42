"""Decisions: the columns answer as one node after the other would; searches stop where they should."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.sim.scheduler.decide import Decision, feasible_nodes_to_find
from tests.sim.scheduler import plain, strategies
from tests.sim.scheduler.building import World, node, pod


class Pair:
    """The same cluster twice: as columns that are kept up to date, and plain."""

    def __init__(self) -> None:
        self.world = World()
        self.plain = plain.PlainCluster()
        for name, labels in (("one", {"team": "a"}), ("two", {"team": "b"})):
            self.world.cache.set_object("namespaces", {"metadata": {"name": name, "labels": labels}})
            self.plain.namespaces[name] = labels

    def set_node(self, given: dict[str, Any]) -> None:
        self.world.cache.set_node(given)
        self.plain.nodes[given["metadata"]["name"]] = given

    def remove_node(self, name: str) -> None:
        self.world.cache.remove_node(name)
        self.plain.nodes.pop(name, None)

    def place(self, given: dict[str, Any], on: str) -> None:
        self.world.place(given, on)
        self.plain.pods[given["metadata"]["uid"]] = (given, on)

    def remove(self, uid: str) -> None:
        self.world.cache.remove_pod(uid)
        self.plain.pods.pop(uid, None)

    def decide_alike(self, given: dict[str, Any]) -> Decision:
        """Ask both and compare everything."""
        cluster = self.plain
        decision = self.world.framework.decide(self.world.info(given), Random(0), detail=True)
        expected = {name: plain.rejection(cluster, given, node) for name, node in cluster.nodes.items()}
        found = {
            name: (rejection.status.plugin, list(rejection.status.reasons))
            for rejection in decision.rejected
            for name in rejection.nodes
        }
        assert found == {name: why for name, why in expected.items() if why is not None}
        feasible = [cluster.nodes[name] for name, why in expected.items() if why is None]
        assert sorted(decision.fitting) == sorted(node["metadata"]["name"] for node in feasible)
        if len(feasible) > 1:
            scores = plain.scores(cluster, given, feasible)
            assert decision.scores == scores
            assert decision.node is not None
            assert decision.final[decision.node] == max(sum(parts.values()) for parts in scores.values())
        return decision


@given(st.data())
@settings(max_examples=150)
def test_columns_answer_as_one_node_after_the_other_would(data: st.DataObject) -> None:
    a_history(data)


def a_history(data: st.DataObject, about: str | None = None) -> None:
    """Pods and nodes come, change and go; after each step both schedulers are asked."""
    about = about or data.draw(st.sampled_from(strategies.ABOUT), label="about")
    pair = Pair()
    names = [f"n{number}" for number in range(data.draw(st.integers(1, 6), label="nodes"))]
    for name in names:
        pair.set_node(data.draw(strategies.nodes(name), label=name))
    waiting = [data.draw(strategies.pods(f"p{i}", about), label=f"p{i}") for i in range(data.draw(st.integers(1, 6)))]
    for step in range(data.draw(st.integers(1, 12), label="steps")):
        change = data.draw(st.sampled_from(("ask", "ask", "place", "place", "remove", "node", "lose")), label="change")
        chosen = data.draw(st.sampled_from(waiting), label="pod")
        if change == "place":
            copy = {**chosen, "metadata": {**chosen["metadata"], "name": f"x{step}", "uid": f"x{step}"}}
            pair.place(copy, data.draw(st.sampled_from(names), label="on"))
        elif change == "remove" and pair.plain.pods:
            pair.remove(data.draw(st.sampled_from(sorted(pair.plain.pods)), label="removed"))
        elif change == "node":
            pair.set_node(data.draw(strategies.nodes(data.draw(st.sampled_from(names)))))
        elif change == "lose" and len(pair.plain.nodes) > 1:
            pair.remove_node(data.draw(st.sampled_from(sorted(pair.plain.nodes)), label="lost"))
        if pair.plain.nodes:
            pair.decide_alike(chosen)


@given(st.data())
@settings(max_examples=60)
def test_whoever_is_placed_breaks_no_rule(data: st.DataObject) -> None:
    pair = Pair()
    for number in range(data.draw(st.integers(2, 6))):
        pair.set_node(data.draw(strategies.nodes(f"n{number}")))
    for number in range(data.draw(st.integers(1, 10))):
        given_pod = data.draw(strategies.pods(f"p{number}"))
        decision = pair.decide_alike(given_pod)
        if decision.node is None:
            assert all(plain.rejection(pair.plain, given_pod, node) for node in pair.plain.nodes.values())
            continue
        assert plain.rejection(pair.plain, given_pod, pair.plain.nodes[decision.node]) is None
        pair.place(given_pod, decision.node)
    for name, given_node in pair.plain.nodes.items():
        there = pair.plain.on(name)
        for resource, text in given_node["status"]["allocatable"].items():
            used = sum(plain.requests(each).get(resource, 0) for each in there) if resource != "pods" else len(there)
            assert used <= plain.number(resource, text)


@pytest.mark.parametrize(
    ("nodes", "percentage", "expected"),
    [(50, 0, 50), (100, 0, 100), (500, 0, 230), (1000, 0, 420), (5000, 0, 500), (6000, 0, 300), (1000, 40, 400),
     (1000, 100, 1000), (200, 10, 100)],
)  # fmt: skip
def test_large_clusters_are_not_searched_to_the_end(nodes: int, percentage: int, expected: int) -> None:
    assert feasible_nodes_to_find(nodes, percentage) == expected


def test_the_search_goes_on_where_it_stopped() -> None:
    world = World(*(node(f"n{number:03}") for number in range(200)))
    rng = Random(3)
    searched = []
    for number in range(3):
        decision = world.framework.decide(world.info(pod(f"p{number}", cpu="100m")), rng)
        searched.append((decision.evaluated, world.cache.next_start))
    assert searched == [(100, 100), (100, 0), (100, 100)]


def test_nodes_of_different_zones_take_turns() -> None:
    zone = "topology.kubernetes.io/zone"
    world = World(*(node(f"{z}{i}", {zone: z}) for z in ("a", "b") for i in range(3)), node("b3", {zone: "b"}))
    assert [info.name for info in world.cache.nodes] == ["a0", "b0", "a1", "b1", "a2", "b2", "b3"]


def test_ties_are_broken_by_the_random_stream() -> None:
    world = World(*(node(f"n{number}") for number in range(5)))
    chosen = {world.framework.decide(world.info(pod("p", cpu="1")), Random(seed)).node for seed in range(60)}
    assert chosen == {f"n{number}" for number in range(5)}


def test_a_nominated_pod_keeps_its_place_from_pods_of_lower_priority() -> None:
    world = World(node("n0", cpu="1"))
    high = world.info(pod("high", cpu="1", priority=10))
    world.cache.nominate(high, "n0")
    low = world.framework.decide(world.info(pod("low", cpu="500m")), Random(0))
    assert low.message == "0/1 nodes are available: 1 Insufficient cpu."
    higher = world.framework.decide(world.info(pod("higher", cpu="500m", priority=20)), Random(0))
    assert higher.node == "n0"
    high.nominated = "n0"
    assert world.framework.decide(high, Random(0)).node == "n0"


def test_a_pod_bound_to_named_nodes_looks_at_these_only() -> None:
    fields = [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": fields}]}}
    world = World(node("n0"), node("n1"))
    info = world.info(pod("daemon", cpu="1", affinity={"nodeAffinity": required}))
    assert world.framework.decide(info, Random(0)).node == "n1"
    big = world.info(pod("big", cpu="9", affinity={"nodeAffinity": required}))
    assert world.framework.decide(big, Random(0)).message == (
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't satisfy plugin(s) [NodeAffinity]."
    )
