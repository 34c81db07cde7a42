"""The Scale of each kind that has one."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

TEMPLATE = {"metadata": {"labels": {"a": "b", "c": "d"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
LABELS = {"c": "d", "a": "b"}


@pytest.mark.parametrize(
    ("path", "kind", "spec"),
    [
        ("/api/v1/namespaces/default/replicationcontrollers", "ReplicationController", {"selector": LABELS}),
        ("/apis/apps/v1/namespaces/default/replicasets", "ReplicaSet", {"selector": {"matchLabels": LABELS}}),
        ("/apis/apps/v1/namespaces/default/deployments", "Deployment", {"selector": {"matchLabels": LABELS}}),
        ("/apis/apps/v1/namespaces/default/statefulsets", "StatefulSet", {"selector": {"matchLabels": LABELS}}),
    ],
)
def test_a_scale_names_the_pods(path: str, kind: str, spec: dict[str, Any]) -> None:
    cluster = Cluster(ClusterSpec(nodes=0, controllers="none"))
    body = {"metadata": {"name": "x"}, "spec": {**spec, "replicas": 3, "template": TEMPLATE}}
    version = "v1" if path.startswith("/api/") else "apps/v1"
    made = orjson.dumps({"apiVersion": version, "kind": kind, **body})
    assert cluster.request(Request("POST", path, {}, made)).code == 201
    scale = cluster.request(Request("GET", f"{path}/x/scale")).body
    assert scale["status"]["selector"] == "a=b,c=d"
    assert scale["spec"]["replicas"] == 3
