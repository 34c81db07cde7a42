"""Ports of a machine that lead to its pods: what the network plug-in ``portmap`` writes for their hostPorts.

Source: github.com/containernetworking/plugins/plugins/meta/portmap (portmap_iptables.go, chain.go). The chains that
all pods share stay once they are there. *Not modelled*: IPv6; ``snat: false``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Protocol

from seatrial.sim.network.iptables import Match, Rule, comment, port
from seatrial.sim.network.netfilter import PacketFilter

OWNER = "portmap"
MARK = "0x2000/0x2000"
DNAT, SET_MARK, MASQUERADE = "CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-SETMARK", "CNI-HOSTPORT-MASQ"
CHAIN_LENGTH = 28
PORTS_MAX = 15
"""Ports that one rule with multiport may name."""
ANYWHERE = ("", "0.0.0.0", "::")
LOOPBACK = "127.0.0.1/32"
TO_LOCAL = Match("addrtype-dst", "LOCAL")
SHARED = (
    ("PREROUTING", Rule(DNAT, (TO_LOCAL,))),
    ("OUTPUT", Rule(DNAT, (TO_LOCAL,))),
    ("POSTROUTING", Rule(MASQUERADE, (comment("CNI portfwd requiring masquerade"),))),
    (SET_MARK, Rule("MARK", (comment("CNI portfwd masquerade mark"),), value=MARK)),
    (MASQUERADE, Rule("MASQUERADE", (Match("mark", MARK),))),
)
"""What the first pod's mapping brings along."""


class Mapping(Protocol):
    """A port of the machine and the pod's behind it."""

    @property
    def host_ip(self) -> str: ...
    @property
    def host_port(self) -> int: ...
    @property
    def port(self) -> int: ...
    @property
    def protocol(self) -> str: ...


class PortMap:
    """The plug-in on one machine; it remembers nothing but what stands in the kernel.

    ``network`` is the name in its configuration, ``cidr`` the range of its pods.
    """

    def __init__(self, packets: PacketFilter, network: str, cidr: str) -> None:
        self._packets, self._network, self._cidr = packets, network, cidr

    def add(self, sandbox_id: str, address: str, mappings: Iterable[Mapping]) -> None:
        """Leads the ports to a pod's address."""
        mappings = list(mappings)
        nat, chain = dict(self._packets.part(OWNER).get("nat") or {}), self._chain(sandbox_id)
        for name, rule in SHARED:
            nat[name] = list(dict.fromkeys([*nat.get(name, ()), rule]))
        text = comment(f'dnat name: "{self._network}" id: "{sandbox_id}"')
        nat[DNAT] = nat.get(DNAT, []) + [
            Rule(chain, (text, Match("multiport", numbers)), protocol=protocol)
            for protocol, numbers in _by_protocol(mappings)
        ]
        nat[chain] = [rule for mapping in mappings for rule in self._rules(address, mapping)]
        self._packets.install(OWNER, lambda: {"nat": nat})

    def remove(self, sandbox_id: str) -> None:
        """Takes back what ``add`` did."""
        nat, chain = dict(self._packets.part(OWNER).get("nat") or {}), self._chain(sandbox_id)
        if nat.pop(chain, None) is not None:
            nat[DNAT] = [rule for rule in nat[DNAT] if rule.target != chain]
            self._packets.install(OWNER, lambda: {"nat": nat})

    def _chain(self, sandbox_id: str) -> str:
        return f"CNI-DN-{hashlib.sha512((self._network + sandbox_id).encode()).hexdigest()}"[:CHAIN_LENGTH]

    def _rules(self, address: str, mapping: Mapping) -> Iterator[Rule]:
        protocol = mapping.protocol.lower()
        there = "" if mapping.host_ip in ANYWHERE else f"{mapping.host_ip}/32"
        matches = (port(protocol, mapping.host_port),)
        for source in (self._cidr, LOOPBACK):
            yield Rule(SET_MARK, matches, source, there, protocol)
        yield Rule("DNAT", matches, "", there, protocol, f"{address}:{mapping.port}")


def _by_protocol(mappings: Iterable[Mapping]) -> Iterator[tuple[str, tuple[int, ...]]]:
    ports: dict[str, list[int]] = {}
    for mapping in mappings:
        ports.setdefault(mapping.protocol.lower(), []).append(mapping.host_port)
    for protocol, numbers in sorted(ports.items()):
        for start in range(0, len(numbers), PORTS_MAX):
            yield protocol, tuple(numbers[start : start + PORTS_MAX])
