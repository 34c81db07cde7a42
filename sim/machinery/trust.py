"""Whether a server's or client's certificates are to be trusted, in the words of Go's crypto/x509.

*Not modelled*: when certificates begin and end; whoever made them may go by another clock than the cluster's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature

CHAIN_MAX = 8
"""Certificates between a leaf and its anchor."""
VERIFICATION = "tls: failed to verify certificate: x509: "
UNKNOWN = f"{VERIFICATION}certificate signed by unknown authority"
BEGIN = b"-----BEGIN CERTIFICATE-----"


def certificates(pem: bytes) -> list[x509.Certificate]:
    """Those of a file, in its order; none when one of them cannot be read."""
    try:
        return x509.load_pem_x509_certificates(pem) if BEGIN in pem else []
    except ValueError:
        return []


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


def names(leaf: x509.Certificate, kind: type[Any]) -> list[str]:
    """The subject's alternative names of one kind."""
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name) for name in found.get_values_for_type(kind)]


@lru_cache(maxsize=256)
def objection(shown: bytes, anchors: bytes, host: str) -> str:
    """What a client says against a server's certificates (PEM); empty: it trusts them."""
    chain = certificates(shown)
    if not chain or not leads_to(chain, certificates(anchors)):
        return UNKNOWN
    valid = [*names(chain[0], x509.DNSName), *names(chain[0], x509.IPAddress)]
    if any(_matches(name, host) for name in valid):
        return ""
    if not valid:
        return f"{VERIFICATION}certificate is not valid for any names, but wanted to match {host}"
    return f"{VERIFICATION}certificate is valid for {', '.join(valid)}, not {host}"


def _matches(pattern: str, host: str) -> bool:
    """A wildcard stands for one label, the first."""
    if pattern.startswith("*."):
        return host.partition(".")[2].lower() == pattern[2:].lower()
    return pattern.lower() == host.lower()
