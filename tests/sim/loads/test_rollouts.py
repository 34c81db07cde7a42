"""A load during a rolling update: whether anybody notices depends on what the pods say of themselves."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

READY = {"readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}}
PAUSE = {"lifecycle": {"preStop": {"exec": {"command": ["sleep", "10"]}}}}


def web(more: dict[str, Any], version: str) -> list[dict[str, Any]]:
    container = {
        "name": "c",
        "image": "registry.k8s.io/e2e-test-images/agnhost:2.53",
        "args": ["netexec", "--http-port=8080"],
        "env": [{"name": "VERSION", "value": version}],
        **more,
    }
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    spec = {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    ports = [{"port": 80, "targetPort": 8080, "nodePort": 30080}]
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": ports},
        },
    ]


def errors(more: dict[str, Any]) -> dict[str, int]:
    """By kind, of 200 requests per second during a rolling update."""
    cluster = Cluster(ClusterSpec(nodes=2), seed=3)
    cluster.settle()
    cluster.apply(web(more, "1"))
    cluster.settle()
    cluster.advance("10s")
    name = cluster.add_load({"kind": "constant", "url": "http://192.168.1.101:30080", "level": 200})
    # Half a second off the rhythm of the kubelets' relists: the first new pod is ready, and the first old one gone,
    # while kube-proxy pauses after it has heard of the new one.
    cluster.advance("2500ms")
    cluster.apply(web(more, "2"))
    cluster.advance("60s")
    status = cluster.get("deployment", "web")["status"]
    assert status["updatedReplicas"] == status["readyReplicas"] == 3
    total = cluster.loads.show(name)["total"]
    assert total["ok"] > 10_000
    return dict(total["errors"])


@pytest.mark.parametrize(
    ("more", "fails"),
    [
        pytest.param({}, True, id="neither: new pods are asked before they listen, old ones after they have gone"),
        pytest.param(READY, True, id="a readiness probe alone: old pods are asked after they have gone"),
        pytest.param(READY | PAUSE, False, id="a readiness probe and a preStop pause: nobody notices"),
    ],
)
def test_who_notices_a_rolling_update(more: dict[str, Any], fails: bool) -> None:
    assert bool(errors(more)) is fails
