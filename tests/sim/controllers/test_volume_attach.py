"""Volumes of a CSI driver, which a node has to be given and to give back: before mounting, after it, by force."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.scenarios.testing import History
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import AttachDetachSpec, ClusterSpec
from seatrial.sim.controllers.volume_attach_state import State, state_of
from seatrial.sim.kernel.clock import parse_stamp

DRIVER = """
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata: {name: disk.example.com}
spec: {attachRequired: true}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: disk}
provisioner: disk.example.com
volumeBindingMode: WaitForFirstConsumer
"""
DATABASE = """
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - {name: c, image: busybox, command: [sleep, "100000"], volumeMounts: [{name: data, mountPath: /data}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], storageClassName: disk, resources: {requests: {storage: 1Gi}}}
"""
CLAIM = {
    "accessModes": ["ReadWriteOnce"],
    "storageClassName": "disk",
    "resources": {"requests": {"storage": "1Gi"}},
}
FORCE = {"gracePeriodSeconds": 0}
OUT_OF_SERVICE = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
EXCLUSIVE = "Volume is already exclusively attached to one node and can't be attached to another"


def booted(**fields: Any) -> Cluster:
    cluster = Cluster(ClusterSpec(nodes=2, addons=False, **fields), seed=1)
    cluster.settle()
    cluster.apply(DRIVER)
    cluster.advance("1s")
    return cluster


def with_database(**fields: Any) -> tuple[Cluster, str, str]:
    """A cluster with a database that runs, its node, and the other one."""
    cluster = booted(**fields)
    cluster.apply(DATABASE)
    cluster.advance("20s")
    assert phase(cluster) == "Running"
    node = cluster.get("pod", "db-0")["spec"]["nodeName"]
    return cluster, node, next(name for name in ("w1-k8s", "w2-k8s") if name != node)


def without_power(**fields: Any) -> tuple[Cluster, str, str]:
    """The same, with the node dark for long enough that its pod has been told to go."""
    cluster, node, other = with_database(**fields)
    cluster.add_fault({"kind": "node-crash", "node": node})
    cluster.advance("7m")
    pod = cluster.get("pod", "db-0")
    assert "deletionTimestamp" in pod["metadata"] and pod["spec"]["nodeName"] == node
    return cluster, node, other


def pod(name: str, claim: str, **spec: Any) -> dict[str, Any]:
    """One that uses a claim."""
    spec["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]
    spec["containers"] = [{"name": "c", "image": "busybox", "command": ["sleep", "10000"]}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def phase(cluster: Cluster, name: str = "db-0") -> str:
    return str(cluster.get("pod", name)["status"]["phase"])


def attached(cluster: Cluster) -> dict[str, bool]:
    """Node → whether the volume is attached to it."""
    found = cluster.list("volumeattachments")
    return {each["spec"]["nodeName"]: bool((each.get("status") or {}).get("attached")) for each in found}


def volumes(cluster: Cluster, node: str, field: str) -> int:
    return len(cluster.get("node", node)["status"].get(field) or ())


def told(cluster: Cluster, reason: str) -> list[str]:
    return [each["message"] for each in cluster.list("events", "default") if each["reason"] == reason]


def forced(cluster: Cluster) -> list[str]:
    """The forced detachments that kube-controller-manager counts."""
    (manager,) = [each for each in cluster.components if each.name == "kube-controller-manager"]
    lines = manager.metrics().decode().splitlines()
    return [each.partition("detaches")[2] for each in lines if each.startswith("attach_detach_controller")]


def until_running(cluster: Cluster, node: str, most_s: int) -> float:
    """How long it takes until the database runs on a node, in seconds."""
    began = cluster.now
    while cluster.now - began < most_s * 1_000_000:
        cluster.advance("1s")
        pods = [each for each in cluster.list("pods", "default") if each["spec"].get("nodeName") == node]
        if pods and phase(cluster) == "Running":
            return (cluster.now - began) / 1_000_000
    raise AssertionError(f"db-0 does not run on {node} after {most_s} s")


def test_a_volume_is_reported_in_use_before_it_is_mounted() -> None:
    """The kubelet says so with its next status report, at most ten seconds later, and the containers start after it."""
    cluster, node, _ = with_database()
    name = cluster.get("node", node)["status"]["volumesAttached"][0]["name"]
    assert name.startswith("kubernetes.io/csi/disk.example.com^pvc-")
    changes = History(cluster.store).changes("nodes")
    in_use = next(each for each in changes if each.obj["status"].get("volumesInUse") == [name])
    status = cluster.get("pod", "db-0")["status"]
    began = parse_stamp(status["containerStatuses"][0]["state"]["running"]["startedAt"])
    assert began >= in_use.at_us // 1_000_000 * 1_000_000
    assert in_use.at_us - parse_stamp(status["startTime"]) < 11_000_000
    (volume,) = cluster.list("persistentvolumes")
    assert told(cluster, "SuccessfulAttachVolume") == [
        f'AttachVolume.Attach succeeded for volume "{volume["metadata"]["name"]}" '
    ]


def test_a_volume_follows_its_pod_from_a_dead_node_after_six_minutes() -> None:
    cluster, node, other = without_power()
    assert attached(cluster) == {node: True}
    cluster.delete("pod", "db-0", options=FORCE)
    cluster.advance("10s")
    assert cluster.get("pod", "db-0")["spec"]["nodeName"] == other
    (volume,) = cluster.list("persistentvolumes")
    assert told(cluster, "FailedAttachVolume") == [
        f'Multi-Attach error for volume "{volume["metadata"]["name"]}" {EXCLUSIVE}'
    ]
    cluster.advance("5m45s")
    assert attached(cluster) == {node: True}
    assert phase(cluster) == "Pending"
    assert forced(cluster) == []
    assert until_running(cluster, other, 20) <= 10
    assert attached(cluster) == {other: True}
    assert (volumes(cluster, node, "volumesInUse"), volumes(cluster, node, "volumesAttached")) == (1, 0)
    assert forced(cluster) == ['{reason="timeout"} 1']
    assert told(cluster, "FailedMount") == [], "the kubelet tells of a time-out in its log alone"
    assert "unattached volumes=[data], failed to process volumes=[]: context deadline exceeded" in journal(
        cluster, other
    )


def journal(cluster: Cluster, node: str) -> str:
    return str(cluster.ssh(node, "journalctl -u kubelet --no-pager").stdout)


def test_a_volume_follows_its_pod_at_once_from_a_node_that_is_out_of_service() -> None:
    cluster, node, other = with_database()
    cluster.add_fault({"kind": "node-crash", "node": node})
    cluster.advance("70s")
    taints = cluster.get("node", node)["spec"].get("taints") or []
    cluster.patch("node", node, {"spec": {"taints": [*taints, OUT_OF_SERVICE]}})
    assert until_running(cluster, other, 45) <= 40, "a period of the pod collector, and one of the kubelet's status"
    assert attached(cluster) == {other: True}
    assert forced(cluster) == ['{reason="out-of-service"} 1']


def test_force_can_be_forbidden() -> None:
    flags = AttachDetachSpec(disable_force_detach_on_timeout=True)
    cluster, node, other = without_power(attach_detach=flags)
    cluster.delete("pod", "db-0", options=FORCE)
    cluster.advance("10m")
    assert attached(cluster) == {node: True}
    assert phase(cluster) == "Pending"
    cluster.patch("node", node, {"spec": {"taints": [OUT_OF_SERVICE]}})
    until_running(cluster, other, 60)
    assert attached(cluster) == {other: True}


def test_a_node_that_comes_back_gives_its_volume_back_itself() -> None:
    cluster, node, other = with_database()
    crash = cluster.add_fault({"kind": "node-crash", "node": node})
    cluster.advance("7m")
    cluster.delete("pod", "db-0", options=FORCE)
    cluster.advance("60s")
    assert attached(cluster) == {node: True}
    cluster.remove_fault(crash)
    until_running(cluster, other, 60)
    assert attached(cluster) == {other: True}
    assert volumes(cluster, node, "volumesInUse") == 0
    assert forced(cluster) == []


def test_a_volume_stays_until_the_kubelet_has_unmounted_it() -> None:
    """A pod deleted by force is gone at once, its containers are not."""
    cluster, node, other = with_database()
    cluster.patch("node", node, {"spec": {"unschedulable": True}})
    cluster.delete("pod", "db-0", options=FORCE)
    cluster.advance("3s")
    assert cluster.get("pod", "db-0")["spec"]["nodeName"] == other
    assert attached(cluster) == {node: True}
    assert volumes(cluster, node, "volumesInUse") == 1
    until_running(cluster, other, 30)
    assert volumes(cluster, node, "volumesInUse") == 0
    assert attached(cluster) == {other: True}
    assert forced(cluster) == []


def test_without_an_attacher_nothing_is_attached() -> None:
    cluster = booted()
    stop = cluster.add_fault({"kind": "component-stop", "component": "csi-attacher"})
    cluster.apply(DATABASE)
    cluster.advance("130s")
    (volume,) = [each["metadata"]["name"] for each in cluster.list("persistentvolumes")]
    why = f"timed out waiting for external-attacher of disk.example.com CSI driver to attach volume {volume}"
    assert told(cluster, "FailedAttachVolume") == [f'AttachVolume.Attach failed for volume "{volume}" : {why}']
    assert list(attached(cluster).values()) == [False]
    cluster.remove_fault(stop)
    until_running(cluster, cluster.get("pod", "db-0")["spec"]["nodeName"], 30)
    assert list(attached(cluster).values()) == [True]


@pytest.mark.parametrize("component", ["kube-controller-manager", "csi-attacher"])
def test_a_process_without_memory_finds_what_is_attached(component: str) -> None:
    cluster, node, other = without_power()
    cluster.add_fault({"kind": "component-restart", "component": component})
    cluster.advance("30s")
    assert attached(cluster) == {node: True}
    cluster.delete("pod", "db-0", options=FORCE)
    cluster.advance("5m")
    assert attached(cluster) == {node: True}
    until_running(cluster, other, 90)
    assert attached(cluster) == {other: True}


def test_an_attachment_that_somebody_deletes_is_made_again_within_a_minute() -> None:
    cluster, node, _ = with_database()
    (attachment,) = cluster.list("volumeattachments")
    cluster.delete("volumeattachment", attachment["metadata"]["name"])
    cluster.advance("2s")
    assert attached(cluster) == {}
    cluster.advance("62s")
    assert attached(cluster) == {node: True}


def test_a_volume_that_goes_with_its_claim_is_detached() -> None:
    """The claim's volume is gone before the node has let go of it."""
    cluster, node, _ = with_database()
    cluster.delete("statefulset", "db")
    cluster.delete("persistentvolumeclaim", "data-db-0")
    cluster.advance("40s")
    assert cluster.list("persistentvolumes") == []
    assert attached(cluster) == {}
    assert (volumes(cluster, node, "volumesInUse"), volumes(cluster, node, "volumesAttached")) == (0, 0)
    cluster.settle()


def test_many_nodes_may_have_a_volume_that_is_shared() -> None:
    cluster = booted()
    claim = {**CLAIM, "accessModes": ["ReadWriteMany"]}
    cluster.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "all"}, "spec": claim})
    for node in ("w1-k8s", "w2-k8s"):
        cluster.apply(pod(node, "all", nodeSelector={"kubernetes.io/hostname": node}))
        cluster.advance("1s")
    cluster.advance("20s")
    assert attached(cluster) == {"w1-k8s": True, "w2-k8s": True}
    assert told(cluster, "FailedAttachVolume") == []
    cluster.delete("pod", "w1-k8s", options=FORCE)
    cluster.advance("20s")
    assert attached(cluster) == {"w2-k8s": True}


@pytest.mark.parametrize("restarts", [False, True], ids=["", "and the controller has lost its memory"])
def test_a_volume_may_be_mounted_on_a_node_that_is_gone(restarts: bool) -> None:
    cluster, node, other = with_database()
    cluster.add_fault({"kind": "node-crash", "node": node})
    cluster.delete("node", node)
    if restarts:
        cluster.add_fault({"kind": "component-restart", "component": "kube-controller-manager"})
    cluster.advance("6m")
    assert cluster.get("pod", "db-0")["spec"]["nodeName"] == other
    assert attached(cluster)[node]
    cluster.advance("10m")
    assert phase(cluster) == "Running", "a driver that has refused a node for long is asked again after five minutes"
    assert attached(cluster) == {other: True}
    assert forced(cluster) == ['{reason="timeout"} 1']


def test_nothing_is_remembered_of_what_is_gone() -> None:
    cluster = booted()
    (manager,) = [each for each in cluster.components if each.name == "kube-controller-manager"]
    (shell,) = [each for each in manager.shells if each.name == "persistentvolume-attach-detach-controller"]
    pending = {"kind": "PersistentVolumeClaim", "metadata": {"name": "b"}, "spec": {**CLAIM, "volumeName": "none"}}
    cluster.apply({"apiVersion": "v1", **pending})
    cluster.apply(DATABASE)
    nowhere = {"nodeSelector": {"is": "nowhere"}, "schedulerName": "nobody"}
    cluster.apply(pod("waits", "data-db-0", **nowhere))
    cluster.advance("20s")
    assert phase(cluster) == "Running"
    cluster.add_fault({"kind": "volume-detach-stuck"}, lasts="30s")
    cluster.delete("statefulset", "db")
    cluster.delete("pod", "waits", options=FORCE)
    cluster.delete("persistentvolumeclaim", "data-db-0")
    cluster.delete("persistentvolumeclaim", "b")
    cluster.advance("5m")
    assert attached(cluster) == {}
    state = state_of(shell.memory)
    assert state == State(populated=True)


def test_a_volume_of_a_pod_that_went_before_its_sandbox_was_made_is_given_back() -> None:
    """The kubelet was not there when the pod was deleted, and the runtime knows nothing of the pod."""
    cluster = booted()
    for node in ("w1-k8s", "w2-k8s"):
        cluster.add_fault({"kind": "cni-broken", "node": node})
    cluster.apply(DATABASE)
    cluster.advance("30s")
    node = cluster.get("pod", "db-0")["spec"]["nodeName"]
    assert volumes(cluster, node, "volumesInUse") == 1
    assert phase(cluster) == "Pending"
    stop = cluster.add_fault({"kind": "kubelet-stop", "node": node})
    cluster.delete("statefulset", "db")
    cluster.delete("pod", "db-0", options=FORCE)
    cluster.advance("1s")
    cluster.remove_fault(stop)
    cluster.advance("30s")
    assert volumes(cluster, node, "volumesInUse") == 0
    assert attached(cluster) == {}
