"""What each controller promises, as a pair, both with a mutation: nothing bad on the way, and the good end comes.

The promises are looked at after every change of a history in which the controller manager dies between two writes and
sees pods late.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from seatrial.scenarios.testing import Broken, Faults, History, World, always, booted, judge, judge_rest, manifests
from seatrial.scenarios.testing.metrics import serve_metrics
from seatrial.sim.apiserver import eviction
from seatrial.sim.apiserver.admission import quota
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import S
from seatrial.sim.controllers import (
    daemonset_plan,
    deployment,
    deployment_plan,
    endpointslice,
    garbagecollector,
    hpa_limits,
    job_plan,
    job_tracking,
    podgc,
    replicaset,
    statefulset_plan,
    tainteviction,
    volume_attach,
    volume_attacher,
)
from seatrial.sim.controllers.hpa import Run
from seatrial.sim.machinery import errors
from seatrial.sim.machinery.quantity import parse
from seatrial.sim.nodes.cri import RUNNING
from seatrial.sim.store.store import Store

MANAGER = "kube-controller-manager"
Patch = pytest.MonkeyPatch
WRITES = (2, 5, 9)
"""After which writes of its life the manager dies."""
PARTITIONED = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}


def staying(world: World | Store) -> list[Any]:
    return [pod for pod in world.list("pods", "default") if "deletionTimestamp" not in pod["metadata"]]


def ready(pods: list[Any]) -> int:
    return sum(
        each["type"] == "Ready" and each["status"] == "True"
        for pod in pods
        for each in pod.get("status", {}).get("conditions", ())
    )


def disturbed(writes: int, **spec: Any) -> Cluster:
    """A cluster whose manager is about to die, and sees pods a little late."""
    cluster = booted({"nodes": 2, **spec})
    faults = Faults(cluster)
    faults.crash(MANAGER, writes)
    faults.stale(MANAGER, "300ms", "pods", lasts="60s")
    return cluster


def finish(cluster: Cluster, seconds: int = 120) -> None:
    cluster.advance(f"{seconds}s")
    judge(cluster)
    judge_rest(cluster)


def replica_sets_count(writes: int) -> None:
    cluster = disturbed(writes)
    cluster.apply(manifests.workload("replicaset", "a", 3))
    cluster.advance("20s")
    cluster.patch("replicaset", "a", {"spec": {"replicas": 1}})
    finish(cluster)


def deployments_stay_in_bounds(writes: int) -> None:
    cluster = booted({"nodes": 2})
    cluster.apply(manifests.workload("deployment", "a", 4, strategy=PARTITIONED))
    cluster.advance("30s")
    since = cluster.store.revision
    Faults(cluster).crash(MANAGER, writes)
    cluster.patch("deployment", "a", {"spec": {"template": {"metadata": {"labels": {"roll": "1"}}}}})
    finish(cluster)
    history = History(cluster.store)
    always(history, lambda world: len(staying(world)) <= 5, since)
    always(history, lambda world: ready(staying(world)) >= 3, since)


def stateful_sets_keep_order(writes: int) -> None:
    cluster = disturbed(writes)
    cluster.apply(manifests.workload("statefulset", "a", 3))
    finish(cluster)


def running(cluster: Cluster, name: str) -> list[str]:
    """The machines that run a pod of this name, whatever the API server says."""
    return [
        host
        for host, node in cluster.nodes.items()
        for uid, sandbox in node.runtime.sandboxes.items()
        if sandbox.name == name and any(each.state == RUNNING for each in node.runtime.record(uid).containers)
    ]


def stateful_pods_are_single(writes: int) -> None:
    """However long a machine is cut off, its pods run nowhere else; when it is back, all run again."""
    cluster = booted({"nodes": 2})
    cluster.apply(manifests.workload("statefulset", "a", 2))
    cluster.advance("30s")
    faults = Faults(cluster)
    faults.crash(MANAGER, writes)
    faults.add("partition", a=["w1-k8s"], lasts="8m")
    for _ in range(60):
        cluster.advance("10s")
        assert all(len(running(cluster, name)) <= 1 for name in ("a-0", "a-1"))
    assert all(len(running(cluster, name)) == 1 for name in ("a-0", "a-1"))
    finish(cluster)


def jobs_count_once(writes: int) -> None:
    cluster = disturbed(writes)
    cluster.apply(manifests.job("a", 5, 2))
    finish(cluster)
    assert cluster.get("job", "a")["status"]["succeeded"] == 5
    assert len(cluster.list("pods", "default")) == 5


def daemons_run_once_per_node(writes: int) -> None:
    cluster = disturbed(writes)
    cluster.apply(manifests.daemons("a"))
    finish(cluster)


def evictions_respect_budgets(writes: int) -> None:
    cluster = booted({"nodes": 2})
    cluster.apply([manifests.workload("deployment", "a", 3), manifests.budget("a", 2)])
    cluster.advance("30s")
    Faults(cluster).crash(MANAGER, writes)
    gone = 0
    for _ in range(20):
        for pod in cluster.list("pods", "default"):
            try:
                cluster.evict(pod["metadata"]["name"])
                gone += 1
            except errors.ApiError as refused:
                assert refused.code in (429, 404)
        cluster.advance("2s")
    finish(cluster)
    assert gone >= 3


def only_garbage_is_collected(writes: int) -> None:
    cluster = booted({"nodes": 2})
    cluster.apply([manifests.workload("deployment", "a", 2), manifests.workload("deployment", "b", 2)])
    cluster.advance("30s")
    Faults(cluster).crash(MANAGER, writes)
    cluster.delete("deployment", "a", options={"propagationPolicy": "Background"})
    for pod in cluster.list("pods", "default", "name=b"):
        cluster.delete("pod", pod["metadata"]["name"])
    finish(cluster)
    assert [each["metadata"]["labels"]["name"] for each in cluster.list("pods", "default")] == ["b", "b"]


def quotas_hold(writes: int) -> None:
    cluster = disturbed(writes)
    hard = {"hard": {"pods": "2"}}
    cluster.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": hard})
    cluster.advance("20s")
    cluster.apply(manifests.workload("replicaset", "a", 4))
    cluster.advance("20s")
    judge(cluster)
    assert len(cluster.list("pods", "default")) == 2
    cluster.patch("replicaset", "a", {"spec": {"replicas": 2}})
    for pod in cluster.list("pods", "default"):
        cluster.delete("pod", pod["metadata"]["name"])
    finish(cluster, 400)


def slices_show_who_is_ready(writes: int) -> None:
    cluster = disturbed(writes)
    cluster.apply([manifests.workload("deployment", "a", 2), manifests.service("a"), manifests.service("b")])
    cluster.advance("30s")
    cluster.delete("service", "b")
    cluster.patch("deployment", "a", {"spec": {"replicas": 3}})
    finish(cluster)


def autoscalers_stay_in_bounds(writes: int) -> None:
    cluster = disturbed(writes)
    serve_metrics(cluster, lambda now: 2000 if now < cluster.spec.epoch_us + 600 * S else 0)
    made = manifests.workload("deployment", "a", 1)
    made["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}
    spec = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 5}
    kind = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
    cluster.apply([made, {**kind, "metadata": {"name": "a"}, "spec": spec}])
    cluster.advance("5m")
    assert cluster.get("deployment", "a")["spec"]["replicas"] == 5
    cluster.advance("15m")
    judge(cluster)
    assert cluster.get("deployment", "a")["spec"]["replicas"] == 2


def autoscalers_are_not_wound_up(writes: int) -> None:
    """Pods that are as busy as they shall be stay as many through rollouts with a surge; idle ones become fewer."""
    cluster = booted({"nodes": 2})
    idle_at = cluster.spec.epoch_us + 300 * S
    serve_metrics(cluster, lambda now: ready(staying(cluster.store)) * (80 if now < idle_at else 10))
    made = manifests.workload("deployment", "a", 4, strategy={"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}})
    made["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
    made["spec"]["minReadySeconds"] = 20
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 9}
    kind = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
    cluster.apply([made, {**kind, "metadata": {"name": "a"}, "spec": spec}])
    cluster.advance("90s")
    Faults(cluster).crash(MANAGER, writes)
    for number in range(2):
        cluster.patch("deployment", "a", {"spec": {"template": {"metadata": {"labels": {"roll": str(number)}}}}})
        cluster.advance("90s")
    counts = {each.obj["spec"]["replicas"] for each in History(cluster.store).changes("deployments.apps")}
    assert counts == {4}
    cluster.advance("8m")
    finish(cluster)
    assert cluster.get("deployment", "a")["spec"]["replicas"] == 1


def with_a_disk(writes: int) -> Cluster:
    """A cluster with a pod that has a volume to itself, and whose manager is about to die."""
    cluster = booted({"nodes": 2})
    driver = {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": "disk.example.com"}}
    disk = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "disk"}}
    cluster.apply([{**driver, "spec": {}}, {**disk, "provisioner": "disk.example.com"}])
    made = manifests.workload("statefulset", "a", 1)
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "disk",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    made["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": claim}]
    made["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    cluster.apply(made)
    cluster.advance("30s")
    Faults(cluster).crash(MANAGER, writes)
    return cluster


def disks_have_one_node(writes: int) -> None:
    """Whatever happens to the machine that has a volume, no other one has it, too, and at last another one has."""
    cluster = with_a_disk(writes)
    node = cluster.get("pod", "a-0")["spec"]["nodeName"]
    Faults(cluster).add("node-crash", node=node)
    cluster.advance("2m")
    cluster.delete("pod", "a-0", options={"gracePeriodSeconds": 0})
    cluster.advance("8m")
    judge(cluster)
    assert len(running(cluster, "a-0")) == 1


def stuck_disks_have_one_node(writes: int) -> None:
    """Storage that lets go of nothing keeps its volume from all others, and only for so long."""
    cluster = with_a_disk(writes)
    node = cluster.get("pod", "a-0")["spec"]["nodeName"]
    cluster.patch("node", node, {"spec": {"unschedulable": True}})
    Faults(cluster).add("volume-detach-stuck", lasts="4m")
    cluster.delete("pod", "a-0")
    cluster.advance("12m")
    judge(cluster)
    assert len(running(cluster, "a-0")) == 1


# --- mutations


def nothing(*_: Any, **__: Any) -> Any:
    """Instead of a part of a reconcile: asks for nothing."""
    return []
    yield


def creates_one_too_many(patch: Patch) -> None:
    create = replicaset.create_pods
    patch.setattr(replicaset, "create_pods", lambda kind, owner, template, n: create(kind, owner, template, n + 1))


def creates_none(patch: Patch) -> None:
    patch.setattr(replicaset, "create_pods", lambda *_: (yield from ()))


def rolls_all_at_once(patch: Patch) -> None:
    patch.setattr(deployment_plan, "new_replicas", lambda each, sets, count: deployment_plan.replicas(each))


def never_scales_down(patch: Patch) -> None:
    patch.setattr(deployment_plan, "scale_down_old", lambda *_: [])


def ignores_order(patch: Patch) -> None:
    patch.setattr(statefulset_plan, "is_monotonic", lambda owner: False)


def evicts_by_force(patch: Patch) -> None:
    delete = tainteviction.delete_of
    patch.setattr(tainteviction, "delete_of", lambda kind, obj: delete(kind, obj, podgc.FORCE))


def counts_the_surge(patch: Patch) -> None:
    patch.setattr(Run, "current", property(lambda self: self.scale["status"]["replicas"]))


def waits_for_ever(patch: Patch) -> None:
    patch.setattr(statefulset_plan, "is_running_and_ready", lambda pod: False)


def counts_again(patch: Patch) -> None:
    patch.setattr(job_plan, "has_finalizer", lambda pod: True)


def counts_never(patch: Patch) -> None:
    patch.setattr(job_tracking, "_collect", lambda run: [])


def one_more_daemon(patch: Patch) -> None:
    def on_node(owner: Any, node: Any, pods: Any, digest: str, now: int) -> Any:
        return daemonset_plan.NodePlan(len(pods or ()) < 2, [], [])

    patch.setattr(daemonset_plan, "on_node", on_node)


def no_daemon(patch: Patch) -> None:
    patch.setattr(daemonset_plan, "should_run", lambda owner, node: (False, True))


def evicts_whatever(patch: Patch) -> None:
    patch.setattr(eviction, "_ask_budget", lambda context, pod: None)


def evicts_nobody(patch: Patch) -> None:
    def refuse(budget: Any) -> None:
        raise errors.too_many_requests("no", 0)

    patch.setattr(eviction, "_check_budget", refuse)


def collects_what_has_owners(patch: Patch) -> None:
    judge_owners = garbagecollector._judge

    def judged(turn: Any, resource: Any, item: Any, obj: Any, owners: Any) -> Any:
        return judge_owners(turn, resource, item, obj, owners._replace(solid=[], dangling=owners.solid))

    patch.setattr(garbagecollector, "_judge", judged)


def collects_nothing(patch: Patch) -> None:
    patch.setattr(garbagecollector, "_judge", nothing)


def lets_all_in(patch: Patch) -> None:
    patch.setattr(quota, "_checked", lambda attributes, quota, added: {})


def lets_nobody_in(patch: Patch) -> None:
    patch.setattr(quota, "_added", lambda quota, new, old: {"pods": parse("1000")} if "pods" in new else {})


def shows_all_as_ready(patch: Patch) -> None:
    make = endpointslice._endpoint

    def endpoint(*arguments: Any) -> Any:
        made = make(*arguments)
        return {**made, "conditions": {**made["conditions"], "ready": not made["conditions"]["ready"]}}

    patch.setattr(endpointslice, "_endpoint", endpoint)


def scales_without_bounds(patch: Patch) -> None:
    patch.setattr(hpa_limits, "limit", lambda current, desired, bounds: hpa_limits.Limited(desired, "", ""))


def scales_never(patch: Patch) -> None:
    patch.setattr(hpa_limits, "limit", lambda current, desired, bounds: hpa_limits.Limited(current, "", ""))


def gives_to_many(patch: Patch) -> None:
    patch.setattr(volume_attach, "is_shared", lambda sources: True)
    gives_to_all(patch)


def gives_to_all(patch: Patch) -> None:
    patch.setattr(volume_attacher, "publish", lambda turn, attachment: "")


def never_takes(patch: Patch) -> None:
    patch.setattr(volume_attach, "_detach", nothing)


class Promise(NamedTuple):
    """One controller's, with a mutation that does too much and one that does too little."""

    keeps: Callable[[int], None]
    too_much: Callable[[Patch], None]
    too_little: Callable[[Patch], None]


PROMISES = (
    Promise(replica_sets_count, creates_one_too_many, creates_none),
    Promise(deployments_stay_in_bounds, rolls_all_at_once, never_scales_down),
    Promise(stateful_sets_keep_order, ignores_order, waits_for_ever),
    Promise(stateful_pods_are_single, evicts_by_force, waits_for_ever),
    Promise(jobs_count_once, counts_again, counts_never),
    Promise(daemons_run_once_per_node, one_more_daemon, no_daemon),
    Promise(evictions_respect_budgets, evicts_whatever, evicts_nobody),
    Promise(only_garbage_is_collected, collects_what_has_owners, collects_nothing),
    Promise(quotas_hold, lets_all_in, lets_nobody_in),
    Promise(autoscalers_stay_in_bounds, scales_without_bounds, scales_never),
    Promise(autoscalers_are_not_wound_up, counts_the_surge, scales_never),
    Promise(disks_have_one_node, gives_to_many, never_takes),
    Promise(stuck_disks_have_one_node, gives_to_all, never_takes),
    Promise(slices_show_who_is_ready, shows_all_as_ready, collects_nothing),
)
MUTANTS = [(each.keeps, mutate) for each in PROMISES for mutate in (each.too_much, each.too_little)]


@pytest.mark.parametrize("writes", WRITES)
@pytest.mark.parametrize("promise", PROMISES, ids=[each.keeps.__name__ for each in PROMISES])
def test_a_promise_is_kept_through_deaths(promise: Promise, writes: int) -> None:
    promise.keeps(writes)


@pytest.mark.parametrize(("keeps", "mutate"), MUTANTS, ids=[f"{a.__name__}-{b.__name__}" for a, b in MUTANTS])
def test_a_mutant_is_caught(keeps: Callable[[int], None], mutate: Callable[[Patch], None], monkeypatch: Patch) -> None:
    assert deployment.plan is deployment_plan
    mutate(monkeypatch)
    with pytest.raises((AssertionError, Broken)):
        keeps(5)
