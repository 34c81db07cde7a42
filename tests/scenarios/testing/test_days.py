"""Long stretches of simulated time as golden transcripts: a CronJob's hours, an autoscaler's hour, a node's loss.

``pytest tests/scenarios/testing/test_days.py --rewrite`` writes the transcripts anew; read the difference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seatrial.scenarios.testing import Faults, History, booted, judge, manifests
from seatrial.scenarios.testing.controls import BOOT
from seatrial.scenarios.testing.metrics import serve_metrics
from seatrial.sim.cluster import Cluster, duration_us
from seatrial.sim.config import S
from seatrial.sim.kernel.clock import stamp_of

GOLDEN = Path(__file__).parents[2] / "golden" / "days"
DRAWN = re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{5}(?=$|[ \"./,:])")
MINUTE = 60 * S
BOOT_US = duration_us(BOOT)


def autoscaler(least: int, most: int, percent: int) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    metric = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}
    spec = {"scaleTargetRef": target, "minReplicas": least, "maxReplicas": most}
    spec["metrics"] = [{"type": "Resource", "resource": metric}]
    kind = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
    return {**kind, "metadata": {"name": "web"}, "spec": spec}


def measured(replicas: int) -> dict[str, Any]:
    made = manifests.workload("deployment", "web", replicas)
    made["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
    return made


def an_hour_of_reports() -> Cluster:
    cluster = booted({"nodes": 1})
    job = manifests.job("x", seconds=90)["spec"]
    spec = {"schedule": "*/10 * * * *", "jobTemplate": {"spec": job}, "successfulJobsHistoryLimit": 2}
    cluster.apply({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "report"}, "spec": spec})
    cluster.advance("1h")
    return cluster


def a_week_of_backups() -> Cluster:
    cluster = booted({"nodes": 1})
    job = manifests.job("x", seconds=90)["spec"]
    spec = {"schedule": "30 2 * * *", "timeZone": "Europe/Berlin", "jobTemplate": {"spec": job}}
    spec |= {"successfulJobsHistoryLimit": 2, "concurrencyPolicy": "Forbid"}
    cluster.apply({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "backup"}, "spec": spec})
    cluster.advance("7d")
    return cluster


def an_hour_of_load() -> Cluster:
    cluster = booted({"nodes": 2})
    began = cluster.now

    def load(now: int) -> float:
        minute = (now - began) // MINUTE
        return 400 if 10 <= minute < 25 else 60

    serve_metrics(cluster, load)
    cluster.apply([measured(1), autoscaler(1, 6, 80)])
    cluster.advance("1h")
    return cluster


def a_rollout_and_its_undoing() -> Cluster:
    cluster = booted({"nodes": 2})
    cluster.apply(manifests.workload("deployment", "web", 3))
    cluster.advance("30s")
    for image in ("nginx:1.1", "nginx:1.0"):
        containers = [{"name": "main", "image": image}]
        cluster.patch("deployment", "web", {"spec": {"template": {"spec": {"containers": containers}}}})
        cluster.advance("30s")
    return cluster


def a_lost_node() -> Cluster:
    cluster = booted({"nodes": 2})
    cluster.apply(manifests.workload("deployment", "web", 2))
    cluster.advance("30s")
    Faults(cluster).add("node-crash", node="w1-k8s", lasts="8m")
    cluster.advance("12m")
    return cluster


DAYS = (
    a_week_of_backups,
    an_hour_of_reports,
    an_hour_of_load,
    a_rollout_and_its_undoing,
    a_lost_node,
)
KINDS = ("Pod", "Job", "CronJob", "Deployment", "ReplicaSet", "HorizontalPodAutoscaler", "Node")


def told(cluster: Cluster) -> str:
    """Events, and what came and went, a line each; what says nothing new is left out."""
    lines = list(_lines(cluster))
    return "".join(DRAWN.sub("-<gen>", line) + "\n" for line in lines)


def _lines(cluster: Cluster) -> Iterator[str]:
    last: dict[Any, str] = {}
    for change in History(cluster.store).changes():
        obj, kind = change.obj, change.obj.get("kind")
        namespace = obj["metadata"].get("namespace", "default")
        if change.at_us < cluster.spec.epoch_us + BOOT_US:
            continue
        if namespace != "default" or (kind not in KINDS and kind != "Event"):
            continue
        if kind == "Event":
            about = obj["involvedObject"]
            if change.verb != "ADDED":
                continue
            yield f"{stamp_of(change.at_us)} {obj['reason']} {about['kind']}/{about['name']}: {obj['message']}"
            continue
        said, key = _gist(obj), (kind, obj["metadata"]["uid"])
        if change.verb != "MODIFIED" or last.get(key) != said:
            yield f"{stamp_of(change.at_us)} {change.verb} {kind}/{obj['metadata']['name']} {said}".rstrip()
        last[key] = said


def _gist(obj: Any) -> str:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if obj["kind"] == "Node":
        taints = ",".join(each["key"].rpartition("/")[2] for each in spec.get("taints") or ())
        ready = [each["status"] for each in status.get("conditions") or () if each["type"] == "Ready"]
        return f"ready={''.join(ready)} taints={taints}"
    if obj["kind"] == "Pod":
        leaving = " leaving" if "deletionTimestamp" in obj["metadata"] else ""
        return f"{status.get('phase')} on {spec.get('nodeName', '-')}{leaving}"
    keys = ("replicas", "desiredReplicas", "succeeded")
    counts = [f"{key}={status[key]}" for key in keys if key in status]
    wanted = [f"wanted={spec['replicas']}"] if "replicas" in spec else []
    return " ".join(wanted + counts)


@pytest.mark.parametrize("day", DAYS, ids=lambda day: day.__name__)
def test_day(day: Callable[[], Cluster], request: pytest.FixtureRequest) -> None:
    cluster = day()
    judge(cluster)
    story, file = told(cluster), GOLDEN / f"{day.__name__}.txt"
    if request.config.getoption("--rewrite"):
        file.write_text(story)
    assert story == file.read_text()


@pytest.mark.parametrize(("load", "wanted"), [(0, 2), (150, 2), (300, 4), (10_000, 5)])
def test_an_autoscaler_comes_to_rest_within_its_bounds(load: float, wanted: int) -> None:
    cluster = booted({"nodes": 2})
    serve_metrics(cluster, lambda now: load)
    cluster.apply([measured(2), autoscaler(2, 5, 80)])
    cluster.advance("30m")
    judge(cluster)
    assert cluster.get("deployment", "web")["spec"]["replicas"] == wanted


def test_an_autoscaler_is_not_wound_up_by_rollouts() -> None:
    cluster = booted({"nodes": 2})
    serve_metrics(cluster, lambda now: 300)
    cluster.apply([measured(4), autoscaler(2, 8, 80)])
    cluster.advance("5m")
    for number in range(6):
        containers = [{"name": "main", "image": f"nginx:1.{number}"}]
        cluster.patch("deployment", "web", {"spec": {"template": {"spec": {"containers": containers}}}})
        cluster.advance("90s")
    wanted = [each.obj["spec"]["replicas"] for each in History(cluster.store).changes("deployments.apps")]
    assert set(wanted) == {4}
