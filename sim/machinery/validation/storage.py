"""Storage classes, CSI drivers, nodes and capacities, and attachments.

Source: k8s.io/kubernetes/pkg/apis/storage/validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation import volume_sources as sources
from seatrial.sim.machinery.validation.names import is_qualified_name, is_subdomain
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Errors,
    Object,
    at,
    duplicate,
    each,
    forbidden,
    immutable,
    invalid,
    nonnegative,
    not_supported,
    one_of,
    required,
    same,
    too_long,
)
from seatrial.sim.machinery.validation.resources import ZERO, amount
from seatrial.sim.machinery.validation.table import table


def _provisioner(value: str) -> Errors:
    return is_qualified_name(value.lower())


def _parameters(values: Mapping[str, str]) -> Errors:
    if len(values) > 512:
        return (too_long("", 512),)
    errors = [invalid("", key, "field can not be empty.") for key in values if not key]
    if sum(len(key) + len(text) for key, text in values.items()) > 256 * 1024:
        errors.append(too_long("", 256 * 1024))
    return errors


def _topology_requirement(value: Object) -> Errors:
    errors: list[FieldError] = []
    listed = value.get("values") or []
    if not listed:
        errors.append(required("values"))
    errors += [duplicate(f"values[{i}]", one) for i, one in enumerate(listed) if one in listed[:i]]
    errors += at("key", is_qualified_name(value.get("key") or ""))
    return errors


def _topologies(terms: list[Object]) -> Errors:
    """Terms and whether two say the same; an empty one is like no term at all, which is always there already."""
    errors: list[FieldError] = []
    seen: list[Mapping[str, Any]] = [{}]
    for index, term in enumerate(terms):
        expressions = term.get("matchLabelExpressions") or ()
        errors += at(f"[{index}]", each("matchLabelExpressions", expressions, _topology_requirement))
        raw: dict[str, Any] = {}
        for number, expression in enumerate(expressions):
            key = expression.get("key") or ""
            if key in raw:
                errors.append(duplicate(f"[{index}].matchLabelExpressions[{number}].key", key))
            raw[key] = sorted(expression.get("values") or ())
        if raw in seen:
            errors.append(duplicate(f"[{index}].matchLabelExpressions", ""))
        seen.append(raw)
    return errors


_class_fields = table(
    {
        "provisioner": (_provisioner,),
        "parameters": _parameters,
        "reclaimPolicy": lambda value: NONE if not value else one_of("Delete", "Retain")(value),
        "volumeBindingMode": one_of("Immediate", "WaitForFirstConsumer"),
        "allowedTopologies": _topologies,
    }
)


def storage_class(value: Object) -> Errors:
    if not value.get("provisioner"):
        return [required("provisioner"), *_class_fields({k: v for k, v in value.items() if k != "provisioner"})]
    return _class_fields(value)


def storage_class_update(new: Object, old: Object) -> Errors:
    errors = [
        forbidden(name, f"updates to {name} are forbidden.")
        for name in ("parameters", "provisioner", "reclaimPolicy")
        if not same(new.get(name), old.get(name))
    ]
    errors += immutable("volumeBindingMode", new.get("volumeBindingMode"), old.get("volumeBindingMode"))
    return errors


def attributes_class(value: Object) -> Errors:
    errors: list[FieldError] = []
    name = value.get("driverName") or ""
    errors += at("driverName", sources.driver_name(name))
    parameters = value.get("parameters") or {}
    errors += at("parameters", _parameters(parameters))
    if not parameters:
        errors.append(required("parameters", "must contain at least one key/value pair"))
    return errors


def attributes_class_update(new: Object, old: Object) -> Errors:
    return [
        forbidden(name, f"updates to {name} are forbidden.")
        for name in ("driverName", "parameters")
        if not same(new.get(name), old.get(name))
    ]


def attachment(value: Object) -> Errors:
    spec = value.get("spec") or {}
    errors: list[FieldError] = []
    attacher, source = spec.get("attacher") or "", spec.get("source") or {}
    if not attacher:
        errors.append(required("attacher"))
    errors += at("attacher", sources.driver_name(attacher))
    errors += at("source", _attachment_source(source))
    errors += at("nodeName", is_subdomain(spec.get("nodeName") or ""))
    for name in ("attachError", "detachError"):
        told = ((value.get("status") or {}).get(name) or {}).get("message") or ""
        if len(told) > 1024:
            return [*at("spec", errors), too_long(f"status.{name}.message", 256 * 1024)]
    return at("spec", errors)


def _attachment_source(source: Object) -> Errors:
    inline, name = source.get("inlineVolumeSpec"), source.get("persistentVolumeName")
    told = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    if inline is None and name is None:
        return (required("", told),)
    if inline is not None and name is not None:
        return (forbidden("", told),)
    if name is not None:
        if not name:
            return (required("persistentVolumeName", "must specify non empty persistentVolumeName"),)
        return at("persistentVolumeName", is_subdomain(name))
    return NONE


def attachment_update(new: Object, old: Object) -> Errors:
    if same(new.get("spec"), old.get("spec")):
        return NONE
    return (invalid("spec", new.get("spec"), "field is immutable"),)


def csi_node(value: Object) -> Errors:
    errors: list[FieldError] = []
    names: list[str] = []
    for index, driver in enumerate((value.get("spec") or {}).get("drivers") or ()):
        path, name, node = f"spec.drivers[{index}]", driver.get("name") or "", driver.get("nodeID") or ""
        errors += at(f"{path}.name", sources.driver_name(name))
        if name in names:
            errors.append(duplicate(f"{path}.name", name))
        names.append(name)
        if not node:
            errors.append(required(f"{path}.nodeID"))
        elif len(node) > 192:
            errors.append(invalid(f"{path}.nodeID", node, "must be 192 characters or less"))
        count = (driver.get("allocatable") or {}).get("count")
        if count is not None:
            errors += at(f"{path}.allocatable.count", nonnegative(count))
        keys = driver.get("topologyKeys") or []
        for number, key in enumerate(keys):
            if not key:
                errors.append(required(path))
            if key in keys[:number]:
                errors.append(duplicate(path, key))
            errors += at(path, is_qualified_name(key))
    return errors


def csi_node_update(new: Object, old: Object) -> Errors:
    errors: list[FieldError] = []
    drivers = {d.get("name"): d for d in (new.get("spec") or {}).get("drivers") or ()}
    for before in (old.get("spec") or {}).get("drivers") or ():
        after = drivers.get(before.get("name"))
        if after is not None:
            fixed = [key for key in ("name", "nodeID", "topologyKeys") if not same(after.get(key), before.get(key))]
            if fixed:
                errors.append(invalid("spec.drivers", after, "field is immutable"))
    return errors


LIFECYCLE_MODES = ("Ephemeral", "Persistent")


def csi_driver(value: Object) -> Errors:
    spec = value.get("spec") or {}
    asked = ("attachRequired", "podInfoOnMount", "storageCapacity")
    errors = [required(name) for name in asked if spec.get(name) is None]
    policy = spec.get("fsGroupPolicy")
    if policy is not None and policy not in ("File", "None", "ReadWriteOnceWithFSType"):
        errors.append(not_supported("fsGroupPolicy", policy, ("File", "None", "ReadWriteOnceWithFSType")))
    audiences: list[str] = []
    for index, request in enumerate(spec.get("tokenRequests") or ()):
        audience, seconds, path = (
            request.get("audience") or "",
            request.get("expirationSeconds"),
            f"tokenRequests[{index}]",
        )
        if audience in audiences:
            errors.append(duplicate(f"{path}.audience", audience))
        audiences.append(audience)
        if seconds is not None and seconds < 600:
            told = "may not specify a duration less than 10 minutes"
            errors.append(invalid(f"{path}.expirationSeconds", seconds, told))
    unknown = [mode for mode in spec.get("volumeLifecycleModes") or () if mode not in LIFECYCLE_MODES]
    errors += [not_supported("volumeLifecycleModes", mode, LIFECYCLE_MODES) for mode in unknown]
    period = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if period is not None and period < 10:
        told = "must be greater than or equal to 10 seconds"
        errors.append(invalid("nodeAllocatableUpdatePeriodSeconds", period, told))
    return at("spec", errors)


def csi_driver_update(new: Object, old: Object) -> Errors:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    errors: list[FieldError] = []
    for name in ("attachRequired", "volumeLifecycleModes"):
        errors += immutable(f"spec.{name}", after.get(name), before.get(name))
    return errors


def storage_capacity(value: Object) -> Errors:
    errors = [*at("storageClassName", is_subdomain(value.get("storageClassName") or ""))]
    for name in ("capacity", "maximumVolumeSize"):
        size = value.get(name)
        if size is not None and amount(size) < ZERO:
            errors.append(invalid(name, str(amount(size)), "must be greater than or equal to 0"))
    return errors


def storage_capacity_update(new: Object, old: Object) -> Errors:
    errors: list[FieldError] = []
    for name in ("nodeTopology", "storageClassName"):
        errors += immutable(name, new.get(name), old.get(name))
    return errors
