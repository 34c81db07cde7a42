"""What lies outside the cluster: name servers and web servers of the world.

Every plausible public name exists, at an address that is made from it (in 198.18.0.0/15, which nobody owns); each
answers HTTP on the usual ports. Not modelled: what those servers really say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from seatrial.sim.network.hosts import refused, timed_out
from seatrial.sim.network.names import NOERROR, NXDOMAIN, Answer, Question, Record

NAME_SERVER_PORT = 53
WEB_PORTS = (80, 443)
NOT_PUBLIC = (
    "arpa", "cluster", "example", "home", "internal", "invalid", "lan", "local", "localdomain", "localhost", "test",
)  # fmt: skip
"""Top-level domains in which nothing is found (RFC 2606, RFC 6761, RFC 8375, and what clusters use)."""
TTL_S = 300


class Outside:
    """The world. ``reachable`` and ``names`` can be switched off."""

    def __init__(self, answer: Callable[[int, Mapping[str, str], bytes], Any]) -> None:
        self._response = answer
        self.reachable = True
        self.names = True
        """Whether name servers answer."""
        self.listeners: dict[tuple[str, str, int], Any] = {}
        """What somebody put at (address, protocol, port)."""

    def connect(self, address: str, protocol: str, port: int) -> Any:
        """What listens there. Raises OSError."""
        if not self.reachable:
            raise timed_out()
        found = self.listeners.get((address, protocol, port))
        if found is not None:
            return found
        if port == NAME_SERVER_PORT:
            if not self.names:
                raise timed_out()
            return self
        if protocol == "ICMP":
            raise refused()
        if protocol == "TCP" and port in WEB_PORTS:
            return self
        raise timed_out()

    def ask(self, question: Question) -> Answer:
        name, kind = question
        head, _, top = name.rpartition(".")
        if not head or top in NOT_PUBLIC or not top.isalpha() or len(top) < 2:
            return Answer(NXDOMAIN)
        return Answer(NOERROR, (Record(name, "A", address_of(name), TTL_S),) if kind == "A" else ())

    def http(self, request: Any) -> Any:
        host = request.headers.get("Host") or request.headers.get("host") or ""
        return self._response(200, {"Content-Type": "text/plain"}, f"{host}{request.path}\n".encode())

    def open(self, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str) -> Any:
        raise refused()


def address_of(name: str) -> str:
    """Where a public name is."""
    raw = hashlib.sha256(name.encode()).digest()
    return f"198.{18 + raw[0] % 2}.{raw[1]}.{1 + raw[2] % 254}"
