"""PersistentVolumes and their claims.

Source: k8s.io/kubernetes/pkg/apis/core/validation (ValidatePersistentVolume, ValidatePersistentVolumeClaim).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation import volume_sources as sources
from seatrial.sim.machinery.validation.claims import access_modes, claim_spec, is_volume_mode
from seatrial.sim.machinery.validation.label_selectors import node_selector
from seatrial.sim.machinery.validation.names import is_subdomain, qualified_name
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Errors,
    Object,
    at,
    forbidden,
    immutable,
    invalid,
    not_supported,
    one_of,
    required,
    same,
)
from seatrial.sim.machinery.validation.resources import amount, is_basic, is_positive
from seatrial.sim.machinery.validation.structures import difference
from seatrial.sim.machinery.validation.table import table
from seatrial.sim.machinery.validation.volume_sources import Type

RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
TYPES = (
    Type("hostPath", sources.host_path),
    Type("gcePersistentDisk", sources.gce_disk, inner="persistentDisk"),
    Type("awsElasticBlockStore", sources.aws_disk),
    Type("glusterfs", sources.glusterfs_persistent),
    Type("flocker", sources.flocker),
    Type("nfs", sources.nfs),
    Type("rbd", sources.rbd),
    Type("quobyte", sources.quobyte),
    Type("cephfs", sources.cephfs, again="cephFS"),
    Type("iscsi", sources.iscsi_persistent),
    Type("cinder", sources.cinder_persistent),
    Type("fc", sources.fc),
    Type("azureFile", sources.azure_file_persistent),
    Type("vsphereVolume", sources.vsphere),
    Type("photonPersistentDisk", sources.photon_disk),
    Type("portworxVolume", sources.portworx),
    Type("azureDisk", sources.azure_disk),
    Type("scaleIO", sources.scale_io),
    Type("local", sources.local),
    Type("storageos", sources.storage_os_persistent),
    Type("csi", sources.csi_persistent),
)
SOURCE_FIELDS = (*(kind.field for kind in TYPES), "flexVolume")


def _one_source(spec: Object) -> Errors:
    """As for pods, but a flexVolume beside another source is not refused."""
    flex = spec.get("flexVolume")
    found = sources.exactly_one(spec, TYPES)
    if flex is None:
        return found
    if all(spec.get(kind.field) is None for kind in TYPES):
        return at("flexVolume", sources.flex_volume(flex))
    return [*found, *at("flexVolume", sources.flex_volume(flex))]


def _capacity(value: Any) -> Errors:
    errors: list[FieldError] = []
    if not value:
        errors.append(required(""))
    if "storage" not in (value or {}) or len(value) > 1:
        errors.append(not_supported("", value, ("storage",)))
    for name, size in (value or {}).items():
        errors += at(f"[{name}]", [*is_basic(size), *is_positive(size)])
    return errors


def _affinity(value: Object) -> Errors:
    required_terms = value.get("required")
    if required_terms is None:
        return (required("required", "must specify required node constraints"),)
    return at("required", node_selector(required_terms))


_volume_fields = table(
    {
        "accessModes": access_modes,
        "persistentVolumeReclaimPolicy": one_of(*RECLAIM_POLICIES),
        "nodeAffinity": _affinity,
        "volumeMode": is_volume_mode,
    }
)


def volume_spec(spec: Object, name: str) -> Errors:
    errors: list[FieldError] = []
    if not spec.get("accessModes"):
        errors.append(required("accessModes"))
    errors += at("capacity", _capacity(spec.get("capacity")))
    errors += _volume_fields(spec)
    errors += _one_source(spec)
    if spec.get("local") is not None and spec.get("nodeAffinity") is None:
        errors.append(required("nodeAffinity", "Local volume requires node affinity"))
    if sources.iscsi_is_too_long(spec.get("iscsi"), name):
        errors.append(invalid("iscsi.targetportal", spec["iscsi"].get("targetPortal", ""), sources.ISCSI_TOO_LONG))
    path = (spec.get("hostPath") or {}).get("path") or ""
    if path and not path.strip("/") and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        told = "may not be 'recycle' for a hostPath mount of '/'"
        errors.append(forbidden("persistentVolumeReclaimPolicy", told))
    if class_name := spec.get("storageClassName"):
        errors += at("storageClassName", is_subdomain(class_name))
    if (attributes := spec.get("volumeAttributesClassName")) is not None:
        errors += at("volumeAttributesClassName", _attributes_class(attributes))
        if spec.get("csi") is None:
            errors.append(required("csi", "has to be specified when using volumeAttributesClassName"))
    return errors


def _attributes_class(value: str) -> Errors:
    return is_subdomain(value) if value else (required("", "an empty string is disallowed"),)


def volume(value: Object) -> Errors:
    return at("spec", volume_spec(value.get("spec") or {}, value["metadata"].get("name", "")))


def volume_update(new: Object, old: Object) -> Errors:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after is before:
        return NONE
    errors: list[FieldError] = []
    ours = {key: after.get(key) for key in SOURCE_FIELDS}
    theirs = {key: before.get(key) for key in SOURCE_FIELDS}
    if ours["csi"] and theirs["csi"] and theirs["csi"].get("controllerExpandSecretRef") is None:
        ours["csi"] = {key: value for key, value in ours["csi"].items() if key != "controllerExpandSecretRef"}
    if not same(ours, theirs):
        shown = difference(theirs, ours, "PersistentVolumeSource")
        told = f"spec.persistentvolumesource is immutable after creation\n{shown}"
        errors.append(forbidden("spec.persistentvolumesource", told))
    errors += immutable("volumeMode", after.get("volumeMode"), before.get("volumeMode"))
    affinity = before.get("nodeAffinity")
    if affinity is not None and not same(after.get("nodeAffinity"), affinity):
        told = "field is immutable, except for updating from beta label to GA"
        errors.append(invalid("nodeAffinity", after.get("nodeAffinity"), told))
    errors += _attributes_kept(after, before)
    return errors


def _attributes_kept(after: Object, before: Object) -> Errors:
    name = "volumeAttributesClassName"
    if before.get(name) is None:
        return NONE
    if after.get(name) is None:
        return (forbidden(f"spec.{name}", "update from non-nil value to nil is forbidden"),)
    if not after[name]:
        return (forbidden(f"spec.{name}", "update from non-nil value to an empty string is forbidden"),)
    return NONE


CLAIM_FIXED = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)


def claim(value: Object) -> Errors:
    return at("spec", claim_spec(value.get("spec") or {}))


def claim_update(new: Object, old: Object) -> Errors:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after is before:
        return NONE
    errors: list[FieldError] = []
    bound = (new.get("status") or {}).get("phase") == "Bound"
    ours, theirs = dict(after), dict(before)
    if not theirs.get("volumeName"):
        ours.pop("volumeName", None)
        theirs.pop("volumeName", None)
    if theirs.get("storageClassName") is None and ours.get("storageClassName") is not None:
        ours.pop("storageClassName")
    if bound:
        ours["resources"] = _with_size(ours.get("resources") or {}, _size(before))
        if ours.get("volumeAttributesClassName") is not None:
            ours["volumeAttributesClassName"] = theirs.get("volumeAttributesClassName")
    if not same(ours, theirs):
        told = f"{CLAIM_FIXED}\n{difference(theirs, ours, 'PersistentVolumeClaimSpec')}"
        errors.append(forbidden("spec", told))
    asked, had = amount(_size(after) or "0"), amount(_size(before) or "0")
    has = amount(((old.get("status") or {}).get("capacity") or {}).get("storage") or "0")
    if asked < had and asked <= has:
        told = "field can not be less than status.capacity"
        errors.append(forbidden("spec.resources.requests.storage", told))
    errors += immutable("volumeMode", after.get("volumeMode"), before.get("volumeMode"))
    errors += _attributes_kept(after, before)
    return errors


def _size(spec: Object) -> Any:
    return ((spec.get("resources") or {}).get("requests") or {}).get("storage")


def _with_size(resources: Object, size: Any) -> Mapping[str, Any]:
    return {**resources, "requests": {**(resources.get("requests") or {}), "storage": size}}


def claim_status(new: Object, old: Object) -> Errors:
    status = new.get("status") or {}
    errors: list[FieldError] = []
    if not (new.get("spec") or {}).get("accessModes"):
        errors.append(required("Spec.accessModes"))
    for name, size in (status.get("capacity") or {}).items():
        errors += at(f"status.capacity[{name}]", is_basic(size))
    for name, size in (status.get("allocatedResources") or {}).items():
        errors += [invalid("status.allocatedResources", name, text) for text in qualified_name(name)]
        errors += at(f"status.allocatedResources[{name}]", is_basic(size))
    return errors
