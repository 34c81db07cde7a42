"""Deleted namespaces: their content goes first, pods before all else, and the conditions say what is left.

Source: k8s.io/kubernetes/pkg/controller/namespace (namespace_controller.go, deletion/). *Not modelled*: groups whose
discovery fails.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Any, NamedTuple

from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import S
from seatrial.sim.controllers.actions import (
    Action,
    After,
    Call,
    Get,
    ListAll,
    Outcome,
    Steps,
    Turn,
    Update,
    update_status,
)
from seatrial.sim.controllers.controller import Controller, Seen
from seatrial.sim.machinery.errors import ApiError, group_resource
from seatrial.sim.machinery.kinds import Resource

GRACE_US = 5 * S
"""From a change of a terminating namespace to the next look at it (namespaceDeletionGracePeriod)."""
FINALIZER_ESTIMATE_S = 15
"""How long objects with finalizers are expected to stay (finalizerEstimateSeconds)."""
FINALIZER = "kubernetes"

FINE = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}
"""Conditions in their order, with what they say when there is nothing to say."""


class Remains(NamedTuple):
    """What is left of one kind after its deletion was asked for."""

    objects: int
    finalizers: Mapping[str, int]
    estimate_s: int


def reconcile(turn: Turn) -> Steps:
    _, name = turn.key
    try:
        namespace: Object = yield Get("namespaces", "", name)
    except ApiError as error:
        if error.code == 404:
            return None
        raise
    if "deletionTimestamp" not in namespace["metadata"]:
        return None
    status = namespace.get("status") or {}
    if status.get("phase") != "Terminating":
        namespace = yield update_status("namespaces", namespace, {**status, "phase": "Terminating"})
    if not namespace["spec"].get("finalizers"):
        return None
    estimate_s, failed, namespace = yield from _delete_content(turn, namespace, name)
    if failed is not None:
        raise failed
    if estimate_s:
        return Outcome((estimate_s // 2 + 1) * S)
    left = [finalizer for finalizer in namespace["spec"]["finalizers"] if finalizer != FINALIZER]
    try:
        yield Update("namespaces", {**namespace, "spec": {**namespace["spec"], "finalizers": left}}, "finalize")
    except ApiError as error:
        if error.code != 404:
            raise
    return None


def _delete_content(
    turn: Turn, namespace: Object, name: str
) -> Generator[Action, Any, tuple[int, ApiError | None, Object]]:
    """Asks for the deletion of everything; pods alone while there are any. Writes the conditions."""
    kinds: Iterable[Resource] = turn.shared["kinds"]
    deletable = [each for each in kinds if _deletable(each)]
    pods = [each for each in deletable if each.storage == "pods"]
    others = [each for each in deletable if each.storage != "pods"]
    estimate_s, failed = 0, None
    remains: dict[str, Remains] = {}
    for stage in (pods, others):
        for resource in stage:
            try:
                left = yield from _delete_kind(resource, name)
            except ApiError as error:
                failed = failed or error
                continue
            estimate_s = max(estimate_s, left.estimate_s)
            if left.objects and stage is others:
                remains[group_resource(resource.group, resource.plural) + ("" if resource.group else ".")] = left
        if stage is pods and (estimate_s or failed):
            break
    conditions = _conditions(namespace, remains, failed, turn.stamp)
    status = namespace["status"]
    if conditions != (status.get("conditions") or []):
        namespace = yield update_status("namespaces", namespace, {**status, "conditions": conditions})
    return estimate_s, failed, namespace


def _deletable(resource: Resource) -> bool:
    """One version of each stored kind that can be deleted."""
    return (
        resource.namespaced
        and not resource.virtual
        and "delete" in resource.verbs
        and "list" in resource.verbs
        and group_resource(resource.group, resource.plural) == resource.storage
        and resource.storage_version == resource.api_version
    )


def _collection(resource: Resource, namespace: str) -> str:
    base = f"/apis/{resource.group}" if resource.group else "/api"
    return f"{base}/{resource.version}/namespaces/{namespace}/{resource.plural}"


def _delete_kind(resource: Resource, namespace: str) -> Generator[Action, Any, Remains]:
    path = _collection(resource, namespace)
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
    if "deletecollection" in resource.verbs:
        yield Call("DELETE", path, {}, options)
        items = yield ListAll(resource, namespace)
    else:
        items = yield ListAll(resource, namespace)
        for item in items:
            try:
                yield Call("DELETE", f"{path}/{item['metadata']['name']}", {}, options)
            except ApiError as error:
                if error.code != 404:
                    raise
        items = (yield ListAll(resource, namespace)) if items else items
    if not items:
        return Remains(0, {}, 0)
    finalizers: dict[str, int] = {}
    estimate_s = 0
    for item in items:
        for finalizer in item["metadata"].get("finalizers") or ():
            finalizers[finalizer] = finalizers.get(finalizer, 0) + 1
        if resource.storage == "pods":
            estimate_s = max(estimate_s, item["spec"].get("terminationGracePeriodSeconds", 0))
    if finalizers or not estimate_s:
        estimate_s = max(estimate_s, FINALIZER_ESTIMATE_S)
    return Remains(len(items), finalizers, estimate_s)


def _conditions(
    namespace: Object, remains: Mapping[str, Remains], failed: ApiError | None, stamp: str
) -> list[Mapping[str, Any]]:
    said: dict[str, tuple[str, str]] = {}
    if failed is not None:
        text = f"Failed to delete all resource types, 1 remaining: {failed}"
        said["NamespaceDeletionContentFailure"] = ("ContentDeletionFailed", text)
    if remains:
        listed = ", ".join(f"{kind} has {left.objects} resource instances" for kind, left in sorted(remains.items()))
        said["NamespaceContentRemaining"] = ("SomeResourcesRemain", f"Some resources are remaining: {listed}")
    finalizers: dict[str, int] = {}
    for left in remains.values():
        for finalizer, count in left.finalizers.items():
            finalizers[finalizer] = finalizers.get(finalizer, 0) + count
    if finalizers:
        listed = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(finalizers.items()))
        text = f"Some content in the namespace has finalizers remaining: {listed}"
        said["NamespaceFinalizersRemaining"] = ("SomeFinalizersRemain", text)
    before = {each["type"]: each for each in namespace["status"].get("conditions") or ()}
    result = []
    for type_, fine in FINE.items():
        reason, message = said.get(type_, fine)
        status = "True" if type_ in said else "False"
        old = before.get(type_)
        if old is not None and (old["status"], old["reason"], old["message"]) == (status, reason, message):
            result.append(old)
        else:
            fresh = {"type": type_, "status": status, "lastTransitionTime": stamp, "reason": reason, "message": message}
            result.append(fresh)
    return result


def namespace_keys(seen: Seen) -> Iterable[Any]:
    metadata = seen.obj["metadata"]
    if seen.verb == "DELETED" or "deletionTimestamp" not in metadata:
        return ()
    return (After(("", metadata["name"]), GRACE_US),)


CONTROLLER = Controller(
    name="namespace-controller",
    reconcile=reconcile,
    watches=(("namespaces", namespace_keys),),
    workers=10,
    backoff_max_us=60 * S,
    qps_factor=20,
    burst_factor=100,
)
