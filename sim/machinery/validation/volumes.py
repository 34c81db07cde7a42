"""Volumes of a pod.

Source: k8s.io/kubernetes/pkg/apis/core/validation (ValidateVolumes, validateVolumeSource, validateProjectionSources).
"""

from __future__ import annotations

from collections.abc import Sequence

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation import volume_sources as sources
from seatrial.sim.machinery.validation.certificates import seconds_max, signer_name, user_annotations
from seatrial.sim.machinery.validation.claims import claim_template
from seatrial.sim.machinery.validation.environment import VOLUME_FIELDS, field_ref, resource_field_ref
from seatrial.sim.machinery.validation.label_selectors import label_selector
from seatrial.sim.machinery.validation.memo import remembered
from seatrial.sim.machinery.validation.names import is_label, subdomain
from seatrial.sim.machinery.validation.paths import file_mode, local_path
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Errors,
    Object,
    at,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from seatrial.sim.machinery.validation.resources import ZERO, amount
from seatrial.sim.machinery.validation.table import REQUIRED, table
from seatrial.sim.machinery.validation.volume_sources import Type

CONFLICT = "conflicting duplicate paths"
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
KEY_TYPES = ("RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519")
CERTIFICATE_PATHS = ("credentialBundlePath", "keyPath", "certificateChainPath")


def _local(value: str) -> Errors:
    return local_path(value)


_key_to_path = table({"key": REQUIRED, "path": (REQUIRED, _local), "mode": file_mode})
_secret = table({"secretName": REQUIRED, "defaultMode": file_mode, "items[]": _key_to_path})
_config_map = table({"name": REQUIRED, "defaultMode": file_mode, "items[]": _key_to_path})
_projected_keys = table({"name": REQUIRED, "items[]": _key_to_path})


def _empty_dir(value: Object) -> Errors:
    size = value.get("sizeLimit")
    if size is not None and amount(size) < ZERO:
        return (forbidden("sizeLimit", "SizeLimit field must be a valid resource quantity"),)
    return NONE


def _downward_file(value: Object) -> Errors:
    errors: list[FieldError] = []
    path = value.get("path") or ""
    if not path:
        errors.append(required("path"))
    errors += at("path", local_path(path))
    field, resource = value.get("fieldRef"), value.get("resourceFieldRef")
    if field is not None:
        errors += at("fieldRef", field_ref(field, VOLUME_FIELDS))
        if resource is not None:
            told = "fieldRef and resourceFieldRef can not be specified simultaneously"
            errors.append(invalid("", "resource", told))
    elif resource is not None:
        errors += at("resourceFieldRef", resource_field_ref(resource, in_volume=True))
    else:
        errors.append(required("", "one of fieldRef and resourceFieldRef is required"))
    if value.get("mode") is not None:
        errors += at("mode", file_mode(value["mode"]))
    return errors


def _downward(value: Object) -> Errors:
    """A file's errors do not say which file it is."""
    errors: list[FieldError] = []
    if value.get("defaultMode") is not None:
        errors += at("defaultMode", file_mode(value["defaultMode"]))
    for file in value.get("items") or ():
        errors += _downward_file(file)
    return errors


def _image(value: Object) -> Errors:
    """Pods, not templates, are asked for the reference as well."""
    policy = value.get("pullPolicy") or ""
    if policy in PULL_POLICIES:
        return NONE
    return (not_supported("pullPolicy", policy, PULL_POLICIES) if policy else required("pullPolicy"),)


def _ephemeral(value: Object) -> Errors:
    template = value.get("volumeClaimTemplate")
    if template is None:
        return (required("volumeClaimTemplate"),)
    return at("volumeClaimTemplate", claim_template(template))


def _token(value: Object) -> Errors:
    seconds = value.get("expirationSeconds", 0)
    if seconds < 600:
        return (invalid("expirationSeconds", seconds, "may not specify a duration less than 10 minutes"),)
    if seconds > 1 << 32:
        return (invalid("expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"),)
    return NONE


def _trust_bundle(value: Object) -> Errors:
    errors: list[FieldError] = []
    name, signer, selector = value.get("name"), value.get("signerName"), value.get("labelSelector")
    if name is not None and signer is not None:
        errors.append(invalid("", dict(value), "only one of name and signerName may be used"))
    elif name is not None:
        if not name:
            errors.append(required("name", "must be a valid object name"))
        wrong = subdomain(name.rpartition(":")[2])
        errors += [invalid("name", name, f"not a valid clustertrustbundlename: {text}") for text in wrong]
        if selector is not None:
            errors.append(invalid("labelSelector", selector, "labelSelector must be unset if name is specified"))
    elif signer is not None:
        if not signer:
            errors.append(required("signerName", "must be a valid signer name"))
        elif signer.count("/") != 1:
            told = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
            errors.append(invalid("signerName", signer, told))
        if selector is not None:
            errors += at("labelSelector", label_selector(selector))
    else:
        errors.append(required("", "either name or signerName must be specified"))
    if not value.get("path"):
        errors.append(required("path"))
    errors += at("path", local_path(value.get("path") or ""))
    return errors


def _certificate(value: Object) -> Errors:
    errors: list[FieldError] = []
    signer, key = value.get("signerName") or "", value.get("keyType") or ""
    errors += at("signerName", signer_name(signer))
    if value.get("userAnnotations"):
        errors += at("userAnnotations", user_annotations(value["userAnnotations"]))
    if key not in KEY_TYPES:
        errors.append(not_supported("keyType", key, KEY_TYPES))
    seconds = value.get("maxExpirationSeconds")
    if seconds is not None and seconds < 3600:
        errors.append(invalid("maxExpirationSeconds", seconds, "if provided, maxExpirationSeconds must be >= 3600"))
    if seconds is not None and seconds > (most := seconds_max(signer)):
        errors.append(invalid("maxExpirationSeconds", seconds, f"if provided, maxExpirationSeconds must be <= {most}"))
    if not any(value.get(name) for name in CERTIFICATE_PATHS):
        told = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"
        errors.append(required("", told))
    for name in CERTIFICATE_PATHS:
        if path := value.get(name):
            errors += at(name, local_path(path))
    return errors


PROJECTIONS = {
    "secret": _projected_keys,
    "configMap": _projected_keys,
    "downwardAPI": lambda value: [error for file in value.get("items") or () for error in _downward_file(file)],
    "serviceAccountToken": _token,
    "clusterTrustBundle": _trust_bundle,
    "podCertificate": _certificate,
}


def _projected(value: Object) -> Errors:
    errors: list[FieldError] = []
    if value.get("defaultMode") is not None:
        errors += at("defaultMode", file_mode(value["defaultMode"]))
    paths: list[str] = []
    for index, source in enumerate(value.get("sources") or ()):
        names = source if len(source) == 1 else [name for name in PROJECTIONS if source.get(name) is not None]
        for name in names:
            if (projection := source[name]) is None or name not in PROJECTIONS:
                continue
            if found := PROJECTIONS[name](projection):
                errors += at(f"sources[{index}].{name}", found)
            if name == "serviceAccountToken":
                path = projection.get("path") or ""
                errors += at("path", local_path(path)) if path else [required("path")]
            errors += _conflicts(name, projection, paths)
        if len(names) > 1:
            told = "may not specify more than 1 volume type per source"
            errors.append(forbidden(f"sources[{index}]", told))
    return errors or NONE


def _conflicts(name: str, projection: Object, paths: list[str]) -> Errors:
    """Files that an earlier source put at the same path."""
    errors: list[FieldError] = []
    if name == "clusterTrustBundle":
        wanted = [projection.get("path") or ""]
    elif name == "podCertificate":
        wanted = [projection[key] for key in CERTIFICATE_PATHS if projection.get(key)]
    else:
        wanted = [item["path"] for item in projection.get("items") or () if item.get("path")]
    shown = projection.get("name", "") if name in ("secret", "configMap") else ""
    for path in wanted:
        if path in paths:
            errors.append(invalid("", shown or path, CONFLICT))
        paths.append(path)
    return errors


TYPES = (
    Type("emptyDir", _empty_dir),
    Type("hostPath", sources.host_path),
    Type("gitRepo", sources.git_repo),
    Type("gcePersistentDisk", sources.gce_disk, inner="persistentDisk"),
    Type("awsElasticBlockStore", sources.aws_disk),
    Type("secret", _secret),
    Type("nfs", sources.nfs),
    Type("iscsi", sources.iscsi),
    Type("glusterfs", sources.glusterfs),
    Type("flocker", sources.flocker),
    Type("persistentVolumeClaim", sources.claim),
    Type("rbd", sources.rbd),
    Type("cinder", sources.cinder),
    Type("cephfs", sources.cephfs, again="cephFS"),
    Type("quobyte", sources.quobyte),
    Type("downwardAPI", _downward, again="downwarAPI"),
    Type("fc", sources.fc),
    Type("flexVolume", sources.flex_volume),
    Type("configMap", _config_map),
    Type("azureFile", sources.azure_file),
    Type("vsphereVolume", sources.vsphere),
    Type("photonPersistentDisk", sources.photon_disk),
    Type("portworxVolume", sources.portworx),
    Type("azureDisk", sources.azure_disk),
    Type("storageos", sources.storage_os),
    Type("projected", remembered(_projected)),
    Type("scaleIO", sources.scale_io),
    Type("csi", sources.csi),
    Type("ephemeral", _ephemeral),
    Type("image", _image),
)
BY_FIELD = {kind.field: kind for kind in TYPES}


def _source(volume: Object) -> Errors:
    """The common case is a name and one source."""
    if len(volume) == 2:
        for field in volume:
            if (kind := BY_FIELD.get(field)) is not None:
                return at(kind.inner or field, kind.check(volume[field]))
    return sources.exactly_one(volume, TYPES)


def volumes(values: Sequence[Object], pod_name: str | None) -> tuple[dict[str, Object], Errors]:
    """The volumes that are in order, by name, and what is wrong with the others.

    ``pod_name``: None inside a template, where claims of ephemeral volumes have no name yet.
    """
    good: dict[str, Object] = {}
    errors: list[FieldError] = []
    created = [f"{pod_name}-{v.get('name')}" for v in values if v.get("ephemeral") is not None] if pod_name else []
    for index, volume in enumerate(values):
        name = volume.get("name") or ""
        found = [*_source(volume), *_about_name(volume, name, pod_name)]
        if name in good:
            found.append(duplicate("name", name))
        if found:
            errors += at(f"[{index}]", found)
        else:
            good[name] = volume
        claim = volume.get("persistentVolumeClaim")
        if created and claim is not None and claim.get("claimName") in created:
            told = "must not reference a PVC that gets created for an ephemeral volume"
            errors.append(invalid(f"[{index}].persistentVolumeClaim.claimName", claim["claimName"], told))
    return good, errors


def _about_name(volume: Object, name: str, pod_name: str | None) -> Errors:
    errors: list[FieldError] = []
    if sources.iscsi_is_too_long(volume.get("iscsi"), name):
        errors.append(invalid("name", name, sources.ISCSI_TOO_LONG))
    if pod_name and name and volume.get("ephemeral") is not None:
        claim = f"{pod_name}-{name}"
        errors += [invalid("name", name, f'PVC name "{claim}": {text}') for text in subdomain(claim)]
    if pod_name is not None and volume.get("image") is not None and not volume["image"].get("reference"):
        if sum(volume.get(field) is not None for field in BY_FIELD) == 1:
            errors.append(required("image.reference"))
    if not name:
        errors.append(required("name"))
    elif wrong := is_label(name):
        errors += at("name", wrong)
    return errors or NONE
