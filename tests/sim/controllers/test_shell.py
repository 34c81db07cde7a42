"""The shell: what every controller gets for nothing. Each rule has a controller that would go wrong without it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from seatrial.sim.cluster import Cluster
from seatrial.sim.composition import CONTROL_PLANE
from seatrial.sim.config import ClusterSpec, S
from seatrial.sim.controllers.actions import Batch, Create, Delete, Get, Outcome, Record, Steps, Turn, slow_start
from seatrial.sim.controllers.controller import Controller, Seen, Tick, object_key
from seatrial.sim.controllers.manager import ControllerManager
from seatrial.sim.machinery.errors import ApiError

CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "wanted", "namespace": "default"}}


def run(*controllers: Controller, wait_s: int = 3) -> tuple[Cluster, ControllerManager]:
    cluster = Cluster(ClusterSpec(nodes=0, controllers="none"))
    manager = ControllerManager(cluster.wiring, CONTROL_PLANE, controllers)
    manager.start()
    cluster.run(wait_s * S)
    return cluster, manager


def controller(reconcile: Any, **more: Any) -> Controller:
    watches = more.pop("watches", (("configmaps", only_wanted),))
    return Controller(name="test-controller", reconcile=reconcile, watches=watches, root=True, **more)


def only_wanted(seen: Seen) -> Iterable[Any]:
    return object_key(seen) if seen.obj["metadata"]["name"] == "wanted" else ()


def secret(name: str = "", **more: Any) -> dict[str, Any]:
    named = {"name": name} if name else {"generateName": "made-"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {**named, "namespace": "default"}, **more}


def secrets(cluster: Cluster) -> list[Any]:
    return cluster.store.list("secrets", "default")


def test_a_key_waits_until_the_view_shows_its_own_last_write() -> None:
    """One secret is wanted. Without the wait, the second change would find none in the view and make another."""

    def reconcile(turn: Turn) -> Steps:
        if not turn.view("secrets").list("default"):
            yield Create("secrets", secret())
        return None

    cluster, _ = run(controller(reconcile, reads=("secrets",)))
    cluster.apply(CONFIG)
    for number in range(20):
        cluster.run(100)
        cluster.apply({**CONFIG, "data": {"n": str(number)}})
    cluster.run(S)
    assert len(secrets(cluster)) == 1


def test_a_deleted_object_is_waited_for_too() -> None:
    deletions = []

    def reconcile(turn: Turn) -> Steps:
        for each in turn.view("secrets").list("default"):
            deletions.append(each["metadata"]["name"])
            yield Delete("secrets", "default", each["metadata"]["name"], each["metadata"]["uid"])
        return None

    cluster, _ = run(controller(reconcile, reads=("secrets",)))
    cluster.apply(secret("old"))
    cluster.run(S)
    for number in range(10):
        cluster.apply({**CONFIG, "data": {"n": str(number)}})
        cluster.run(200)
    cluster.run(S)
    assert deletions == ["old"]


def test_a_rejected_key_comes_back_with_growing_pauses() -> None:
    tries = []

    def reconcile(turn: Turn) -> Steps:
        tries.append(turn.now)
        if len(tries) < 5:
            raise ApiError(500, "InternalError", "not yet")
        yield Create("secrets", secret("done"))
        return None

    cluster, _ = run(controller(reconcile))
    cluster.apply(CONFIG)
    cluster.run(S)
    pauses = [later - sooner for sooner, later in pairwise(tries)]
    assert pauses == [5_000, 10_000, 20_000, 40_000]
    assert [each["metadata"]["name"] for each in secrets(cluster)] == ["done"]


def test_a_key_is_given_up_after_its_last_retry() -> None:
    tries = []

    def reconcile(turn: Turn) -> Steps:
        tries.append(turn.now)
        raise ApiError(500, "InternalError", "never")
        yield

    cluster, _ = run(controller(reconcile, retries_max=3))
    cluster.apply(CONFIG)
    cluster.run(60 * S)
    assert len(tries) == 4


def test_an_error_of_the_server_reaches_the_controller() -> None:
    seen = []

    def reconcile(turn: Turn) -> Steps:
        try:
            yield Get("secrets", "default", "missing")
        except ApiError as error:
            seen.append(error.code)
        return None

    cluster, _ = run(controller(reconcile))
    cluster.apply(CONFIG)
    cluster.run(S)
    assert seen == [404]


def test_a_batch_goes_out_at_once_and_answers_in_order() -> None:
    took = []

    def reconcile(turn: Turn) -> Steps:
        began = turn.clock_now()
        answers = yield Batch(tuple(Create("secrets", secret(name)) for name in ("a", "b", "a")))
        took.append((turn.clock_now() - began, [getattr(each, "code", 0) or 201 for each in answers]))
        return None

    cluster, _ = run(controller(reconcile))
    cluster.apply(CONFIG)
    cluster.run(S)
    ((us, codes),) = took
    assert codes == [201, 201, 409]
    assert us == 2 * ClusterSpec().latency.control_plane_us


def test_slow_start_doubles_until_something_fails() -> None:
    def drive(failing: int, count: int) -> list[int]:
        steps, sizes, done = slow_start([Record({}, "", "", "")] * count), [], 0
        try:
            batch = next(steps)
            while True:
                sizes.append(len(batch.actions))
                answers = [ApiError(500, "", "no") if done + i == failing else None for i in range(len(batch.actions))]
                done += len(batch.actions)
                batch = steps.send(answers)
        except StopIteration:
            return sizes

    assert drive(failing=-1, count=10) == [1, 2, 4, 3]
    assert drive(failing=2, count=100) == [1, 2]


def test_a_killed_manager_forgets_and_starts_from_the_list() -> None:
    turns = []

    def reconcile(turn: Turn) -> Steps:
        turns.append(turn.memory.setdefault("count", 0))
        turn.memory["count"] += 1
        return None
        yield

    cluster, manager = run(controller(reconcile))
    cluster.apply(CONFIG)
    cluster.run(S)
    cluster.apply({**CONFIG, "data": {"a": "b"}})
    cluster.run(S)
    assert turns == [0, 1]
    manager.stop()
    assert not manager.running
    cluster.apply({**CONFIG, "data": {"a": "c"}})
    cluster.run(30 * S)
    assert turns == [0, 1]
    manager.start()
    cluster.run(60 * S)
    assert turns == [0, 1, 0]


def test_a_crash_between_two_writes_leaves_the_first_one() -> None:
    def reconcile(turn: Turn) -> Steps:
        yield Create("secrets", secret("first"))
        yield Create("secrets", secret("second"))
        return None

    cluster, manager = run(controller(reconcile))
    cluster.apply(CONFIG)
    while not secrets(cluster):
        cluster.run(100)
    manager.stop()
    cluster.run(5 * S)
    assert [each["metadata"]["name"] for each in secrets(cluster)] == ["first"]


def test_a_rhythm_does_not_keep_a_cluster_from_being_settled() -> None:
    beats = []

    def reconcile(turn: Turn) -> Steps:
        beats.append(turn.now)
        return Outcome()
        yield

    cluster, _ = run(controller(reconcile, ticks=(Tick(2 * S, "beat"),)), wait_s=11)
    assert len(beats) == 5
    cluster.settle()


def test_of_two_managers_one_works_and_the_other_takes_over() -> None:
    def reconcile(turn: Turn) -> Steps:
        yield Create("secrets", secret())
        return None

    cluster, first = run(controller(reconcile))
    second = ControllerManager(cluster.wiring, CONTROL_PLANE, (controller(reconcile),))
    second.start()
    cluster.run(10 * S)
    assert (first.leads, second.leads) == (True, False)
    cluster.apply(CONFIG)
    cluster.run(S)
    assert len(secrets(cluster)) == 1
    first.stop()
    cluster.run(12 * S)
    assert not second.leads
    cluster.run(8 * S)
    assert second.leads
    lease = cluster.store.get("leases.coordination.k8s.io", "kube-system", "kube-controller-manager")
    assert lease is not None
    assert lease["spec"]["leaseTransitions"] == 1
