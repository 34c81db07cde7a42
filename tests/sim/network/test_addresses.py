"""What is reachable from outside."""

from __future__ import annotations

from seatrial.sim.network.addresses import Reachable, ingress_address, reachable

NODE = {"metadata": {"name": "w1"}, "status": {"addresses": [{"type": "InternalIP", "address": "192.168.1.101"}]}}
AT = {"loadBalancer": {"ingress": [{"ip": "192.168.1.11"}]}}
SERVICE = {
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"ports": [{"port": 80, "nodePort": 30080}, {"port": 53, "nodePort": 30053, "protocol": "UDP"}]},
    "status": AT,
}
INGRESS = {
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"rules": [{"host": "a.org"}, {"host": "a.org"}, {"host": "*.b.org"}, {}]},
    "status": AT,
}
POD = {
    "metadata": {"name": "p", "namespace": "shop"},
    "spec": {"nodeName": "w1", "containers": [{"ports": [{"containerPort": 9100, "hostPort": 9100}]}]},
    "status": {"phase": "Running"},
}


def test_nodes_balancers_and_hosts() -> None:
    assert reachable([NODE], [SERVICE], [INGRESS], [POD], {"w1": {10250: ("kubelet", True)}}) == [
        Reachable("ingress", "a.org", "192.168.1.11", 80, "shop/web"),
        Reachable("ingress", "a.org", "192.168.1.11", 443, "shop/web", "https"),
        Reachable("ingress", "*.b.org", "192.168.1.11", 80, "shop/web"),
        Reachable("ingress", "*.b.org", "192.168.1.11", 443, "shop/web", "https"),
        Reachable("ingress", "*", "192.168.1.11", 80, "shop/web"),
        Reachable("ingress", "*", "192.168.1.11", 443, "shop/web", "https"),
        Reachable("balancer", "shop/web", "192.168.1.11", 80, "shop/web"),
        Reachable("balancer", "shop/web", "192.168.1.11", 53, "shop/web", "udp", "UDP"),
        Reachable("node", "w1", "192.168.1.101", 30053, "shop/web", "udp", "UDP"),
        Reachable("node", "w1", "192.168.1.101", 30080, "shop/web"),
        Reachable("node", "w1", "192.168.1.101", 10250, "kubelet", "https"),
        Reachable("node", "w1", "192.168.1.101", 9100, "pod shop/p"),
    ]


def test_the_clusters_name_server_is_reachable_at_its_own_address() -> None:
    ports = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}, {"port": 9153}]
    service = {
        "metadata": {"name": "kube-dns", "namespace": "kube-system"},
        "spec": {"clusterIP": "10.96.0.10", "ports": ports},
    }
    assert reachable([], [service], [], nameserver="10.96.0.10") == [
        Reachable("dns", "kube-system/kube-dns", "10.96.0.10", 53, "kube-system/kube-dns", "dns", protocol)
        for protocol in ("UDP", "TCP")
    ]


def test_a_pod_that_does_not_run_listens_nowhere() -> None:
    pending = {**POD, "status": {"phase": "Pending"}}
    assert reachable([NODE], [], [], [pending]) == []


def test_hosts_of_urls() -> None:
    assert [ingress_address([INGRESS], host) for host in ("a.org", "x.b.org", "b.org", "x.y.b.org")] == [
        "192.168.1.11",
        "192.168.1.11",
        None,
        None,
    ]
