"""Volumes, claims, classes and drivers."""

from __future__ import annotations

from collections.abc import Iterable

from seatrial.sim.machinery.printers.cells import (
    EMPTY,
    NONE,
    UNSET,
    Cells,
    Object,
    age,
    deleting,
    is_default_class,
    name_of,
    part,
)

BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
DEFAULT_ATTRIBUTES = ("storageclass.kubernetes.io/is-default-class",)
MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def _modes(given: Iterable[str] | None) -> str:
    found = list(given or ())
    return ",".join(short for mode, short in MODES.items() if mode in found)


def _class(obj: Object) -> str:
    annotations = obj["metadata"].get("annotations") or EMPTY
    return str(annotations.get(BETA_CLASS) or part(obj, "spec").get("storageClassName") or "")


def _phase(obj: Object) -> str:
    return "Terminating" if deleting(obj) else str(part(obj, "status").get("phase", ""))


def _or_unset(value: object) -> object:
    return UNSET if value is None else value


def persistent_volume(obj: Object, now_us: int) -> Cells:
    spec, claim = obj["spec"], obj["spec"].get("claimRef")
    return [
        name_of(obj),
        part(spec, "capacity").get("storage", "0"),
        _modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        _phase(obj),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        _class(obj),
        _or_unset(spec.get("volumeAttributesClassName")),
        part(obj, "status").get("reason", ""),
        age(obj, now_us),
        _or_unset(spec.get("volumeMode")),
    ]


def persistent_volume_claim(obj: Object, now_us: int) -> Cells:
    spec, status = obj["spec"], part(obj, "status")
    volume = spec.get("volumeName", "")
    return [
        name_of(obj),
        _phase(obj),
        volume,
        part(status, "capacity").get("storage", "0") if volume else "",
        _modes(status.get("accessModes")) if volume else "",
        _class(obj),
        _or_unset(spec.get("volumeAttributesClassName")),
        age(obj, now_us),
        _or_unset(spec.get("volumeMode")),
    ]


def storage_class(obj: Object, now_us: int) -> Cells:
    return [
        is_default_class(obj, DEFAULT_CLASS),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy") or "Delete",
        obj.get("volumeBindingMode") or "Immediate",
        bool(obj.get("allowVolumeExpansion")),
        age(obj, now_us),
    ]


def volume_attributes_class(obj: Object, now_us: int) -> Cells:
    return [is_default_class(obj, DEFAULT_ATTRIBUTES), obj.get("driverName", ""), age(obj, now_us)]


def volume_attachment(obj: Object, now_us: int) -> Cells:
    spec = part(obj, "spec")
    volume = part(spec, "source").get("persistentVolumeName") or ""
    attached = bool(part(obj, "status").get("attached"))
    return [name_of(obj), spec.get("attacher", ""), volume, spec.get("nodeName", ""), attached, age(obj, now_us)]


def csi_driver(obj: Object, now_us: int) -> Cells:
    spec = part(obj, "spec")
    audiences = [each.get("audience", "") for each in spec.get("tokenRequests") or ()]
    return [
        name_of(obj),
        spec.get("attachRequired") is not False,
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
        ",".join(audiences) if audiences else UNSET,
        bool(spec.get("requiresRepublish")),
        ",".join(spec.get("volumeLifecycleModes") or ()) or NONE,
        age(obj, now_us),
    ]


def csi_node(obj: Object, now_us: int) -> Cells:
    return [name_of(obj), len(part(obj, "spec").get("drivers") or ()), age(obj, now_us)]
