"""agnhost mtlsserver and mtlsclient: two programs that show each other certificates with SPIFFE names.

Source: k8s.io/kubernetes/test/images/agnhost/{mtlsserver,mtlsclient}. *Not modelled*: when certificates begin and end;
whoever made them may go by another clock than the cluster's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from seatrial.sim.workloads.agnhost.site import Handler, Site, Steps, Values, flags, klog, log, said, serving
from seatrial.sim.workloads.commands.network import Failed, reach
from seatrial.sim.workloads.net import HttpRequest, HttpResponse
from seatrial.sim.workloads.process import Proc

S = 1_000_000
PERIOD_US = 10 * S
CHAIN_MAX = 8
"""Certificates between a leaf and its anchor."""
KEY = b"PRIVATE KEY-----"
UNTRUSTED = "tls: failed to verify certificate: x509: certificate signed by unknown authority"


def certificates(pem: bytes) -> list[x509.Certificate]:
    """Those of a file, in its order."""
    begin = b"-----BEGIN CERTIFICATE-----"
    return x509.load_pem_x509_certificates(pem) if begin in pem else []


def leads_to(chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]) -> bool:
    """Whether the chain's first certificate was issued, over its others, by one of the anchors."""
    current = chain[0]
    for _ in range(CHAIN_MAX):
        if current in anchors or any(_issued(current, anchor) for anchor in anchors):
            return True
        found = next((each for each in chain[1:] if each != current and _issued(current, each)), None)
        if found is None:
            return False
        current = found
    return False


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
        return issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False


def _names(leaf: x509.Certificate, kind: type[Any]) -> list[str]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name) for name in found.get_values_for_type(kind)]


def server(proc: Proc, words: list[str]) -> Steps:
    """mtlsserver --listen A:P --server-creds F --spiffe-trust-bundle F: tells clients who they are."""
    options = flags(words)
    listen, own, trusted = (options.get(name, "") for name in ("listen", "server-creds", "spiffe-trust-bundle"))
    if not (listen and own and trusted):
        return (yield from _failing(proc, "missing required flags"))
    try:
        if not certificates(proc.fs.read(trusted, proc.cwd)):
            return (yield from _failing(proc, "error while serving: failed to append client certs from PEM"))
        bundle = proc.fs.read(own, proc.cwd)
    except OSError as problem:
        return (yield from _failing(proc, f"error while serving: {problem}"))
    if KEY not in bundle or not certificates(bundle):
        text = "error while serving: while loading server key pair: tls: failed to find any PEM data in key input"
        return (yield from _failing(proc, text))
    text = bundle.decode("ascii", "replace")
    site = Site(proc, {"/spiffe-echo": _echo(proc, trusted)}, (text, text))
    return (yield from serving(proc, {("TCP", int(listen.rpartition(":")[2])): site}))


def _failing(proc: Proc, text: str) -> Steps:
    proc.err(f"Error: {text}\n")
    return 1
    yield


def _echo(proc: Proc, trusted: str) -> Handler:
    def answer(request: HttpRequest, values: Values) -> HttpResponse:
        chain = [x509.load_der_x509_certificate(der) for der in request.certificates]
        if not chain or not leads_to(chain, certificates(proc.fs.read(trusted, proc.cwd))):
            if chain:
                log(proc, f"Error while verifying SPIFFE client certificate: {UNTRUSTED.partition(': ')[2]}")
            return said("SPIFFE client certificate authentication required\n", 401)
        names = _names(chain[0], x509.UniformResourceIdentifier)
        if len(names) != 1:
            log(proc, f"SPIFFE client certificate did not have 1 URI SAN, count: {len(names)}")
            return said("Malformed SPIFFE certificate\n", 401)
        return said(f"Client Identity: {names[0]}")

    return answer


def client(proc: Proc, words: list[str]) -> Steps:
    """mtlsclient --fetch-url U --server-trust-bundle F --client-cred-bundle F: asks every ten seconds who it is."""
    options = flags(words)
    names = ("fetch-url", "server-trust-bundle", "client-cred-bundle")
    url, trusted, own = (options.get(name, "") for name in names)
    if not (url and trusted and own):
        return (yield from _failing(proc, "missing required flags"))
    while True:
        yield proc.clock.sleep(PERIOD_US, periodic=True)
        try:
            log(proc, f"Got response body: {yield from _fetch(proc, url, trusted, own)}")
        except (OSError, Failed, ValueError) as problem:
            klog(proc, f"mtlsclient.go:70] while sending requests to the server: {problem}", "E")


def _fetch(proc: Proc, url: str, trusted: str, own: str) -> Any:
    anchors = certificates(proc.fs.read(trusted, proc.cwd))
    bundle = proc.fs.read(own, proc.cwd)
    shown = certificates(bundle)
    if KEY not in bundle:
        raise ValueError("client credential bundle had no private key")
    if not shown:
        raise ValueError("client credential bundle had no certificates")
    parts = urlsplit(url)
    host, getting = parts.hostname or "", f'while getting URL: Get "{url}": '
    _, listener = yield from reach(proc, host, parts.port or 443)
    certificate = getattr(listener, "certificate", None)
    pair = certificate(host) if certificate is not None else None
    if pair is None:
        raise ValueError(f"{getting}{UNTRUSTED}")
    chain = certificates(pair[0].encode())
    if not leads_to(chain, anchors):
        raise ValueError(f"{getting}{UNTRUSTED}")
    valid = _names(chain[0], x509.DNSName)
    if host not in valid:
        told = f"certificate is valid for {', '.join(valid)}, not {host}"
        raise ValueError(f"{getting}tls: failed to verify certificate: x509: {told}")
    der = tuple(each.public_bytes(Encoding.DER) for each in shown)
    headers, sandbox = {"Host": parts.netloc}, proc.container.sandbox
    request = HttpRequest("GET", parts.path or "/", headers, b"", sandbox.ip, certificates=der)
    answer = listener.http(request)
    if not 200 <= answer.code < 300:
        raise ValueError(f'non-2xx status {answer.code} "{answer.code}"')
    return answer.body.decode(errors="replace")
