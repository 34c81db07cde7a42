"""What a ResourceQuota lets through, in the API server's words."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

PATH = "/api/v1/namespaces/default"
QUOTA = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}}


def container(name: str, **resources: Any) -> dict[str, Any]:
    return {"name": name, "image": "nginx", "resources": resources}


def pod(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}


@pytest.fixture
def cluster() -> Cluster:
    """An API server without controllers: a quota's status is what the test says."""
    cluster = Cluster(ClusterSpec(nodes=0, controllers="none"))
    cluster.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
    return cluster


def limit(cluster: Cluster, counted: bool = True, **hard: str) -> None:
    names = {name.replace("_", "."): value for name, value in hard.items()}
    cluster.apply({**QUOTA, "spec": {"hard": names}})
    if counted:
        status = {"hard": names, "used": dict.fromkeys(names, "0")}
        body = {"status": status}
        path = f"{PATH}/resourcequotas/q/status"
        assert cluster.request(Request("PATCH", path, {}, body, "application/merge-patch+json")).code == 200


def refusal(cluster: Cluster, obj: dict[str, Any]) -> str:
    """What the server says against a new pod; nothing when it is created."""
    answer = cluster.request(Request("POST", f"{PATH}/pods", {}, obj))
    return "" if answer.code == 201 else answer.body["message"].removeprefix('pods "p" is forbidden: ')


CPU = {"requests": {"cpu": "1"}}


@pytest.mark.parametrize(
    ("hard", "spec", "told"),
    [
        ({"pods": "1"}, {"containers": [container("a")]}, ""),
        ({"requests_cpu": "4"}, {"containers": [container("a", **CPU)]}, ""),
        (
            {"requests_cpu": "4"},
            {"containers": [container("b"), container("a")], "initContainers": [container("i", **CPU)]},
            "failed quota: q: must specify requests.cpu for: a,b",
        ),
        (
            {"requests_cpu": "4", "limits_memory": "1Gi", "pods": "3"},
            {"containers": [container("a", limits={"memory": "1Mi"}), container("b")], "initContainers": []},
            "failed quota: q: must specify limits.memory for: b; requests.cpu for: a,b",
        ),
        ({"cpu": "4"}, {"containers": [container("a")], "resources": CPU}, ""),
        ({"cpu": "4"}, {"containers": [container("a")]}, "failed quota: q: must specify cpu for: a"),
        (
            {"cpu": "500m"},
            {"containers": [container("a", **CPU)]},
            "exceeded quota: q, requested: cpu=1, used: cpu=0, limited: cpu=500m",
        ),
        ({"requests_storage": "1Gi"}, {"containers": [container("a")]}, ""),
    ],
)
def test_what_a_quota_limits_every_container_must_state(
    cluster: Cluster, hard: dict[str, str], spec: dict[str, Any], told: str
) -> None:
    limit(cluster, **hard)
    assert refusal(cluster, pod(**spec)) == told


def test_a_quota_limits_nothing_before_its_first_count(cluster: Cluster) -> None:
    limit(cluster, counted=False, pods="0", requests_cpu="1")
    assert refusal(cluster, pod(containers=[container("a")])) == ""


def test_a_figure_that_was_never_counted_is_not_known(cluster: Cluster) -> None:
    cluster.apply({**QUOTA, "spec": {"hard": {"pods": "1"}}})
    body = {"status": {"hard": {"pods": "1"}}}
    cluster.request(Request("PATCH", f"{PATH}/resourcequotas/q/status", {}, body, "application/merge-patch+json"))
    assert refusal(cluster, pod(containers=[container("a")])) == "status unknown for quota: q, resources: pods"
