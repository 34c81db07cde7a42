"""Queueing hints: which happenings bring a pod back that a plug-in turned down, and which do not."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.columns import NodeInfo
from seatrial.sim.scheduler.podinfo import Intern
from seatrial.sim.scheduler.registry import PLUGINS
from tests.sim.scheduler.building import HOSTNAME, ZONE, node, pod

TAINTED = {"taints": [{"key": "k", "effect": "NoSchedule"}]}
CORDONED = {"unschedulable": True}


def changed(given: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {**given, "spec": spec}


def claim(name: str, namespace: str = "default") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}}


def using(*claims: str) -> dict[str, Any]:
    return {"volumes": [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims]}


def spread(key: str) -> dict[str, Any]:
    constraint = {
        "topologyKey": key,
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "a"}},
    }
    return {"topologySpreadConstraints": [constraint]}


PLAIN = node("n")
SC = {"metadata": {"name": "sc"}, "volumeBindingMode": "Immediate"}
CASES: dict[str, tuple[str, dict[str, Any], str, Any, Any, bool]] = {
    # what: (plug-in, the pod's spec, event, before, after, whether it helps)
    "a node grew": ("NodeResourcesFit", {"cpu": "3"}, "Node/UpdateAllocatable", node("n", cpu="2"), PLAIN, True),
    "what a node got more of is not asked for": (
        "NodeResourcesFit", {"cpu": "3"}, "Node/UpdateAllocatable", node("n", memory="1Gi"), PLAIN, False),
    "a node grew, and is still too small": (
        "NodeResourcesFit", {"cpu": "9"}, "Node/UpdateAllocatable", node("n", cpu="2"), PLAIN, False),
    "a node takes more pods": (
        "NodeResourcesFit", {"cpu": "3"}, "Node/UpdateAllocatable", node("n", pods="2"), PLAIN, True),
    "a new node is too small": ("NodeResourcesFit", {"cpu": "9"}, "Node/Add", None, PLAIN, False),
    "a taint went": ("TaintToleration", {}, "Node/UpdateTaint", changed(PLAIN, **TAINTED), PLAIN, True),
    "a taint came": ("TaintToleration", {}, "Node/UpdateTaint", PLAIN, changed(PLAIN, **TAINTED), False),
    "a node without taints has another": ("TaintToleration", {}, "Node/UpdateTaint", PLAIN, PLAIN, False),
    "a clean node came": ("TaintToleration", {}, "Node/Add", None, PLAIN, True),
    "a node was uncordoned": ("NodeUnschedulable", {}, "Node/UpdateTaint", changed(PLAIN, **CORDONED), PLAIN, True),
    "an open node changed": ("NodeUnschedulable", {}, "Node/UpdateTaint", PLAIN, PLAIN, False),
    "a cordoned node came": ("NodeUnschedulable", {}, "Node/Add", None, changed(PLAIN, **CORDONED), False),
    "a node of a domain came": ("PodTopologySpread", spread(HOSTNAME), "Node/Add", None, PLAIN, True),
    "a node of no domain came": ("PodTopologySpread", spread(ZONE), "Node/Add", None, PLAIN, False),
    "a node of no domain went": ("PodTopologySpread", spread(ZONE), "Node/Delete", PLAIN, None, False),
    "a node moved": (
        "PodTopologySpread", spread(ZONE), "Node/UpdateLabel", node("n", {ZONE: "a"}), node("n", {ZONE: "b"}), True),
    "another label changed": (
        "PodTopologySpread", spread(ZONE), "Node/UpdateLabel", node("n", {ZONE: "a"}),
        node("n", {ZONE: "a", "rack": "1"}), False),
    "a node's taints changed": (
        "PodTopologySpread", spread(HOSTNAME), "Node/UpdateTaint", PLAIN, changed(PLAIN, **TAINTED), True),
    "the pod's claim came": (
        "VolumeBinding", using("data"), "PersistentVolumeClaim/Add", None, claim("data"), True),
    "another claim came": (
        "VolumeBinding", using("data"), "PersistentVolumeClaim/Add", None, claim("other"), False),
    "a claim of that name came elsewhere": (
        "VolumeRestrictions", using("data"), "PersistentVolumeClaim/Add", None, claim("data", "elsewhere"), False),
    "a class changed in nothing that matters": ("VolumeBinding", using("data"), "StorageClass/Update", SC, SC, False),
    "a class that binds at once came": ("VolumeZone", using("data"), "StorageClass/Add", None, SC, False),
    "a pod with volumes went": (
        "NodeVolumeLimits", using("data"), "AssignedPod/Delete", pod("p", **using("other")), None, True),
    "a pod without volumes went": ("NodeVolumeLimits", using("data"), "AssignedPod/Delete", pod("p"), None, False),
    "a pod with the same claim went": (
        "VolumeRestrictions", using("data"), "AssignedPod/Delete", pod("p", **using("data")), None, True),
    "a pod with another claim went": (
        "VolumeRestrictions", using("data"), "AssignedPod/Delete", pod("p", **using("other")), None, False),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_hint_looks_at_what_happened(name: str) -> None:
    plugin, spec, event, before, after, helps = CASES[name]
    intern = Intern()

    def seen(obj: Any) -> Any:
        if event.startswith("Node/"):
            return None if obj is None else NodeInfo(obj)
        return intern.info(obj, placed=True) if obj is not None and event.startswith("AssignedPod/") else obj

    made = PLUGINS[plugin]({}, Cache())
    assert event in made.events
    assert made.hint(intern.info(pod("waits", **spec)), event, seen(before), seen(after)) is helps
