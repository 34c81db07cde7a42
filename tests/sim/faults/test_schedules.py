"""Random schedules of faults: what must hold at every moment holds, and everything heals when the faults are gone."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.invariants import Judge, unmet
from seatrial.sim.network.requests import origin_of

NODES = ("w1-k8s", "w2-k8s")
IN_A_ROW, FAULTS = 10, 5
MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      tolerations:
      - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 30}
      - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 30}
      containers:
      - {name: c, image: "registry.k8s.io/e2e-test-images/agnhost:2.53", args: [netexec, --http-port=8080]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: c, image: busybox, command: [sleep, "1000000"]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""


def drawn(rng: Random) -> dict[str, Any]:
    """One fault, its beginning and its end.

    etcd is not compacted: the judges read its log. What is killed by KILL from nowhere while its pod ends looks like a
    grace period that was cut short: containers get QUIT. No clock is put back by more than four minutes when its fault
    ends: for that long the node controller overlooks a node's renewals, as upstream's does.
    """
    node = rng.choice(NODES)
    value = rng.choice(
        [
            {"kind": "node-crash", "node": node},
            {"kind": "node-pause", "node": node},
            {"kind": "node-reboot", "node": node, "boot_s": rng.randint(5, 90)},
            {"kind": "node-flapping", "node": node, "up_s": rng.randint(5, 60), "down_s": rng.randint(5, 90)},
            {"kind": "kubelet-stop", "node": node},
            {"kind": "kube-proxy-stop", "node": node},
            {"kind": "kube-proxy-flushed", "node": node},
            {"kind": "cni-broken", "node": node},
            {"kind": "node-pressure", "node": node, "resource": rng.choice(["disk", "pid"])},
            {"kind": "component-stop", "component": rng.choice(["kube-scheduler", "kube-controller-manager"])},
            {"kind": "component-restart", "component": rng.choice(["kube-scheduler", "kube-controller-manager"])},
            {"kind": "apiserver-down"},
            {"kind": "etcd-no-quorum"},
            {"kind": "etcd-slow", "delay_ms": rng.randint(50, 3000)},
            {"kind": "etcd-full"},
            {"kind": "api-fault", "code": rng.choice([0, 409, 429, 500, 503]), "delay_ms": 200, "share": 0.5},
            {"kind": "partition", "a": [node], "one_way": rng.random() < 0.5},
            {
                "kind": "link-quality",
                "node": node,
                "loss": round(rng.random() * 0.5, 2),
                "delay_ms": rng.randint(0, 500),
            },
            {"kind": "dns-stop"},
            {"kind": "watch-drop"},
            {"kind": "container-kill", "selector": "app=web", "signal": "QUIT"},
            {"kind": "registry-down"},
            {"kind": "runtime-stop", "node": node},
            {"kind": "runtime-hang", "node": node},
            {"kind": "disk-full", "node": node},
            {"kind": "clock-skew", "node": node, "by_s": rng.randint(-4000, 240)},
            {"kind": "etcd-down"},
            {"kind": "certificate-expiry", "user": f"system:node:{node}"},
            {"kind": "component-hang", "component": rng.choice(["kube-scheduler", "kube-controller-manager"])},
            {"kind": "leader-failover", "component": rng.choice(["kube-scheduler", "kube-controller-manager"])},
            {"kind": "watch-stall", "component": rng.choice(["kubelet", "kube-proxy", "kube-controller-manager"])},
            {"kind": "watch-duplicate"},
            {"kind": "dns-slow", "delay_ms": rng.randint(10, 8000)},
            {"kind": "container-exit", "selector": "app=web", "code": rng.randint(0, 3)},
            {"kind": "container-hang", "selector": "app=web"},
            {"kind": "container-leak", "selector": "app=web", "mb_per_s": 4},
        ]
    )
    return {"fault": value, "after": rng.randint(1, 120) * 1_000_000, "lasts": rng.randint(1, 240) * 1_000_000}


def served(cluster: Cluster) -> str:
    assert cluster.networking is not None
    requests = cluster.networking.requests
    return requests.trace(origin_of(requests.plane, "node/w1-k8s"), "http://web.default.svc.cluster.local").outcome


def play(first: int, count: int) -> None:
    """``count`` schedules on one cluster, one after the other: each begins where the last one healed."""
    cluster = Cluster(ClusterSpec(nodes=2), seed=first)
    cluster.settle()
    cluster.apply(MANIFEST)
    cluster.settle()
    judge = Judge(cluster.store)
    for seed in range(first, first + count):
        which = f"schedule {seed}; again: python -c 'from {__name__} import play; play({first}, {seed - first + 1})'"
        rng = Random(f"schedule/{seed}")
        for each in [drawn(rng) for _ in range(FAULTS)]:
            cluster.add_fault(each["fault"], after=each["after"], lasts=each["lasts"])
        for _ in range(12):
            cluster.advance("30s")
            assert not list(judge.news()), which
        assert not cluster.faults.list(), which
        cluster.advance("8m")
        assert not list(judge.news()), which
        assert not unmet(cluster.store), which
        assert served(cluster) == "HTTP 200", which


@pytest.mark.parametrize("first", range(0, 100, IN_A_ROW))
def test_a_hundred_schedules(first: int) -> None:
    play(first, IN_A_ROW)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(100, 10_100, IN_A_ROW))
def test_ten_thousand_schedules(first: int) -> None:
    play(first, IN_A_ROW)
