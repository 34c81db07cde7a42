"""Certificates that are signed outside the simulation: each is written down, so that a replay finds it again.

The controller that signs CertificateSigningRequests asks here; the edge, which holds the cluster's authority, answers.
Not modelled: an authority inside the simulation. A cluster that nobody signs for leaves requests approved and unsigned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from seatrial.sim.kernel.clock import Clock
from seatrial.sim.kernel.journal import Journal

Sign = Callable[[bytes, str, int], bytes]
"""From a request in PEM, the signer's name and µs of validity to a certificate in PEM."""
ENTRY = "certificate"


class Signatures:
    """What was signed for one cluster."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._sign: Sign | None = None
        self._known: dict[str, list[str]] = {}

    def connect(self, sign: Sign) -> None:
        """Who signs from now on."""
        self._sign = sign

    def know(self, entry: Mapping[str, Any]) -> None:
        """Takes in an entry of the journal that is being replayed."""
        self._known.setdefault(entry["request"], []).append(entry["certificate"])

    def sign(self, request: bytes, signer: str, valid_us: int) -> bytes:
        """The certificate for a request; empty where nobody signs."""
        text = request.decode()
        known = self._known.get(text)
        certificate = known.pop(0) if known else ""
        if not certificate and self._sign is not None:
            certificate = self._sign(request, signer, valid_us).decode()
        if certificate:
            self._journal.append(self._clock.now, ENTRY, {"request": text, "certificate": certificate})
        return certificate.encode()
