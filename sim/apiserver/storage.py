"""What the registry does to persistent volumes (k8s.io/kubernetes/pkg/registry/core/persistentvolume/strategy.go)."""

from __future__ import annotations

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
