"""Machines in a whole cluster, pods for them, and what is to be seen of both."""

from __future__ import annotations

from typing import Any

from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import ADMIN, Cluster
from seatrial.sim.config import ClusterSpec, S


def cluster(nodes: int = 1) -> Cluster:
    made = Cluster(ClusterSpec(nodes=nodes, addons=False), verify=True)
    made.run(3 * S)
    return made


def pod(name: str, script: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "busybox:1", "command": ["sh", "-c", script]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"terminationGracePeriodSeconds": 3, "containers": [container], **spec},
    }


def node_of(made: Cluster, name: str = "w1-k8s") -> Any:
    return next(each for each in made.components if each.name == f"kubelet/{name}")


def condition(made: Cluster, name: str, kind: str) -> Any:
    return next(each for each in made.get("node", name)["status"]["conditions"] if each["type"] == kind)


def phase(made: Cluster, name: str) -> str | None:
    found = made.store.get("pods", "default", name)
    return None if found is None else found["status"]["phase"]


def reasons(made: Cluster, name: str) -> list[str]:
    found = [e for e in made.store.list("events") if e["involvedObject"]["name"] == name]
    return [event["reason"] for event in found]


def pressure(made: Cluster) -> str:
    node = made.store.get("nodes", "", "w1-k8s")
    assert node is not None
    status: str = {each["type"]: each["status"] for each in node["status"]["conditions"]}["MemoryPressure"]
    return status


def delete(made: Cluster, name: str, namespace: str = "default") -> None:
    made.request(Request("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}", user=ADMIN, user_agent="kubectl"))
