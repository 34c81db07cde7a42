"""What the registry does to persistent volumes and claims.

Source: k8s.io/kubernetes/pkg/registry/core/{persistentvolume,persistentvolumeclaim}/strategy.go and
k8s.io/kubernetes/pkg/api/persistentvolumeclaim.
"""

from __future__ import annotations

from typing import Any

from seatrial.sim.apiserver.context import Context
from seatrial.sim.apiserver.request import Object


def prepare_volume(context: Context, obj: Object) -> Object:
    """A new volume is pending since now."""
    return {**obj, "status": {"phase": "Pending", "lastPhaseTransitionTime": context.stamp}}


def prepare_volume_status(context: Context, obj: Object, old: Object) -> Object:
    """A phase that changes notes when it did, unless the client says when."""
    new, before = obj.get("status") or {}, old.get("status") or {}
    if new.get("phase") == before.get("phase"):
        return obj
    if new.get("lastPhaseTransitionTime") not in (None, before.get("lastPhaseTransitionTime")):
        return obj
    return {**obj, "status": {**new, "lastPhaseTransitionTime": context.stamp}}


SOURCES = (("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot"))
"""What a claim's dataSource may name; anything else is dropped, as clients of old were used to."""


def prepare_claim(context: Context, obj: Object) -> Object:
    """A new claim is pending; of dataSource and dataSourceRef, each says what the other one says."""
    spec = dict(obj["spec"])
    source: Any = spec.get("dataSource")
    if source is not None and ((source.get("apiGroup") or ""), source.get("kind")) not in SOURCES:
        source = None
        del spec["dataSource"]
    reference = spec.get("dataSourceRef")
    if source is not None and reference is None:
        spec["dataSourceRef"] = {key: source.get(key) for key in ("apiGroup", "kind", "name")}
    elif reference is not None and source is None and not reference.get("namespace"):
        if ((reference.get("apiGroup") or ""), reference.get("kind")) in SOURCES:
            spec["dataSource"] = {key: reference.get(key) for key in ("apiGroup", "kind", "name")}
    return {**obj, "spec": spec, "status": {"phase": "Pending"}}
