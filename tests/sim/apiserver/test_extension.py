"""An API server in a pod: its kinds are the cluster's for as long as it runs."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

GROUP = "wardle.example.com"
FLUNDERS = f"/apis/{GROUP}/v1alpha1/namespaces/default/flunders"
MANIFEST = f"""
apiVersion: v1
kind: Pod
metadata: {{name: sample, labels: {{apiserver: "true"}}}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: sample-apiserver
    image: registry.k8s.io/e2e-test-images/sample-apiserver:1.29.2
    args: ["--etcd-servers=http://127.0.0.1:2379"]
    readinessProbe: {{httpGet: {{scheme: HTTPS, port: 443, path: /readyz}}, periodSeconds: 1}}
  - name: etcd
    image: registry.k8s.io/etcd:3.7.0-0
    command: [/usr/local/bin/etcd]
---
apiVersion: v1
kind: Service
metadata: {{name: sample-api}}
spec: {{selector: {{apiserver: "true"}}, ports: [{{port: 7443, targetPort: 443}}]}}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {{name: v1alpha1.{GROUP}}}
spec:
  service: {{namespace: default, name: sample-api, port: 7443}}
  group: {GROUP}
  version: v1alpha1
  insecureSkipTLSVerify: true
  groupPriorityMinimum: 2000
  versionPriority: 200
"""
RBAC = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: sample-reader}
rules: [{apiGroups: [""], resources: [namespaces], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: sample-reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: sample-reader}
subjects: [{kind: ServiceAccount, name: default, namespace: default}]
"""


def flunder(name: str) -> dict[str, Any]:
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": "Flunder", "metadata": {"name": name}}


def applied() -> Cluster:
    """A cluster in which everything was applied but what lets the server read namespaces."""
    made = Cluster(ClusterSpec(nodes=1), seed=4)
    made.settle()
    made.apply(MANIFEST)
    made.advance("10s")
    return made


def serving() -> Cluster:
    made = applied()
    made.apply(RBAC)
    made.advance("40s")
    return made


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return serving()


def ask(cluster: Cluster, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    answer = cluster.request(Request(method, path, body=body))
    return answer.code, answer.body


def test_it_is_not_ready_before_it_may_see_namespaces() -> None:
    assert ask(applied(), "GET", FLUNDERS)[0] == 503


def test_its_kinds_are_discovered(cluster: Cluster) -> None:
    _, listed = ask(cluster, "GET", f"/apis/{GROUP}/v1alpha1")
    assert {each["name"] for each in listed["resources"]} >= {"flunders", "fischers"}


def test_it_keeps_its_objects(cluster: Cluster) -> None:
    code, made = ask(cluster, "POST", FLUNDERS, flunder("one"))
    assert (code, made["kind"], made["metadata"]["namespace"]) == (201, "Flunder", "default")
    assert ask(cluster, "POST", FLUNDERS, flunder("one"))[0] == 409
    assert [each["metadata"]["name"] for each in ask(cluster, "GET", FLUNDERS)[1]["items"]] == ["one"]
    assert ask(cluster, "DELETE", f"{FLUNDERS}/one")[0] == 200
    assert ask(cluster, "GET", FLUNDERS)[1]["items"] == []


def test_it_knows_namespaces_from_the_cluster(cluster: Cluster) -> None:
    elsewhere = FLUNDERS.replace("default", "nowhere")
    assert ask(cluster, "POST", elsewhere, flunder("one"))[0] == 404
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "nowhere"}})
    cluster.advance("1s")
    assert ask(cluster, "POST", elsewhere, flunder("one"))[0] == 201


def test_its_kinds_end_with_it() -> None:
    cluster = serving()
    assert ask(cluster, "GET", FLUNDERS)[0] == 200
    cluster.delete("pods", "sample")
    cluster.advance("10s")
    assert ask(cluster, "GET", FLUNDERS)[0] == 503
