"""30,000 pods on 1,000 nodes to Running, in process: what a large cluster costs in time and memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Figure, Sampler
from benchmarks.idle import WIDE
from benchmarks.lives import RAISED, deployment
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, NodeSpec
from seatrial.sim.kernel.garbage import spare_the_collector

NODES, PODS = 1000, 30_000
REPLICAS = 5000
"""Of each Deployment."""
SIZE = NodeSpec(cpus=32, memory="64Gi", pods=110)


def measure() -> Iterator[Figure]:
    return filled(NODES, PODS)


def filled(
    nodes: int, pods: int, aim_s: float | None = None, aim_mb: float | None = None, replicas: int = REPLICAS
) -> Iterator[Figure]:
    """A cluster from nothing to all its pods Running; client limits are raised to 5,000/s."""
    empty = memory_mb()
    began = time.process_time()
    cluster = Cluster(ClusterSpec(nodes=nodes, network=WIDE, node=SIZE, client=RAISED))
    spare_the_collector()
    cluster.settle()
    took = time.process_time() - began
    bare = memory_mb()
    note = f"{took / nodes * 1e3:.1f} ms and {(bare - empty) / nodes * 1024:.0f} KB each, with its kube-proxy"
    yield Figure(f"{nodes} nodes to Ready", took, "s", None, True, note)
    spare_the_collector()
    began = time.process_time()
    with Sampler() as sampler:
        for number in range(pods // replicas):
            cluster.apply(deployment(f"web-{number}", replicas))
        cluster.settle()
    took, full = time.process_time() - began, memory_mb()
    ready = sum(each["status"].get("readyReplicas", 0) for each in cluster.list("deployments", "default"))
    assert ready == pods, f"{ready} of {pods} pods are ready"
    note = f"{took / pods * 1e3:.1f} ms and {(full - bare) / pods * 1024:.0f} KB each; own time of {sampler.most()}"
    yield Figure(f"{pods} pods on {nodes} nodes to Running", took, "s", aim_s, True, note)
    yield Figure("memory with them", full, "MB", aim_mb, True)


def memory_mb() -> float:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20
