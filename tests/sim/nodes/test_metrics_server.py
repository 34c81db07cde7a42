"""The metrics server in a whole cluster: when it begins to answer, what it says, and what follows from it."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import AutoscalingSpec, ClusterSpec, S
from seatrial.sim.machinery.quantity import parse
from seatrial.sim.nodes.metrics_server import resolution_of

API = "/apis/metrics.k8s.io/v1beta1"
NAME = "v1beta1.metrics.k8s.io"


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster(ClusterSpec(nodes=1), verify=True)
    made.run(3 * S)
    return made


def busy(name: str, cpus: int, **labels: str) -> dict[str, Any]:
    container = {"name": "c", "image": "polinux/stress", "command": ["stress", "--cpu", str(cpus)]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [container]},
    }


def get(cluster: Cluster, path: str, **query: str) -> Any:
    return cluster.request(Request("GET", f"{API}/{path}", {key: (value,) for key, value in query.items()}))


def available(cluster: Cluster) -> str:
    conditions = cluster.get("apiservice", NAME)["status"]["conditions"]
    return str(conditions[0]["status"])


def test_it_answers_once_it_has_measured(cluster: Cluster) -> None:
    cluster.run(10 * S)
    assert (available(cluster), get(cluster, "nodes").code) == ("False", 503)
    cluster.run(45 * S)
    assert (available(cluster), get(cluster, "nodes").code) == ("True", 200)
    cluster.run(20 * S)
    assert [each["metadata"]["name"] for each in get(cluster, "nodes").body["items"]] == ["m-k8s", "w1-k8s"]


def test_usage_is_what_the_containers_use(cluster: Cluster) -> None:
    cluster.run(60 * S)
    cluster.apply([busy("one", 1, app="w"), busy("idle", 0, app="w"), busy("other", 1)])
    cluster.run(5 * S)
    body = get(cluster, "namespaces/default/pods").body
    assert body["items"] == []
    cluster.run(60 * S)
    body = get(cluster, "namespaces/default/pods", labelSelector="app=w").body
    assert (body["kind"], [each["metadata"]["name"] for each in body["items"]]) == ("PodMetricsList", ["idle", "one"])
    one = get(cluster, "namespaces/default/pods/one").body
    assert (one["window"], [each["name"] for each in one["containers"]]) == ("15s", ["c"])
    assert parse(one["containers"][0]["usage"]["cpu"]).milli_value() == pytest.approx(1000, rel=0.1)
    node = get(cluster, "nodes/w1-k8s").body
    assert parse(node["usage"]["cpu"]).milli_value() >= 2000
    assert node["usage"]["memory"].endswith("Ki")


def test_what_is_not_there_is_not_found(cluster: Cluster) -> None:
    cluster.run(60 * S)
    answer = get(cluster, "namespaces/default/pods/none")
    assert (answer.code, answer.body["message"]) == (404, 'podmetrics.metrics.k8s.io "default/none" not found')


def test_a_node_that_is_gone_has_no_metrics(cluster: Cluster) -> None:
    cluster.run(60 * S)
    cluster.nodes["m-k8s"].stop()
    assert [each["metadata"]["name"] for each in get(cluster, "nodes").body["items"]] == ["w1-k8s"]


def test_without_its_pod_the_group_is_unavailable(cluster: Cluster) -> None:
    cluster.run(60 * S)
    cluster.patch("deployment", "metrics-server", {"spec": {"replicas": 0}}, "kube-system")
    cluster.run(40 * S)
    assert (available(cluster), get(cluster, "nodes").code) == ("False", 503)


@pytest.mark.parametrize(
    ("argv", "resolution_s"),
    [(["/metrics-server"], 60), (["/metrics-server", "--metric-resolution=15s", "--secure-port=4443"], 15)],
)
def test_how_often_it_measures(argv: list[str], resolution_s: int) -> None:
    assert resolution_of(argv) == resolution_s * S


@pytest.mark.parametrize(("flags", "replicas"), [({}, 3), ({"tolerance": 100}, 1), ({"sync_period_us": 600 * S}, 1)])
def test_the_autoscaler_follows_it_as_its_flags_say(flags: dict[str, Any], replicas: int) -> None:
    cluster = Cluster(ClusterSpec(nodes=1, autoscaling=AutoscalingSpec(**flags)))
    cluster.run(3 * S)
    pod = busy("w", 1)["spec"]
    pod["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
    labels = {"app": "w"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"}
    metric = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    scaler = {"minReplicas": 1, "maxReplicas": 3, "scaleTargetRef": target}
    cluster.apply(
        [
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "w"}, "spec": spec},
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "w"},
                "spec": {**scaler, "metrics": [{"type": "Resource", "resource": metric}]},
            },
        ]
    )
    cluster.run(150 * S)
    assert cluster.get("deployment", "w")["spec"]["replicas"] == replicas


def test_it_acts_as_the_account_of_its_pod(cluster: Cluster) -> None:
    """Charts name it as they like."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "own"},
        "spec": {
            "serviceAccountName": "default",
            "containers": [
                {
                    "name": "c",
                    "image": "registry.k8s.io/metrics-server/metrics-server:v0.8.0",
                    "args": ["--secure-port=10250", "--metric-resolution=15s"],
                    "readinessProbe": {"httpGet": {"port": 10250, "path": "/readyz", "scheme": "HTTPS"}},
                }
            ],
        },
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "own"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
    }
    cluster.apply([binding, pod])
    cluster.run(45 * S)
    assert cluster.get("pods", "own")["status"]["containerStatuses"][0]["ready"]
