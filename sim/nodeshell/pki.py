"""The certificates that lie under /etc/kubernetes and /var/lib/kubelet, as kubeadm makes them.

They follow from the cluster's seed, so that a replay finds the same. Where somebody outside keeps the cluster's CA, its
certificate is the one that is shown; what it would have signed bears its name. Source of names, subjects and lives:
k8s.io/kubernetes/cmd/kubeadm/app/phases/certs. Not modelled: keys that open anything; nothing in the simulation asks
for them.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from seatrial.sim.kernel.stamps import datetime_of
from seatrial.sim.workloads.filesystem import File

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

YEAR = datetime.timedelta(days=365)
CA_YEARS: Final = 10
SKEW = datetime.timedelta(minutes=5)
"""How long before they are made certificates are valid."""


class Row(NamedTuple):
    """One certificate of the control plane."""

    name: str
    """As kubeadm lists it; below /etc/kubernetes/pki unless it lies in a kubeconfig."""
    common_name: str
    organization: str = ""
    authority: str = "ca"
    path: str = ""
    conf: bool = False
    """Kept in a kubeconfig."""
    server: bool = False


AUTHORITIES: Final[Mapping[str, tuple[str, str]]] = {
    "ca": ("kubernetes", "ca"),
    "etcd-ca": ("etcd-ca", "etcd/ca"),
    "front-proxy-ca": ("front-proxy-ca", "front-proxy-ca"),
}
"""Authority → common name and path."""
ADMINS: Final = "kubeadm:cluster-admins"
ROWS: Final = (
    Row("admin.conf", "kubernetes-admin", ADMINS, conf=True),
    Row("apiserver", "kube-apiserver", path="apiserver", server=True),
    Row("apiserver-etcd-client", "kube-apiserver-etcd-client", authority="etcd-ca", path="apiserver-etcd-client"),
    Row("apiserver-kubelet-client", "kube-apiserver-kubelet-client", ADMINS, path="apiserver-kubelet-client"),
    Row("controller-manager.conf", "system:kube-controller-manager", conf=True),
    Row("etcd-healthcheck-client", "kube-etcd-healthcheck-client", authority="etcd-ca", path="etcd/healthcheck-client"),
    Row("etcd-peer", "", authority="etcd-ca", path="etcd/peer", server=True),
    Row("etcd-server", "", authority="etcd-ca", path="etcd/server", server=True),
    Row("front-proxy-client", "front-proxy-client", authority="front-proxy-ca", path="front-proxy-client"),
    Row("scheduler.conf", "system:kube-scheduler", conf=True),
    Row("super-admin.conf", "kubernetes-super-admin", "system:masters", conf=True),
)  # fmt: skip
"""In the order of ``kubeadm certs check-expiration``."""


class Made(NamedTuple):
    """A certificate with its key, PEM, and when it ends."""

    certificate: bytes
    key: bytes
    not_after: datetime.datetime


class Authority:
    """The authorities of one cluster. ``authority`` is the certificate of the CA that is kept outside, or empty."""

    def __init__(self, seed: str, epoch_us: int, authority: str, host: str, address: str, service_cidr: str) -> None:
        self._seed = seed
        self._epoch_us = epoch_us
        self._given = authority
        self._host, self._address = host, address
        self._service = str(ipaddress.ip_network(service_cidr)[1])
        self._made: dict[str, Made] = {}

    def _key(self, name: str) -> EllipticCurvePrivateKey:
        from cryptography.hazmat.primitives.asymmetric import ec

        number = int.from_bytes(hashlib.sha256(f"{self._seed}/{name}".encode()).digest(), "big") >> 1
        return ec.derive_private_key(number or 1, ec.SECP256R1())

    def authority(self, name: str) -> Made:
        """An authority's own certificate."""
        found = self._made.get(name)
        if found is None:
            common_name = AUTHORITIES[name][0]
            made = self._sign(f"authority/{name}", common_name, "", name, self._epoch_us, CA_YEARS * YEAR, (), True)
            if name == "ca" and self._given:
                from cryptography import x509

                end = x509.load_pem_x509_certificate(self._given.encode()).not_valid_after_utc
                made = Made(self._given.encode(), made.key, end)
            found = self._made[name] = made
        return found

    def leaf(self, row: Row, at_us: int) -> Made:
        """One of the control plane's certificates, made at ``at_us``."""
        name = row.common_name or self._host
        hosts = self._names(row) if row.server else ()
        return self._sign(f"{row.name}/{at_us}", name, row.organization, row.authority, at_us, YEAR, hosts, False)

    def node(self, host: str, at_us: int) -> Made:
        """A kubelet's client certificate."""
        name = f"system:node:{host}"
        return self._sign(f"kubelet/{host}/{at_us}", name, "system:nodes", "ca", at_us, YEAR, (), False)

    def _names(self, row: Row) -> tuple[str, ...]:
        if row.authority == "etcd-ca":
            return (self._host, "localhost", self._address, "127.0.0.1")
        local = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
        return (*local, self._host, self._service, self._address)

    def _sign(
        self, what: str, name: str, organization: str, issuer: str, at_us: int, life: datetime.timedelta,
        hosts: tuple[str, ...], is_authority: bool,
    ) -> Made:  # fmt: skip
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

        key = self._key(what)
        names = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        if organization:
            names.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        common_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, AUTHORITIES[issuer][0])])
        begin = datetime_of(at_us).replace(microsecond=0)
        serial = int.from_bytes(hashlib.sha256(f"serial/{self._seed}/{what}".encode()).digest()[:8], "big") >> 1
        built = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(names))
            .issuer_name(common_name)
            .public_key(key.public_key())
            .serial_number(serial or 1)
            .not_valid_before(begin - SKEW)
            .not_valid_after(begin + life)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if not is_authority:
            use = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
            built = built.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        if hosts:
            built = built.add_extension(x509.SubjectAlternativeName([_general(host) for host in hosts]), critical=False)
        signer = self._key(f"authority/{issuer}")
        certificate = built.sign(signer, hashes.SHA256(), ecdsa_deterministic=True)
        plain = serialization.NoEncryption()
        form = serialization.PrivateFormat.TraditionalOpenSSL
        return Made(
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(serialization.Encoding.PEM, form, plain),
            begin + life,
        )

    @property
    def pin(self) -> str:
        """``--discovery-token-ca-cert-hash`` of the CA."""
        return pin_of(self.authority("ca").certificate)


def _general(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def pin_of(certificate: bytes) -> str:
    """sha256:HEX of a certificate's public key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    key = x509.load_pem_x509_certificate(certificate).public_key()
    raw = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


class LazyFile(File):
    """A file whose first contents are made when somebody looks."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[], bytes], mode: int, mtime_us: int) -> None:
        super().__init__(b"", mode, mtime_us)
        self._make: Callable[[], bytes] | None = make

    def _fill(self) -> None:
        make, self._make = self._make, None
        if make is not None:
            self._parts = [make()]

    @property
    def data(self) -> bytes:
        self._fill()
        return b"".join(self._parts)

    @data.setter
    def data(self, data: bytes) -> None:
        self._make = None
        self._parts = [data] if data else []

    def append(self, data: bytes) -> None:
        self._fill()
        super().append(data)


def of_control_plane(authority: Authority, at_us: int) -> Iterator[tuple[str, LazyFile]]:
    """The files of /etc/kubernetes/pki on the control plane's machine."""
    base = "/etc/kubernetes/pki"
    for name, (_, path) in AUTHORITIES.items():
        yield from _pair(f"{base}/{path}", lambda name=name: authority.authority(name), at_us)  # type: ignore[misc]
    for row in ROWS:
        if not row.conf:
            yield from pair(f"{base}/{row.path}", authority, row, at_us)


def pair(path: str, authority: Authority, row: Row, at_us: int) -> Iterator[tuple[str, LazyFile]]:
    """The files of one certificate that is made at ``at_us``."""
    return _pair(path, lambda: authority.leaf(row, at_us), at_us)


def _pair(path: str, make: Callable[[], Made], at_us: int) -> Iterator[tuple[str, LazyFile]]:
    yield f"{path}.crt", LazyFile(lambda: make().certificate, 0o644, at_us)
    yield f"{path}.key", LazyFile(lambda: make().key, 0o600, at_us)
