"""TLS for servers of the cluster that speak it: it ends at the edge, so that the simulation sees what was said.

A server tells its certificate for a host (SNI); one that has none makes its own, which nobody trusts, as ingress-nginx
and kubelets do. Not modelled: client certificates, HTTP/2.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cryptography import x509

from seatrial.api.server import pki

Certificate = Callable[[str], tuple[str, str] | None]
CONTEXTS_MAX = 1000
"""Certificates that are kept ready."""
CHUNK_BYTES = 64 * 1024
OWN_NAME = "Kubernetes Ingress Controller Fake Certificate"
"""ingress-nginx' words."""


def context_of(certificate: bytes, key: bytes) -> ssl.SSLContext:
    """The server's side of TLS. Raises ssl.SSLError for what is no certificate with its key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    with tempfile.TemporaryDirectory() as folder:
        # The ssl module loads a chain from files only; this one is readable by its owner and gone at once.
        path = Path(folder) / "server.pem"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(certificate + b"\n" + key)
        context.load_cert_chain(path)
    return context


class Secure:
    """Certificates, ready to be shown."""

    def __init__(self) -> None:
        self._contexts: dict[tuple[str, str], ssl.SSLContext] = {}
        self._own: ssl.SSLContext | None = None

    def session(self, certificate: Certificate) -> Session:
        """The TLS of one connection."""

        def choose(session: ssl.SSLObject, host: str | None, _: ssl.SSLContext) -> None:
            session.context = self._context(certificate, host or "")

        # A context of this connection alone, since what chooses by name hangs on it.
        asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        asking.minimum_version = ssl.TLSVersion.TLSv1_2
        asking.set_alpn_protocols(["http/1.1"])
        asking.sni_callback = choose
        return Session(asking)

    def _context(self, certificate: Certificate, host: str) -> ssl.SSLContext:
        pair = certificate(host)
        if pair is None:
            return self._made()
        known = self._contexts.get(pair)
        if known is None:
            try:
                known = context_of(pair[0].encode(), pair[1].encode())
            except (ssl.SSLError, ValueError):
                # A Secret that holds no certificate: nginx shows its own then.
                return self._made()
            if len(self._contexts) >= CONTEXTS_MAX:
                self._contexts.clear()
            self._contexts[pair] = known
        return known

    def _made(self) -> ssl.SSLContext:
        if self._own is None:
            authority = pki.make().authority
            made = pki.issue(authority, OWN_NAME, ("Acme Co",), [x509.DNSName("ingress.local")])
            self._own = context_of(made.certificate, made.key)
        return self._own


class Session:
    """One connection's TLS, bytes in and bytes out."""

    def __init__(self, asking: ssl.SSLContext) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = asking.wrap_bio(self._in, self._out, server_side=True)
        self._shaken = False
        self.is_new = True
        """Nothing has come yet."""
        self.ended = False
        """The client sends nothing more."""
        self.broken: str | None = None
        """What went wrong."""

    def received(self, data: bytes) -> tuple[bytes, bytes]:
        """(what was said, what is to be sent back) of bytes from the client."""
        self.is_new = False
        self._in.write(data)
        plain = bytearray()
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
            while True:
                piece = self._tls.read(CHUNK_BYTES)
                if not piece:
                    self.ended = True
                    break
                plain += piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        except ssl.SSLError as problem:
            self.broken = problem.reason or str(problem)
        return bytes(plain), self._out.read()

    def sent(self, data: bytes) -> bytes:
        """What carries ``data`` to the client."""
        with suppress(ssl.SSLError):
            self._tls.write(data)
        return self._out.read()

    def close(self) -> bytes:
        """The last bytes to the client."""
        with suppress(ssl.SSLError):
            self._tls.unwrap()
        return self._out.read()
