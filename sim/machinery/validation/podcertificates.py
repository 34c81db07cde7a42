"""PodCertificateRequests: a proof of the key that is asked for, and certificates that were issued to it.

Source: k8s.io/kubernetes/pkg/apis/certificates/validation. *Not modelled*: that the times in a status are the ones in
its certificate, whose clock may be another than the cluster's; its life has to be the same length. That a certificate
begins within five minutes of now.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from seatrial.sim.kernel.stamps import parse_stamp
from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.certificates import seconds_max, signer_name, user_annotations
from seatrial.sim.machinery.validation.names import Format, subdomain
from seatrial.sim.machinery.validation.problems import (
    Errors,
    Object,
    at,
    immutable,
    invalid,
    not_supported,
    required,
    same,
    too_long,
)
from seatrial.sim.machinery.validation.trustbundles import BLOCK, HIDDEN

S = 1_000_000
UID_MAX = 128
SECONDS_MIN = 3600
"""MinMaxExpirationSeconds."""
REQUEST_MAX, CHAIN_MAX = 10 * 1024, 100 * 1024
REFRESH_MARGIN_US = 600 * S
DECIDED = ("Issued", "Denied", "Failed")
CURVES = ("secp256r1", "secp384r1", "secp521r1")
RSA_BITS = (3072, 4096)
REQUEST, CHAIN = "spec.stubPKCS10Request", "status.certificateChain"
NAMED: tuple[tuple[str, str, Format], ...] = (
    ("podName", "podUID", subdomain),
    ("serviceAccountName", "serviceAccountUID", subdomain),
    ("nodeName", "nodeUID", subdomain),
)


def create(value: Object) -> Errors:
    return list(_created(value.get("spec") or {}))


def _created(spec: Object) -> Iterator[FieldError]:
    signer = spec.get("signerName") or ""
    yield from at("spec.signerName", signer_name(signer))
    if spec.get("unverifiedUserAnnotations"):
        yield from at("spec.unverifiedUserAnnotations", user_annotations(spec["unverifiedUserAnnotations"]))
    for name, uid, form in NAMED:
        given = spec.get(name) or ""
        for text in form(given):
            yield invalid(f"spec.{name}", given, text)
        if not spec.get(uid):
            yield invalid(f"spec.{uid}", "", "must not be empty")
        elif len(spec[uid]) > UID_MAX:
            yield too_long(f"spec.{uid}", UID_MAX)
    seconds, most = spec.get("maxExpirationSeconds"), seconds_max(signer)
    if seconds is None:
        yield required("spec.maxExpirationSeconds", "must be set")
        return
    if not SECONDS_MIN <= seconds <= most:
        yield invalid("spec.maxExpirationSeconds", seconds, f"must be in the range [{SECONDS_MIN}, {most}]")
    if not spec.get("stubPKCS10Request"):
        told = "exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set"
        yield invalid("spec", HIDDEN, told)
    else:
        yield from _stub(spec["stubPKCS10Request"])


def _stub(text: str) -> Iterator[FieldError]:
    try:
        raw = b64decode(text)
        if len(raw) > REQUEST_MAX:
            yield too_long(REQUEST, REQUEST_MAX)
            return
        request = x509.load_der_x509_csr(raw)
        key: Any = request.public_key()
    except (ValueError, NotBase64, UnsupportedAlgorithm):
        yield invalid(REQUEST, HIDDEN, "must be a valid PKCS#10 CSR")
        return
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in CURVES:
            yield invalid(REQUEST, f"curve {key.curve.name}", "elliptic public keys must use curve P256, P384, or P521")
            return
    elif isinstance(key, rsa.RSAPublicKey):
        if key.key_size not in RSA_BITS:
            told = "RSA keys must have modulus size 3072 or 4096"
            yield invalid(REQUEST, f"{key.key_size}-bit modulus", told)
            return
    elif not isinstance(key, ed25519.Ed25519PublicKey):
        yield invalid(REQUEST, HIDDEN, "unknown public key type; supported types are Ed25519, ECDSA, and RSA")
        return
    if not _is_signed(request):
        yield invalid(REQUEST, HIDDEN, "invalid signature")


def _is_signed(request: x509.CertificateSigningRequest) -> bool:
    try:
        return request.is_signature_valid
    except (InvalidSignature, UnsupportedAlgorithm):
        return False


def update(new: Object, old: Object) -> Errors:
    return immutable("spec", new.get("spec"), old.get("spec"))


def status(new: Object, old: Object) -> Errors:
    after, before = new.get("status") or {}, old.get("status") or {}
    if wrong := list(_conditions(after)):
        return wrong
    decision = _decision(after)
    if _decision(before):
        told = "immutable after PodCertificateRequest is issued, denied, or failed"
        return () if same(after, before) else (invalid("status", after, told),)
    if decision in ("Denied", "Failed"):
        told = "non-condition status fields must be empty when denying or failing the PodCertificateRequest"
        return () if all(key == "conditions" for key in after) else (invalid("status", after, told),)
    if decision:
        return list(_issued(after, old["spec"]))[:1] or ()
    told = 'status is immutable unless transitioning to "Issued", "Denied", or "Failed"'
    return () if same(after, before) else (invalid("status", after, told),)


def _decision(value: Object) -> str:
    """Which of the known conditions is true; empty while nothing is decided."""
    for condition in value.get("conditions") or ():
        if condition.get("type") in DECIDED and condition.get("status") == "True":
            return str(condition["type"])
    return ""


def _conditions(value: Object) -> Iterator[FieldError]:
    known = 0
    for index, condition in enumerate(value.get("conditions") or ()):
        path, kind = f"status.conditions[{index}]", condition.get("type") or ""
        if kind not in DECIDED:
            yield not_supported(f"{path}.type", kind, DECIDED)
            continue
        known += 1
        if known > 1:
            told = 'There may be at most one condition with type "Issued", "Denied", or "Failed"'
            yield invalid(f"{path}.type", kind, told)
        if condition.get("status") != "True":
            yield not_supported(f"{path}.status", condition.get("status") or "", ("True",))
        for field in ("lastTransitionTime", "reason"):
            if not condition.get(field):
                yield required(f"{path}.{field}")


def _issued(value: Object, spec: Object) -> Iterator[FieldError]:
    """What is wrong with a status that holds a certificate; the first is what upstream says."""
    chain = value.get("certificateChain") or ""
    if len(chain) > CHAIN_MAX:
        yield too_long(CHAIN, CHAIN_MAX)
        return
    blocks = BLOCK.findall(chain)
    if not blocks:
        yield invalid(CHAIN, chain, "issued certificate chain must contain at least one certificate")
        return
    certificates = []
    for index, (kind, body) in enumerate(blocks):
        if kind != "CERTIFICATE":
            yield invalid(CHAIN, chain, "issued certificate chain must consist entirely of CERTIFICATE PEM blocks")
            return
        try:
            certificates.append(x509.load_der_x509_certificate(b64decode(body)))
        except (ValueError, NotBase64):
            which = "intermediate" if index else "leaf"
            yield invalid(CHAIN, chain, f"{which} certificate does not parse as valid X.509")
            return
    leaf = certificates[0]
    wanted = x509.load_der_x509_csr(b64decode(spec["stubPKCS10Request"])).public_key()
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*form) != wanted.public_bytes(*form):
        yield invalid(CHAIN, chain, "leaf certificate was not issued to the requested public key")
        return
    yield from _life(value, leaf, spec["maxExpirationSeconds"])


def _life(value: Object, leaf: x509.Certificate, seconds: int) -> Iterator[FieldError]:
    told = "must be present and consistent with the issued certificate"
    refresh = "must be present and in the range [notbefore+10min, notafter-10min]"
    missing = [
        required(f"status.{name}", text)
        for name, text in (("notBefore", told), ("notAfter", told), ("beginRefreshAt", refresh))
        if not value.get(name)
    ]
    if missing:
        yield from missing
        return
    begins, ends, renewed = (parse_stamp(value[name]) for name in ("notBefore", "notAfter", "beginRefreshAt"))
    life = round((leaf.not_valid_after_utc - leaf.not_valid_before_utc).total_seconds())
    if ends - begins != life * S:
        told = "must be set to the NotAfter time encoded in the leaf certificate"
        yield invalid("status.notAfter", value["notAfter"], told)
    elif life < SECONDS_MIN:
        yield invalid(CHAIN, f"{life}s", "leaf certificate lifetime must be >= 1 hour")
    elif life > seconds:
        told = f"leaf certificate lifetime must be <= spec.maxExpirationSeconds ({seconds})"
        yield invalid(CHAIN, f"{life}s", told)
    elif renewed < begins + REFRESH_MARGIN_US:
        yield invalid(
            "status.beginRefreshAt", value["beginRefreshAt"], "must be at least 10 minutes after status.notBefore"
        )
    elif renewed > ends - REFRESH_MARGIN_US:
        yield invalid(
            "status.beginRefreshAt", value["beginRefreshAt"], "must be at least 10 minutes before status.notAfter"
        )
