"""APIServices that another server answers for: conditions, discovery, requests."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import orjson
import pytest

from seatrial.sim.apiserver.context import Answered, ExternalCall
from seatrial.sim.apiserver.request import Credentials, Request
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, S

NAME = "v1beta1.metrics.k8s.io"
LIST = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": "metrics.k8s.io/v1beta1",
    "resources": [
        {"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": ["get", "list"]},
        {"name": "nodes", "singularName": "", "namespaced": False, "kind": "NodeMetrics", "verbs": ["get", "list"]},
    ],
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "metrics", "namespace": "kube-system"},
    "spec": {"ports": [{"port": 443}]},
}
SLICE = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": {
        "name": "metrics-1",
        "namespace": "kube-system",
        "labels": {"kubernetes.io/service-name": "metrics"},
    },
    "addressType": "IPv4",
    "ports": [{"port": 4443, "name": ""}],
    "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}],
}
API_SERVICE = {
    "apiVersion": "apiregistration.k8s.io/v1",
    "kind": "APIService",
    "metadata": {"name": NAME},
    "spec": {
        "group": "metrics.k8s.io",
        "version": "v1beta1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "insecureSkipTLSVerify": True,
        "service": {"namespace": "kube-system", "name": "metrics", "port": 443},
    },
}


class Elsewhere:
    """Another server, which may be down."""

    def __init__(self) -> None:
        self.up = True
        self.calls: list[ExternalCall] = []

    def perform(self, call: ExternalCall) -> Generator[Any, Any, Answered]:
        self.calls.append(call)
        if not self.up:
            return OSError("dial tcp 10.1.2.3:4443: connect: connection refused")
        path = call.url.partition("://")[2].partition("/")[2]
        body = LIST if path == "apis/metrics.k8s.io/v1beta1" else {"kind": "PodMetricsList", "items": [path]}
        return 200, orjson.dumps(body)
        yield


@pytest.fixture
def elsewhere() -> Elsewhere:
    return Elsewhere()


@pytest.fixture
def cluster(elsewhere: Elsewhere) -> Cluster:
    made = Cluster(ClusterSpec(nodes=0, controllers="none"), verify=True)
    made.connect(elsewhere.perform)
    made.run(S)
    return made


def available(cluster: Cluster) -> tuple[str, str, str]:
    (found,) = cluster.get("apiservice", NAME)["status"]["conditions"]
    return found["status"], found["reason"], found["message"]


def get(cluster: Cluster, path: str, accept: str = "application/json") -> Any:
    return cluster.request(Request("GET", path, accept=accept))


def test_every_lack_has_its_condition(cluster: Cluster, elsewhere: Elsewhere) -> None:
    service = 'service/metrics in "kube-system"'
    cluster.apply(API_SERVICE)
    cluster.run(S)
    assert available(cluster) == ("False", "ServiceNotFound", f"{service} is not present")
    cluster.apply({**SERVICE, "spec": {"ports": [{"port": 80}]}})
    cluster.run(S)
    assert available(cluster) == ("False", "ServicePortError", f"{service} is not listening on port 443")
    cluster.apply(SERVICE)
    cluster.run(S)
    assert available(cluster) == ("False", "EndpointsNotFound", f"cannot find endpointslices for {service}")
    cluster.apply({**SLICE, "endpoints": []})
    cluster.run(S)
    text = f'endpointslices for {service} have no addresses with port name ""'
    assert available(cluster) == ("False", "MissingEndpoints", text)
    elsewhere.up = False
    cluster.apply(SLICE)
    cluster.run(S)
    address = cluster.get("service", "metrics", "kube-system")["spec"]["clusterIP"]
    url = f"https://{address}:443/apis/metrics.k8s.io/v1beta1"
    refused = "dial tcp 10.1.2.3:4443: connect: connection refused"
    text = f'failing or missing response from {url}: Get "{url}": {refused}'
    assert available(cluster) == ("False", "FailedDiscoveryCheck", text)
    elsewhere.up = True
    cluster.run(30 * S)
    assert available(cluster) == ("True", "Passed", "all checks passed")


def test_requests_are_passed_on_with_who_asks(cluster: Cluster, elsewhere: Elsewhere) -> None:
    cluster.apply([SERVICE, SLICE, API_SERVICE])
    answer = get(cluster, "/apis/metrics.k8s.io/v1beta1/nodes")
    assert (answer.code, answer.body) == (503, b"service unavailable\n")
    cluster.run(S)
    path = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods"
    answer = cluster.request(Request("GET", path, {"labelSelector": ("app=w",)}))
    assert (answer.code, answer.body["items"]) == (200, [path[1:] + "?labelSelector=app%3Dw"])
    call = elsewhere.calls[-1]
    assert (call.method, call.addresses, call.insecure) == ("GET", ("10.1.2.3:4443",), True)
    assert call.headers == (
        ("X-Remote-User", "kubernetes-admin"),
        ("X-Remote-Group", "system:masters"),
        ("X-Remote-Group", "system:authenticated"),
    )
    elsewhere.up = False
    answer = get(cluster, path)
    assert answer.code == 503


def test_who_may_not_is_refused_here(cluster: Cluster, elsewhere: Elsewhere) -> None:
    cluster.apply([SERVICE, SLICE, API_SERVICE])
    cluster.run(S)
    before = len(elsewhere.calls)
    request = Request("GET", "/apis/metrics.k8s.io/v1beta1/nodes", credentials=Credentials())
    assert cluster.request(request).code == 403
    assert len(elsewhere.calls) == before


def test_the_group_is_discovered_for_as_long_as_it_is_registered(cluster: Cluster, elsewhere: Elsewhere) -> None:
    cluster.apply([SERVICE, SLICE, API_SERVICE])
    cluster.run(S)
    groups = [each["name"] for each in get(cluster, "/apis").body["groups"]]
    assert groups[-1] == "metrics.k8s.io"
    assert get(cluster, "/apis/metrics.k8s.io/v1beta1").body == LIST
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    items = orjson.loads(get(cluster, "/apis", accept).body)["items"]
    (found,) = (each for each in items if each["metadata"].get("name") == "metrics.k8s.io")
    (version,) = found["versions"]
    assert [each["responseKind"]["kind"] for each in version["resources"]] == ["PodMetrics", "NodeMetrics"]
    elsewhere.up = False
    cluster.run(31 * S)
    items = orjson.loads(get(cluster, "/apis", accept).body)["items"]
    assert {"version": "v1beta1", "freshness": "Stale"} in [v for each in items for v in each["versions"]]
    cluster.delete("apiservice", NAME)
    cluster.run(S)
    assert "metrics.k8s.io" not in [each["name"] for each in get(cluster, "/apis").body["groups"]]
    assert get(cluster, "/apis/metrics.k8s.io/v1beta1").code == 404


def test_a_server_that_never_answers_does_not_keep_the_cluster_busy(cluster: Cluster, elsewhere: Elsewhere) -> None:
    elsewhere.up = False
    cluster.apply([SERVICE, SLICE, API_SERVICE])
    cluster.settle()
    assert available(cluster)[1] == "FailedDiscoveryCheck"
