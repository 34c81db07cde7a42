"""Of several schedulers one decides; another takes over when it falls silent."""

from __future__ import annotations

import pytest

from seatrial.sim.apiserver.client import Verdict
from seatrial.sim.apiserver.request import Response
from seatrial.sim.machinery import errors
from seatrial.sim.scheduler.config import ConfigError, read_config
from seatrial.sim.scheduler.scheduler import Scheduler
from tests.sim.scheduler.test_scheduler import S, Stage

HEAD = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"


def with_standby() -> tuple[Stage, Scheduler]:
    stage = Stage()
    standby = Scheduler(stage.cluster.wiring, "m2-k8s")
    stage.cluster.topology.add_host("m2-k8s")
    stage.cluster.topology.link("m2-k8s", "lan", 250)
    stage.cluster.components.append(standby)
    standby.start()
    stage.settle()
    return stage, standby


def test_the_standby_takes_over_when_the_lease_has_run_out() -> None:
    stage, standby = with_standby()
    assert (stage.scheduler.leads, standby.leads) == (True, False)
    stage.add_pod("web")
    stage.settle()
    assert stage.node_of("web")
    lease = stage.cluster.get("lease", "kube-scheduler", "kube-system")["spec"]
    assert lease["holderIdentity"].startswith("m-k8s_") and lease["leaseDurationSeconds"] == 15
    stage.scheduler.stop()
    stage.add_pod("orphan")
    stage.cluster.run(10 * S)
    assert stage.node_of("orphan") is None
    stage.settle()
    assert stage.node_of("orphan") and standby.leads
    after = stage.cluster.get("lease", "kube-scheduler", "kube-system")["spec"]
    assert after["holderIdentity"].startswith("m2-k8s_") and after["leaseTransitions"] == 1
    told = [e["message"] for e in stage.cluster.store.list("events", "kube-system") if e["reason"] == "LeaderElection"]
    assert told == [f"{lease['holderIdentity']} became leader", f"{after['holderIdentity']} became leader"]


def test_a_leader_that_is_asked_to_end_gives_its_lease_back() -> None:
    stage, standby = with_standby()
    stage.cluster.clock.spawn(stage.scheduler.retire(), "end")
    stage.cluster.run(S // 2)
    lease = stage.cluster.get("lease", "kube-scheduler", "kube-system")["spec"]
    assert (lease["holderIdentity"], lease["leaseDurationSeconds"], lease["leaseTransitions"]) == ("", 1, 0)
    assert not stage.scheduler.running
    stage.cluster.run(5 * S)
    assert standby.leads


def test_a_leader_that_cannot_renew_gives_up_before_the_other_begins() -> None:
    stage, standby = with_standby()
    endpoint = stage.cluster.endpoint
    error = errors.too_many_requests("not now", 1)
    refusal = Verdict(response=Response(error.code, error.status()))
    endpoint.judge = lambda request: refusal if request.path.endswith("/leases/kube-scheduler") else None
    stage.cluster.run(14 * S)
    assert not stage.scheduler.leads and not standby.leads
    endpoint.judge = None
    stage.settle()
    assert stage.scheduler.leads + standby.leads == 1


def test_without_election_it_leads_at_once() -> None:
    stage = Stage(config=read_config(HEAD + "leaderElection: {leaderElect: false}\n"))
    assert stage.scheduler.leads
    assert not stage.cluster.list("lease", "kube-system")


def test_pace_and_name_of_the_lease_are_configured() -> None:
    text = "leaderElection: {leaseDuration: 1m30s, renewDeadline: 45s, retryPeriod: 500ms, resourceName: mine}\n"
    election = read_config(HEAD + text).election
    assert election is not None
    assert (election.name, election.lease_us, election.renew_deadline_us) == ("mine", 90 * S, 45 * S)
    assert election.retry_us == S // 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("leaseDuration: 5s", "leaderElection.leaseDuration: Invalid value: 10s: LeaseDuration must be greater than"),
        ("retryPeriod: 0s", "leaderElection.retryPeriod: Invalid value: 0s: must be greater than zero"),
        ("renewDeadline: soon", 'time: invalid duration "soon"'),
        ('renewDeadline: "10"', 'time: missing unit in duration "10"'),
    ],
)
def test_what_cannot_be_is_refused(given: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r".") as refused:
        read_config(HEAD + f"leaderElection: {{{given}}}\n")
    assert said in str(refused.value)
