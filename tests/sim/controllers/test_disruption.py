"""Disruption budgets whose pods cannot be counted."""

from __future__ import annotations

from seatrial.scenarios.testing import booted, manifests
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


def test_a_pod_that_was_to_go_and_did_not_is_no_target_after_two_minutes() -> None:
    cluster = booted({"nodes": 1})
    cluster.apply(manifests.workload("replicaset", "a", 1))
    cluster.advance("10s")
    name = cluster.list("pods", "default")[0]["metadata"]["name"]
    since = cluster.clock.stamp()
    target = {"type": "DisruptionTarget", "status": "True", "reason": "Test", "lastTransitionTime": since}
    cluster.patch("pod", name, {"status": {"conditions": [target]}}, subresource="status")

    def shown() -> dict[str, str]:
        conditions = cluster.get("pod", name)["status"]["conditions"]
        return next(each for each in conditions if each["type"] == "DisruptionTarget")

    cluster.advance("118s")
    assert shown()["status"] == "True"
    cluster.advance("5s")
    after = shown()
    assert (after["status"], after["observedGeneration"]) == ("False", 1)
    assert after.keys() == {"type", "status", "observedGeneration", "lastProbeTime", "lastTransitionTime"}


def test_each_change_of_a_pod_is_a_look_at_its_budget() -> None:
    cluster = booted({"nodes": 1})
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "w"}}}
    kind = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget"}
    cluster.apply([{**kind, "metadata": {"name": name}, "spec": spec} for name in ("one", "two")])
    cluster.advance("1s")
    metadata = {"name": "bare", "labels": {"app": "w"}}
    container = {"name": "main", "image": "nginx"}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}})
    cluster.advance("20s")
    changes = len(cluster.store.history("pods", "default", "bare"))
    counted = {
        (event["reason"], event["involvedObject"]["name"]): (event["count"], event["message"])
        for event in cluster.list("events", "default")
        if event["reason"] in ("UnmanagedPods", "MultiplePodDisruptionBudgets")
    }
    several = 'Pod "default"/"bare" matches multiple PodDisruptionBudgets.  Chose "one" arbitrarily.'
    assert counted["MultiplePodDisruptionBudgets", "bare"] == (changes, several)
    assert counted["UnmanagedPods", "one"][0] > changes
    assert ("UnmanagedPods", "two") not in counted
