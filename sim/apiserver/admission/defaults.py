"""The small mutating plug-ins that fill in one thing each.

Source: k8s.io/kubernetes/plugin/pkg/admission/{defaulttolerationseconds,nodetaint,storage,network,runtimeclass}.
"""

from __future__ import annotations

from typing import Any

from seatrial.sim.apiserver.context import Attributes, Context
from seatrial.sim.apiserver.request import Object
from seatrial.sim.machinery import errors

NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
TOLERATION_S = 300
"""--default-not-ready-toleration-seconds and --default-unreachable-toleration-seconds."""

DEFAULT_STORAGE_CLASS = "storageclass.kubernetes.io/is-default-class"
DEFAULT_INGRESS_CLASS = "ingressclass.kubernetes.io/is-default-class"
PROTECTION = {
    "PersistentVolumeClaim": "kubernetes.io/pvc-protection",
    "PersistentVolume": "kubernetes.io/pv-protection",
}


def _object(attributes: Attributes) -> Object:
    assert attributes.object is not None
    return attributes.object


def _tolerates(tolerations: Any, key: str, effect: str) -> bool:
    return any(given.get("key", "") in ("", key) and given.get("effect", "") in ("", effect) for given in tolerations)


def with_toleration_seconds(context: Context, attributes: Attributes) -> Object:
    """A pod outlives the loss of its node by five minutes unless it says otherwise."""
    obj = _object(attributes)
    given = obj["spec"].get("tolerations") or []
    added = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_S}
        for key in (NOT_READY, UNREACHABLE)
        if not _tolerates(given, key, "NoExecute")
    ]
    return {**obj, "spec": {**obj["spec"], "tolerations": [*given, *added]}} if added else obj


def not_ready_taint(context: Context, attributes: Attributes) -> Object:
    """A new node is tainted until it is found ready (TaintNodesByCondition)."""
    obj = _object(attributes)
    spec = dict(obj.get("spec") or {})
    taints = list(spec.get("taints") or ())
    if any(taint.get("key") == NOT_READY and taint.get("effect") == "NoSchedule" for taint in taints):
        return obj
    spec["taints"] = [*taints, {"key": NOT_READY, "effect": "NoSchedule"}]
    return {**obj, "spec": spec}


def storage_class(context: Context, attributes: Attributes) -> Object:
    """A claim that names no class gets the default one, the newest when there are several."""
    obj = _object(attributes)
    spec = obj.get("spec") or {}
    if "storageClassName" in spec or "volume.beta.kubernetes.io/storage-class" in (
        obj["metadata"].get("annotations") or {}
    ):
        return obj
    found = _default(context, "storageclasses.storage.k8s.io", DEFAULT_STORAGE_CLASS)
    return {**obj, "spec": {**spec, "storageClassName": found}} if found else obj


def ingress_class(context: Context, attributes: Attributes) -> Object:
    """The same for ingresses, except that two defaults are an error. Raises ApiError 403."""
    obj = _object(attributes)
    spec = obj.get("spec") or {}
    if "ingressClassName" in spec or "kubernetes.io/ingress.class" in (obj["metadata"].get("annotations") or {}):
        return obj
    found = _default(context, "ingressclasses.networking.k8s.io", DEFAULT_INGRESS_CLASS)
    return {**obj, "spec": {**spec, "ingressClassName": found}} if found else obj


def _default(context: Context, storage: str, annotation: str) -> str:
    defaults = [
        candidate["metadata"]
        for candidate in context.server.store.list(storage)
        if (candidate["metadata"].get("annotations") or {}).get(annotation) == "true"
    ]
    if not defaults:
        return ""
    newest = max(metadata["creationTimestamp"] for metadata in defaults)
    return min(str(metadata["name"]) for metadata in defaults if metadata["creationTimestamp"] == newest)


def in_use_protection(context: Context, attributes: Attributes) -> Object:
    """Claims and volumes do not go away under those who use them (StorageObjectInUseProtection)."""
    obj = _object(attributes)
    finalizer = PROTECTION[attributes.resource.kind]
    present = list(obj["metadata"].get("finalizers") or ())
    if finalizer in present:
        return obj
    return {**obj, "metadata": {**obj["metadata"], "finalizers": [*present, finalizer]}}


def with_runtime_class(context: Context, attributes: Attributes) -> Object:
    """The overhead and the scheduling rules of the pod's RuntimeClass. Raises ApiError 403."""
    obj = _object(attributes)
    spec = obj["spec"]
    name = spec.get("runtimeClassName")
    if name is None:
        if spec.get("overhead") is not None:
            why = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
            raise errors.forbidden("", "pods", attributes.name, why)
        return obj
    if not name:
        raise errors.unexplained("resource name may not be empty")
    found = context.server.store.get("runtimeclasses.node.k8s.io", "", name)
    if found is None:
        why = f'pod rejected: RuntimeClass "{name}" not found'
        raise errors.forbidden("", "pods", attributes.name, why)
    new = dict(spec)
    overhead = (found.get("overhead") or {}).get("podFixed")
    if overhead:
        if spec.get("overhead") and spec["overhead"] != overhead:
            why = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
            raise errors.forbidden("", "pods", attributes.name, why)
        new["overhead"] = overhead
    rules = found.get("scheduling") or {}
    for key, value in (rules.get("nodeSelector") or {}).items():
        if (spec.get("nodeSelector") or {}).get(key, value) != value:
            why = (
                f"pod rejected: conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                f"pod.spec.nodeSelector[{key}] = {spec['nodeSelector'][key]}"
            )
            raise errors.forbidden("", "pods", attributes.name, why)
        new["nodeSelector"] = {**(new.get("nodeSelector") or {}), key: value}
    tolerations = list(spec.get("tolerations") or ())
    tolerations += [given for given in rules.get("tolerations") or () if given not in tolerations]
    if tolerations:
        new["tolerations"] = tolerations
    return {**obj, "spec": new}
