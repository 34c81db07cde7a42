"""A packet's way through the rules: by hand, and indexed chains against plain ones."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.sim.network.netfilter import Hop, Packet, PacketFilter
from seatrial.sim.network.proxy_rules import Place, assemble, fragment
from seatrial.sim.network.servicemap import Endpoint, ServicePort, choose

NODE, GATEWAY = "192.168.1.101", "10.244.0.1"
POD, OTHER_POD, OUTSIDE = "10.244.0.7", "10.244.1.9", "198.51.100.1"
S = 1_000_000


class Now:
    us = 0


def port(name: str = "web", **changes: Any) -> ServicePort:
    plain = ServicePort("shop", name, "http", "tcp", "10.96.10.1", 80, 0, (), (), (), False, False, 0, 0)
    return plain._replace(**changes)


def endpoint(address: str, node: str = "w1", ready: bool = True, terminating: bool = False) -> Endpoint:
    return Endpoint(address, 8080, ready, ready or terminating, terminating, node, (), ())


def local(address: str) -> bool:
    return address.startswith("127.") or address in (NODE, GATEWAY)


def packet_filter(pairs: list[tuple[ServicePort, list[Endpoint]]], seed: int = 1) -> PacketFilter:
    place = Place("w1", "10.244.0.0/16", NODE)
    rules = assemble(fragment(one, choose(those, one, "w1", ""), place) for one, those in pairs)
    made = PacketFilter(local, Random(seed), lambda: Now.us)
    made.install("kube-proxy", lambda: rules)
    return made


TWO = [endpoint("10.244.0.11"), endpoint("10.244.1.12", "w2")]
HERE, AWAY = ("10.244.0.11", 8080), ("10.244.1.12", 8080)


@pytest.mark.parametrize(
    ("service", "endpoints", "packet", "verdict", "to", "masqueraded"),
    [
        pytest.param(port(), TWO, Packet(POD, "10.96.10.1", "tcp", 80), "ACCEPT", (HERE, AWAY), False, id="cluster"),
        pytest.param(port(), TWO, Packet(NODE, "10.96.10.1", "tcp", 80, True), "ACCEPT", (HERE, AWAY), True, id="node"),
        pytest.param(
            port(), TWO[:1], Packet("10.244.0.11", "10.96.10.1", "tcp", 80), "ACCEPT", (HERE,), True, id="hairpin"
        ),
        pytest.param(
            port(), [], Packet(POD, "10.96.10.1", "tcp", 80), "REJECT", (("10.96.10.1", 80),), False, id="nobody"
        ),
        pytest.param(
            port(internal_local=True),
            TWO[1:],
            Packet(POD, "10.96.10.1", "tcp", 80),
            "DROP",
            (("10.96.10.1", 80),),
            False,
            id="nobody-here",
        ),
        pytest.param(
            port(node_port=30080),
            TWO,
            Packet(OUTSIDE, NODE, "tcp", 30080),
            "ACCEPT",
            (HERE, AWAY),
            True,
            id="node-port",
        ),
        pytest.param(
            port(node_port=30080, external_local=True),
            TWO,
            Packet(OUTSIDE, NODE, "tcp", 30080),
            "ACCEPT",
            (HERE,),
            False,
            id="node-port-keeps-the-client",
        ),
        pytest.param(
            port(node_port=30080, external_local=True),
            TWO[1:],
            Packet(OUTSIDE, NODE, "tcp", 30080),
            "DROP",
            ((NODE, 30080),),
            False,
            id="node-port-local-nobody-here",
        ),
        pytest.param(
            port(node_port=30080, external_local=True),
            TWO[1:],
            Packet(POD, NODE, "tcp", 30080),
            "ACCEPT",
            (AWAY,),
            False,
            id="pods-are-not-outside",
        ),
        pytest.param(
            port(balancer_ips=("203.0.113.5",), source_ranges=("198.51.100.0/24",)),
            TWO[:1],
            Packet(OUTSIDE, "203.0.113.5", "tcp", 80),
            "ACCEPT",
            (HERE,),
            True,
            id="balancer",
        ),
        pytest.param(
            port(balancer_ips=("203.0.113.5",), source_ranges=("10.0.0.0/8",)),
            TWO[:1],
            Packet(OUTSIDE, "203.0.113.5", "tcp", 80),
            "DROP",
            (("203.0.113.5", 80),),
            False,
            id="balancer-wrong-source",
        ),
        pytest.param(
            port(external_ips=("203.0.113.7",)),
            TWO[:1],
            Packet(POD, "203.0.113.7", "tcp", 80),
            "ACCEPT",
            (HERE,),
            True,
            id="external-ip",
        ),
        pytest.param(
            port(), TWO, Packet(POD, "10.96.10.1", "tcp", 81), "ACCEPT", (("10.96.10.1", 81),), False, id="other-port"
        ),
        pytest.param(
            port(), TWO, Packet(OUTSIDE, "127.0.0.1", "tcp", 22), "DROP", (("127.0.0.1", 22),), False, id="localnet"
        ),
        pytest.param(
            port(),
            [endpoint("10.244.0.11", ready=False, terminating=True)],
            Packet(POD, "10.96.10.1", "tcp", 80),
            "ACCEPT",
            (HERE,),
            False,
            id="terminating-are-better-than-none",
        ),
    ],
)
def test_where_a_packet_ends(
    service: ServicePort,
    endpoints: list[Endpoint],
    packet: Packet,
    verdict: str,
    to: tuple[tuple[str, int], ...],
    masqueraded: bool,
) -> None:
    for seed in range(8):
        found = packet_filter([(service, endpoints)], seed).walk(packet)
        assert (found.verdict, found.masqueraded) == (verdict, masqueraded)
        assert (found.destination, found.port) in to


def test_three_endpoints_share_evenly() -> None:
    three = [*TWO, endpoint("10.244.2.13", "w3")]
    held, counts = packet_filter([(port(), three)]), dict.fromkeys([each.address for each in three], 0)
    for _ in range(3000):
        counts[held.walk(Packet(POD, "10.96.10.1", "tcp", 80)).destination] += 1
    assert all(900 < count < 1100 for count in counts.values())


def test_a_client_keeps_its_endpoint_for_three_hours() -> None:
    held = packet_filter([(port(affinity_s=10800), TWO)])
    packet = Packet(POD, "10.96.10.1", "tcp", 80)
    Now.us = 0
    first = held.walk(packet).destination
    for _ in range(40):
        Now.us += 10_800 * S
        assert held.walk(packet).destination == first
    later = set()
    for _ in range(40):
        Now.us += 10_801 * S
        later.add(held.walk(packet).destination)
    assert len(later) == 2


def test_flushed_rules_do_nothing() -> None:
    held = packet_filter([(port(), TWO)])
    held.flush()
    assert held.walk(Packet(POD, "10.96.10.1", "tcp", 80)).destination == "10.96.10.1"


ADDRESSES = [f"10.244.{node}.{host}" for node in (0, 1) for host in (5, 6, 7)]
RANGES = ["0.0.0.0/0", "10.0.0.0/8", "198.51.100.0/24", "192.168.1.0/24"]
endpoints_drawn = st.lists(
    st.builds(endpoint, st.sampled_from(ADDRESSES), st.sampled_from(["w1", "w2"]), st.booleans(), st.booleans()),
    max_size=4,
    unique_by=lambda each: each.address,
)


@st.composite
def services(draw: st.DrawFn) -> list[tuple[ServicePort, list[Endpoint]]]:
    found = []
    for number in range(draw(st.integers(1, 12))):
        outside = draw(st.booleans())
        one = port(
            f"s{number}",
            protocol=draw(st.sampled_from(["tcp", "udp"])),
            cluster_ip=f"10.96.0.{number + 1}",
            port=draw(st.sampled_from([53, 80])),
            node_port=30000 + number if outside else 0,
            external_ips=("203.0.113.1",) if outside and draw(st.booleans()) else (),
            balancer_ips=(f"203.0.113.{number + 50}",) if outside and draw(st.booleans()) else (),
            source_ranges=tuple(draw(st.lists(st.sampled_from(RANGES), max_size=2, unique=True))),
            external_local=draw(st.booleans()),
            internal_local=draw(st.booleans()),
            affinity_s=draw(st.sampled_from([0, 0, 10800])),
        )
        found.append((one, draw(endpoints_drawn)))
    return found


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    destinations = [NODE, "127.0.0.1", "203.0.113.1", *(f"10.96.0.{n + 1}" for n in range(12))]
    destinations += [f"203.0.113.{n + 50}" for n in range(12)]
    return Packet(
        draw(st.sampled_from([*ADDRESSES, POD, NODE, OUTSIDE, "127.0.0.1"])),
        draw(st.sampled_from(destinations)),
        draw(st.sampled_from(["tcp", "udp"])),
        draw(st.sampled_from([53, 80, 30000, 30001, 30002])),
        draw(st.booleans()),
    )


@settings(max_examples=80, deadline=None)
@given(services(), st.lists(packets(), min_size=1, max_size=8), st.integers(0, 1000))
def test_indexed_chains_come_to_the_same(
    pairs: list[tuple[ServicePort, list[Endpoint]]], sent: list[Packet], seed: int
) -> None:
    fast, plain = packet_filter(pairs, seed), packet_filter(pairs, seed)
    for packet in sent:
        fast_hops: list[Hop] = []
        plain_hops: list[Hop] = []
        assert fast.walk(packet, fast_hops) == plain.walk(packet, plain_hops, indexed=False)
        assert fast_hops == plain_hops


@settings(max_examples=60, deadline=None)
@given(services(), packets(), st.integers(0, 1000))
def test_nobody_is_sent_to_an_endpoint_that_is_neither_ready_nor_serving(
    pairs: list[tuple[ServicePort, list[Endpoint]]], packet: Packet, seed: int
) -> None:
    found = packet_filter(pairs, seed).walk(packet)
    if found.verdict == "ACCEPT" and (found.destination, found.port) != (packet.destination, packet.port):
        usable = [each for _, those in pairs for each in those if each.ready or (each.serving and each.terminating)]
        assert (found.destination, found.port) in [(each.address, each.port) for each in usable]
