"""The cluster's own certificate authority, and the certificates that its server and its administrator need.

Source of names and subjects: kubeadm (k8s.io/kubernetes/cmd/kubeadm/app/phases/certs). The administrator is in the
group system:masters, as kubeadm's super-admin is, so that the context works on a bare API server too. Keys are P-256:
they are made in a millisecond. Certificates hold for a hundred years of wall time; their simulated expiry is another
matter. ServiceAccount tokens are signed by the API server with a key of its own, which follows from the cluster's seed.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = datetime.timedelta(days=36_500)
ADMIN, MASTERS = "kubernetes-admin", "system:masters"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Pki:
    """What one cluster's server needs; ``FILES`` names the files of each."""

    authority: Pair
    server: Pair
    admin: Pair


FILES = {"authority": "ca", "server": "apiserver", "admin": "admin"}


def make(names: tuple[str, ...] = (), addresses: tuple[str, ...] = ()) -> Pki:
    """A new authority and what it signs. ``names`` and ``addresses`` are added to those the server is known by."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    authority = (
        _blank(subject, subject, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    known: list[x509.GeneralName] = [x509.DNSName(name) for name in (*SERVER_NAMES, *names)]
    known += [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1", *addresses)]
    ca = Pair(authority.public_bytes(serialization.Encoding.PEM), _pem(authority_key))
    server = issue(ca, "kube-apiserver", (), known)
    admin = issue(ca, ADMIN, (MASTERS,))
    return Pki(ca, server, admin)


def issue(
    authority: Pair, common_name: str, organizations: tuple[str, ...], names: list[x509.GeneralName] | None = None
) -> Pair:
    """A certificate signed by the authority: for a server when it has ``names``, otherwise for a client."""
    signer = serialization.load_pem_private_key(authority.key, None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH
    draft = (
        _blank(subject, issuer.subject, key.public_key())
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if names:
        draft = draft.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = draft.sign(signer, hashes.SHA256())
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))


def sign(authority: Pair, request: bytes, signer: str, valid_us: int) -> bytes:
    """The certificate, PEM, that a request in PEM asks for: with its names, for the signer's purpose.

    ``valid_us`` is simulated time; on the host's calendar the certificate holds as long as all others.
    """
    key = serialization.load_pem_private_key(authority.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    asked = x509.load_pem_x509_csr(request)
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if signer == KUBELET_SERVING else ExtendedKeyUsageOID.CLIENT_AUTH
    draft = (
        _blank(asked.subject, issuer.subject, asked.public_key())
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    for extension in asked.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            draft = draft.add_extension(extension.value, critical=extension.critical)
    return draft.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _blank(subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes) -> x509.CertificateBuilder:
    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + LIFE)
    )


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=signs_certificates,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def save(pki: Pki, folder: Path) -> None:
    """Writes every certificate and key; keys are readable by their owner alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for attribute, name in FILES.items():
        pair: Pair = getattr(pki, attribute)
        _write(folder / f"{name}.crt", pair.certificate, 0o644)
        _write(folder / f"{name}.key", pair.key, 0o600)


def _write(path: Path, content: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)


def load(folder: Path) -> Pki:
    """What ``save`` wrote. Raises OSError when a file is missing and ValueError when one is no certificate or key."""
    pairs = {}
    for attribute, name in FILES.items():
        pair = Pair((folder / f"{name}.crt").read_bytes(), (folder / f"{name}.key").read_bytes())
        x509.load_pem_x509_certificate(pair.certificate)
        serialization.load_pem_private_key(pair.key, None)
        pairs[attribute] = pair
    return Pki(**pairs)
