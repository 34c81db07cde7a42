"""CertificateSigningRequests.

Source: k8s.io/kubernetes/pkg/apis/certificates/validation. *Not modelled*: the request is a PEM block of the right
type, what is in it is not looked at.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence

from seatrial.sim.machinery.fields import FieldError, quoted
from seatrial.sim.machinery.validation.metadata import annotation_map
from seatrial.sim.machinery.validation.names import Format, label, subdomain
from seatrial.sim.machinery.validation.problems import (
    Errors,
    Object,
    at,
    duplicate,
    immutable,
    invalid,
    not_supported,
    required,
    too_long,
)

LEGACY = "kubernetes.io/legacy-unknown"
USAGES = (
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment",
    "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel",
    "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime",
    "server auth", "signing", "timestamping",
)  # fmt: skip
DURATION_MIN_S = 600
SIGNER_MAX = 253 + 1 + 63 + 1 + 253
"""A domain, a namespace and a name."""
SECONDS_MAX, KUBERNETES_SECONDS_MAX = 91 * 24 * 3600, 24 * 3600
"""MaxMaxExpirationSeconds, and the same for signers of Kubernetes' own."""
BEGIN = "-----BEGIN CERTIFICATE REQUEST-----"
DECISIONS = ("Approved", "Denied")


def request_create(value: Object) -> Errors:
    return [*_request(value), *_conditions(value)]


def _request(value: Object) -> Iterator[FieldError]:
    spec = value.get("spec") or {}
    if not _is_request(spec.get("request") or ""):
        told = "PEM block type must be CERTIFICATE REQUEST"
        yield invalid("spec.request", spec.get("request"), told)
    usages = spec.get("usages") or ()
    if not usages:
        yield required("spec.usages")
    for index, usage in enumerate(usages):
        if usage not in USAGES:
            yield not_supported(f"spec.usages[{index}]", usage, USAGES)
        if usage in usages[:index]:
            yield duplicate(f"spec.usages[{index}]", usage)
    signer = spec.get("signerName") or ""
    if signer == LEGACY:
        yield invalid("spec.signerName", signer, "the legacy signerName is not allowed via this API version")
    else:
        yield from at("spec.signerName", signer_name(signer))
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < DURATION_MIN_S:
        told = f"may not specify a duration less than {DURATION_MIN_S} seconds (10 minutes)"
        yield invalid("spec.expirationSeconds", seconds, told)


def _is_request(text: str) -> bool:
    try:
        return base64.b64decode(text).decode(errors="replace").lstrip().startswith(BEGIN)
    except binascii.Error:
        return False


def signer_name(value: str) -> Errors:
    """A domain and a path: example.com/signer."""
    if not value:
        return (required(""),)
    if value.count("/") != 1:
        told = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        return (invalid("", value, told),)
    domain, path = value.split("/")
    errors: list[FieldError] = []
    if len(domain.encode()) > 253:
        errors.append(too_long("", 253))
    errors += _first_wrong(domain, label)
    if "." not in domain:
        errors.append(invalid("", domain, "should be a domain with at least two segments separated by dots"))
    errors += _first_wrong(path, subdomain)
    if len(value.encode()) > SIGNER_MAX:
        errors.append(too_long("", SIGNER_MAX))
    return errors


def seconds_max(signer: str) -> int:
    """The longest life that a pod's certificate may be asked to have of a signer."""
    domain = signer.partition("/")[0]
    return KUBERNETES_SECONDS_MAX if domain == "kubernetes.io" or domain.endswith(".kubernetes.io") else SECONDS_MAX


def user_annotations(values: Mapping[str, str]) -> Errors:
    """What a pod tells the signer of its certificate: keys with a domain before them (ValidateUserAnnotations)."""
    told = 'must be a domain-prefixed key (such as "acme.io/foo")'
    return [*annotation_map(values), *(invalid("", key.lower(), told) for key in values if "/" not in key)]


def _first_wrong(segment: str, name_format: Format) -> Errors:
    """What is wrong with the first part between dots that is wrong."""
    for part in segment.split("."):
        if wrong := name_format(part):
            return [invalid("", segment, f"validating label {quoted(part)}: {text}") for text in wrong]
    return ()


def _conditions(value: Object) -> Iterator[FieldError]:
    conditions: Sequence[Object] = (value.get("status") or {}).get("conditions") or ()
    seen: list[str] = []
    for index, condition in enumerate(conditions):
        path, kind, status = f"status.conditions[{index}]", condition.get("type") or "", condition.get("status") or ""
        if not kind:
            yield required(f"{path}.type")
        if not status:
            yield required(f"{path}.status")
        elif kind in (*DECISIONS, "Failed"):
            if status != "True":
                yield not_supported(f"{path}.status", status, ("True",))
        elif status not in ("True", "False", "Unknown"):
            yield not_supported(f"{path}.status", status, ("True", "False", "Unknown"))
        if kind in seen:
            yield duplicate(f"{path}.type", kind)
        seen.append(kind)
    if all(kind in seen for kind in DECISIONS):
        index = max(seen.index(kind) for kind in DECISIONS)
        told = "Approved and Denied conditions are mutually exclusive"
        yield invalid(f"status.conditions[{index}].type", seen[index], told)


def request_update(new: Object, old: Object) -> Errors:
    return immutable("spec", new.get("spec"), old.get("spec"))


def request_status(new: Object, old: Object) -> Errors:
    """An issued certificate stays; conditions that decide are never taken back."""
    errors: list[FieldError] = [*_conditions(new)]
    after, before = new.get("status") or {}, old.get("status") or {}
    if before.get("certificate") and after.get("certificate") != before["certificate"]:
        errors += immutable("status.certificate", after.get("certificate"), before["certificate"])
    kinds = [condition.get("type") for condition in after.get("conditions") or ()]
    for condition in before.get("conditions") or ():
        if condition.get("type") in (*DECISIONS, "Failed") and condition["type"] not in kinds:
            told = f'updates may not remove a condition of type "{condition["type"]}"'
            errors.append(FieldError("FieldValueForbidden", "status.conditions", f"Forbidden: {told}"))
    return errors
