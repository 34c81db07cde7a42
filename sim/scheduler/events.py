"""What changes of objects mean to the queue: the events that plug-ins register for.

Source: k8s.io/kubernetes/pkg/scheduler/framework/events.go.
"""

from __future__ import annotations

from seatrial.sim.scheduler.columns import NodeInfo
from seatrial.sim.scheduler.labels import Object
from seatrial.sim.scheduler.podinfo import PodInfo

KINDS = {
    "persistentvolumeclaims": "PersistentVolumeClaim",
    "persistentvolumes": "PersistentVolume",
    "storageclasses.storage.k8s.io": "StorageClass",
    "csinodes.storage.k8s.io": "CSINode",
    "csidrivers.storage.k8s.io": "CSIDriver",
    "csistoragecapacities.storage.k8s.io": "CSIStorageCapacity",
}
"""Kinds whose every change is an event, by how they are stored."""
VERBS = {"ADDED": "Add", "MODIFIED": "Update", "DELETED": "Delete"}


def node_events(old: NodeInfo, new: NodeInfo) -> list[str]:
    """What of a node changed (nodeSchedulingPropertiesChange)."""
    found = []
    if _allocatable(old) != _allocatable(new):
        found.append("Node/UpdateAllocatable")
    if old.labels != new.labels:
        found.append("Node/UpdateLabel")
    if old.taints != new.taints or (old.unschedulable and not new.unschedulable):
        found.append("Node/UpdateTaint")
    return found


def _allocatable(info: NodeInfo) -> object:
    return (info.node.get("status") or {}).get("allocatable")


def assigned_events(old: PodInfo, new: PodInfo) -> list[str]:
    """What of a pod that has its node changed."""
    found = []
    if old.traits.labels != new.traits.labels:
        found.append("AssignedPod/UpdateLabel")
    if _shrank(old, new):
        found.append("AssignedPod/ScaleDown")
    return found


def waiting_events(old: PodInfo, new: PodInfo) -> list[str]:
    """What of a pod that waits changed."""
    found = []
    if old.traits.labels != new.traits.labels:
        found.append("Pod/UpdateLabel")
    if old.traits.tolerations != new.traits.tolerations:
        found.append("Pod/UpdateTolerations")
    if _shrank(old, new):
        found.append("Pod/ScaleDown")
    return found


def _shrank(old: PodInfo, new: PodInfo) -> bool:
    requests = new.traits.requests
    return any(requests.get(name, 0) < units for name, units in old.traits.requests.items())


def has_gates(pod: Object) -> bool:
    """Whether scheduling gates hold the pod back."""
    return bool(pod["spec"].get("schedulingGates"))
