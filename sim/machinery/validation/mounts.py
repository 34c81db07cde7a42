"""Volume mounts and raw block devices of a container.

Source: k8s.io/kubernetes/pkg/apis/core/validation (ValidateVolumeMounts, ValidateVolumeDevices). Upstream reports
subPath, subPathExpr, mountPropagation and recursiveReadOnly without the index of the mount.
"""

from __future__ import annotations

from collections.abc import Mapping

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.paths import descending_path, no_backsteps
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Errors,
    Object,
    at,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)

PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
RECURSIVE_READ_ONLY = ("Disabled", "Enabled", "IfPossible")


def mounts(container: Object, volumes: Mapping[str, Object]) -> Errors:
    """``volumes``: the pod's, by name. Paths begin with the mount's index."""
    values = container.get("volumeMounts")
    if not values:
        return NONE
    errors: list[FieldError] = []
    taken = {device.get("name") or "": device.get("devicePath") for device in container.get("volumeDevices") or ()}
    device_paths = list(taken.values())
    seen: list[str] = []
    for index, mount in enumerate(values):
        name, path = mount.get("name") or "", mount.get("mountPath") or ""
        if name not in volumes:
            if not name:
                errors.append(required(f"[{index}].name"))
            errors.append(not_found(f"[{index}].name", name))
        if not path:
            errors.append(required(f"[{index}].mountPath"))
        if path in seen:
            errors.append(invalid(f"[{index}].mountPath", path, "must be unique"))
        seen.append(path)
        if name in taken:
            errors.append(invalid(f"[{index}].name", name, "must not already exist in volumeDevices"))
        if path in device_paths:
            told = "must not already exist as a path in volumeDevices"
            errors.append(invalid(f"[{index}].mountPath", path, told))
        if len(mount) > 2:
            errors += _options(index, mount, container)
    return errors or NONE


def _options(index: int, mount: Object, container: Object) -> Errors:
    errors: list[FieldError] = []
    sub_path, expression = mount.get("subPath"), mount.get("subPathExpr")
    if sub_path:
        errors += at("subPath", descending_path(sub_path))
    if expression:
        if sub_path:
            told = "subPathExpr and subPath are mutually exclusive"
            errors.append(invalid(f"[{index}].subPathExpr", expression, told))
        errors += at("subPathExpr", descending_path(expression))
    propagation = mount.get("mountPropagation")
    if propagation is not None:
        errors += at("mountPropagation", _propagation(propagation, container))
    recursive = mount.get("recursiveReadOnly")
    if recursive is not None:
        errors += at("recursiveReadOnly", _recursive_read_only(recursive, mount))
    return errors


def _propagation(value: str, container: Object) -> Errors:
    if value not in PROPAGATIONS:
        return (not_supported("", value, PROPAGATIONS),)
    if value == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
        return (forbidden("", "Bidirectional mount propagation is available only to privileged containers"),)
    return NONE


def _recursive_read_only(value: str, mount: Object) -> Errors:
    if value not in RECURSIVE_READ_ONLY:
        return (not_supported("", value, RECURSIVE_READ_ONLY),)
    errors: list[FieldError] = []
    if value != "Disabled":
        if not mount.get("readOnly"):
            errors.append(forbidden("", "may only be specified when readOnly is true"))
        if mount.get("mountPropagation") not in (None, "None"):
            errors.append(forbidden("", "may only be specified when mountPropagation is None or not specified"))
    return errors


def devices(container: Object, volumes: Mapping[str, Object]) -> Errors:
    """Paths begin with the device's index."""
    values = container.get("volumeDevices")
    if not values:
        return NONE
    errors: list[FieldError] = []
    mounted = {mount.get("name") or "": mount.get("mountPath") for mount in container.get("volumeMounts") or ()}
    mount_paths = list(mounted.values())
    names: list[str] = []
    paths: list[str] = []
    for index, device in enumerate(values):
        name, path = device.get("name") or "", device.get("devicePath") or ""
        at_name, at_path = f"[{index}].name", f"[{index}].devicePath"
        source = volumes.get(name)
        if not name:
            errors.append(required(at_name))
        if name in names:
            errors.append(invalid(at_name, name, "must be unique"))
        if source is None:
            errors.append(not_found(at_name, name))
        elif source.get("persistentVolumeClaim") is None and source.get("ephemeral") is None:
            told = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.append(invalid(at_name, name, told))
        if not path:
            errors.append(required(at_path))
        if path in paths:
            errors.append(invalid(at_path, path, "must be unique"))
        if no_backsteps(path):
            errors.append(invalid(at_path, path, "can not contain backsteps ('..')"))
        else:
            paths.append(path)
        if name in mounted:
            errors.append(invalid(at_name, name, "must not already exist in volumeMounts"))
        if path in mount_paths:
            errors.append(invalid(at_path, path, "must not already exist as a path in volumeMounts"))
        if name:
            names.append(name)
    return errors
