"""ClusterTrustBundles: names that follow from the signer, and anchors that are CA certificates, each once.

Source: k8s.io/kubernetes/pkg/apis/certificates/validation and …/pkg/apis/core/validation/names.go.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator

from cryptography import x509

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.certificates import signer_name
from seatrial.sim.machinery.validation.names import Texts, subdomain
from seatrial.sim.machinery.validation.problems import Errors, Object, at, immutable, invalid, too_long

BYTES_MAX = 1024 * 1024
"""MaxTrustBundleSize."""
BLOCK = re.compile(r"-----BEGIN ([^-]*)-----\s*\n(.*?)-----END \1-----", re.DOTALL)
PATH = "spec.trustBundle"
HIDDEN = "<value omitted>"


def any_name(value: str) -> Texts:
    """What a name has to be depends on the signer; the check of the whole object says it."""
    return ()


def create(value: Object) -> Errors:
    return [*_name(value), *_signer(value), *_anchors((value.get("spec") or {}).get("trustBundle") or "")]


def recheck(value: Object) -> Errors:
    return [*_name(value), *_signer(value)]


def update(new: Object, old: Object) -> Errors:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    anchors = after.get("trustBundle") or ""
    changed = [] if anchors == before.get("trustBundle") else [*_anchors(anchors)]
    return [*changed, *immutable("spec.signerName", after.get("signerName"), before.get("signerName"))]


def _name(value: Object) -> Iterator[FieldError]:
    name, signer = value["metadata"].get("name") or "", (value.get("spec") or {}).get("signerName") or ""
    prefix = signer.replace("/", ":") + ":" if signer else ""
    if not name:
        return
    texts: Texts = subdomain(name.removeprefix(prefix))
    if not signer and ":" in name:
        texts = ('ClusterTrustBundle without signer name must not have ":" in its name',)
    elif not name.startswith(prefix):
        texts = (f"ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}",)
    for text in texts:
        yield invalid("metadata.name", name, text)


def _signer(value: Object) -> Errors:
    signer = (value.get("spec") or {}).get("signerName")
    return at("spec.signerName", signer_name(signer)) if signer else ()


def _anchors(text: str) -> Iterator[FieldError]:
    if len(text.encode()) > BYTES_MAX:
        yield too_long(PATH, BYTES_MAX)
        return
    places: dict[bytes, list[int]] = {}
    wrong = False
    for index, (kind, body) in enumerate(BLOCK.findall(text)):
        told = _problem(kind, body)
        if told:
            wrong = True
            yield invalid(PATH, HIDDEN, f"entry {index} {told}")
        else:
            places.setdefault(b64decode(body), []).append(index)
    if wrong:
        return
    if not places:
        yield invalid(PATH, HIDDEN, "at least one trust anchor must be provided")
    for found in places.values():
        if len(found) > 1:
            yield invalid(PATH, HIDDEN, f"duplicate trust anchor (indices [{' '.join(map(str, found))}])")


def _problem(kind: str, body: str) -> str:
    """What is wrong with one PEM block."""
    if kind != "CERTIFICATE":
        return f"has bad block type: {kind}"
    if ":" in body:
        return "has PEM block headers"
    try:
        certificate = x509.load_der_x509_certificate(b64decode(body))
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return "does not have the CA bit set"
    except (ValueError, NotBase64):
        return "does not parse as X.509"
    return "" if constraints.ca else "does not have the CA bit set"
