"""Packet filter rules as data, and as iptables-save writes them.

A ``Ruleset`` is what one node's kernel holds: tables of chains of rules. Source: iptables' own output format
(iptables-nft 1.8, extensions/libxt_*.c). Not modelled: counters, which are always ``[0:0]``, and IPv6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

MASQUERADE_MARK = "0x4000/0x4000"
BUILT_IN: Mapping[str, tuple[str, ...]] = {
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
}
"""The kernel's chains of each table, in the order in which they are written."""
TABLES = ("mangle", "filter", "nat")


class Match(NamedTuple):
    """One condition beyond addresses and protocol: an extension and what it is told."""

    kind: str
    value: Any = None
    negated: bool = False


class Rule(NamedTuple):
    """One rule. Addresses are CIDRs, ``""`` for any; a rule without target only counts."""

    target: str = ""
    matches: tuple[Match, ...] = ()
    source: str = ""
    destination: str = ""
    protocol: str = ""
    value: str = ""
    """What the target is told: an address, a mark, a kind of rejection."""
    not_source: bool = False


class Recent(NamedTuple):
    """A list of source addresses (xt_recent): entered when ``seconds`` is 0, else looked up."""

    name: str
    seconds: int = 0


Chains = dict[str, list[Rule]]
Ruleset = Mapping[str, Mapping[str, list[Rule]]]
"""Table → chain → rules."""


def comment(text: str) -> Match:
    return Match("comment", text)


def port(protocol: str, number: int) -> Match:
    """The destination port of a protocol's packets."""
    return Match(protocol, number)


def probability(share: float) -> int:
    """A probability as the kernel keeps it, in 1/2³¹, of one that is written with ten decimals."""
    return round(float(f"{share:.10f}") * 0x80000000)


def _recent(value: Recent) -> str:
    which = f"--rcheck --seconds {value.seconds} --reap" if value.seconds else "--set"
    return f"recent {which} --name {value.name} --mask 255.255.255.255 --rsource"


_WRITTEN: Mapping[str, Callable[[Any], str]] = {
    "comment": lambda text: 'comment --comment "' + text.replace('"', '\\"') + '"',
    "tcp": lambda number: f"tcp --dport {number}" if number else "tcp",
    "udp": lambda number: f"udp --dport {number}" if number else "udp",
    "sctp": lambda number: f"sctp --dport {number}" if number else "sctp",
    "multiport": lambda numbers: f"multiport --dports {','.join(map(str, numbers))}",
    "addrtype-dst": lambda kind: f"addrtype --dst-type {kind}",
    "addrtype-src": lambda kind: f"addrtype --src-type {kind}",
    "statistic": lambda share: f"statistic --mode random --probability {share / 0x80000000:.11f}",
    "recent": _recent,
    "nfacct": lambda name: f"nfacct --nfacct-name  {name}",
    "mark": lambda mark: f"mark --mark {mark}",
    "conntrack": lambda states: f"conntrack --ctstate {states}",
}
_TARGETS: Mapping[str, str] = {
    "DNAT": "DNAT --to-destination {}",
    "REJECT": "REJECT --reject-with {}",
    "MARK": "MARK --set-xmark {}",
    "MASQUERADE": "MASQUERADE {}",
}


def written(chain: str, rule: Rule) -> str:
    """A rule as iptables-save has it."""
    parts = ["-A", chain]
    if rule.source:
        parts.append(f"{'! ' if rule.not_source else ''}-s {rule.source}")
    if rule.destination:
        parts.append(f"-d {rule.destination}")
    if rule.protocol:
        parts.append(f"-p {rule.protocol}")
    for match in rule.matches:
        extension, _, rest = _WRITTEN[match.kind](match.value).partition(" ")
        parts.append(f"-m {extension}{' !' if match.negated else ''}{' ' + rest if rest else ''}")
    if rule.target:
        form = _TARGETS.get(rule.target)
        parts.append(f"-j {form.format(rule.value) if form else rule.target}")
    return " ".join(parts)


def save(rules: Ruleset) -> str:
    """The whole ruleset as iptables-save prints it, without its time stamps."""
    return "".join(f"{line}\n" for table in TABLES for line in _table(table, rules.get(table) or {}))


def _table(table: str, chains: Mapping[str, list[Rule]]) -> Iterator[str]:
    built_in = BUILT_IN[table]
    own = sorted(name for name in chains if name not in built_in)
    yield f"*{table}"
    yield from (f":{name} ACCEPT [0:0]" for name in built_in)
    yield from (f":{name} - [0:0]" for name in own)
    for name in (*built_in, *own):
        yield from (written(name, rule) for rule in chains.get(name) or ())
    yield "COMMIT"
