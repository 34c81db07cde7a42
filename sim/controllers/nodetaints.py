"""Taints that say what is wrong with a node: which ones, and how they are written.

Source: k8s.io/kubernetes/pkg/controller/nodelifecycle (node_lifecycle_controller.go), pkg/controller/util/node,
pkg/util/taints and pkg/controller/controller_utils.go (AddOrUpdateTaintOnNode).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers.actions import STRATEGIC_PATCH, Action, Get, Patch
from seatrial.sim.machinery.errors import ApiError

NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
BY_CONDITION: Mapping[tuple[str, str], str] = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
}
MANAGED = (*BY_CONDITION.values(), UNSCHEDULABLE)
"""Taints with the effect NoSchedule that belong to the controller."""

Taint = Mapping[str, Any]


def condition_taints(node: Object) -> list[str]:
    """Keys of the NoSchedule taints that the node should have."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    found = [BY_CONDITION[key] for each in conditions if (key := (each["type"], each["status"])) in BY_CONDITION]
    return [*found, UNSCHEDULABLE] if node["spec"].get("unschedulable") else found


def noschedule_change(node: Object) -> tuple[list[str], list[str]]:
    """(keys to add, keys to take away) of NoSchedule taints (doNoScheduleTaintingPass)."""
    there = [each["key"] for each in taints_of(node) if each["effect"] == "NoSchedule" and each["key"] in MANAGED]
    wanted = condition_taints(node)
    return [key for key in wanted if key not in there], [key for key in there if key not in wanted]


def taints_of(node: Object) -> list[Taint]:
    return list(node["spec"].get("taints") or ())


def has_taint(node: Object, key: str, effect: str) -> bool:
    return any(each["key"] == key and each["effect"] == effect for each in taints_of(node))


def change(
    name: str, effect: str, add: Sequence[str], remove: Sequence[str], stamp: str
) -> Generator[Action, Any, bool]:
    """Adds and removes taints of one effect. Returns False on a conflict, after which to try again; a node that is gone
    counts as done."""
    try:
        node: Object = yield Get("nodes", "", name)
        added = [{"key": key, "effect": effect, "timeAdded": stamp} for key in add if not has_taint(node, key, effect)]
        kept = [each for each in taints_of(node) if not (each["effect"] == effect and each["key"] in remove)]
        if added or len(kept) != len(taints_of(node)):
            yield _replacement(node, [*kept, *added])
        return True
    except ApiError as error:
        if error.code == 404:
            return True
        if error.code != 409:
            raise
        return False


def _replacement(node: Object, taints: list[Taint]) -> Patch:
    """A patch for exactly these taints of exactly this revision (PatchNodeTaints)."""
    metadata = node["metadata"]
    spec: dict[str, Any] = {"taints": taints or None}
    patch = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "spec": spec}
    return Patch("nodes", "", metadata["name"], patch, STRATEGIC_PATCH)
