"""The topology: latency along the quickest way, loss, cuts in one direction and between any two hosts."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sim.kernel.topology import Topology


def star() -> Topology:
    topology = Topology()
    for host in ("lan", "m", "w1", "w2"):
        topology.add_host(host, loopback_us=50)
    for host in ("m", "w1", "w2"):
        topology.link(host, "lan", 500)
    return topology


def test_latency_adds_up_along_the_quickest_way() -> None:
    topology = star()
    assert topology.latency("m", "w1") == 1000
    assert topology.latency("m", "m") == 50
    topology.link("m", "w1", 300)
    assert topology.latency("w1", "m") == 300


def test_cut_link_is_gone_round_where_there_is_a_way() -> None:
    topology = star()
    topology.link("m", "w1", 300)
    topology.cut("m", "w1")
    assert topology.latency("m", "w1") == 1000
    topology.mend("m", "w1")
    assert topology.latency("m", "w1") == 300


def test_one_way_cut_lets_the_other_direction_through() -> None:
    topology = star()
    topology.cut("m", "lan", one_way=True)
    assert topology.latency("m", "w1") is None
    assert topology.latency("w1", "m") == 1000
    assert topology.latency("w1", "w2") == 1000


def test_two_hosts_can_be_parted_without_parting_others() -> None:
    topology = star()
    topology.cut("m", "w1")
    assert topology.latency("m", "w1") is None
    assert topology.latency("w1", "m") is None
    assert topology.latency("m", "w2") == 1000
    topology.mend("m", "w1")
    assert topology.latency("m", "w1") == 1000


def test_loss_adds_up() -> None:
    topology = star()
    topology.link("m", "lan", 500, loss=0.5)
    topology.link("w1", "lan", 500, loss=0.5)
    assert topology.loss("m", "w1") == 0.75
    assert topology.loss("w2", "w2") == 0.0
    topology.cut("m", "lan")
    assert topology.loss("m", "w1") == 1.0


def test_listeners_hear_of_changes_until_they_leave() -> None:
    topology = star()
    heard: list[int | None] = []
    leave = topology.on_change(lambda: heard.append(topology.latency("m", "w1")))
    topology.cut("m", "lan")
    topology.mend("m", "lan")
    leave()
    topology.cut("m", "lan")
    assert heard == [None, 1000]


def test_unknown_hosts_are_named() -> None:
    topology = star()
    for call in (
        lambda: topology.latency("m", "w9"),
        lambda: topology.cut("w9", "m"),
        lambda: topology.link("m", "w9", 1),
    ):
        with pytest.raises(KeyError, match="w9"):
            call()
    topology.remove_host("w1")
    with pytest.raises(KeyError, match="w1"):
        topology.latency("m", "w1")


Links = list[tuple[str, str, int]]
Cuts = list[tuple[str, str, bool]]
LINKS = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef"), st.integers(1, 9)), max_size=12)
CUTS = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef"), st.booleans()), max_size=4)


@given(LINKS, CUTS)
def test_latency_is_that_of_the_shortest_path(
    links: list[tuple[str, str, int]], cuts: list[tuple[str, str, bool]]
) -> None:
    topology, plain = Topology(), nx.DiGraph()
    for host in "abcdef":
        topology.add_host(host)
        plain.add_node(host)
    for a, b, latency in links:
        if a != b:
            topology.link(a, b, latency)
            plain.add_edge(a, b, weight=latency)
            plain.add_edge(b, a, weight=latency)
    parted = set()
    for a, b, one_way in cuts:
        if plain.has_edge(a, b):
            topology.cut(a, b, one_way)
            parted |= {(a, b)} if one_way else {(a, b), (b, a)}
    plain.remove_edges_from(parted)
    lengths = dict(nx.all_pairs_dijkstra_path_length(plain))
    for a in "abcdef":
        for b in "abcdef":
            assert topology.latency(a, b) == lengths[a].get(b)


def test_thousands_of_hosts_cost_next_to_nothing() -> None:
    topology = Topology()
    topology.add_host("lan")
    for number in range(2000):
        topology.add_host(f"w{number}")
        topology.link(f"w{number}", "lan", 10)
    assert {topology.latency("w0", f"w{number}") for number in range(1, 2000)} == {20}
