"""What is reachable from outside."""

from __future__ import annotations

from seatrial.sim.network.addresses import Reachable, reachable


def test_nodes_balancers_and_hosts() -> None:
    node = {"metadata": {"name": "w1"}, "status": {"addresses": [{"type": "InternalIP", "address": "192.168.1.101"}]}}
    at = {"loadBalancer": {"ingress": [{"ip": "192.168.1.11"}]}}
    service = {
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "ports": [{"port": 80, "nodePort": 30080}, {"port": 53, "nodePort": 30053, "protocol": "UDP"}],
        },
        "status": at,
    }
    ingress = {
        "metadata": {"name": "web"},
        "spec": {"rules": [{"host": "a.org"}, {"host": "a.org"}, {}]},
        "status": at,
    }
    assert reachable([node], [service], [ingress]) == [
        Reachable("w1", "node", "192.168.1.101", (30080,)),
        Reachable("shop/web", "balancer", "192.168.1.11", (80,)),
        Reachable("a.org", "ingress", "192.168.1.11", (80, 443)),
        Reachable("*", "ingress", "192.168.1.11", (80, 443)),
    ]
