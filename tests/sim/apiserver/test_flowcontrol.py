"""Which flow schema and priority level a request belongs to, by the schemas of a fresh cluster."""

from __future__ import annotations

import pytest

from seatrial.sim.apiserver.flowcontrol import FlowControl
from seatrial.sim.apiserver.request import Credentials, Request, User
from seatrial.sim.apiserver.routing import parse
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

CLUSTER = Cluster(ClusterSpec(nodes=0, controllers="none"))
AUTHENTICATED = "system:authenticated"


@pytest.mark.parametrize(
    ("user", "method", "path", "schema", "level"),
    [
        (User("admin", ("system:masters", AUTHENTICATED)), "GET", "/api/v1/pods", "exempt", "exempt"),
        (User("system:anonymous", ("system:unauthenticated",)), "GET", "/healthz", "probes", "exempt"),
        (User("jane", (AUTHENTICATED,)), "GET", "/api/v1/namespaces/a/pods", "global-default", "global-default"),
        (User("jane", (AUTHENTICATED,)), "GET", "/version", "global-default", "global-default"),
        (
            User("system:kube-scheduler", (AUTHENTICATED,)),
            "GET",
            "/api/v1/nodes",
            "kube-scheduler",
            "workload-high",
        ),
        (
            User("system:serviceaccount:kube-system:x", ("system:serviceaccounts:kube-system", AUTHENTICATED)),
            "GET",
            "/api/v1/nodes",
            "kube-system-service-accounts",
            "workload-high",
        ),
        (
            User("system:serviceaccount:a:x", ("system:serviceaccounts", AUTHENTICATED)),
            "GET",
            "/api/v1/namespaces/a/pods",
            "service-accounts",
            "workload-low",
        ),
        (
            User("system:node:w1", ("system:nodes", AUTHENTICATED)),
            "PUT",
            "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/w1",
            "system-node-high",
            "node-high",
        ),
        (
            User("system:anonymous", ("system:unauthenticated",)),
            "GET",
            "/api/v1/pods",
            "global-default",
            "global-default",
        ),
    ],
)
def test_a_request_finds_its_schema(user: User, method: str, path: str, schema: str, level: str) -> None:
    found = FlowControl(CLUSTER.store).headers(user, parse(method, path))
    assert found == {
        "X-Kubernetes-Pf-Flowschema-Uid": CLUSTER.get("flowschemas", schema)["metadata"]["uid"],
        "X-Kubernetes-Pf-Prioritylevel-Uid": CLUSTER.get("prioritylevelconfigurations", level)["metadata"]["uid"],
    }


def test_a_new_schema_is_heeded_at_once() -> None:
    cluster = Cluster(ClusterSpec(nodes=0, controllers="none"))
    credentials = Credentials("jane", ("devs",))

    def schema_of_answer() -> str:
        response = cluster.server.handle(Request("GET", "/version", credentials=credentials))
        return response.headers["X-Kubernetes-Pf-Flowschema-Uid"]

    assert schema_of_answer() == cluster.get("flowschemas", "global-default")["metadata"]["uid"]
    (mine,) = cluster.apply(
        """
        apiVersion: flowcontrol.apiserver.k8s.io/v1
        kind: FlowSchema
        metadata: {name: devs}
        spec:
          matchingPrecedence: 50
          priorityLevelConfiguration: {name: workload-low}
          rules:
          - subjects: [{kind: Group, group: {name: devs}}]
            nonResourceRules: [{verbs: ["*"], nonResourceURLs: ["*"]}]
        """
    )
    assert schema_of_answer() == mine["metadata"]["uid"]
    cluster.delete("flowschemas", "devs")
    assert schema_of_answer() == cluster.get("flowschemas", "global-default")["metadata"]["uid"]
