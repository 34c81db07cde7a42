"""kube-proxy as a process: its pace, what it leaves behind, and who starts it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.network.iptables import save
from seatrial.sim.network.proxy import KubeProxy


def endpoints(*addresses: str) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [each], "conditions": {"ready": True}} for each in addresses],
    }


SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster(ClusterSpec(nodes=1), seed=2)
    made.settle()
    made.apply([SERVICE, endpoints("10.9.0.1")])
    made.advance("5s")
    yield made


def proxy(cluster: Cluster) -> KubeProxy:
    assert cluster.networking is not None
    return cluster.networking.proxies["w1-k8s"]


def knows(cluster: Cluster, address: str) -> bool:
    return f"--to-destination {address}:8080" in save(proxy(cluster).packets.rules)


def test_one_sync_at_once_then_at_most_one_a_second(cluster: Cluster) -> None:
    cluster.apply(endpoints("10.9.0.2"))
    cluster.advance("100ms")
    assert knows(cluster, "10.9.0.2")
    before = proxy(cluster).syncs
    for number in range(3, 23):
        cluster.apply(endpoints(f"10.9.0.{number}"))
        cluster.advance("100ms")
    assert proxy(cluster).syncs - before in (1, 2)
    cluster.advance("2s")
    assert knows(cluster, "10.9.0.22")
    assert not knows(cluster, "10.9.0.2")


def test_what_changes_while_rules_are_written_is_for_the_next_sync(cluster: Cluster) -> None:
    made = proxy(cluster)
    before = made.syncs
    cluster.apply(endpoints("10.9.0.2"))
    while not made.busy():
        cluster.advance("1ms")
    cluster.advance("5ms")
    cluster.apply(endpoints("10.9.0.3"))
    while made.syncs == before:
        cluster.advance("1ms")
    assert (knows(cluster, "10.9.0.2"), knows(cluster, "10.9.0.3")) == (True, False)
    cluster.advance("900ms")
    assert not knows(cluster, "10.9.0.3")
    cluster.advance("200ms")
    assert (knows(cluster, "10.9.0.2"), knows(cluster, "10.9.0.3")) == (False, True)


def test_a_process_that_ends_while_it_writes_leaves_the_rules_as_they_were(cluster: Cluster) -> None:
    made = proxy(cluster)
    cluster.apply(endpoints("10.9.0.2"))
    while not made.busy():
        cluster.advance("1ms")
    cluster.advance("5ms")
    made.stop()
    cluster.advance("1s")
    assert (knows(cluster, "10.9.0.1"), knows(cluster, "10.9.0.2")) == (True, False)


def test_its_start_is_told_of_on_the_node(cluster: Cluster) -> None:
    def told() -> list[dict[str, Any]]:
        events = cluster.list("events", "default")
        return [each for each in events if each.get("reportingComponent") == "kube-proxy"]

    (event,) = [each for each in told() if each["involvedObject"]["name"] == "w1-k8s"]
    assert (event["type"], event["reason"], event["action"]) == ("Normal", "Starting", "StartKubeProxy")
    assert event["involvedObject"] == {"kind": "Node", "name": "w1-k8s", "uid": "w1-k8s"}
    assert not event.get("message")
    before = len(told())
    proxy(cluster).stop()
    proxy(cluster).start()
    cluster.advance("1s")
    assert len(told()) == before + 1


def test_a_quiet_proxy_does_nothing(cluster: Cluster) -> None:
    cluster.advance("2m")
    before = proxy(cluster).syncs
    cluster.advance("1h")
    assert proxy(cluster).syncs == before


def test_rules_stay_when_the_process_ends(cluster: Cluster) -> None:
    proxy(cluster).stop()
    cluster.apply(endpoints("10.9.0.2"))
    cluster.advance("5s")
    assert knows(cluster, "10.9.0.1")
    proxy(cluster).start()
    cluster.advance("5s")
    assert knows(cluster, "10.9.0.2")
    assert not knows(cluster, "10.9.0.1")


def test_flushed_rules_are_written_again_when_the_monitor_looks(cluster: Cluster) -> None:
    proxy(cluster).packets.flush()
    assert not knows(cluster, "10.9.0.1")
    cluster.advance("31s")
    assert knows(cluster, "10.9.0.1")


def test_the_process_is_that_of_its_pod(cluster: Cluster) -> None:
    cluster.delete("daemonset", "kube-proxy", "kube-system")
    cluster.advance("40s")
    assert not proxy(cluster).running
    assert knows(cluster, "10.9.0.1")


def test_a_machine_without_power_loses_its_rules(cluster: Cluster) -> None:
    node = cluster.nodes["w1-k8s"]
    node.power_off()
    assert not knows(cluster, "10.9.0.1")
    assert not proxy(cluster).running
    node.power_on()
    cluster.advance("2m")
    assert proxy(cluster).running
    assert knows(cluster, "10.9.0.1")
