"""What kube-proxy in iptables mode writes for services and endpoints.

Source: k8s.io/kubernetes/pkg/proxy/iptables/proxier.go (syncProxyRules). The order of services within a chain is that
of their names; upstream's is that of a Go map, any. Not modelled: ``--masquerade-all``, large-cluster mode (which
leaves comments out), IPv6.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from seatrial.sim.network.iptables import (
    MASQUERADE_MARK,
    Chains,
    Match,
    Recent,
    Rule,
    Ruleset,
    comment,
    port,
    probability,
)
from seatrial.sim.network.servicemap import Chosen, Endpoint, ServicePort

NODE_PORTS_COMMENT = "kubernetes service nodeports; NOTE: this must be the last rule in this chain"
NEW = Match("conntrack", "NEW")
LOCAL_DESTINATION = Match("addrtype-dst", "LOCAL")
LOCAL_SOURCE = Match("addrtype-src", "LOCAL")


class Place(NamedTuple):
    """The node for which rules are written."""

    node: str
    cluster_cidr: str
    address: str = ""
    zone: str = ""


class Fragment(NamedTuple):
    """The part of a ruleset that one service port accounts for: rules by chain."""

    nat: Chains
    filter: Chains


@lru_cache(maxsize=65536)
def digest(text: str) -> str:
    """The sixteen characters that name a chain."""
    return base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()[:16]


def chain_of(kind: str, service: ServicePort) -> str:
    """The chain of a service port: kind is SVC, SVL, EXT or FW."""
    return f"KUBE-{kind}-{digest(f'{service}{service.protocol}')}"


def endpoint_chain(service: ServicePort, endpoint: Endpoint) -> str:
    return f"KUBE-SEP-{digest(f'{service}{service.protocol}{endpoint}')}"


class _Writer:
    """Writes the rules of one service port on one node."""

    def __init__(self, service: ServicePort, chosen: Chosen, place: Place) -> None:
        self.service, self.chosen, self.place = service, chosen, place
        self.title = str(service)
        self.nat: Chains = {}
        self.filter: Chains = {}
        self.cluster_chain = chain_of("SVC", service)
        self.local_chain = chain_of("SVL", service)
        self.external_chain = chain_of("EXT", service)
        self.firewall_chain = chain_of("FW", service)
        self.internal = chosen.local if service.internal_local else chosen.cluster
        self.external = chosen.local if service.external_local else chosen.cluster
        self.internal_chain = self.local_chain if service.internal_local else self.cluster_chain
        self.guarded = bool(chosen.any and service.balancer_ips and service.source_ranges)

    def _add(self, chains: Chains, chain: str, rule: Rule) -> None:
        chains.setdefault(chain, []).append(rule)

    def _to(self, target: str, text: str, address: str, number: int, *before: Match, value: str = "") -> Rule:
        """A rule for packets to one of the service's addresses."""
        protocol = self.service.protocol
        matches = (comment(text), *before, port(protocol, number))
        return Rule(target, matches, "", f"{address}/32" if address else "", protocol, value)

    def _refusal(self) -> tuple[str, str, str]:
        """(target, comment, value) for packets that nobody can take."""
        if not self.chosen.any:
            return "REJECT", f"{self.title} has no endpoints", "icmp-port-unreachable"
        return "DROP", f"{self.title} has no local endpoints", ""

    def write(self) -> Fragment:
        self._cluster_ip()
        for address in self.service.external_ips:
            self._outside(address, "external IP", self.external_chain)
        for address in self.service.balancer_ips:
            self._outside(
                address, "loadbalancer IP", self.firewall_chain if self.guarded else self.external_chain, True
            )
        self._node_port()
        if self.chosen.any and self.service.externally_accessible:
            self._external()
        if self.guarded:
            self._firewall()
        if self.chosen.cluster and self.service.uses_cluster:
            self._spread(self.cluster_chain, self.chosen.cluster)
        if self.chosen.local and self.service.uses_local:
            self._spread(self.local_chain, self.chosen.local)
        for endpoint in self.chosen.reachable:
            self._endpoint(endpoint)
        return Fragment(self.nat, self.filter)

    def _cluster_ip(self) -> None:
        service, text = self.service, f"{self.title} cluster IP"
        if not self.internal:
            target, why, value = self._refusal()
            rule = self._to(target, why, service.cluster_ip, service.port, value=value)
            self._add(self.filter, "KUBE-SERVICES", rule)
            return
        into = self.internal_chain
        self._add(self.nat, "KUBE-SERVICES", self._to(into, text, service.cluster_ip, service.port))
        if self.place.cluster_cidr:
            rule = self._to("KUBE-MARK-MASQ", text, service.cluster_ip, service.port)
            self._add(self.nat, into, rule._replace(source=self.place.cluster_cidr, not_source=True))

    def _outside(self, address: str, what: str, chain: str, balancer: bool = False) -> None:
        number = self.service.port
        if self.chosen.any:
            self._add(self.nat, "KUBE-SERVICES", self._to(chain, f"{self.title} {what}", address, number))
        if balancer and self.guarded:
            text = f"{self.title} traffic not accepted by {self.firewall_chain}"
            self._add(self.filter, "KUBE-PROXY-FIREWALL", self._to("DROP", text, address, number))
        if not self.external:
            target, why, value = self._refusal()
            self._add(self.filter, "KUBE-EXTERNAL-SERVICES", self._to(target, why, address, number, value=value))

    def _node_port(self) -> None:
        service, number = self.service, self.service.node_port
        if number:
            if self.chosen.any:
                rule = self._to(self.external_chain, self.title, "", number)
                counted = (*rule.matches, Match("nfacct", "localhost_nps_accepted_pkts"))
                self._add(self.nat, "KUBE-NODEPORTS", rule._replace(matches=counted, destination="127.0.0.0/8"))
                self._add(self.nat, "KUBE-NODEPORTS", rule)
            if not self.external:
                target, why, value = self._refusal()
                rule = self._to(target, why, "", number, LOCAL_DESTINATION, value=value)
                self._add(self.filter, "KUBE-EXTERNAL-SERVICES", rule)
        if service.health_port:
            text = f"{self.title} health check node port"
            matches = (comment(text), port("tcp", service.health_port))
            self._add(self.filter, "KUBE-NODEPORTS", Rule("ACCEPT", matches, protocol="tcp"))

    def _external(self) -> None:
        """The chain of traffic from outside (and what goes round by an outside address)."""
        chain, what = self.external_chain, f"{self.title} external destinations"
        rules = self.nat.setdefault(chain, [])
        if not self.service.external_local:
            rules.append(Rule("KUBE-MARK-MASQ", (comment(f"masquerade traffic for {what}"),)))
        else:
            cluster, cidr = self.cluster_chain, self.place.cluster_cidr
            if cidr:
                rules.append(Rule(cluster, (comment(f"pod traffic for {what}"),), cidr))
            rules.append(Rule("KUBE-MARK-MASQ", (comment(f"masquerade LOCAL traffic for {what}"), LOCAL_SOURCE)))
            rules.append(Rule(cluster, (comment(f"route LOCAL traffic for {what}"), LOCAL_SOURCE)))
        if self.external:
            rules.append(Rule(self.local_chain if self.service.external_local else self.cluster_chain))

    def _firewall(self) -> None:
        text = comment(f"{self.title} loadbalancer IP")
        rules = self.nat.setdefault(self.firewall_chain, [])
        from_node = False
        for text_range in self.service.source_ranges:
            network = ip_network(text_range, strict=False)
            rules.append(Rule(self.external_chain, (text,), str(network)))
            if self.place.address and ip_address(self.place.address) in network:
                from_node = True
        if from_node:
            for address in self.service.balancer_ips:
                rules.append(Rule(self.external_chain, (text,), f"{address}/32"))
        rules.append(Rule("", (comment(f"other traffic to {self.title} will be dropped by KUBE-PROXY-FIREWALL"),)))

    def _spread(self, chain: str, endpoints: list[Endpoint]) -> None:
        """Rules that share packets out evenly, after those that remember a client's endpoint."""
        service, rules = self.service, self.nat.setdefault(chain, [])
        named = [(endpoint_chain(service, each), comment(f"{self.title} -> {each}")) for each in endpoints]
        if service.affinity_s:
            rules += [Rule(name, (text, Match("recent", Recent(name, service.affinity_s)))) for name, text in named]
        for at, (name, text) in enumerate(named):
            left = len(named) - at
            chance = () if left == 1 else (Match("statistic", probability(1 / left)),)
            rules.append(Rule(name, (text, *chance)))

    def _endpoint(self, endpoint: Endpoint) -> None:
        service = self.service
        chain, text = endpoint_chain(service, endpoint), comment(self.title)
        remember = (Match("recent", Recent(chain)),) if service.affinity_s else ()
        matches = (text, *remember, Match(service.protocol))
        self.nat[chain] = [
            Rule("KUBE-MARK-MASQ", (text,), f"{endpoint.address}/32"),
            Rule("DNAT", matches, protocol=service.protocol, value=str(endpoint)),
        ]


def fragment(service: ServicePort, chosen: Chosen, place: Place) -> Fragment:
    """The rules of one service port."""
    return _Writer(service, chosen, place).write()


def assemble(fragments: Iterable[Fragment]) -> Ruleset:
    """The whole ruleset: the fixed parts with the fragments in their order."""
    nat, filters = _fixed_nat(), _fixed_filter()
    for made in fragments:
        for table, chains in ((nat, made.nat), (filters, made.filter)):
            for chain, rules in chains.items():
                table.setdefault(chain, []).extend(rules)
    nat["KUBE-SERVICES"].append(Rule("KUBE-NODEPORTS", (comment(NODE_PORTS_COMMENT), LOCAL_DESTINATION)))
    return {"mangle": {"KUBE-PROXY-CANARY": []}, "filter": filters, "nat": nat}


def _fixed_nat() -> Chains:
    portals = comment("kubernetes service portals")
    unmarked = Match("mark", MASQUERADE_MARK, negated=True)
    masquerade = comment("kubernetes service traffic requiring SNAT")
    return {
        "PREROUTING": [Rule("KUBE-SERVICES", (portals,))],
        "OUTPUT": [Rule("KUBE-SERVICES", (portals,))],
        "POSTROUTING": [Rule("KUBE-POSTROUTING", (comment("kubernetes postrouting rules"),))],
        "KUBE-MARK-MASQ": [Rule("MARK", value=MASQUERADE_MARK)],
        "KUBE-NODEPORTS": [],
        "KUBE-POSTROUTING": [
            Rule("RETURN", (unmarked,)),
            Rule("MARK", value="0x4000/0x0"),
            Rule("MASQUERADE", (masquerade,), value="--random-fully"),
        ],
        "KUBE-PROXY-CANARY": [],
        "KUBE-SERVICES": [],
    }


def _fixed_filter() -> Chains:
    firewall = Rule("KUBE-PROXY-FIREWALL", (NEW, comment("kubernetes load balancer firewall")))
    visible = Rule("KUBE-EXTERNAL-SERVICES", (NEW, comment("kubernetes externally-visible service portals")))
    portals = Rule("KUBE-SERVICES", (NEW, comment("kubernetes service portals")))
    health = Rule("KUBE-NODEPORTS", (comment("kubernetes health check service ports"),))
    forwarding = Rule("KUBE-FORWARD", (comment("kubernetes forwarding rules"),))
    kubelet = Rule("KUBE-FIREWALL")
    return {
        "INPUT": [kubelet, firewall, health, visible],
        "FORWARD": [firewall, forwarding, portals, visible],
        "OUTPUT": [kubelet, firewall, portals],
        "KUBE-EXTERNAL-SERVICES": [],
        "KUBE-FIREWALL": [KUBE_FIREWALL],
        "KUBE-FORWARD": [
            Rule("DROP", (Match("conntrack", "INVALID"), Match("nfacct", "ct_state_invalid_dropped_pkts"))),
            Rule("ACCEPT", (comment("kubernetes forwarding rules"), Match("mark", MASQUERADE_MARK))),
            Rule(
                "ACCEPT", (comment("kubernetes forwarding conntrack rule"), Match("conntrack", "RELATED,ESTABLISHED"))
            ),
        ],
        "KUBE-NODEPORTS": [],
        "KUBE-PROXY-CANARY": [],
        "KUBE-PROXY-FIREWALL": [],
        "KUBE-SERVICES": [],
    }


KUBE_FIREWALL = Rule(
    "DROP",
    (comment("block incoming localnet connections"), Match("conntrack", "RELATED,ESTABLISHED,DNAT", negated=True)),
    "127.0.0.0/8",
    "127.0.0.0/8",
    not_source=True,
)
"""The kubelet's rule: nobody reaches the loopback addresses from outside (pkg/kubelet/kubelet_network_linux.go)."""
