"""Ports of a machine that lead to its pods, by address and protocol, for as long as the pods run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.network.iptables import save
from seatrial.sim.network.requests import origin_of

AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.53"
NODE = "192.168.1.101"


def pod(name: str, **port: object) -> dict[str, object]:
    container = {
        "name": "c",
        "image": AGNHOST,
        "args": ["netexec", "--http-port=8080", "--udp-port=8080"],
        "ports": [{"containerPort": 8080, **port}],
    }
    spec = {"nodeName": "w1-k8s", "terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster(ClusterSpec(nodes=2), seed=6)
    made.settle()
    made.apply(pod("loopback", hostPort=5000, hostIP="127.0.0.1"))
    made.apply(pod("address", hostPort=5000, hostIP=NODE))
    made.apply(pod("datagrams", hostPort=5000, hostIP=NODE, protocol="UDP"))
    made.apply(pod("everywhere", hostPort=5001))
    made.settle()
    yield made


def answers(cluster: Cluster, origin: str, address: str, port: int, protocol: str = "TCP") -> tuple[str, str]:
    """The pod that a connection ends at, and the client that it sees."""
    assert cluster.networking is not None
    plane = cluster.networking.plane
    try:
        found = plane.reach(origin_of(plane, origin), address, port, protocol)
    except OSError as problem:
        return str(problem.strerror), ""
    sandbox = plane.sandboxes.sandbox_at(found.address)
    return sandbox.name if sandbox is not None else "", found.client


def test_each_address_and_protocol_has_a_pod_of_its_own(cluster: Cluster) -> None:
    assert answers(cluster, "node/w1-k8s", "127.0.0.1", 5000) == ("loopback", NODE)
    assert answers(cluster, "node/w1-k8s", NODE, 5000)[0] == "address"
    assert answers(cluster, "node/w1-k8s", NODE, 5000, "UDP")[0] == "datagrams"
    assert answers(cluster, "node/w1-k8s", "127.0.0.1", 5001)[0] == "everywhere"


@pytest.mark.parametrize("origin", ["outside", "node/w2-k8s", "pod/default/address"])
def test_ports_are_reached_from_everywhere(cluster: Cluster, origin: str) -> None:
    assert answers(cluster, origin, NODE, 5001)[0] == "everywhere"


def test_other_machines_have_no_such_port(cluster: Cluster) -> None:
    assert answers(cluster, "outside", "192.168.1.102", 5001) == ("Connection refused", "")


def test_rules_end_with_their_pod(cluster: Cluster) -> None:
    assert cluster.networking is not None
    packets = cluster.networking.plane.hosts["w1-k8s"].packets
    cluster.apply(pod("brief", hostPort=5002))
    cluster.settle()
    assert "-m multiport --dports 5002 -j CNI-DN-" in save(packets.rules)
    cluster.delete("pods", "brief")
    cluster.settle()
    assert "5002" not in save(packets.rules)
    assert answers(cluster, "node/w1-k8s", NODE, 5002)[0] == "Connection refused"


def test_what_is_flushed_does_not_come_back_with_the_next_pod() -> None:
    cluster = Cluster(ClusterSpec(nodes=1), seed=7)
    cluster.settle()
    cluster.apply(pod("first", hostPort=5001))
    cluster.settle()
    assert cluster.networking is not None
    cluster.networking.plane.hosts["w1-k8s"].packets.flush()
    cluster.apply(pod("second", hostPort=5002))
    cluster.settle()
    assert answers(cluster, "outside", NODE, 5001)[0] == "Connection refused"
    assert answers(cluster, "outside", NODE, 5002)[0] == "second"
