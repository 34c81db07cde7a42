"""Upstream's tables of StatefulSets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.sim.controllers import (
    statefulset,
)
from seatrial.sim.controllers.actions import Create, Delete
from seatrial.sim.kernel.clock import stamp_of
from seatrial.sim.machinery.errors import ApiError
from tests.conformance.cases import NOW, Object, Runner
from tests.sim.controllers.world import World

SETS = "statefulsets.apps"
KEY = ("default", "s")
OLD, NEW = "old", "new"


def stateful_world(replicas: int, policy: str = "OrderedReady", **rolling: Any) -> World:
    world = World(statefulset.reconcile, NOW)
    template = {"metadata": {"labels": {"app": "s"}}, "spec": {"containers": [{"name": "c", "image": OLD}]}}
    spec = {
        "replicas": replicas,
        "podManagementPolicy": policy,
        "serviceName": "s",
        "selector": {"matchLabels": {"app": "s"}},
        "template": template,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, **rolling}},
    }
    world.put(SETS, {"kind": "StatefulSet", "metadata": {"name": "s", "generation": 1}, "spec": spec, "status": {}})
    return world


def change(world: World, **spec: Any) -> None:
    owner = world.get(SETS, "s")
    world.put(SETS, {**owner, "spec": {**owner["spec"], **spec}})


def set_image(world: World, image: str) -> None:
    template = world.get(SETS, "s")["spec"]["template"]
    containers = [{"name": "c", "image": image}]
    change(world, template={**template, "spec": {"containers": containers}})


def ready(world: World, *ordinals: int) -> None:
    for pod in world.view("pods").list():
        ordinal = int(pod["metadata"]["name"].rpartition("-")[2])
        if not ordinals or ordinal in ordinals:
            conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": stamp_of(world.now)}]
            world.put("pods", {**pod, "status": {"phase": "Running", "conditions": conditions}})


def settle_ready(world: World) -> None:
    """Until every pod is there and ready."""
    for _ in range(40):
        before = len(world.log)
        world.settle(KEY)
        ready(world)
        world.settle(KEY)
        if len(world.log) == before:
            return


def stateful(given: Object, expect: Object) -> None:
    if "pod0_phase" in given:
        _ended_pod(given, expect)
        return
    world = stateful_world(given.get("replicas_before", given.get("replicas", 0)))
    settle_ready(world)
    if "replicas_after" in given:
        change(world, replicas=given["replicas_after"])
    world.log.clear()
    for ordinal in given.get("lost", ()):
        world.view("pods").apply("DELETED", world.get("pods", f"s-{ordinal}"))
    settle_ready(world)
    created = [int(action.obj["metadata"]["name"].rpartition("-")[2]) for action in world.made(Create)]
    if "recreated_in_order" in expect:
        assert created == expect["recreated_in_order"]
    status = world.get(SETS, "s")["status"]
    assert {key: status[key] for key in expect["status"]} == expect["status"]


def _ended_pod(given: Object, expect: Object) -> None:
    world = stateful_world(given["replicas"], given["policy"])
    failures = [1] if given.get("first_delete_fails") else []

    def judge(action: Any) -> None:
        if type(action) is Delete and failures:
            failures.pop()
            raise ApiError(500, "InternalError", "no")

    world.judge = judge
    world.settle(KEY)
    pod = world.get("pods", "s-0")
    world.put("pods", {**pod, "status": {"phase": given["pod0_phase"]}})
    world.settle(KEY)
    assert len(world.made(Delete)) == expect["delete_requests"]
    created = [action for action in world.made(Create) if action.resource == "pods"]
    assert len(created) == expect["create_requests_total"]


def partition(given: Object, expect: Object) -> None:
    replicas = given.get("replicas_before", given.get("replicas", 0))
    world = stateful_world(replicas, given["policy"], partition=given["partition"])
    settle_ready(world)
    set_image(world, given["new_image"])
    if "replicas_after" in given:
        change(world, replicas=given["replicas_after"])
    settle_ready(world)
    pods = sorted(world.view("pods").list(), key=lambda pod: str(pod["metadata"]["name"]))
    assert [pod["spec"]["containers"][0]["image"] for pod in pods] == expect["images"]


def max_unavailable(given: Object, expect: Object) -> None:
    settings = {"partition": given["partition"], "maxUnavailable": given["max_unavailable"]}
    world = stateful_world(given["replicas"], given["policy"], **settings)
    settle_ready(world)
    set_image(world, NEW)
    for step in expect["steps"]:
        world.log.clear()
        when = step.get("when", "")
        if when == "pod 4 ready, pod 5 not":
            ready(world, 4)
        elif when:
            ready(world)
        world.run(KEY)
        kind = Delete if "deleted" in step else Create
        acted = [action for action in world.made(kind) if action.resource == "pods"]
        names = [action.name if kind is Delete else action.obj["metadata"]["name"] for action in acted]
        wanted = step.get("deleted", step.get("created"))
        assert sorted(int(name.rpartition("-")[2]) for name in names) == wanted


STATEFULSETS: Mapping[str, Runner] = {
    "statefulset": stateful,
    "statefulset.partition": partition,
    "statefulset.max_unavailable": max_unavailable,
}
