"""A node's packet filter: what the kernel does to a packet, rule by rule.

``PacketFilter`` holds the rules of one machine and outlives who wrote them. ``walk`` takes the first packet of a
connection through the hooks of the nat and filter tables. Long chains are indexed by address and port;
``indexed=False`` looks at each rule in its turn, which must come to the same. Source: Linux netfilter, iptables' man
pages.

Not modelled: connection tracking beyond the first packet. A connection is one walk; what follows goes the same way even
if rules change, as it does with conntrack. Packets in the state INVALID do not occur.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple

from seatrial.sim.kernel.chance import Chance
from seatrial.sim.network.iptables import BUILT_IN, Rule, Ruleset

ACCEPT, DROP, REJECT, RETURN = "ACCEPT", "DROP", "REJECT", "RETURN"
S = 1_000_000
INDEXED_FROM = 8
"""Chains shorter than this are looked through."""


class Packet(NamedTuple):
    """The first packet of a connection, at a machine."""

    source: str
    destination: str
    protocol: str
    """tcp, udp, sctp or icmp."""
    port: int
    local: bool = False
    """Sent by a process of the machine itself: it passes OUTPUT instead of PREROUTING."""


class Outcome(NamedTuple):
    """What became of a packet."""

    verdict: str
    """ACCEPT, DROP or REJECT."""
    destination: str
    port: int
    masqueraded: bool = False
    """Its source address is the machine's from here on."""


class Hop(NamedTuple):
    """A rule that a packet matched."""

    table: str
    chain: str
    rule: Rule


Numbered = tuple[int, Rule]


@lru_cache(maxsize=65536)
def number_of(address: str) -> int:
    a, b, c, d = address.split(".")
    return int(a) << 24 | int(b) << 16 | int(c) << 8 | int(d)


@lru_cache(maxsize=65536)
def network_of(cidr: str) -> tuple[int, int]:
    """(network, mask)."""
    address, _, bits = cidr.partition("/")
    mask = 0xFFFFFFFF << (32 - int(bits or 32)) & 0xFFFFFFFF
    return number_of(address) & mask, mask


def within(address: str, cidr: str) -> bool:
    network, mask = network_of(cidr)
    return number_of(address) & mask == network


class _Index:
    """A chain by destination and port; the rules that name neither stand for everything."""

    __slots__ = ("exact", "ports", "wild")

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.exact: dict[tuple[str, str, int], list[Numbered]] = {}
        self.ports: dict[tuple[str, int], list[Numbered]] = {}
        self.wild: list[Numbered] = []
        for at, rule in enumerate(rules):
            number = next((match.value for match in rule.matches if match.kind == rule.protocol), None)
            if not number:
                self.wild.append((at, rule))
            elif rule.destination.endswith("/32"):
                self.exact.setdefault((rule.destination[:-3], rule.protocol, number), []).append((at, rule))
            else:
                self.ports.setdefault((rule.protocol, number), []).append((at, rule))

    def candidates(self, destination: str, protocol: str, number: int) -> list[Numbered]:
        """The rules that may match, in their order."""
        exact = self.exact.get((destination, protocol, number))
        ports = self.ports.get((protocol, number))
        if exact is None and ports is None:
            return self.wild
        return sorted([*(exact or ()), *(ports or ()), *self.wild], key=_place)


def _nobody() -> None:
    return None


def _together(parts: Sequence[Ruleset]) -> Ruleset:
    """Several writers' rules: in a chain that more than one of them has, each follows on the one before."""
    if len(parts) == 1:
        return parts[0]
    merged: dict[str, dict[str, list[Rule]]] = {}
    for part in parts:
        for table, chains in part.items():
            into = merged.setdefault(table, {})
            for name, rules in chains.items():
                into[name] = [*into.get(name, ()), *rules]
    return merged


def _place(entry: Numbered) -> int:
    return entry[0]


class _Flow:
    """A packet on its way through the hooks."""

    __slots__ = ("destination", "dnat", "hops", "mark", "masqueraded", "packet", "port")

    def __init__(self, packet: Packet, hops: list[Hop] | None) -> None:
        self.packet = packet
        self.destination, self.port = packet.destination, packet.port
        self.mark = 0
        self.dnat = self.masqueraded = False
        self.hops = hops


class PacketFilter:
    """The rules of one machine. ``is_local`` says which addresses are the machine's own."""

    def __init__(
        self, is_local: Callable[[str], bool], rng: Random, now: Callable[[], int], chance: Chance | None = None
    ) -> None:
        self.is_local = is_local
        self._rng, self._now = rng, now
        self._chance = chance or Chance()
        self._parts: dict[str, Ruleset] = {}
        """By whoever wrote them, in the order in which they first wrote."""
        self._writes: dict[str, Callable[[], Ruleset]] = {}
        self._rules: Ruleset | None = {}
        """All parts together; None once one of them was written anew."""
        self.on_flush: Callable[[], None] = _nobody
        """Called when the rules were taken away from outside."""
        self._recent: dict[tuple[str, str], int] = {}
        self._indexes: dict[tuple[str, str], _Index | None] = {}

    @property
    def rules(self) -> Ruleset:
        """What iptables-save shows."""
        if self._rules is None:
            self._parts.update({owner: write() for owner, write in self._writes.items()})
            self._writes.clear()
            self._rules = _together(list(self._parts.values()))
            self._indexes.clear()
        return self._rules

    def part(self, owner: str) -> Ruleset:
        """What is left of an owner's rules."""
        write = self._writes.get(owner)
        return write() if write is not None else self._parts.get(owner, {})

    def install(self, owner: str, write: Callable[[], Ruleset]) -> None:
        """Replaces an owner's rules; they are written when somebody looks, from what ``write`` holds now."""
        self._parts.setdefault(owner, {})
        self._writes[owner] = write
        self._rules = None

    def flush(self) -> None:
        """iptables -F: nothing is left but the kernel's empty chains."""
        self._parts.clear()
        self._writes.clear()
        self._rules = {}
        self._indexes.clear()
        self._recent.clear()
        self.on_flush()

    def clear(self, table: str, chain: str = "", chains: bool = False) -> None:
        """iptables -t TABLE -F [CHAIN], with ``chains`` -X: takes rules away, or the chains that nothing leads to. Who
        wrote them notices only that chains are gone."""
        found = self.rules.get(table) or {}
        led_to = {rule.target: None for rules in found.values() for rule in rules}
        kept = {**dict.fromkeys(BUILT_IN[table]), **led_to}
        for owner, part in self._parts.items():
            held = part.get(table) or {}
            if chains:
                held = {name: rules for name, rules in held.items() if name in kept or rules or chain not in ("", name)}
            else:
                held = {name: [] if chain in ("", name) else rules for name, rules in held.items()}
            self._parts[owner] = {**part, table: held}
        self._rules = None
        if len(self.rules.get(table) or {}) < len(found):
            self.on_flush()

    def walk(self, packet: Packet, hops: list[Hop] | None = None, indexed: bool = True) -> Outcome:
        """Takes a packet through; the rules that it matched are put into ``hops``."""
        rules, flow = self.rules, _Flow(packet, hops)
        self._chain(rules, "nat", "OUTPUT" if packet.local else "PREROUTING", flow, indexed)
        own = self.is_local(flow.destination)
        hook = "OUTPUT" if packet.local else "INPUT" if own else "FORWARD"
        verdict = self._chain(rules, "filter", hook, flow, indexed)
        if verdict in (DROP, REJECT):
            return Outcome(verdict, flow.destination, flow.port)
        if packet.local or not own:
            self._chain(rules, "nat", "POSTROUTING", flow, indexed)
        return Outcome(ACCEPT, flow.destination, flow.port, flow.masqueraded)

    def _chain(self, rules: Ruleset, table: str, chain: str, flow: _Flow, indexed: bool) -> str | None:
        """The verdict of a chain; None when it comes to its end or returns."""
        for _, rule in self._candidates(rules, table, chain, flow, indexed):
            if not self._matches(rule, flow):
                continue
            if flow.hops is not None:
                flow.hops.append(Hop(table, chain, rule))
            target = rule.target
            if target in (ACCEPT, DROP, REJECT):
                return target
            if target == RETURN:
                return None
            act = _ACTIONS.get(target)
            if act is not None:
                if act(flow, rule.value):
                    return ACCEPT
            elif target:
                verdict = self._chain(rules, table, target, flow, indexed)
                if verdict is not None:
                    return verdict
        return None

    def _candidates(
        self, rules: Ruleset, table: str, chain: str, flow: _Flow, indexed: bool
    ) -> Sequence[Numbered] | Any:
        found = (rules.get(table) or {}).get(chain) or ()
        if not indexed or len(found) < INDEXED_FROM:
            return enumerate(found)
        key = (table, chain)
        index = self._indexes.get(key)
        if index is None:
            index = self._indexes[key] = _Index(found)
        return index.candidates(flow.destination, flow.packet.protocol, flow.port)

    def _matches(self, rule: Rule, flow: _Flow) -> bool:
        packet = flow.packet
        if rule.protocol and rule.protocol != packet.protocol:
            return False
        if rule.destination and not within(flow.destination, rule.destination):
            return False
        if rule.source and within(packet.source, rule.source) == rule.not_source:
            return False
        return all(_MATCHES[kind](self, flow, value) != negated for kind, value, negated in rule.matches)

    def recent(self, flow: _Flow, value: Any) -> bool:
        """xt_recent: enters the source, or says whether it was entered of late."""
        key = (value.name, flow.packet.source)
        if not value.seconds:
            self._recent[key] = self._now()
            return True
        seen = self._recent.get(key)
        if seen is None:
            return False
        if self._now() - seen > value.seconds * S:
            del self._recent[key]
            return False
        return True

    def lucky(self, share: int) -> bool:
        return self._chance.happens(self._rng, share / (1 << 31))


def _dnat(flow: _Flow, value: str) -> bool:
    address, _, number = value.rpartition(":")
    flow.destination, flow.port, flow.dnat = address, int(number), True
    return True


def _mark(flow: _Flow, value: str) -> bool:
    bits, mask = _masked(value)
    flow.mark = (flow.mark & ~mask) ^ bits
    return False


def _masquerade(flow: _Flow, value: str) -> bool:
    flow.masqueraded = True
    return True


_ACTIONS: Mapping[str, Callable[[_Flow, str], bool]] = {"DNAT": _dnat, "MARK": _mark, "MASQUERADE": _masquerade}
"""Targets that do something to a packet; whether that ends its way through the table."""


@lru_cache(maxsize=64)
def _masked(value: str) -> tuple[int, int]:
    bits, _, mask = value.partition("/")
    return int(bits, 16), int(mask, 16)


def _marked(_: PacketFilter, flow: _Flow, value: str) -> bool:
    bits, mask = _masked(value)
    return flow.mark & mask == bits


def _state(_: PacketFilter, flow: _Flow, states: str) -> bool:
    return "NEW" in states or (flow.dnat and "DNAT" in states)


def _at_port(_: PacketFilter, flow: _Flow, number: int | None) -> bool:
    return not number or flow.port == number


def _at_ports(_: PacketFilter, flow: _Flow, numbers: tuple[int, ...]) -> bool:
    return flow.port in numbers


def _always(*_: Any) -> bool:
    return True


_MATCHES: Mapping[str, Callable[[PacketFilter, _Flow, Any], bool]] = {
    "comment": _always,
    "nfacct": _always,
    "tcp": _at_port,
    "udp": _at_port,
    "sctp": _at_port,
    "multiport": _at_ports,
    "addrtype-dst": lambda held, flow, _: held.is_local(flow.destination),
    "addrtype-src": lambda held, flow, _: held.is_local(flow.packet.source),
    "statistic": lambda held, _, share: held.lucky(share),
    "recent": lambda held, flow, value: held.recent(flow, value),
    "mark": _marked,
    "conntrack": _state,
}
