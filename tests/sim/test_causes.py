"""Chains of cause and effect: from a user's command down to a container, and back from what went wrong."""

from __future__ import annotations

from itertools import pairwise

from seatrial.sim.causes import Step, Story
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1.27"}]}
"""
GREEDY = """
apiVersion: v1
kind: Pod
metadata: {name: greedy}
spec: {containers: [{name: c, image: nginx, resources: {requests: {cpu: "900"}}}]}
"""


def grown() -> Cluster:
    cluster = Cluster(ClusterSpec(nodes=2))
    cluster.advance("6s")
    cluster.apply(DEPLOYMENT)
    cluster.advance("20s")
    return cluster


def linked(story: Story) -> bool:
    """Whether each step but the first, and but events, follows from one that was told before."""
    told = [step.change.revision for step in story]
    return all(step.because in told[:at] for at, step in enumerate(story) if at and step.kind != "Event")


def authors(story: Story) -> list[str]:
    return list(dict.fromkeys(step.by.partition("/")[0] for step in story))


def test_a_pod_goes_back_to_the_user() -> None:
    cluster = grown()
    pod = cluster.list("pods", "default")[0]["metadata"]["name"]
    story = cluster.why("pod", pod)
    chain = ["user, with kubectl", "deployment-controller", "replicaset-controller", "kube-scheduler", "kubelet"]
    assert authors(story) == chain
    assert linked(story)
    assert "container web running" in "".join(step.what for step in story)
    assert not [step for step in story if step.what == "changed"]
    assert all(one.change.at_us <= other.change.at_us for one, other in pairwise(story))
    assert len(str(story).splitlines()) == len(story)


def test_what_is_gone_tells_who_took_it() -> None:
    cluster = grown()
    pods = [pod["metadata"]["name"] for pod in cluster.list("pods", "default")]
    scale = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 1}}
    cluster.apply({**scale, "spec": {**cluster.get("deploy", "web")["spec"], "replicas": 1}})
    cluster.advance("60s")
    (gone,) = set(pods) - {pod["metadata"]["name"] for pod in cluster.list("pods", "default")}
    story = cluster.why("pod", gone)
    assert story[-1].what == "removed"
    assert any(step.kind == "Deployment" and "replicas 2 → 1" in step.what for step in story)
    asked: Step = next(step for step in story if step.kind == "Pod" and "asked to go" in step.what)
    assert asked.by == "replicaset-controller"


def test_a_timer_is_answered_for_by_its_owner() -> None:
    cluster = grown()
    template = {"spec": {"containers": [{"name": "c", "image": "busybox"}], "restartPolicy": "Never"}}
    spec = {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}}
    cluster.apply({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tick"}, "spec": spec})
    cluster.advance("1m")
    job = cluster.list("jobs", "default")[0]["metadata"]["name"]
    assert authors(cluster.why("job", job))[:2] == ["user, with kubectl", "cronjob-controller"]


def test_a_pod_that_waits_is_told_what_for() -> None:
    cluster = grown()
    cluster.apply(GREEDY)
    cluster.advance("5s")
    warnings = [step for step in cluster.why("pod", "greedy") if step.kind == "Event"]
    assert [(step.by, step.what.split(":")[0]) for step in warnings] == [
        ("default-scheduler", "warns FailedScheduling")
    ]


def test_an_owner_is_told_what_warns_of_its_pods_once() -> None:
    cluster = grown()
    container = {"name": "web", "resources": {"requests": {"cpu": "900"}}}
    change = {"replicas": 8, "template": {"spec": {"containers": [container]}}}
    cluster.patch("deploy", "web", {"spec": change})
    cluster.advance("10s")
    warnings = [step for step in cluster.why("deploy", "web") if step.kind == "Event"]
    assert [step.what.partition(":")[0] for step in warnings] == ["warns FailedScheduling"]
    assert "Insufficient cpu" in warnings[0].what


def test_nothing_is_said_of_what_never_was() -> None:
    assert str(Cluster(ClusterSpec(nodes=0)).why("pod", "nobody")) == ""
