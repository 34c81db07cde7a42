"""Controllers that die at any moment: what they had begun is finished once, by what the server remembers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.sim.config import S
from tests.sim.controllers.scenes import deployment, image, job, pod, service, stateful_set
from tests.sim.controllers.stage import Stage

CRASHES = st.lists(st.integers(0, 6 * S), max_size=4)
"""Moments after the start of the next life at which the manager dies."""


def live_through(stage: Stage, crashes: list[int]) -> None:
    """Runs with a death at every moment given, then until all is quiet."""
    manager = stage.cluster.components[0]
    for moment in crashes:
        stage.cluster.run(moment)
        manager.stop()
        stage.cluster.run(50_000)
        manager.start()
        while not manager.leads:
            stage.sleep(1)
    stage.sleep(60)


def states(stage: Stage, kind: str) -> Iterator[dict[str, Any]]:
    """All objects of a kind after every change of one of them."""
    objects: dict[str, Any] = {}
    watch = stage.cluster.store.watch(kind, stage.revision)
    for change in watch.read(100_000):
        name = change.obj["metadata"]["name"]
        if change.verb == "DELETED":
            objects.pop(name, None)
        else:
            objects[name] = change.obj
        yield dict(objects)
    watch.close()


def ready(pod: Any) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions") or ())


@settings(max_examples=5)
@given(CRASHES)
def test_a_rollout_survives_and_never_leaves_its_bounds(crashes: list[int]) -> None:
    stage = Stage()
    stage.apply(deployment(4), service())
    stage.sleep(3)
    before = stage.cluster.store.revision
    image(stage, "deployments.apps", "w", "nginx:2")
    live_through(stage, crashes)
    status = stage.get("deployments.apps", "w")["status"]
    assert (status["replicas"], status["updatedReplicas"], status["availableReplicas"]) == (4, 4, 4)
    assert len(stage.list("replicasets.apps")) == 2
    (endpoints,) = stage.list("endpointslices.discovery.k8s.io")
    assert len(endpoints["endpoints"]) == 4
    for pods in states(stage, "pods"):
        staying = [pod for pod in pods.values() if "deletionTimestamp" not in pod["metadata"]]
        assert len(staying) <= 5
        if max((int(pod["metadata"]["resourceVersion"]) for pod in pods.values()), default=0) > before:
            assert sum(map(ready, staying)) >= 3


@settings(max_examples=5)
@given(CRASHES)
def test_a_stateful_set_keeps_its_order(crashes: list[int]) -> None:
    stage = Stage()
    stage.apply(stateful_set(4, {"ready-after": 0.7}))
    live_through(stage, crashes)
    assert stage.get("statefulsets.apps", "s")["status"]["readyReplicas"] == 4
    assert len(stage.list("controllerrevisions.apps")) == 1
    for pods in states(stage, "pods"):
        names = sorted(pods)
        assert names == [f"s-{number}" for number in range(len(names))]
        assert all(ready(pods[name]) for name in names[:-1])


@settings(max_examples=5)
@given(CRASHES)
def test_a_job_counts_every_pod_once(crashes: list[int]) -> None:
    stage = Stage()
    stage.apply(job(completions=6, parallelism=2))
    live_through(stage, crashes)
    status = stage.get("jobs.batch", "j")["status"]
    assert (status["succeeded"], status.get("failed", 0)) == (6, 0)
    assert {each["type"] for each in status["conditions"]} == {"SuccessCriteriaMet", "Complete"}
    pods = stage.list("pods")
    assert len(pods) == 6
    assert not any(pod["metadata"].get("finalizers") for pod in pods)


@settings(max_examples=5)
@given(CRASHES)
def test_what_is_deleted_leaves_nothing_behind(crashes: list[int]) -> None:
    stage = Stage()
    stage.apply(deployment(3), service())
    stage.sleep(3)
    stage.delete("deployments.apps", "w", "Foreground")
    stage.delete("services", "w")
    live_through(stage, crashes)
    for kind in ("deployments.apps", "replicasets.apps", "pods", "endpointslices.discovery.k8s.io", "endpoints"):
        assert stage.list(kind) == []


@settings(max_examples=5)
@given(CRASHES)
def test_a_daemon_set_never_has_two_pods_on_a_node(crashes: list[int]) -> None:
    stage = Stage()
    spec = {"selector": {"matchLabels": {"app": "d"}}, "template": pod({"app": "d"})}
    stage.apply({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d"}, "spec": spec})
    stage.sleep(3)
    image(stage, "daemonsets.apps", "d", "nginx:2")
    live_through(stage, crashes)
    status = stage.get("daemonsets.apps", "d")["status"]
    assert (status["desiredNumberScheduled"], status["updatedNumberScheduled"], status["numberReady"]) == (3, 3, 3)
    for pods in states(stage, "pods"):
        targets = [each["spec"]["affinity"]["nodeAffinity"] for each in pods.values()]
        assert all(targets.count(target) == 1 for target in targets)


@settings(max_examples=5)
@given(st.lists(st.integers(0, 20 * S), max_size=2))
def test_a_cron_job_misses_no_minute_and_starts_none_twice(crashes: list[int]) -> None:
    stage = Stage()
    template = {"spec": {"template": pod({"c": "c"}, {"run-for": 2}, restartPolicy="Never")}}
    spec = {"schedule": "* * * * *", "jobTemplate": template, "successfulJobsHistoryLimit": 100}
    stage.apply({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"}, "spec": spec})
    stage.sleep(46)
    live_through(stage, crashes)
    stage.patch("cronjobs.batch", "c", {"spec": {"suspend": True}})
    stage.sleep(10)
    minutes = sorted(int(each["metadata"]["name"].removeprefix("c-")) for each in stage.list("jobs.batch"))
    assert minutes == list(range(minutes[0], minutes[0] + len(minutes)))
    assert stage.get("cronjobs.batch", "c")["status"].get("active", []) == []
