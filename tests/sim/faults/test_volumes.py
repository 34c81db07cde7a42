"""A volume that cannot be detached: it stays where it was, and who waits for it waits."""

from __future__ import annotations

from typing import Any

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

STORAGE = """
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata: {name: disk.example.com}
spec: {attachRequired: true}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: ""
  csi: {driver: disk.example.com, volumeHandle: disk-1}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: disk}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: ""
  volumeName: disk
  resources: {requests: {storage: 1Gi}}
"""


def user(name: str, node: str) -> dict[str, Any]:
    container = {"name": "c", "image": "busybox", "command": ["sleep", "10000"]}
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "disk"}}
    spec = {"nodeName": node, "containers": [container], "volumes": [volume], "terminationGracePeriodSeconds": 2}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def attached(cluster: Cluster) -> dict[str, bool]:
    """Node → whether the volume is on its way off it."""
    found = cluster.list("volumeattachments")
    return {each["spec"]["nodeName"]: "deletionTimestamp" in each["metadata"] for each in found}


def on_node(cluster: Cluster, node: str) -> list[str]:
    """What the node's status says is attached to it."""
    return [each["name"] for each in cluster.get("node", node)["status"].get("volumesAttached") or ()]


def refusals(cluster: Cluster) -> list[str]:
    return [each["message"] for each in cluster.list("events") if each["reason"] == "FailedAttachVolume"]


def test_a_volume_that_is_not_let_go_blocks_the_next_node() -> None:
    cluster = Cluster(ClusterSpec(nodes=2), seed=1)
    cluster.settle()
    cluster.apply(STORAGE)
    cluster.settle()
    cluster.apply(user("first", "w1-k8s"))
    cluster.advance("10s")
    assert attached(cluster) == {"w1-k8s": False}
    assert on_node(cluster, "w1-k8s") == ["kubernetes.io/csi/disk.example.com^disk-1"]
    name = cluster.add_fault({"kind": "volume-detach-stuck", "driver": "disk.example.com"})
    cluster.advance("2s")
    cluster.delete("pod", "first")
    cluster.advance("20s")
    assert attached(cluster) == {"w1-k8s": True}
    (stuck,) = cluster.list("volumeattachments")
    assert stuck["status"]["detachError"]["message"].endswith("the volume is still in use")
    assert stuck["metadata"]["finalizers"] == ["external-attacher/disk-example-com"]
    assert not on_node(cluster, "w1-k8s"), "nobody may mount what may be gone at any moment"
    cluster.apply(user("second", "w2-k8s"))
    cluster.advance("2m30s")
    assert attached(cluster) == {"w1-k8s": True, "w2-k8s": False}
    problem = "rpc error: code = FailedPrecondition desc = volume disk-1 is published to node w1-k8s"
    assert set(refusals(cluster)) == {f'AttachVolume.Attach failed for volume "disk" : {problem}'}
    assert cluster.get("pod", "second")["status"]["phase"] == "Pending"
    cluster.remove_fault(name)
    cluster.advance("7m")
    assert attached(cluster) == {"w2-k8s": False}
    assert cluster.get("pod", "second")["status"]["phase"] == "Running"


def test_a_volume_that_another_pod_uses_is_told_of_with_the_pods_name() -> None:
    cluster = Cluster(ClusterSpec(nodes=2), seed=1)
    cluster.settle()
    cluster.apply(STORAGE)
    cluster.settle()
    cluster.apply(user("first", "w1-k8s"))
    cluster.advance("10s")
    assert cluster.get("pod", "first")["status"]["phase"] == "Running"
    cluster.apply(user("second", "w2-k8s"))
    cluster.advance("10s")
    assert refusals(cluster) == ['Multi-Attach error for volume "disk" Volume is already used by pod(s) first']
    assert cluster.get("pod", "second")["status"]["phase"] == "Pending"
    cluster.delete("pod", "first")
    cluster.advance("90s")
    assert cluster.get("pod", "second")["status"]["phase"] == "Running"
    assert not on_node(cluster, "w1-k8s")


def test_a_machine_without_power_keeps_its_volume() -> None:
    """Its pod's object stays until somebody deletes it by force; nobody else gets the volume for six minutes."""
    cluster = Cluster(ClusterSpec(nodes=2), seed=2)
    cluster.settle()
    cluster.apply(STORAGE)
    cluster.settle()
    cluster.apply(user("first", "w1-k8s"))
    cluster.advance("10s")
    cluster.add_fault({"kind": "node-crash", "node": "w1-k8s"})
    cluster.apply(user("second", "w2-k8s"))
    cluster.advance("7m")
    assert attached(cluster) == {"w1-k8s": False}
    assert refusals(cluster)
    cluster.delete("pod", "first", options={"gracePeriodSeconds": 0})
    cluster.advance("5m50s")
    assert attached(cluster) == {"w1-k8s": False}
    cluster.advance("20s")
    assert attached(cluster) == {"w2-k8s": False}
