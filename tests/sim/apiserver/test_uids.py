"""A change that names another object's uid is refused, whichever verb brings it: the object was replaced meanwhile."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

POD = "/api/v1/namespaces/default/pods/a"
MAP = "/api/v1/namespaces/default/configmaps/a"
STRATEGIC, MERGE = "application/strategic-merge-patch+json", "application/merge-patch+json"
MANIFEST = """
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: default}
spec: {containers: [{name: c, image: i}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: default}
"""


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster(ClusterSpec(nodes=0))
    made.settle()
    made.apply(MANIFEST)
    return made


def patched(cluster: Cluster, path: str, media_type: str, body: dict[str, Any]) -> Any:
    return cluster.request(Request("PATCH", path, {}, orjson.dumps(body), media_type))


@pytest.mark.parametrize(
    ("path", "media_type", "body"),
    [
        (f"{POD}/status", STRATEGIC, {"status": {"message": "m"}}),
        (POD, STRATEGIC, {"metadata": {"labels": {"a": "b"}}}),
        (MAP, MERGE, {"data": {"a": "b"}}),
    ],
)
def test_a_patch(cluster: Cluster, path: str, media_type: str, body: dict[str, Any]) -> None:
    own = cluster.request(Request("GET", path)).body["metadata"]["uid"]
    other = {**body, "metadata": {**body.get("metadata", {}), "uid": "another"}}
    refused = patched(cluster, path, media_type, other)
    assert refused.code == 422
    assert 'metadata.uid: Invalid value: "another": field is immutable' in refused.body["message"]
    same = {**body, "metadata": {**body.get("metadata", {}), "uid": own}}
    assert patched(cluster, path, media_type, same).code == 200


def test_a_replacement(cluster: Cluster) -> None:
    obj = cluster.request(Request("GET", MAP)).body
    other = {**obj, "metadata": {**obj["metadata"], "uid": "another"}}
    refused = cluster.request(Request("PUT", MAP, {}, orjson.dumps(other)))
    assert refused.code == 409
    assert "Precondition failed: UID in precondition: another, UID in object meta: " in refused.body["message"]
