"""What the registry does to CustomResourceDefinitions and to the custom resources themselves.

Source: k8s.io/apiextensions-apiserver/pkg/registry/{customresourcedefinition,customresource}.
"""

from __future__ import annotations

from typing import Any

from seatrial.sim.apiserver.context import Context
from seatrial.sim.apiserver.request import Object
from seatrial.sim.machinery.custom.definition import storage_version

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer that holds a definition until its objects are gone."""


def with_condition(definition: Object, kind: str, status: str, reason: str, message: str, stamp: str) -> Object:
    """A definition with a condition set; the time of transition stays unless the status changes (SetCRDCondition)."""
    own = definition.get("status") or {}
    conditions: list[Any] = []
    new = {"type": kind, "status": status, "lastTransitionTime": stamp, "reason": reason, "message": message}
    for each in own.get("conditions") or ():
        if each["type"] != kind:
            conditions.append(each)
            continue
        if each["status"] == status:
            new["lastTransitionTime"] = each["lastTransitionTime"]
        conditions.append(new)
    if not any(each is new for each in conditions):
        conditions.append(new)
    return {**definition, "status": {**own, "conditions": conditions}}


def _stored_versions(definition: Object) -> Object:
    """The storage version is one of those in which objects may have been stored."""
    status = definition.get("status") or {}
    stored, version = status.get("storedVersions") or [], storage_version(definition)
    if not version or version in stored:
        return definition
    return {**definition, "status": {**status, "storedVersions": [*stored, version]}}


def prepare_definition(context: Context, obj: Object) -> Object:
    return _stored_versions(obj)


def change_definition(context: Context, obj: Object, old: Object) -> Object:
    return _stored_versions(obj)


def mark_definition(context: Context, obj: Object) -> Object:
    """A definition that is deleted waits for its objects to go."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "deletionGracePeriodSeconds"}
    finalizers = metadata.get("finalizers") or []
    if CLEANUP not in finalizers:
        metadata["finalizers"] = [*finalizers, CLEANUP]
    message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    marked = {**obj, "metadata": metadata}
    return with_condition(marked, "Terminating", "True", "InstanceDeletionPending", message, context.stamp)


def change_status(context: Context, obj: Object, old: Object) -> Object:
    """Through the status of a custom resource nothing but the status changes, of the metadata not even labels."""
    metadata = dict(old["metadata"])
    managed = obj["metadata"].get("managedFields")
    if managed is None:
        metadata.pop("managedFields", None)
    else:
        metadata["managedFields"] = managed
    kept = {key: value for key, value in old.items() if key != "status"}
    new = {**kept, "metadata": metadata}
    return {**new, "status": obj["status"]} if "status" in obj else new
