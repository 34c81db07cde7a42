from __future__ import annotations

import pytest
from kubectl.typist import Typist

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec


@pytest.fixture
def typist() -> Typist:
    """A user before a cluster of two machines."""
    cluster = Cluster(ClusterSpec(nodes=1), seed=1)
    cluster.settle()
    return Typist(cluster)
