"""Pods of images that the catalogue lacks get ready: other people's operators, as their manifests stand."""

from __future__ import annotations

import pytest

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, S

IMAGE = "example.com/team/operator:v1"
MANAGER = {
    "name": "manager",
    "image": IMAGE,
    "command": ["/manager"],
    "args": ["--leader-elect", "--health-probe-bind-address=:8081"],
    "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8081}},
    "readinessProbe": {"exec": {"command": ["/bin/grpc_health_probe", "-addr=:5000"]}},
    "startupProbe": {"exec": {"command": ["sh", "-c", "exec pg_isready -h localhost"]}},
    "lifecycle": {"postStart": {"exec": {"command": ["/register"]}}},
}


def test_an_operator_gets_ready() -> None:
    """Its ports are those that its probes ask, it runs without root when told so, and what its probes run is there."""
    cluster = Cluster(ClusterSpec(nodes=1, metrics_server=False))
    cluster.run(3 * S)
    prepare = {"name": "prepare", "image": IMAGE, "args": ["migrate"]}
    spec = {"containers": [MANAGER], "initContainers": [prepare], "securityContext": {"runAsNonRoot": True}}
    job = {"template": {"spec": {"restartPolicy": "OnFailure", "containers": [prepare]}}}
    cluster.apply(
        [
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "operator"}, "spec": spec},
            {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "setup"}, "spec": job},
        ]
    )
    cluster.advance("2m")
    (status,) = cluster.get("pods", "operator")["status"]["containerStatuses"]
    assert (status["ready"], status["restartCount"]) == (True, 0)
    assert cluster.get("jobs", "setup")["status"]["succeeded"] == 1


@pytest.mark.parametrize(
    ("path", "obstacle"),
    [("/etc/passwd", "/etc/passwd"), ("/etc/passwd/d", "/etc/passwd"), ("/sealed/d/e", "/sealed/d")],
)
def test_a_volume_where_it_cannot_be_mounted_fails_the_container(path: str, obstacle: str) -> None:
    """And nothing else: runc refuses, the kubelet tries again."""
    cluster = Cluster(ClusterSpec(nodes=1, metrics_server=False))
    cluster.run(3 * S)
    mounts = [{"name": "b", "mountPath": "/sealed", "readOnly": True}, {"name": "a", "mountPath": path}]
    container = {"name": "c", "image": IMAGE, "volumeMounts": mounts}
    spec = {"containers": [container], "volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {}}]}
    cluster.apply([{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}])
    cluster.advance("30s")
    (status,) = cluster.get("pods", "p")["status"]["containerStatuses"]
    ended = status["state"].get("terminated") or status["lastState"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("StartError", 128)
    assert f'volumes/kubernetes.io~empty-dir/a" to rootfs at "{path}": ' in ended["message"]
    assert f"rootfs{obstacle}" in ended["message"]


def test_such_an_image_has_room_for_volumes() -> None:
    cluster = Cluster(ClusterSpec(nodes=1, metrics_server=False))
    cluster.run(3 * S)
    container = {"name": "c", "image": IMAGE, "volumeMounts": [{"name": "a", "mountPath": "/app/config"}]}
    spec = {"containers": [container], "volumes": [{"name": "a", "emptyDir": {}}]}
    cluster.apply([{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}])
    cluster.advance("30s")
    (status,) = cluster.get("pods", "p")["status"]["containerStatuses"]
    assert status["ready"]
