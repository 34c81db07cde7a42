"""Disruption budgets whose pods cannot be counted."""

from __future__ import annotations

from seatrial.sim.config import S
from seatrial.sim.controllers import disruption, disruption_plan
from seatrial.sim.controllers.actions import Record, Update
from seatrial.sim.machinery.kinds import builtin
from tests.sim.controllers.world import World


def test_a_budget_that_cannot_be_counted_allows_nothing_and_says_so_once() -> None:
    world = World(disruption.reconcile, kinds=builtin())
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "w"}}}
    world.put(disruption.BUDGETS, {"metadata": {"name": "b"}, "spec": spec, "status": {"disruptionsAllowed": 1}})
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "j", "controller": True}
    metadata = {"name": "p", "labels": {"app": "w"}, "ownerReferences": [owner]}
    world.put("pods", {"metadata": metadata, "spec": {}, "status": {"phase": "Running"}})
    for _ in range(3):
        world.run(("default", "b"))
        world.now += S
    problem = "jobs.batch does not implement the scale subresource"
    (status,) = [each.obj["status"] for each in world.made(Update)]
    (condition,) = status["conditions"]
    assert (status["disruptionsAllowed"], condition["reason"], condition["message"]) == (0, "SyncFailed", problem)
    said = [(each.reason, each.message) for each in world.made(Record)]
    assert said == [
        ("CalculateExpectedPodCountFailed", f"Failed to calculate the number of expected pods: {problem}")
    ] * len(said)


def test_a_selector_is_told_as_go_prints_it() -> None:
    tier = {"key": "tier", "operator": "In", "values": ["x", "y"]}
    selector = {"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": [tier]}
    assert disruption_plan.printed(selector) == (
        "&LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:[]LabelSelectorRequirement"
        "{LabelSelectorRequirement{Key:tier,Operator:In,Values:[x y],},},}"
    )
