"""Private keys that follow from a seed, of the kinds that a pod's certificate may have, with a request to prove them.

Source: generateKeyAndProof in k8s.io/kubernetes/pkg/kubelet/podcertificate. RSA's primes are looked for in steps, a
little simulated time apart, so that nobody else waits for a key.
"""

from __future__ import annotations

from collections.abc import Generator
from random import Random
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from seatrial.sim.kernel.clock import Clock

Steps = Generator[Any, Any, Any]
Key = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
CURVES: dict[str, tuple[type[ec.EllipticCurve], type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]]] = {
    "ECDSAP256": (ec.SECP256R1, hashes.SHA256),
    "ECDSAP384": (ec.SECP384R1, hashes.SHA384),
    "ECDSAP521": (ec.SECP521R1, hashes.SHA512),
}
"""With the hash that Go's x509 package signs with."""
RSA_BITS = {"RSA3072": 3072, "RSA4096": 4096}
EXPONENT = 65537
ROUNDS = 5
"""Of Miller and Rabin's test; enough for random numbers of this size (FIPS 186-5, table B.1)."""
STEP_US = 1_000
"""How long it takes to look at one candidate."""
SMALL = [n for n in range(3, 2000, 2) if all(n % p for p in range(3, int(n**0.5) + 1, 2))]


def key_and_proof(kind: str, rng: Random, clock: Clock) -> Generator[Any, Any, tuple[bytes, bytes]]:
    """A key in PEM, and an empty certificate request that it signed, DER."""
    built = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    key: Key
    if kind in CURVES:
        curve, digest = CURVES[kind]
        shape = curve()
        key = ec.derive_private_key(rng.getrandbits(shape.key_size - 1) or 1, shape)
        proof = built.sign(key, digest(), ecdsa_deterministic=True)
    elif kind in RSA_BITS:
        key = yield from _rsa(RSA_BITS[kind], rng, clock)
        proof = built.sign(key, hashes.SHA256())
    else:
        key = ed25519.Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
        proof = built.sign(key, None)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, proof.public_bytes(Encoding.DER)


def _rsa(bits: int, rng: Random, clock: Clock) -> Generator[Any, Any, rsa.RSAPrivateKey]:
    p = yield from _prime(bits // 2, rng, clock)
    q = p
    while q == p:
        q = yield from _prime(bits // 2, rng, clock)
    d = pow(EXPONENT, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(EXPONENT, p * q)
    parts = (rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q))
    return rsa.RSAPrivateNumbers(p, q, d, *parts, public).private_key()


def _prime(bits: int, rng: Random, clock: Clock) -> Generator[Any, Any, int]:
    """One that goes with the exponent, its two highest bits set: the product of two has all its bits."""
    candidate = rng.getrandbits(bits) | 0b11 << (bits - 2) | 1
    while True:
        if all(candidate % p for p in SMALL):
            if candidate % EXPONENT != 1 and _is_prime(candidate, rng):
                return candidate
            yield clock.sleep(STEP_US)
        candidate += 2


def _is_prime(n: int, rng: Random) -> bool:
    shift = ((n - 1) & -(n - 1)).bit_length() - 1
    for _ in range(ROUNDS):
        x = pow(rng.randrange(2, n - 1), (n - 1) >> shift, n)
        if x in (1, n - 1):
            continue
        for _ in range(shift - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True
