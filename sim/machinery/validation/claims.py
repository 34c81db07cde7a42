"""The spec of a PersistentVolumeClaim, alone and inside pods and StatefulSets.

Source: k8s.io/kubernetes/pkg/apis/core/validation (ValidatePersistentVolumeClaimSpec).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.label_selectors import label_selector
from seatrial.sim.machinery.validation.metadata import only_labels_and_annotations
from seatrial.sim.machinery.validation.names import is_label, is_subdomain
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Errors,
    Object,
    at,
    forbidden,
    invalid,
    not_supported,
    one_of,
    required,
)
from seatrial.sim.machinery.validation.resources import is_positive
from seatrial.sim.machinery.validation.table import table

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
is_volume_mode = one_of("Block", "Filesystem")


def access_modes(values: Sequence[str]) -> Errors:
    errors: list[FieldError] = [not_supported("", mode, ACCESS_MODES) for mode in values if mode not in ACCESS_MODES]
    if "ReadWriteOncePod" in values and any(mode in ACCESS_MODES[:3] for mode in values):
        errors.append(forbidden("", "may not use ReadWriteOncePod with other access modes"))
    return errors


def _class_name(value: str) -> Errors:
    return is_subdomain(value) if value else NONE


def _data_source(value: Object) -> Errors:
    errors: list[FieldError] = []
    kind, group = value.get("kind") or "", value.get("apiGroup") or ""
    if not value.get("name"):
        errors.append(required("name"))
    if not kind:
        errors.append(required("kind"))
    if not group and kind != "PersistentVolumeClaim":
        told = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        errors.append(invalid("", kind, told))
    if group:
        errors += at("apiGroup", is_subdomain(group))
    return errors


def _data_source_reference(value: Object) -> Errors:
    errors = [*_data_source(value)]
    if namespace := value.get("namespace"):
        errors += at("namespace", is_label(namespace))
    return errors


def _sources_agree(spec: Object) -> Errors:
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is None or reference is None:
        return NONE
    if reference.get("namespace"):
        told = "may not be specified when dataSourceRef.namespace is specified"
        return (invalid("", {}, told),)
    if any(source.get(key) != reference.get(key) for key in ("apiGroup", "kind", "name")):
        return (invalid("", {}, "must match dataSourceRef"),)
    return NONE


_fields = table(
    {
        "selector": label_selector,
        "accessModes": access_modes,
        "storageClassName": _class_name,
        "volumeMode": is_volume_mode,
        "dataSource": _data_source,
        "dataSourceRef": _data_source_reference,
        "": _sources_agree,
        "volumeAttributesClassName": _class_name,
    }
)


def claim_spec(spec: Object) -> Errors:
    errors: list[FieldError] = []
    if not spec.get("accessModes"):
        errors.append(required("accessModes", "at least 1 access mode is required"))
    errors += _fields(spec)
    size: Any = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if size is None:
        errors.append(required("resources[storage]"))
    else:
        errors += at("resources[storage]", is_positive(size))
    return errors


def claim_template(value: Object) -> Errors:
    """The claim that an ephemeral volume brings along."""
    errors = [*at("metadata", only_labels_and_annotations(value.get("metadata") or {}))]
    errors += at("spec", claim_spec(value.get("spec") or {}))
    return errors
