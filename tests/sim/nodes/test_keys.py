"""Keys from a seed: the same each time, of the kind that is asked for, and proven."""

from __future__ import annotations

from random import Random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from seatrial.sim.kernel.clock import Clock
from seatrial.sim.nodes import keys
from seatrial.sim.nodes.keys import key_and_proof


def made(kind: str, seed: int) -> tuple[bytes, bytes]:
    steps = key_and_proof(kind, Random(seed), Clock(0))
    while True:
        try:
            next(steps)
        except StopIteration as done:
            found: tuple[bytes, bytes] = done.value
            return found


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("ED25519", ed25519.Ed25519PrivateKey),
        ("ECDSAP256", ec.EllipticCurvePrivateKey),
        ("ECDSAP384", ec.EllipticCurvePrivateKey),
        ("ECDSAP521", ec.EllipticCurvePrivateKey),
        ("RSA3072", rsa.RSAPrivateKey),
    ],
)
def test_a_key_has_its_kind_and_a_proof(kind: str, shape: type, monkeypatch: pytest.MonkeyPatch) -> None:
    # Primes of the usual length take seconds.
    monkeypatch.setitem(keys.RSA_BITS, "RSA3072", 1024)
    private, proof = made(kind, 1)
    key = load_pem_private_key(private, None)
    assert isinstance(key, shape)
    assert getattr(key, "key_size", 256) in (256, 384, 521, 1024)
    assert x509.load_der_x509_csr(proof).is_signature_valid


def test_the_same_seed_gives_the_same_key_and_proof() -> None:
    assert made("ECDSAP384", 1) == made("ECDSAP384", 1) != made("ECDSAP384", 2)
