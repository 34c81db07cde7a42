"""Of several controller managers one works; another takes over when its lease runs out, and finishes what it began."""

from __future__ import annotations

from seatrial.scenarios.testing import Faults, booted, judge, judge_rest, manifests
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import S
from seatrial.sim.controllers.manager import ControllerManager
from seatrial.sim.kernel.clock import parse_stamp

NAME = "kube-controller-manager"
LEASE_US, LONGEST_WAIT_US = 15 * S, 4_400_000
"""How long a lease lasts, and the longest that a standby waits between two looks at it."""


def with_standby() -> tuple[Cluster, ControllerManager, ControllerManager]:
    cluster = booted({"nodes": 1})
    (first,) = [each for each in cluster.components if isinstance(each, ControllerManager)]
    standby = ControllerManager(cluster.wiring, "w1-k8s", shared={"signer": None, "root_ca": ""})
    standby.name = "standby"  # type: ignore[misc]
    cluster.attach(standby)
    cluster.advance("20s")
    assert (first.leads, standby.leads) == (True, False)
    return cluster, first, standby


def test_the_standby_takes_over_when_the_lease_has_run_out() -> None:
    cluster, first, standby = with_standby()
    before = cluster.get("lease", NAME, "kube-system")["spec"]
    assert (before["leaseDurationSeconds"], before["leaseTransitions"]) == (15, 0)
    first.stop()
    renewed = parse_stamp(cluster.get("lease", NAME, "kube-system")["spec"]["renewTime"])
    while not standby.leads:
        cluster.advance("100ms")
    assert LEASE_US <= cluster.now - renewed <= LEASE_US + 2 * LONGEST_WAIT_US
    after = cluster.get("lease", NAME, "kube-system")["spec"]
    assert after["holderIdentity"].startswith("w1-k8s_")
    assert after["leaseTransitions"] == 1
    assert after["acquireTime"] > before["renewTime"]
    cluster.advance("1s")
    told = [e["message"] for e in cluster.list("events", "kube-system") if e["reason"] == "LeaderElection"]
    assert f"{after['holderIdentity']} became leader" in told
    first.start()
    cluster.advance("1m")
    assert (first.leads, standby.leads) == (False, True)


def test_the_standby_finishes_what_the_leader_began() -> None:
    cluster, first, standby = with_standby()
    Faults(cluster).crash(NAME, after_writes=6, down="1h")
    cluster.apply(manifests.workload("replicaset", "a", 8))
    cluster.advance("10s")
    assert not first.running
    begun = len(cluster.list("pods", "default"))
    assert 0 < begun < 8
    cluster.advance("40s")
    assert standby.leads
    assert len(cluster.list("pods", "default")) == 8
    judge(cluster)
    judge_rest(cluster)
