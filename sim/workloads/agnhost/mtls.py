"""agnhost mtlsserver and mtlsclient: two programs that show each other certificates with SPIFFE names.

Source: k8s.io/kubernetes/test/images/agnhost/{mtlsserver,mtlsclient}.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from seatrial.sim.machinery.trust import UNKNOWN, certificates, leads_to, names, objection
from seatrial.sim.workloads.agnhost.site import Handler, Site, Steps, Values, flags, klog, log, said, serving
from seatrial.sim.workloads.commands.network import Failed, reach
from seatrial.sim.workloads.net import HttpRequest, HttpResponse
from seatrial.sim.workloads.process import Proc

S = 1_000_000
PERIOD_US = 10 * S
KEY = b"PRIVATE KEY-----"


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
                log(proc, f"Error while verifying SPIFFE client certificate: {UNKNOWN.partition(': ')[2]}")
            return said("SPIFFE client certificate authentication required\n", 401)
        uris = names(chain[0], x509.UniformResourceIdentifier)
        if len(uris) != 1:
            log(proc, f"SPIFFE client certificate did not have 1 URI SAN, count: {len(uris)}")
            return said("Malformed SPIFFE certificate\n", 401)
        return said(f"Client Identity: {uris[0]}")

    return answer


def client(proc: Proc, words: list[str]) -> Steps:
    """mtlsclient --fetch-url U --server-trust-bundle F --client-cred-bundle F: asks every ten seconds who it is."""
    options = flags(words)
    wanted = ("fetch-url", "server-trust-bundle", "client-cred-bundle")
    url, trusted, own = (options.get(name, "") for name in wanted)
    if not (url and trusted and own):
        return (yield from _failing(proc, "missing required flags"))
    while True:
        yield proc.clock.sleep(PERIOD_US, periodic=True)
        try:
            log(proc, f"Got response body: {yield from _fetch(proc, url, trusted, own)}")
        except (OSError, Failed, ValueError) as problem:
            klog(proc, f"mtlsclient.go:70] while sending requests to the server: {problem}", "E")


def _fetch(proc: Proc, url: str, trusted: str, own: str) -> Any:
    anchors = proc.fs.read(trusted, proc.cwd)
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
    told = UNKNOWN if pair is None else objection(pair[0].encode(), anchors, host)
    if told:
        raise ValueError(f"{getting}{told}")
    der = tuple(each.public_bytes(Encoding.DER) for each in shown)
    headers, sandbox = {"Host": parts.netloc}, proc.container.sandbox
    request = HttpRequest("GET", parts.path or "/", headers, b"", sandbox.ip, certificates=der)
    answer = listener.http(request)
    if not 200 <= answer.code < 300:
        raise ValueError(f'non-2xx status {answer.code} "{answer.code}"')
    return answer.body.decode(errors="replace")
