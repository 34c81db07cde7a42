"""Each rule of the controllers' shell, and what goes wrong without it.

A rule comes as a property that the shell keeps and a mutation that removes the rule and breaks the property: one that
no mutation breaks would be no evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from itertools import pairwise
from typing import Any

import pytest

from seatrial.scenarios.testing import (
    Broken,
    Clock,
    Create,
    Faults,
    Get,
    History,
    Operator,
    Outcome,
    Record,
    Turn,
    booted,
    judge,
    judge_rest,
    manifests,
    object_key,
)
from seatrial.sim.apiserver.client import TokenBucket
from seatrial.sim.apiserver.events import Correlator
from seatrial.sim.apiserver.leases import Elector
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import S
from seatrial.sim.controllers import replicaset
from seatrial.sim.controllers.actions import Batch, Slow
from seatrial.sim.controllers.informers import Informers
from seatrial.sim.controllers.manager import ControllerManager
from seatrial.sim.controllers.shell import Shell
from seatrial.sim.controllers.workqueue import WorkQueue
from seatrial.sim.kernel.topology import HERE, Topology

MANAGER = "kube-controller-manager"
Mutate = Callable[[pytest.MonkeyPatch], None]
CONFIG = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {n: '%d'}}"


class Watcher:
    """A reconciler that takes a while and notes when it was at work."""

    def __init__(self, cluster: Cluster, seconds: float = 1.0, workers: int = 1) -> None:
        self.turns: list[list[int]] = []
        self.remembered: list[int] = []
        self._us = int(seconds * S)
        self.operator = Operator(cluster, "watcher", self.reconcile, {"configmaps": mine}, workers=workers)
        cluster.attach(self.operator)
        cluster.advance("1s")

    def reconcile(self, turn: Turn) -> Generator[Any, Any, Outcome | None]:
        span = [turn.now, turn.now]
        self.turns.append(span)
        self.remembered.append(turn.memory.setdefault("turns", 0))
        turn.memory["turns"] += 1
        while turn.clock_now() < span[0] + self._us:
            yield Get("namespaces", "", "default")
        span[1] = turn.clock_now()
        return None


def mine(seen: Any) -> Any:
    return object_key(seen) if seen.obj["metadata"]["name"] == "c" else ()


def quiet(cluster: Cluster) -> None:
    """What a cluster without disturbance has come to after a while."""
    cluster.advance("90s")
    judge(cluster)
    judge_rest(cluster)


# --- properties: each raises when the rule is missing


def a_key_waits_once() -> None:
    cluster = booted({"nodes": 1})
    watcher = Watcher(cluster)
    for number in range(20):
        cluster.apply(CONFIG % number)
        cluster.advance("10ms")
    cluster.advance("30s")
    assert len(watcher.turns) <= 3


def a_key_is_worked_on_once_at_a_time() -> None:
    cluster = booted({"nodes": 1})
    watcher = Watcher(cluster, workers=5)
    for number in range(4):
        cluster.apply(CONFIG % number)
        cluster.advance("100ms")
    cluster.advance("10s")
    spans = sorted(watcher.turns)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))


def failures_wait_longer_each_time() -> None:
    cluster = booted({"nodes": 1})
    tries: list[int] = []

    def reconcile(turn: Turn) -> Generator[Any, Any, None]:
        tries.append(turn.now)
        yield Get("configmaps", "default", "never-there")

    cluster.attach(Operator(cluster, "stubborn", reconcile, {"configmaps": mine}))
    cluster.advance("1s")
    cluster.apply(CONFIG % 1)
    cluster.advance("10s")
    assert 5 <= len(tries) <= 14


def success_is_forgiven() -> None:
    cluster = booted({"nodes": 1})
    tries: list[int] = []

    def reconcile(turn: Turn) -> Generator[Any, Any, None]:
        tries.append(turn.now)
        yield Get("configmaps", "default", "c")
        if len(tries) % 8:
            yield Get("configmaps", "default", "never-there")

    cluster.attach(Operator(cluster, "forgiving", reconcile, {"configmaps": mine}))
    cluster.advance("1s")
    for number in range(2):
        cluster.apply(CONFIG % number)
        cluster.advance("20s")
    assert len(tries) == 16
    assert tries[9] - tries[8] < S // 10


def all_failures_share_a_bucket() -> None:
    cluster = booted({"nodes": 1})
    tries = [0]

    def reconcile(turn: Turn) -> Generator[Any, Any, Outcome]:
        tries[0] += 1
        return Outcome(retry=True)
        yield

    def hundreds(seen: Any) -> Any:
        return [(key, number) for key in mine(seen) for number in range(200)]

    cluster.attach(Operator(cluster, "hopeless", reconcile, {"configmaps": hundreds}))
    cluster.advance("1s")
    cluster.apply(CONFIG % 1)
    cluster.advance("5s")
    assert 300 <= tries[0] <= 360


def an_answer_takes_the_way_there_and_back() -> None:
    cluster = booted({"nodes": 1})
    asked: list[int] = []

    def reconcile(turn: Turn) -> Generator[Any, Any, None]:
        for _ in range(3):
            asked.append(turn.clock_now())
            yield Get("namespaces", "", "default")

    cluster.attach(Operator(cluster, "far", reconcile, {"configmaps": mine}, host="w1-k8s"))
    Faults(cluster).add("link-quality", "slow", None, node="w1-k8s", delay_ms=500)
    cluster.advance("5s")
    cluster.apply(CONFIG % 1)
    cluster.advance("10s")
    assert [other - one >= S for one, other in pairwise(asked)] == [True, True]


def alike_events_are_combined() -> None:
    cluster = booted({"nodes": 1})

    def reconcile(turn: Turn) -> Generator[Any, Any, None]:
        config = turn.view("configmaps").get(*turn.key)
        for number in range(20):
            yield Record(config, "Normal", "Tried", f"try {number}")

    cluster.attach(Operator(cluster, "talkative", reconcile, {"configmaps": mine}))
    cluster.advance("1s")
    cluster.apply(CONFIG % 1)
    cluster.advance("10s")
    told = [each for each in cluster.list("events", "default") if each["reason"] == "Tried"]
    assert sorted(each["count"] for each in told) == [*[1] * 9, 11]
    assert sum(each["message"].startswith("(combined from similar events)") for each in told) == 1


def own_writes_are_waited_for() -> None:
    cluster = booted({"nodes": 1})
    Faults(cluster).stale(MANAGER, "3s", "pods", lasts="20s")
    cluster.apply(manifests.workload("replicaset", "a", 1))
    cluster.advance("50ms")
    cluster.patch("replicaset", "a", {"spec": {"replicas": 2}})
    quiet(cluster)


def lists_come_before_work() -> None:
    cluster = booted({"nodes": 1})
    cluster.apply(manifests.workload("replicaset", "a", 3))
    cluster.advance("10s")
    faults = Faults(cluster)
    faults.add("api-fault", lasts="60s", verb="list", resource="pods", delay_ms=3000)
    faults.crash(MANAGER, 0)
    quiet(cluster)


def the_rejected_is_tried_again() -> None:
    cluster = booted({"nodes": 1})
    Faults(cluster).errors(500, lasts="2s", verb="create", resource="pods")
    cluster.apply(manifests.workload("replicaset", "a", 2))
    quiet(cluster)


def batches_start_small() -> None:
    cluster = booted({"nodes": 1})
    Faults(cluster).errors(403, lasts="1s", verb="create", resource="pods")
    refused = [0]
    judged = cluster.endpoint.judge
    assert judged is not None

    def count(request: Any) -> Any:
        refused[0] += request.method == "POST" and request.path.endswith("/pods")
        return judged(request)

    cluster.endpoint.judge = count
    cluster.apply(manifests.workload("replicaset", "a", 50))
    cluster.advance("300ms")
    assert 1 <= refused[0] <= 10
    cluster.endpoint.judge = judged


def requests_keep_their_pace() -> None:
    cluster = booted({"nodes": 1})
    cluster.apply(manifests.workload("replicaset", "a", 80))
    began = cluster.now
    cluster.advance("2s")
    made = [change for change in History(cluster.store).changes("pods") if change.at_us > began and change.old is None]
    assert 20 <= len(made) <= 71


def events_are_filtered() -> None:
    cluster = booted({"nodes": 1})
    Faults(cluster).errors(403, lasts=None, verb="create", resource="pods")
    cluster.apply(manifests.workload("replicaset", "a", 1))
    cluster.advance("2m")
    for number in range(60):
        cluster.patch("replicaset", "a", {"metadata": {"annotations": {"n": str(number)}}})
        cluster.advance("1s")
    writes = [change for change in History(cluster.store).changes("events") if change.obj["reason"] == "FailedCreate"]
    assert 1 <= len(writes) <= 26


def one_replica_leads() -> None:
    cluster = booted({"nodes": 1})
    standby = ControllerManager(cluster.wiring, "w1-k8s", shared={"signer": None, "root_ca": ""})
    standby.name = "standby"  # type: ignore[misc]
    cluster.attach(standby)
    (first,) = [each for each in cluster.components if each.name == MANAGER]
    for _ in range(40):
        cluster.advance("500ms")
        assert [first.leads, standby.leads] == [True, False]
    first.stop()
    Clock(cluster).until(lambda: standby.leads, within="25s")
    cluster.apply(manifests.workload("replicaset", "a", 2))
    quiet(cluster)


def death_takes_the_memory() -> None:
    cluster = booted({"nodes": 1})
    watcher = Watcher(cluster, 0.01)
    cluster.apply(CONFIG % 1)
    cluster.advance("1s")
    shell = watcher.operator.shell
    assert shell is not None
    assert shell.memory
    watcher.operator.stop()
    assert not shell.memory
    assert not len(shell.queue)
    watcher.operator.start()
    cluster.advance("1s")
    assert watcher.remembered[-1] == 0


def death_ends_what_was_begun() -> None:
    cluster = booted({"nodes": 1})
    made: list[str] = []

    def reconcile(turn: Turn) -> Generator[Any, Any, None]:
        for name in ("one", "two"):
            yield Create("secrets", {"metadata": {"name": name, "namespace": "default"}})
            made.append(name)

    operator = Operator(cluster, "maker", reconcile, {"configmaps": mine})
    cluster.attach(operator)
    cluster.advance("1s")
    Faults(cluster).crash("maker", after_writes=1, down="1h")
    cluster.apply(CONFIG % 1)
    cluster.advance("10s")
    assert [each["metadata"]["name"] for each in cluster.list("secrets", "default")] == ["one"]
    assert made == []


# --- mutations: each removes one rule


def without_dedupe(patch: pytest.MonkeyPatch) -> None:
    def add(queue: Any, key: Any) -> None:
        queue._ready.append(key)
        queue._dirty[key] = None
        queue._on_ready()

    def take(queue: Any) -> Any:
        if not queue._ready:
            return None
        key = queue._ready.popleft()
        queue._processing[key] = None
        return key

    patch.setattr(WorkQueue, "add", add)
    patch.setattr(WorkQueue, "take", take)
    patch.setattr(WorkQueue, "done", lambda queue, key: queue._processing.pop(key, None))


def without_one_worker_per_key(patch: pytest.MonkeyPatch) -> None:
    def take(queue: Any) -> Any:
        if not queue._ready:
            return None
        key = queue._ready.popleft()
        del queue._dirty[key]
        return key

    patch.setattr(WorkQueue, "take", take)


def without_back_off(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WorkQueue, "add_rate_limited", lambda queue, key: queue.add_after(key, 1000))


def without_forgiveness(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WorkQueue, "forget", lambda queue, key: None)


def without_bucket(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WorkQueue, "_bucket_delay", lambda queue: 0)


def without_distance(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Topology, "way", lambda topology, a, b: HERE)


def without_aggregation(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Correlator, "_aggregate", lambda correlator, event, now: (event, event["message"]))


def without_expectations(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Shell, "_expect", lambda shell, key, action, answer: None)


def without_list_before_watch(patch: pytest.MonkeyPatch) -> None:
    def at_once(informers: Any, storages: Any) -> Any:
        return
        yield

    patch.setattr(Informers, "wait_synced", at_once)


def without_requeue(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Shell, "_put_back", lambda shell, key, trigger: None)


def without_slow_start(patch: pytest.MonkeyPatch) -> None:
    def all_at_once(actions: Any, initial: int = 1) -> Any:
        answers = yield Batch(tuple(actions))
        return Slow(answers, 0)

    patch.setattr(replicaset, "slow_start", all_at_once)


def without_rate_limits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TokenBucket, "take", lambda bucket, now: 0)


def without_spam_filter(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Correlator, "_lets_through", lambda correlator, event, now: True)


def without_leader_election(patch: pytest.MonkeyPatch) -> None:
    def won(elector: Any) -> Any:
        yield from elector._attempt()
        return True

    patch.setattr(Elector, "acquire", won)


def without_loss_of_memory(patch: pytest.MonkeyPatch) -> None:
    kill = Shell.kill

    def survives(shell: Any) -> None:
        memory = dict(shell.memory)
        kill(shell)
        shell.memory.update(memory)

    patch.setattr(Shell, "kill", survives)


def without_the_end_of_processes(patch: pytest.MonkeyPatch) -> None:
    kill = Shell.kill

    def survives(shell: Any) -> None:
        shell._processes.clear()
        kill(shell)

    patch.setattr(Shell, "kill", survives)


RULES: tuple[tuple[Callable[[], None], Mutate], ...] = (
    (a_key_waits_once, without_dedupe),
    (a_key_is_worked_on_once_at_a_time, without_one_worker_per_key),
    (failures_wait_longer_each_time, without_back_off),
    (success_is_forgiven, without_forgiveness),
    (all_failures_share_a_bucket, without_bucket),
    (an_answer_takes_the_way_there_and_back, without_distance),
    (alike_events_are_combined, without_aggregation),
    (own_writes_are_waited_for, without_expectations),
    (lists_come_before_work, without_list_before_watch),
    (the_rejected_is_tried_again, without_requeue),
    (batches_start_small, without_slow_start),
    (requests_keep_their_pace, without_rate_limits),
    (events_are_filtered, without_spam_filter),
    (one_replica_leads, without_leader_election),
    (death_takes_the_memory, without_loss_of_memory),
    (death_ends_what_was_begun, without_the_end_of_processes),
)
NAMES = [holds.__name__ for holds, _ in RULES]


@pytest.mark.parametrize("holds", [holds for holds, _ in RULES], ids=NAMES)
def test_the_shell_keeps_its_rule(holds: Callable[[], None]) -> None:
    holds()


@pytest.mark.parametrize(("holds", "mutate"), RULES, ids=NAMES)
def test_without_the_rule_it_shows(holds: Callable[[], None], mutate: Mutate, monkeypatch: pytest.MonkeyPatch) -> None:
    mutate(monkeypatch)
    with pytest.raises((AssertionError, Broken)):
        holds()
