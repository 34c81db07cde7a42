"""Requests in process: the API server's whole pipeline without a socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.harness import Figure, best_s, per_second
from seatrial.sim.apiserver.request import Request, User
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

REQUESTS = 5000
PODS = "/api/v1/namespaces/default/pods"
STRATEGIC = "application/strategic-merge-patch+json"
REPLICASETS = User(
    "system:serviceaccount:kube-system:replicaset-controller",
    ("system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"),
)
KUBELET = User("system:node:n1", ("system:nodes", "system:authenticated"))
SCHEDULER = User("system:kube-scheduler", ("system:authenticated",))
ADMIN = User("kubernetes-admin", ("system:masters", "system:authenticated"))
SPEC = {"containers": [{"name": "c", "image": "nginx:1", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}]}
RUNNING = {
    "status": {
        "phase": "Running",
        "podIP": "172.16.1.2",
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        "containerStatuses": [
            {"name": "c", "ready": True, "restartCount": 0, "image": "nginx:1", "imageID": "x", "started": True}
        ],
    }
}


def measure() -> Iterator[Figure]:
    cluster = Cluster(ClusterSpec(nodes=0, controllers="none"))

    def ask(method: str, path: str, user: User, body: Any = None, **more: Any) -> Any:
        answer = cluster.server.handle(Request(method, path, body=body, user=user, **more))
        assert answer.code < 300, answer.body
        return answer.body

    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    ask("POST", "/api/v1/namespaces/default/serviceaccounts", ADMIN, account)
    names: list[str] = []

    def create(index: int) -> None:
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"generateName": "web-", "labels": {"app": "web"}},
            "spec": SPEC,
        }
        names.append(ask("POST", PODS, REPLICASETS, pod, user_agent="kube-controller-manager")["metadata"]["name"])

    def bind(index: int) -> None:
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": names[index]},
            "target": {"kind": "Node", "name": "n1"},
        }
        ask("POST", f"{PODS}/{names[index]}/binding", SCHEDULER, binding)

    def patch(index: int) -> None:
        ask("PATCH", f"{PODS}/{names[index]}/status", KUBELET, RUNNING, content_type=STRATEGIC, user_agent="kubelet")

    def delete(index: int) -> None:
        ask("DELETE", f"{PODS}/{names[index]}", KUBELET, {"gracePeriodSeconds": 0})

    for name, work in (
        ("create a pod", create),
        ("get a pod", lambda index: ask("GET", f"{PODS}/{names[index]}", ADMIN)),
        ("bind a pod", bind),
        ("patch a pod's status", patch),
    ):
        yield Figure(name, per_second(REQUESTS, work), "/s")
    yield Figure(f"list {REQUESTS} pods", best_s(3, lambda: ask("GET", PODS, ADMIN)) * 1000, "ms")
    watchers = [
        cluster.server.handle(Request("GET", PODS, {"watch": ("1",), "resourceVersion": (version,)}, user=ADMIN)).body
        for version in [str(cluster.store.revision)] * 100
    ]
    changes = 500
    rate = per_second(changes, lambda index: (patch_label(ask, names[index]), [watch.read() for watch in watchers]))
    yield Figure("deliveries to 100 watchers", rate * len(watchers), "/s")
    yield Figure("delete a pod", per_second(REQUESTS, delete), "/s")


def patch_label(ask: Any, name: str) -> None:
    body = {"metadata": {"labels": {"seen": "yes"}}}
    ask("PATCH", f"{PODS}/{name}", ADMIN, body, content_type="application/merge-patch+json")
