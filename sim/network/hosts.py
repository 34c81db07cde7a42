"""What the network knows of machines, of what listens on them, and of what lies outside the cluster.

The protocols are the seam to whatever runs containers: neither package imports the other.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from seatrial.sim.network.netfilter import PacketFilter, within

LOOPBACK = "127.0.0.0/8"


class Sandbox(Protocol):
    """A pod's network namespace."""

    name: str
    namespace: str
    host: str
    ip: str
    host_network: bool
    hostname: str
    hosts: str
    dns: Mapping[str, list[str]]


Listeners = Mapping[tuple[str, int], Any]
"""(protocol, port) → what listens there."""


class Sandboxes(Protocol):
    """The network namespaces of a cluster, as whoever runs containers knows them."""

    def sandbox_at(self, address: str) -> Sandbox | None:
        """The pod at an address of the pod network."""

    def sandbox_named(self, namespace: str, name: str) -> Sandbox | None:
        """The pod of a name, while it runs."""

    def listeners_of(self, sandbox: Any) -> Listeners: ...

    def listeners_on(self, host: str) -> Listeners:
        """What listens on a machine's own addresses."""


@dataclass(slots=True, eq=False)
class Host:
    """A machine on the network."""

    name: str
    address: str
    pod_cidr: str
    packets: PacketFilter
    up: Callable[[], bool]
    """Whether it is switched on and answers."""
    plugged: bool = True
    """Whether its network plug-in connects its pods to anything."""

    def has_pod(self, address: str) -> bool:
        return bool(self.pod_cidr) and within(address, self.pod_cidr)


def local_to(address: str, pod_cidr: str) -> Callable[[str], bool]:
    """Which addresses a machine calls its own: loopback, its own, and the gateway of its pods."""
    own = {address: None}
    if pod_cidr:
        own[pod_cidr.partition("/")[0].rpartition(".")[0] + ".1"] = None
    return lambda asked: asked in own or asked.startswith("127.")


def refused() -> ConnectionRefusedError:
    return ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


class Rejected(ConnectionRefusedError):
    """A packet filter refuses the connection: kube-proxy's answer for a service without endpoints."""


def rejected() -> Rejected:
    return Rejected(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


def timed_out() -> TimeoutError:
    return TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


def no_route() -> OSError:
    return OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
