"""Sources of volumes that pods and PersistentVolumes have alike.

A source's errors are reported under a name that is not always the field's (``persistentDisk``, ``cephFS``,
``downwarAPI``): TYPES says which.

Source: k8s.io/kubernetes/pkg/apis/core/validation (validateVolumeSource, ValidatePersistentVolumeSpec and what they
call).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.names import is_label, is_subdomain, subdomain
from seatrial.sim.machinery.validation.paths import descending_path, no_backsteps
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Check,
    Errors,
    Object,
    at,
    between,
    forbidden,
    in_range,
    invalid,
    not_supported,
    one_of,
    required,
    too_long,
)
from seatrial.sim.machinery.validation.table import REQUIRED, Required, table

MORE_THAN_ONE = "may not specify more than 1 volume type"


class Type(NamedTuple):
    """One sort of volume source."""

    field: str
    check: Check
    again: str = ""
    """The name under which a second source is refused, where it is not the field's."""
    inner: str = ""
    """The name under which the source's own errors stand, where it is not the field's."""


def exactly_one(value: Object, types: Sequence[Type]) -> Errors:
    """The errors of the first source, and a refusal of every other."""
    errors: list[FieldError] = []
    chosen = False
    for kind in types:
        source = value.get(kind.field)
        if source is None:
            continue
        if chosen:
            errors.append(forbidden(kind.again or kind.field, MORE_THAN_ONE))
        else:
            chosen = True
            errors += at(kind.inner or kind.field, kind.check(source))
    if not chosen:
        errors.append(required("", "must specify a volume type"))
    return errors


HOST_PATH_TYPES = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
)  # fmt: skip


def host_path(value: Object) -> Errors:
    path = value.get("path")
    if not path:
        return (required("path"),)
    kind = value.get("type")
    errors = [*at("path", no_backsteps(path))]
    if kind is not None and kind not in HOST_PATH_TYPES:
        errors.append(not_supported("type", kind, HOST_PATH_TYPES))
    return errors


def local(value: Object) -> Errors:
    path = value.get("path")
    return at("path", no_backsteps(path)) if path else (required("path"),)


def _absolute(value: Object) -> Errors:
    path = value.get("path") or ""
    return NONE if path.startswith("/") else (invalid("path", path, "must be an absolute path"),)


nfs = table({"server": REQUIRED, "path": REQUIRED, "": _absolute})
_partition = between(0, 255)


def _disk_partition(value: int) -> Errors:
    return NONE if not _partition(value) else (invalid("", value, in_range(1, 255)),)


gce_disk = table({"pdName": REQUIRED, "partition": _disk_partition})
aws_disk = table({"volumeID": REQUIRED, "partition": _disk_partition})
git_repo = table({"repository": REQUIRED, "directory": descending_path})
glusterfs = table({"endpoints": REQUIRED, "path": REQUIRED})


def _endpoints_namespace(value: str) -> Errors:
    if not value:
        return (invalid("", value, "if the endpointnamespace is set, it must be a valid namespace name"),)
    return is_label(value)


glusterfs_persistent = table({"endpoints": REQUIRED, "path": REQUIRED, "endpointsNamespace": _endpoints_namespace})


def flocker(value: Object) -> Errors:
    name, uuid = value.get("datasetName"), value.get("datasetUUID")
    errors: list[FieldError] = []
    if not name and not uuid:
        errors.append(required("", "one of datasetName and datasetUUID is required"))
    if name and uuid:
        errors.append(invalid("", "resource", "datasetName and datasetUUID can not be specified simultaneously"))
    if name and "/" in name:
        errors.append(invalid("datasetName", name, "must not contain '/'"))
    return errors


rbd = table({"monitors": REQUIRED, "image": REQUIRED})
cephfs = table({"monitors": REQUIRED})
cinder = table({"volumeID": REQUIRED, "secretRef": table({"name": REQUIRED})})
cinder_persistent = table({"volumeID": REQUIRED, "secretRef": table({"name": REQUIRED, "namespace": REQUIRED})})


def quobyte(value: Object) -> Errors:
    told = "must be a host:port pair or multiple pairs separated by commas"
    errors: list[FieldError] = []
    registry = value.get("registry")
    if not registry:
        errors.append(required("registry", told))
    elif len(value.get("tenant") or "") >= 65:
        errors.append(required("tenant", "must be a UUID and may not exceed a length of 64 characters"))
    else:
        pairs = registry.split(",")
        errors += [invalid("registry", registry, told) for pair in pairs if not HOST_PORT.fullmatch(pair)]
    if not value.get("volume"):
        errors.append(required("volume"))
    return errors


HOST_PORT = re.compile(r"([^:\[\]]*|\[[^\[\]]*\]):[^:]*")

IQN = re.compile(r"iqn\.\d{4}-\d{2}\.([A-Za-z0-9\-.]+)(:[^,;*&$|\s]+)$")
EUI = re.compile(r"eui.[A-Za-z0-9]{16}$")
NAA = re.compile(r"naa.[A-Za-z0-9]{32}$")


def _iscsi_name(path: str, value: str, told_start: str) -> Errors:
    for start, shape in (("iqn", IQN), ("eui", EUI), ("naa", NAA)):
        if value.startswith(start):
            return NONE if shape.match(value) else (invalid(path, value, "must be valid format"),)
    return (invalid(path, value, told_start),)


def iscsi(value: Object, told_start: str = "must be valid format starting with iqn, eui, or naa") -> Errors:
    errors: list[FieldError] = []
    if not value.get("targetPortal"):
        errors.append(required("targetPortal"))
    if not value.get("iqn"):
        errors.append(required("iqn"))
    else:
        errors += _iscsi_name("iqn", value["iqn"], told_start)
    lun = value.get("lun") or 0
    if not 0 <= lun <= 255:
        errors.append(invalid("lun", lun, in_range(0, 255)))
    if (value.get("chapAuthDiscovery") or value.get("chapAuthSession")) and value.get("secretRef") is None:
        errors.append(required("secretRef"))
    if value.get("initiatorName") is not None:
        errors += _iscsi_name("initiatorname", value["initiatorName"], told_start)
    return errors


def iscsi_persistent(value: Object) -> Errors:
    errors = [*iscsi(value, "must be valid format")]
    secret = value.get("secretRef")
    if secret is not None and not secret.get("name"):
        errors.append(required("secretRef.name"))
    return errors


ISCSI_TOO_LONG = (
    "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is "
    "specified."
)


def iscsi_is_too_long(value: Any, volume_name: str) -> bool:
    """Whether the name under which the initiator knows the volume is."""
    if value is None or value.get("initiatorName") is None:
        return False
    return len(f"{volume_name}:{value.get('targetPortal', '')}") > 64


def fc(value: Object) -> Errors:
    names, wwids, lun = value.get("targetWWNs"), value.get("wwids"), value.get("lun")
    errors: list[FieldError] = []
    if not names and not wwids:
        errors.append(required("targetWWNs", "must specify either targetWWNs or wwids, but not both"))
    if names and wwids:
        told = "targetWWNs and wwids can not be specified simultaneously"
        errors.append(invalid("targetWWNs", names, told))
    if names:
        if lun is None:
            errors.append(required("lun", "lun is required if targetWWNs is specified"))
        elif not 0 <= lun <= 255:
            errors.append(invalid("lun", lun, in_range(0, 255)))
    return errors


def flex_volume(value: Object) -> Errors:
    errors: list[FieldError] = []
    if not value.get("driver"):
        errors.append(required("driver"))
    for key in value.get("options") or ():
        domain = f".{key.partition('/')[0].lower()}"
        if domain.endswith((".kubernetes.io", ".k8s.io")):
            told = "kubernetes.io and k8s.io namespaces are reserved"
            errors.append(invalid(f"options[{key}]", key, told))
    return errors


azure_file = table({"secretName": REQUIRED, "shareName": REQUIRED})


def _azure_namespace(value: str) -> Errors:
    return NONE if value else (required(""),)


azure_file_persistent = table({"secretName": REQUIRED, "shareName": REQUIRED, "secretNamespace": _azure_namespace})

MANAGED_URI = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
BLOB_URI = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"


def _azure_uri(value: Object) -> Errors:
    uri, kind = value.get("diskURI") or "", value.get("kind")
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        return (not_supported("diskURI", uri, (MANAGED_URI,)),)
    if kind is not None and kind != "Managed" and not uri.startswith("https://"):
        return (not_supported("diskURI", uri, (BLOB_URI,)),)
    return NONE


azure_disk = table(
    {
        "diskName": REQUIRED,
        "diskURI": REQUIRED,
        "cachingMode": one_of("None", "ReadOnly", "ReadWrite"),
        "kind": one_of("Dedicated", "Managed", "Shared"),
        "": _azure_uri,
    }
)
vsphere = table({"volumePath": REQUIRED})
photon_disk = table({"pdID": REQUIRED})
portworx = table({"volumeID": REQUIRED})
scale_io = table({"gateway": REQUIRED, "system": REQUIRED, "volumeName": REQUIRED})
storage_os = table(
    {
        "volumeName": (REQUIRED, is_label),
        "volumeNamespace": is_label,
        "secretRef": table({"name": REQUIRED}),
    }
)
storage_os_persistent = table(
    {
        "volumeName": (REQUIRED, is_label),
        "volumeNamespace": is_label,
        "secretRef": table({"name": REQUIRED, "namespace": REQUIRED}),
    }
)


def driver_name(value: str) -> Errors:
    """The name of a CSI driver; the empty one is wrong twice."""
    errors: list[FieldError] = []
    if not value:
        errors.append(required(""))
    if len(value) > 63:
        errors.append(too_long("", 63))
    errors += [invalid("", value, text) for text in subdomain(value.lower())]
    return errors


def _publish_secret(value: Object) -> Errors:
    secret = value.get("nodePublishSecretRef")
    if secret is None:
        return NONE
    name = secret.get("name")
    if not name:
        return (required("nodePublishSecretRef.name"),)
    return [invalid("name", name, text) for text in subdomain(name)]


def csi(value: Object) -> Errors:
    return [*at("driver", driver_name(value.get("driver") or "")), *_publish_secret(value)]


_secret_reference = table({"name": (REQUIRED, is_subdomain), "namespace": (REQUIRED, is_label)})
_csi_fields = table(
    {
        "volumeHandle": Required(),
        "controllerPublishSecretRef": _secret_reference,
        "controllerExpandSecretRef": _secret_reference,
        "nodePublishSecretRef": _secret_reference,
        "nodeExpandSecretRef": _secret_reference,
    }
)


def csi_persistent(value: Object) -> Errors:
    return [*at("driver", driver_name(value.get("driver") or "")), *_csi_fields(value)]


claim = table({"claimName": REQUIRED})
