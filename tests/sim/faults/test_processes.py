"""A process that dies between two requests, and one that sees the past."""

from __future__ import annotations

import pytest

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, S
from seatrial.sim.history import History

MANAGER = "kube-controller-manager"
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: nginx}]}
"""


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster(ClusterSpec(nodes=1, addons=False))
    cluster.advance("6s")
    return cluster


@pytest.mark.parametrize("writes", [1, 2, 3])
def test_a_cut_comes_right_after_a_write_and_the_rest_after_the_restart(cluster: Cluster, writes: int) -> None:
    cut = {"kind": "component-cut", "component": MANAGER, "user": "system:serviceaccount:kube-system:deployment-"}
    cluster.add_fault({**cut, "after_writes": writes})
    cluster.apply(DEPLOYMENT)
    cluster.advance("500ms")
    (manager,) = [each for each in cluster.components if each.name == MANAGER]
    causes = [change.cause for change in History(cluster.store).changes() if change.cause is not None]
    assert not manager.running
    assert sum(cause[0] == "deployment-controller" for cause in causes) == writes
    cluster.advance("40s")
    assert cluster.get("deploy", "web")["status"]["readyReplicas"] == 3
    assert len(cluster.list("rs", "default")) == 1


def test_a_replayed_cut_gives_the_same_history(cluster: Cluster) -> None:
    cluster.add_fault({"kind": "component-cut", "component": MANAGER, "after_writes": 3})
    cluster.apply(DEPLOYMENT)
    cluster.advance("40s")
    assert Cluster.replay(cluster.journal).digest() == cluster.digest()


def test_a_stale_view_is_late_and_no_more(cluster: Cluster) -> None:
    cluster.add_fault({"kind": "stale-views", "component": MANAGER, "resource": "deployments", "delay_ms": 5000}, "old")
    cluster.apply(DEPLOYMENT)
    cluster.advance("4s")
    assert cluster.list("rs", "default") == []
    cluster.advance("2s")
    assert len(cluster.list("rs", "default")) == 1
    cluster.remove_fault("old")
    cluster.advance("10s")
    cluster.advance("10s")
    before = cluster.now
    cluster.apply(DEPLOYMENT.replace("name: web", "name: other").replace("app: web", "app: other"))
    while len(cluster.list("rs", "default")) == 1:
        cluster.run(1000)
    assert cluster.now - before < 1 * S
