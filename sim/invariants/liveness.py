"""Liveness: what a cluster comes to once nothing disturbs it any more.

Judged at rest, after all faults are taken back. Source: the API types' comments on status. *Not modelled*: what a user
made impossible (an image that is not there, a quota too small) has to be excused by whoever judges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from seatrial.sim.history import World
from seatrial.sim.invariants.reading import (
    DAEMONS,
    DEPLOYMENTS,
    JOBS,
    NODES,
    PODS,
    REPLICASETS,
    SERVICE_LABEL,
    SERVICES,
    SETS,
    SLICES,
    active,
    called,
    condition,
    place,
    ready,
    stays,
)
from seatrial.sim.invariants.rules import Goal
from seatrial.sim.machinery import selectors

Object = Mapping[str, Any]
Wrong = Iterator[str]


def replicas_are_ready(world: World) -> Wrong:
    """Every workload has as many ready pods as it wants, and says so."""
    for storage in (REPLICASETS, SETS):
        for obj in filter(stays, world.list(storage)):
            wanted = obj["spec"].get("replicas", 1)
            pods = [pod for pod in world.owned(PODS, obj["metadata"]["uid"]) if active(pod)]
            if len(pods) != wanted or not all(map(ready, pods)):
                yield f"{called(obj)} wants {wanted} pods, {sum(map(ready, pods))} of {len(pods)} are ready"
            status = obj.get("status") or {}
            if (status.get("replicas", 0), status.get("readyReplicas", 0)) != (len(pods), sum(map(ready, pods))):
                yield f"{called(obj)} reports {status}"


def deployments_are_complete(world: World) -> Wrong:
    """All pods are of the newest template, and only its ReplicaSet has any."""
    for obj in filter(stays, world.list(DEPLOYMENTS)):
        if obj["spec"].get("paused"):
            continue
        wanted, status = obj["spec"].get("replicas", 1), obj.get("status") or {}
        counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
        if counts != [wanted] * 3 or status.get("observedGeneration") != obj["metadata"]["generation"]:
            yield f"{called(obj)} wants {wanted} and reports {status}"
        full = [each for each in world.owned(REPLICASETS, obj["metadata"]["uid"]) if each["spec"].get("replicas")]
        if len(full) > 1 or (wanted and not full):
            yield f"{called(obj)} has {len(full)} ReplicaSets with pods"


def daemons_are_everywhere(world: World) -> Wrong:
    """A DaemonSet without tolerations and selectors has a ready pod on every node without taints."""
    open_nodes = sorted(
        each["metadata"]["name"] for each in world.list(NODES) if not each["spec"].get("taints") and stays(each)
    )
    for obj in filter(stays, world.list(DAEMONS)):
        spec = obj["spec"]["template"]["spec"]
        if spec.get("tolerations") or spec.get("nodeSelector") or spec.get("affinity"):
            continue
        pods = [pod for pod in world.owned(PODS, obj["metadata"]["uid"]) if active(pod) and ready(pod)]
        there = sorted(str(pod["spec"].get("nodeName")) for pod in pods)
        if there != open_nodes:
            yield f"{called(obj)} runs on {there}, it ought to run on {open_nodes}"


def jobs_are_finished(world: World) -> Wrong:
    """Every Job that is not suspended has ended, and its pods carry no finalizer any more."""
    for obj in filter(stays, world.list(JOBS)):
        if not obj["spec"].get("suspend") and "True" not in (condition(obj, "Complete"), condition(obj, "Failed")):
            yield f"{called(obj)} has not ended: {obj.get('status')}"
        held = [pod for pod in world.owned(PODS, obj["metadata"]["uid"]) if pod["metadata"].get("finalizers")]
        if held and condition(obj, "Complete") == "True":
            yield f"{called(obj)} has ended and {len(held)} of its pods are held"


def slices_show_ready_pods(world: World) -> Wrong:
    """The slices of a service name exactly the ready pods that it selects, and no slice has lost its service."""
    shown: dict[tuple[str, str], list[str]] = {}
    for each in world.list(SLICES):
        service = (each["metadata"].get("labels") or {}).get(SERVICE_LABEL)
        if service is None:
            continue
        key = each["metadata"]["namespace"], service
        if world.get(SERVICES, *key) is None:
            yield f"{called(each)} belongs to no service"
        for endpoint in each.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready") and endpoint.get("targetRef"):
                shown.setdefault(key, []).append(endpoint["targetRef"]["name"])
    for service in world.list(SERVICES):
        if not service["spec"].get("selector"):
            continue
        matches = selectors.labels({"matchLabels": service["spec"]["selector"]})
        pods = world.list(PODS, service["metadata"]["namespace"])
        wanted = sorted(
            pod["metadata"]["name"]
            for pod in pods
            if active(pod) and ready(pod) and matches(pod["metadata"].get("labels") or {})
        )
        if sorted(shown.get(place(service), [])) != wanted:
            yield f"{called(service)} leads to {sorted(shown.get(place(service), []))}, ready are {wanted}"


def garbage_is_collected(world: World) -> Wrong:
    """Nothing is left whose owners have all gone, and nothing is still on its way out."""
    uids = {obj["metadata"]["uid"]: True for storage in world.storages() for obj in world.list(storage)}
    for storage in world.storages():
        for obj in world.list(storage):
            owners = obj["metadata"].get("ownerReferences") or ()
            if owners and not any(each["uid"] in uids for each in owners):
                yield f"{called(obj)} has outlived its owners"
            if not stays(obj) and not obj["metadata"].get("finalizers"):
                yield f"{called(obj)} is still on its way out"


def pods_are_on_nodes(world: World) -> Wrong:
    """No pod is bound to a node that does not exist."""
    for pod in world.list(PODS):
        node = pod["spec"].get("nodeName")
        if node and world.get(NODES, "", node) is None:
            yield f"{called(pod)} is on {node}, which is not there"


LIVENESS: tuple[Goal, ...] = (
    Goal("replicas are ready", replicas_are_ready),
    Goal("deployments are complete", deployments_are_complete),
    Goal("daemons are everywhere", daemons_are_everywhere),
    Goal("jobs are finished", jobs_are_finished),
    Goal("slices show ready pods", slices_show_ready_pods),
    Goal("garbage is collected", garbage_is_collected),
    Goal("pods are on nodes", pods_are_on_nodes),
)
"""What is true of a cluster at rest."""
