from __future__ import annotations

import pytest
from kubectl.typist import Typist

from seatrial.sim.cluster import Cluster


@pytest.fixture
def typist() -> Typist:
    """A user before a cluster of four nodes."""
    cluster = Cluster(seed=1)
    cluster.settle()
    return Typist(cluster)
