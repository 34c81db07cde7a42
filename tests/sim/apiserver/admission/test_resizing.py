"""A resize of a pod and what its node could give."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, S

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "a", "namespace": "default"},
    "spec": {
        "containers": [
            {
                "name": "c",
                "image": "busybox:1",
                "command": ["sleep", "100000"],
                "resources": {"requests": {"cpu": "100m", "memory": "32Mi"}},
            }
        ]
    },
}


@pytest.mark.parametrize(
    ("requests", "refusal"),
    [
        ({"cpu": "2"}, ""),
        ({"cpu": "900"}, "cpu, requested: 900000, allocatable: 2000"),
        ({"memory": "8Gi"}, "memory, requested: 8589934592, allocatable: 4190109696"),
    ],
)
def test_more_than_the_node_has_is_refused(requests: dict[str, Any], refusal: str) -> None:
    cluster = Cluster(ClusterSpec(nodes=1, addons=False))
    cluster.run(3 * S)
    cluster.apply(POD)
    cluster.run(5 * S)
    patch = {"spec": {"containers": [{"name": "c", "resources": {"requests": requests}}]}}
    path = "/api/v1/namespaces/default/pods/a/resize"
    answer = cluster.request(Request("PATCH", path, {}, patch, "application/strategic-merge-patch+json"))
    if refusal:
        text = f'pods "a" is forbidden: node didn\'t have enough allocatable resources: {refusal}'
        assert (answer.code, answer.body["message"]) == (403, text)
    else:
        assert answer.code == 200
