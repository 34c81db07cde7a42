"""Indexes: a selector that one serves finds what it would find without."""

from __future__ import annotations

import pytest

from seatrial.sim.apiserver.indexes import index_of
from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import ADMIN, Cluster
from seatrial.sim.config import ClusterSpec


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    cluster = Cluster(ClusterSpec(nodes=0, controllers="none"))
    for namespace in ("one", "two"):
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        for name in ("a", "b"):
            metadata = {"name": name, "namespace": namespace, "labels": {"name": name}}
            cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    return cluster


@pytest.mark.parametrize(
    ("storage", "selector", "found"),
    [
        ("pods", "spec.nodeName=w1", ("spec.nodeName", "w1")),
        ("pods", "spec.nodeName==w1", ("spec.nodeName", "w1")),
        ("pods", "spec.nodeName!=w1", None),
        ("pods", "spec.nodeName=w1,status.phase=Running", None),
        ("pods", "spec.nodeName=", None),
        ("pods", "", None),
        ("nodes", "metadata.name=w1", ("metadata.name", "w1")),
        ("services", "metadata.name=web", None),
    ],
)
def test_which_selectors_an_index_serves(cluster: Cluster, storage: str, selector: str, found: object) -> None:
    assert index_of(cluster.store, storage, selector) == found


@pytest.mark.parametrize("path", ["/api/v1/configmaps", "/api/v1/namespaces/one/configmaps"])
@pytest.mark.parametrize("labels", ["", "name=b"])
def test_list_by_index_is_the_list_by_search(cluster: Cluster, path: str, labels: str) -> None:
    def names(field_selector: str) -> list[tuple[str, str]]:
        query = {"fieldSelector": (field_selector,), "labelSelector": (labels,)}
        body = cluster.request(Request("GET", path, query, user=ADMIN)).body
        return [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in body["items"]]

    assert names("metadata.name=a") == names("metadata.name=a,metadata.name!=none")


def test_watch_by_index_sees_what_a_search_sees(cluster: Cluster) -> None:
    def watch(field_selector: str) -> Request:
        query = {"fieldSelector": (field_selector,), "watch": ("1",), "timeoutSeconds": ("60",)}
        return Request("GET", "/api/v1/namespaces/two/configmaps", query, user=ADMIN)

    streams = [cluster.request(watch(each)).body for each in ("metadata.name=a", "metadata.name=a,metadata.name!=none")]
    metadata = {"name": "a", "namespace": "two"}
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"x": "1"}})
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**metadata, "namespace": "one"}})
    cluster.delete("cm", "a", "two")
    told = [[(frame.type, frame.object["metadata"]["namespace"]) for frame in stream.read()] for stream in streams]
    assert told[0] == told[1]
    assert [verb for verb, _ in told[0]] == ["ADDED", "MODIFIED", "DELETED"]
    for stream in streams:
        stream.close()
