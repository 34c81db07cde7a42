"""Pods through the whole control plane: created by a Deployment, scheduled, started, Ready, deleted, gone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from benchmarks.harness import Figure
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClientSpec, ClusterSpec, NodeSpec
from seatrial.sim.kernel.garbage import spare_the_collector

NODES, PODS = 20, 1000
RAISED = ClientSpec(
    controller_manager_qps=5000,
    controller_manager_burst=10_000,
    scheduler_qps=5000,
    scheduler_burst=10_000,
    kubelet_qps=5000,
    kubelet_burst=10_000,
)


def deployment(name: str, replicas: int) -> dict[str, Any]:
    container = {"name": "c", "image": "registry.k8s.io/pause:3.10", "resources": {"requests": {"cpu": "10m"}}}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def measure() -> Iterator[Figure]:
    cluster = Cluster(ClusterSpec(nodes=NODES, client=RAISED, node=NodeSpec(cpus=32, memory="64Gi", pods=500)))
    cluster.settle()
    spare_the_collector()
    began = time.process_time()
    cluster.apply(deployment("web", PODS))
    cluster.settle()
    ready = cluster.get("deployment", "web")["status"].get("readyReplicas", 0)
    assert ready == PODS, f"{ready} of {PODS} pods are ready"
    up = time.process_time() - began
    cluster.delete("deployment", "web")
    cluster.settle()
    gone = time.process_time() - began
    yield Figure(f"{PODS} pods on {NODES} nodes to Ready", PODS / up, "pods/s", note="client limits raised to 5,000/s")
    yield Figure(
        "whole pod lives, created to gone", PODS / gone, "lives/s", 1000, note="client limits raised to 5,000/s"
    )
