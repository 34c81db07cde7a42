"""A second scheduler that runs in a pod, as the documentation of Kubernetes has users build one."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, S
from seatrial.sim.programs import flags_of

CONFIG = """
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles: [{schedulerName: my-scheduler}]
leaderElection: {leaderElect: false}
"""
ACCOUNT: dict[str, Any] = {"kind": "ServiceAccount", "name": "my-scheduler", "namespace": "kube-system"}
PROBE = {"httpGet": {"path": "/healthz", "port": 10259, "scheme": "HTTPS"}}


def bound_to(role: str) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"my-{role.rpartition(':')[2]}"},
        "subjects": [ACCOUNT],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
    }


def scheduler(image: str, config: str = CONFIG) -> list[dict[str, Any]]:
    meta = {"name": "my-scheduler", "namespace": "kube-system"}
    container = {
        "name": "kube-second-scheduler",
        "image": image,
        "command": ["/usr/local/bin/kube-scheduler", "--config=/etc/my-scheduler/config.yaml"],
        "readinessProbe": PROBE,
        "volumeMounts": [{"name": "config", "mountPath": "/etc/my-scheduler"}],
    }
    spec = {
        "serviceAccountName": "my-scheduler",
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "my-scheduler"}}],
    }
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        bound_to("system:kube-scheduler"),
        bound_to("system:volume-scheduler"),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"config.yaml": config}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec},
    ]


def waiting(name: str) -> dict[str, Any]:
    spec = {"schedulerName": "my-scheduler", "containers": [{"name": "c", "image": "registry.k8s.io/pause:3.10"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def node_of(cluster: Cluster, name: str) -> str | None:
    found: str | None = cluster.get("pod", name)["spec"].get("nodeName")
    return found


def test_pods_go_to_the_scheduler_that_they_name() -> None:
    cluster = Cluster(ClusterSpec(nodes=1, metrics_server=False))
    cluster.run(3 * S)
    cluster.apply(waiting("early"))
    cluster.run(3 * S)
    assert node_of(cluster, "early") is None
    cluster.apply(scheduler("gcr.io/my-gcp-project/my-kube-scheduler:1.0"))
    cluster.run(30 * S)
    ready = cluster.get("pod", "my-scheduler", "kube-system")["status"]["containerStatuses"][0]["ready"]
    assert ready and node_of(cluster, "early") == "w1-k8s"
    (event,) = (e for e in cluster.store.list("events", "default") if e["reason"] == "Scheduled")
    assert (event["reportingComponent"], event["reportingInstance"]) == ("my-scheduler", "my-scheduler-my-scheduler")
    cluster.delete("pod", "my-scheduler", "kube-system")
    cluster.run(40 * S)
    cluster.apply(waiting("late"))
    cluster.run(10 * S)
    assert node_of(cluster, "late") is None


def test_a_configuration_that_is_wrong_ends_it_with_the_reason() -> None:
    cluster = Cluster(ClusterSpec(nodes=1, metrics_server=False))
    cluster.run(3 * S)
    cluster.apply(scheduler("registry.k8s.io/kube-scheduler:v1.37.2", CONFIG + "parallelism: 0\n"))
    cluster.run(10 * S)
    log = cluster.request(Request("GET", "/api/v1/namespaces/kube-system/pods/my-scheduler/log")).body
    assert b'run.go:72] "command failed" err="parallelism: Invalid value: 0: should be an integer value' in log


@pytest.mark.parametrize(
    ("argv", "flags"),
    [
        (["x", "--config=a", "-v=2"], {"config": "a", "v": "2"}),
        (["x", "--config", "a", "--leader-elect"], {"config": "a", "leader-elect": "true"}),
    ],
)
def test_flags_are_written_in_three_ways(argv: list[str], flags: dict[str, str]) -> None:
    assert flags_of(argv) == flags
