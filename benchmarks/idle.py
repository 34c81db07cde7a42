"""A day in which nothing happens, on the largest cluster: what rhythms cost that change nothing."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator

from benchmarks.harness import Figure
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, NetworkSpec

NODES = 5000
WIDE = NetworkSpec(pod_cidr="10.128.0.0/9")
"""Room for a range of addresses on each node."""


def measure() -> Iterator[Figure]:
    cluster = Cluster(ClusterSpec(nodes=NODES, network=WIDE))
    cluster.settle()
    gc.freeze()
    cluster.advance("2h")  # until the events of the nodes' registration have expired
    began = time.process_time()
    cluster.advance("24h")
    yield Figure(f"an idle day of {NODES} nodes", time.process_time() - began, "s", 10, True)
    began = time.process_time()
    assert len(cluster.list("nodes")) == NODES + 1
    yield Figure(f"the heartbeats of {NODES} nodes, computed for a list", time.process_time() - began, "s", None, True)
