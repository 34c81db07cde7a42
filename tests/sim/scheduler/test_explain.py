"""A decision laid open."""

from __future__ import annotations

from random import Random

from seatrial.sim.scheduler.explain import explanation, table
from tests.sim.scheduler.building import World, node, pod


def test_every_node_has_a_verdict_and_feasible_ones_have_scores() -> None:
    world = World(node("n0"), node("n1"), node("small", cpu="1"), node("tainted"))
    world.cache.set_node({**node("tainted"), "spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}})
    decision = world.framework.decide(world.info(pod("web", cpu="2")), Random(0), detail=True)
    explained = explanation(decision, world.framework.profile)
    assert explained["node"] in ("n0", "n1") and explained["nodesFeasible"] == 2
    verdicts = {
        entry["node"]: (entry["verdict"], entry.get("plugin"), entry["reasons"]) for entry in explained["nodes"]
    }
    assert verdicts == {
        "n0": ("Success", None, []),
        "n1": ("Success", None, []),
        "small": ("UnschedulableAndUnresolvable", "NodeResourcesFit", ["Insufficient cpu"]),
        "tainted": ("UnschedulableAndUnresolvable", "TaintToleration", ["node(s) had untolerated taint(s)"]),
    }
    best = explained["nodes"][0]
    assert best["final"] == sum(best["scores"].values())
    titles, rows = table(explained)
    assert titles[0] == "NODE" and titles[-2:] == ["PLUGIN", "REASONS"] and "NodeResourcesFit" in titles
    assert len(rows) == 4 and all(len(row) == len(titles) for row in rows)


def test_a_pod_that_is_turned_down_beforehand_has_no_nodes_to_show() -> None:
    world = World(node("n0"))
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "missing"}}
    decision = world.framework.decide(world.info(pod("web", volumes=[volume])), Random(0), detail=True)
    explained = explanation(decision, world.framework.profile)
    assert explained["preFilter"] == {
        "plugin": "VolumeRestrictions",
        "code": "UnschedulableAndUnresolvable",
        "reasons": ['persistentvolumeclaim "missing" not found'],
    }
    assert explained["nodes"] == []
