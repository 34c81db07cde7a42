"""Preemption: who has to go, where, and when nobody does."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.sim.scheduler.preemption import BUDGETS, Preemption, preempt
from tests.sim.scheduler import plain, strategies
from tests.sim.scheduler.building import World, node, pod
from tests.sim.scheduler.test_decide import Pair


def ask(world: World, given_pod: dict[str, Any], seed: int = 0) -> Preemption:
    """Decide, and if no node suits, see who could make room."""
    info = world.info(given_pod)
    decision = world.framework.decide(info, Random(seed))
    assert decision.node is None
    return preempt(world.framework, info, decision, Random(seed))


@given(st.data())
@settings(max_examples=100)
def test_room_is_made_by_as_few_as_possible(data: st.DataObject) -> None:
    room_is_made(data)


def room_is_made(data: st.DataObject) -> None:
    """Victims are of lower priority; without them the pod fits, and with any one of them back it would not; the least
    important that could go went."""
    pair = Pair()
    about = data.draw(st.sampled_from(strategies.ABOUT))
    names = [f"n{number}" for number in range(data.draw(st.integers(1, 3)))]
    for name in names:
        pair.set_node(data.draw(strategies.nodes(name)))
    for number in range(data.draw(st.integers(2, 10))):
        given_pod = data.draw(strategies.pods(f"p{number}", about))
        if data.draw(st.integers(0, 3)) == 0:
            given_pod = {**given_pod, "spec": {**given_pod["spec"], "priority": 20}}
        where = data.draw(st.sampled_from(names))
        if plain.rejection(pair.plain, given_pod, pair.plain.nodes[where]) is None:
            pair.place(given_pod, where)
    wanted = data.draw(strategies.pods("wanted", about))
    priority = data.draw(st.sampled_from((10, 15)))
    wanted = {**wanted, "spec": {**wanted["spec"], "priority": priority}}
    info = pair.world.info(wanted)
    decision = pair.world.framework.decide(info, Random(0))
    if decision.node is not None:
        return
    outcome = preempt(pair.world.framework, info, decision, Random(0))
    if outcome.candidate is None:
        assert outcome.message.startswith("preemption: 0/")
        return
    victims = outcome.candidate.victims
    assert victims and all(victim.priority < priority for victim in victims)
    assert list(victims) == sorted(victims, key=lambda victim: -victim.priority)
    target = pair.plain.nodes[outcome.candidate.node]
    kept = {uid: entry for uid, entry in pair.plain.pods.items() if uid not in {v.uid for v in victims}}
    without = plain.PlainCluster(pair.plain.nodes, kept, pair.plain.namespaces)
    assert plain.rejection(without, wanted, target) is None
    for victim in victims:
        back = {**kept, victim.uid: pair.plain.pods[victim.uid]}
        again = plain.PlainCluster(pair.plain.nodes, back, pair.plain.namespaces)
        assert plain.rejection(again, wanted, target) is not None
    spared = [other for other in pair.plain.on(outcome.candidate.node) if other["metadata"]["uid"] in kept]
    for victim in victims:
        for other in spared:
            if other["spec"]["priority"] < victim.priority:
                swapped = {uid: entry for uid, entry in kept.items() if uid != other["metadata"]["uid"]}
                swapped[victim.uid] = pair.plain.pods[victim.uid]
                cluster = plain.PlainCluster(pair.plain.nodes, swapped, pair.plain.namespaces)
                fewer = len(victims) == 1 and plain.rejection(cluster, wanted, target) is None
                assert not fewer, f"{other['metadata']['name']} could have gone instead of {victim.name}"


def test_a_budget_is_broken_only_where_nothing_else_helps() -> None:
    world = World(node("n0", cpu="1"), node("n1", cpu="1"))
    world.place(pod("protected", cpu="1", labels={"app": "db"}), "n0")
    world.place(pod("free", cpu="1", priority=5), "n1")
    world.cache.set_object(
        BUDGETS,
        {
            "metadata": {"name": "db", "namespace": "default"},
            "spec": {"selector": {"matchLabels": {"app": "db"}}},
            "status": {"disruptionsAllowed": 0},
        },
    )
    outcome = ask(world, pod("high", cpu="1", priority=10))
    assert outcome.candidate is not None
    assert [victim.name for victim in outcome.candidate.victims] == ["free"]
    world.cache.remove_pod("default/free")
    world.place(pod("equal", cpu="1", priority=10), "n1")
    outcome = ask(world, pod("high", cpu="1", priority=10))
    assert outcome.candidate is not None and outcome.candidate.violations == 1


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"cpu": "9"}, "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."),
        ({"cpu": "4"}, "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."),
        (
            {"cpu": "4", "priority": 10, "preemptionPolicy": "Never"},
            "preemption: not eligible due to preemptionPolicy=Never.",
        ),
    ],
)
def test_it_says_why_preemption_does_not_help(wanted: dict[str, Any], message: str) -> None:
    world = World(node("n0"))
    world.place(pod("there", cpu="1"), "n0")
    assert ask(world, pod("wanted", **wanted)).message == message


def test_a_pod_waits_for_victims_that_are_on_their_way_out() -> None:
    world = World(node("n0", cpu="1"))
    victim = pod("victim", cpu="1")
    victim["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:30Z"
    target = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
    world.place({**victim, "status": {"conditions": [target]}}, "n0")
    high = {**pod("high", cpu="1", priority=10), "status": {"nominatedNodeName": "n0"}}
    assert ask(world, high).message == "preemption: not eligible due to a terminating pod on the nominated node."


def test_the_latest_started_victims_go_of_equally_important_ones() -> None:
    world = World(node("n0", cpu="1"), node("n1", cpu="1"))
    for name, start in (("n0", "2026-01-01T00:00:00Z"), ("n1", "2026-01-01T00:05:00Z")):
        world.place({**pod(f"on-{name}", cpu="1"), "status": {"startTime": start}}, name)
    for seed in range(10):
        outcome = ask(world, pod("high", cpu="1", priority=10), seed)
        assert outcome.candidate is not None and outcome.candidate.node == "n1"
