"""Whole scenarios in virtual time as golden transcripts: what every controller did, when, in which order.

``pytest tests/sim/controllers/test_scenarios.py --rewrite`` writes the transcripts anew; read the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sim.controllers.scenes import deployment, image, job, pod, service, stateful_set
from tests.sim.controllers.stage import NAMESPACE, Stage

GOLDEN = Path(__file__).parents[2] / "golden" / "controllers"


def rolling_update(stage: Stage) -> None:
    stage.apply(deployment(4, steer={"ready-after": 2}), service())
    stage.sleep(4)
    image(stage, "deployments.apps", "w", "nginx:2")
    stage.sleep(8)


def bad_rollout(stage: Stage) -> None:
    stage.apply(deployment(4, progressDeadlineSeconds=15))
    stage.sleep(3)
    stage.apply(deployment(4, "bad", {"never-ready": 1}, progressDeadlineSeconds=15))
    stage.sleep(20)
    stage.apply(deployment(4, progressDeadlineSeconds=15))
    stage.sleep(4)


def recreate(stage: Stage) -> None:
    stage.apply(deployment(3, strategy={"type": "Recreate"}))
    stage.sleep(3)
    image(stage, "deployments.apps", "w", "nginx:2")
    stage.sleep(4)


def pause_and_scale(stage: Stage) -> None:
    rolling = {"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    stage.apply(deployment(10, steer={"ready-after": 3}, strategy=rolling))
    stage.sleep(5)
    image(stage, "deployments.apps", "w", "nginx:2")
    stage.sleep(1.5)
    stage.patch("deployments.apps", "w", {"spec": {"paused": True}})
    stage.sleep(4)
    stage.patch("deployments.apps", "w", {"spec": {"replicas": 15}})
    stage.sleep(6)
    stage.patch("deployments.apps", "w", {"spec": {"paused": None}})
    stage.sleep(14)


def self_healing(stage: Stage) -> None:
    stage.apply(deployment(3))
    stage.sleep(3)
    first, *_ = sorted(each["metadata"]["name"] for each in stage.list("pods"))
    stage.delete("pods", first)
    stage.sleep(3)
    for each in stage.list("pods"):
        stage.patch("pods", each["metadata"]["name"], {"metadata": {"labels": {"app": "other"}}})
    stage.sleep(3)


def ordered_set(stage: Stage) -> None:
    stage.apply(stateful_set(3, {"ready-after": 2}))
    stage.sleep(8)
    stage.patch("statefulsets.apps", "s", {"spec": {"replicas": 1}})
    stage.sleep(4)
    stage.delete("pods", "s-0")
    stage.sleep(4)


def partitioned_update(stage: Stage) -> None:
    update = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    stage.apply(stateful_set(4, updateStrategy=update))
    stage.sleep(6)
    image(stage, "statefulsets.apps", "s", "db:2")
    stage.sleep(8)
    stage.patch("statefulsets.apps", "s", {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})
    stage.sleep(8)


def claims_of_a_set(stage: Stage) -> None:
    for number in range(2):
        spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "none"}
        spec |= {"hostPath": {"path": "/x"}, "persistentVolumeReclaimPolicy": "Retain"}
        stage.apply(
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"pv-{number}"}, "spec": spec}
        )
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "none",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    template = {"metadata": {"name": "d"}, "spec": claim}
    stage.apply(stateful_set(2, podManagementPolicy="Parallel", volumeClaimTemplates=[template]))
    stage.sleep(3)
    stage.delete("statefulsets.apps", "s")
    stage.sleep(2)
    for each in stage.list("persistentvolumeclaims"):
        stage.delete("persistentvolumeclaims", each["metadata"]["name"])
    stage.sleep(2)


def daemons(stage: Stage) -> None:
    spec = {"selector": {"matchLabels": {"app": "d"}}, "template": pod({"app": "d"})}
    stage.apply({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d"}, "spec": spec})
    stage.sleep(3)
    stage.nodes.add("w8")
    stage.sleep(3)
    stage.patch("nodes", "w8", {"spec": {"taints": [{"key": "k", "value": "v", "effect": "NoExecute"}]}})
    stage.sleep(3)
    stage.patch("nodes", "w8", {"spec": {"taints": None}})
    stage.sleep(3)
    image(stage, "daemonsets.apps", "d", "nginx:2")
    stage.sleep(9)


def completions(stage: Stage) -> None:
    stage.apply(job(completions=5, parallelism=2))
    stage.sleep(12)
    stage.apply(job("i", completions=3, parallelism=3, completionMode="Indexed"))
    stage.sleep(6)


def failures(stage: Stage) -> None:
    stage.apply(job(steer={"run-for": 1, "fail": 1}, backoffLimit=2))
    stage.sleep(40)
    stage.apply(job("dl", {"run-for": 60}, activeDeadlineSeconds=5))
    stage.sleep(8)
    stage.apply(job("ttl", ttlSecondsAfterFinished=4))
    stage.sleep(12)


def every_minute(stage: Stage) -> None:
    template = {"spec": {"template": pod({"c": "c"}, {"run-for": 2}, restartPolicy="Never")}}
    spec = {"schedule": "* * * * *", "concurrencyPolicy": "Forbid", "jobTemplate": template}
    stage.apply({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"}, "spec": spec})
    stage.sleep(130)


def lost_node(stage: Stage) -> None:
    reasons = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    tolerations = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 20} for key in reasons
    ]
    wanted = deployment(3)
    wanted["spec"]["template"]["spec"]["tolerations"] = tolerations
    stage.apply(wanted)
    stage.sleep(5)
    stage.nodes.stop("w1")
    stage.sleep(90)
    stage.nodes.start("w1")
    stage.sleep(10)


def tainted_node(stage: Stage) -> None:
    wanted = deployment(3)
    tolerated = {"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    wanted["spec"]["template"]["spec"]["tolerations"] = [tolerated]
    stage.apply(wanted)
    stage.sleep(3)
    taint = {"spec": {"taints": [{"key": "k", "value": "v", "effect": "NoExecute"}]}}
    stage.patch("nodes", "w2", taint)
    stage.sleep(2)
    stage.patch("nodes", "w2", {"spec": {"taints": None}})
    stage.sleep(1)
    stage.patch("nodes", "w3", taint)
    stage.sleep(8)


def drain(stage: Stage) -> None:
    budget = {"minAvailable": 3, "selector": {"matchLabels": {"app": "w"}}}
    kind = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget"}
    stage.apply(deployment(4), {**kind, "metadata": {"name": "b"}, "spec": budget})
    stage.sleep(3)
    stage.patch("nodes", "w1", {"spec": {"unschedulable": True}})
    names = sorted(each["metadata"]["name"] for each in stage.list("pods") if each["spec"].get("nodeName") == "w1")
    assert [stage.evict(name) for name in names] == [201, 429]
    stage.sleep(3)
    assert stage.evict(names[1]) == 201
    stage.sleep(3)


def cascades(stage: Stage) -> None:
    for policy in ("Orphan", "Foreground", "Background"):
        stage.apply(deployment(2))
        stage.sleep(3)
        stage.delete("deployments.apps", "w", policy)
        stage.sleep(3)


def vanishing_namespace(stage: Stage) -> None:
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "finalizers": ["t.example.com/hold"]}}
    stage.apply(deployment(2), service(), held)
    stage.sleep(3)
    stage.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}")
    stage.sleep(12)
    stage.patch("configmaps", "c", {"metadata": {"finalizers": None}})
    stage.sleep(6)


def exceeded_quota(stage: Stage) -> None:
    spec = {"hard": {"pods": "2", "requests.cpu": "1"}}
    stage.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": spec})
    stage.sleep(1)
    stage.apply(deployment(4))
    stage.sleep(5)
    stage.patch("deployments.apps", "w", {"spec": {"replicas": 1}})
    stage.sleep(4)


SCENARIOS: tuple[Callable[[Stage], None], ...] = (
    rolling_update,
    bad_rollout,
    recreate,
    pause_and_scale,
    self_healing,
    ordered_set,
    partitioned_update,
    claims_of_a_set,
    daemons,
    completions,
    failures,
    every_minute,
    lost_node,
    tainted_node,
    drain,
    cascades,
    vanishing_namespace,
    exceeded_quota,
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[each.__name__ for each in SCENARIOS])
def test_story(scenario: Callable[[Stage], None], request: pytest.FixtureRequest) -> None:
    stage = Stage()
    scenario(stage)
    story, file = stage.story(), GOLDEN / f"{scenario.__name__}.txt"
    if request.config.getoption("--rewrite"):
        file.write_text(story)
    assert story == file.read_text()


def test_the_same_seed_gives_the_same_story() -> None:
    stories = []
    for _ in range(2):
        stage = Stage()
        rolling_update(stage)
        stories.append((stage.story(), stage.cluster.store.revision))
    assert stories[0] == stories[1]
