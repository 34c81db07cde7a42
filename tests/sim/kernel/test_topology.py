"""The topology: latency along the quickest way, loss, cuts in one direction and between any two hosts."""

from __future__ import annotations

import pytest

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
