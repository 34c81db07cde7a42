"""Of the ended containers of one name a kubelet keeps the last: what went before can no longer be asked for its log."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.apiserver.kubelets import LogOptions
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import S
from seatrial.sim.nodes.cri import EXITED, RUNNING, ContainerRecord, PodRecord, SandboxRecord
from seatrial.sim.nodes.relist import superseded, worth_a_sync
from tests.sim.nodes.machines import cluster, node_of, pod

SANDBOX = SandboxRecord("s", "10.0.0.1", True, 0)


def container(identifier: str, name: str = "c", state: str = EXITED) -> ContainerRecord:
    return ContainerRecord(identifier, name, 0, "busybox", "sha256:1", state, 0)


def status(made: Cluster) -> dict[str, Any]:
    found = made.store.get("pods", "default", "a")
    assert found is not None
    status: dict[str, Any] = found["status"]["containerStatuses"][0]
    return status


def until(made: Cluster, state: str, restarts: int) -> dict[str, Any]:
    """The container's status as soon as it is in this state after so many restarts."""
    for _ in range(3000):
        made.run(S // 10)
        now = status(made)
        if now["restartCount"] == restarts and state in now["state"]:
            return now
    raise AssertionError(now)


@pytest.mark.parametrize(
    ("containers", "wanted"),
    [
        ([container("1")], []),
        ([container("2", state=RUNNING), container("1")], []),
        ([container("2"), container("1")], ["1"]),
        ([container("4", state=RUNNING), container("3"), container("2"), container("1")], ["2", "1"]),
        ([container("2", "d"), container("1", "c")], []),
    ],
)
def test_the_last_that_ended_of_each_name_stays(containers: list[ContainerRecord], wanted: list[str]) -> None:
    assert [each.id for each in superseded(PodRecord(SANDBOX, tuple(containers)))] == wanted


def test_a_removed_container_is_no_reason_to_sync() -> None:
    two = PodRecord(SANDBOX, (container("2"), container("1")))
    assert not worth_a_sync(two, PodRecord(SANDBOX, (container("2"),)))
    assert worth_a_sync(PodRecord(SANDBOX, (container("2", state=RUNNING),)), two)
    assert worth_a_sync(two, two._replace(sandbox=SANDBOX._replace(ready=False)))


def test_the_log_of_the_instance_before_is_gone_as_soon_as_the_next_has_ended() -> None:
    made = cluster()
    made.apply(pod("a", "echo run; sleep 1; exit 3"))
    now = until(made, "terminated", restarts=2)
    kubelet = made.wiring.kubelets.dial("w1-k8s")
    before = now["lastState"]["terminated"]["containerID"]
    instead = kubelet.logs("default", "a", "c", LogOptions(previous=True))
    assert (instead.read(), instead.ended) == (f"unable to retrieve container logs for {before}".encode(), True)
    assert kubelet.logs("default", "a", "c", LogOptions()).read() == b"run\n"
    assert until(made, "waiting", restarts=2)["lastState"]["terminated"]["containerID"] != before
    assert kubelet.logs("default", "a", "c", LogOptions(previous=True)).read() == b"run\n"
    records = node_of(made).runtime.record(made.store.get("pods", "default", "a")["metadata"]["uid"]).containers  # type: ignore[index]
    assert sum(each.state == EXITED for each in records) == 1
