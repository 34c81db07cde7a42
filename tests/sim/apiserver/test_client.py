"""A component's way to the API server: latency, limits, and what a broken link looks like."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from seatrial.sim.apiserver.client import Client, TokenBucket, Unreachable, Verdict
from seatrial.sim.apiserver.request import Request, Response
from seatrial.sim.cluster import ADMIN, Cluster
from seatrial.sim.config import MS, ClusterSpec, S
from seatrial.sim.machinery import errors
from seatrial.sim.machinery.errors import ApiError

LATENCY_US = 1 * MS


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster(ClusterSpec(nodes=0, controllers="none"), verify=True)
    cluster.topology.add_host("far")
    cluster.topology.link("far", "m-k8s", LATENCY_US)
    return cluster


class Outcome:
    """What a client's call came to, and when."""

    def __init__(self, cluster: Cluster, steps: Generator[Any, Any, Any]) -> None:
        self.result: Any = None
        self.took_us: int | None = None
        cluster.clock.spawn(self._run(cluster, steps), "test")

    def _run(self, cluster: Cluster, steps: Generator[Any, Any, Any]) -> Generator[Any, Any, None]:
        began = cluster.now
        try:
            self.result = yield from steps
        except (ApiError, Unreachable) as error:
            self.result = error
        self.took_us = cluster.now - began


def config(name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": {"x": "0"}}


def client(cluster: Cluster, **limits: Any) -> Client:
    return Client(cluster.wiring, "far", ADMIN, "test/1", **limits)


def test_verbs_take_the_way_there_and_back(cluster: Cluster) -> None:
    resource, far = cluster.kinds.resource("configmaps"), client(cluster)
    created = Outcome(cluster, far.create(resource, config("a"), cause=("test", "a", None)))
    cluster.run(10 * MS)
    assert created.took_us == 2 * LATENCY_US
    assert created.result["metadata"]["managedFields"][0]["manager"] == "test"
    change = cluster.store.change(cluster.store.revision)
    assert change is not None
    assert (change.cause, change.at_us) == (("test", "a", None), cluster.now - 9 * MS)
    changed = Outcome(cluster, far.update(resource, {**created.result, "data": {"x": "1"}}))
    cluster.run(10 * MS)
    found = Outcome(cluster, far.get(resource, "default", "a"))
    listed = Outcome(cluster, far.list(resource, "default", field_selector="metadata.name=a"))
    cluster.run(10 * MS)
    assert found.result == changed.result
    assert listed.result == ([found.result], cluster.store.revision)
    Outcome(cluster, far.patch(resource, "default", "a", {"data": {"y": "2"}}, "application/merge-patch+json"))
    cluster.run(10 * MS)
    assert cluster.get("cm", "a")["data"] == {"x": "1", "y": "2"}
    gone = Outcome(cluster, far.delete(resource, "default", "a"))
    missing = Outcome(cluster, far.get(resource, "default", "b"))
    cluster.run(10 * MS)
    assert gone.result["status"] == "Success"
    assert (missing.result.code, missing.result.reason) == (404, "NotFound")


def test_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    bucket = TokenBucket(qps=20, burst=3)
    assert [bucket.take(0) for _ in range(6)] == [0, 0, 0, 50 * MS, 100 * MS, 150 * MS]
    assert bucket.take(10 * S) == 0


def test_calls_queue_at_the_limit_in_order(cluster: Cluster) -> None:
    slow = client(cluster, qps=10, burst=1)
    resource = cluster.kinds.resource("configmaps")
    calls = [Outcome(cluster, slow.get(resource, "default", "none")) for _ in range(3)]
    cluster.run(1 * S)
    assert [call.took_us for call in calls] == [2 * MS, 102 * MS, 202 * MS]


def test_server_that_is_down_refuses_at_once(cluster: Cluster) -> None:
    cluster.endpoint.up = False
    call = Outcome(cluster, client(cluster).call(Request("GET", "/version")))
    cluster.run(1 * S)
    assert isinstance(call.result, Unreachable)
    assert call.result.refused
    assert call.took_us == 2 * LATENCY_US
    cluster.endpoint.up = True
    call = Outcome(cluster, client(cluster).call(Request("GET", "/version")))
    cluster.run(1 * S)
    assert call.result.code == 200


def test_nobody_at_the_other_end_is_noticed_by_the_dialler_and_then_by_pings(cluster: Cluster) -> None:
    fresh, connected = client(cluster), client(cluster)
    Outcome(cluster, connected.call(Request("GET", "/version")))
    cluster.run(1 * S)
    cluster.topology.cut("far", "m-k8s")
    dial = Outcome(cluster, fresh.call(Request("GET", "/version")))
    lost = Outcome(cluster, connected.call(Request("GET", "/version")))
    hasty = Outcome(cluster, client(cluster, timeout_us=10 * S).call(Request("GET", "/version")))
    cluster.run(60 * S)
    assert (dial.took_us, lost.took_us, hasty.took_us) == (30 * S, 45 * S, 10 * S)
    assert str(lost.result) == "http2: client connection lost"
    assert not lost.result.refused


def test_short_cut_is_bridged_by_retransmission(cluster: Cluster) -> None:
    cluster.topology.cut("far", "m-k8s")
    call = Outcome(cluster, client(cluster).call(Request("GET", "/version")))
    cluster.run(2 * S)
    cluster.topology.mend("far", "m-k8s")
    cluster.run(10 * S)
    assert call.result.code == 200
    assert 2 * S < (call.took_us or 0) <= 4 * S


def test_write_whose_answer_is_lost_has_happened(cluster: Cluster) -> None:
    resource = cluster.kinds.resource("configmaps")
    call = Outcome(cluster, client(cluster).create(resource, config("a")))
    cluster.clock.after(LATENCY_US // 2, lambda: cluster.topology.cut("m-k8s", "far", one_way=True))
    cluster.run(60 * S)
    assert isinstance(call.result, Unreachable)
    assert cluster.get("cm", "a")


def test_lossy_link_only_costs_time(cluster: Cluster) -> None:
    cluster.topology.link("far", "m-k8s", LATENCY_US, loss=0.3)
    calls = [Outcome(cluster, client(cluster).call(Request("GET", "/version"))) for _ in range(50)]
    cluster.run(29 * S)
    assert all(call.result.code == 200 for call in calls)
    assert {call.took_us for call in calls} >= {2 * MS, 202 * MS}


def test_fault_delays_and_answers_in_the_servers_place(cluster: Cluster) -> None:
    error = errors.too_many_requests("slow down", 1)
    verdict = Verdict(300 * MS, Response(429, error.status()))
    cluster.endpoint.judge = lambda request: verdict if request.method == "GET" else None
    call = Outcome(cluster, client(cluster).get(cluster.kinds.resource("configmaps"), "default", "a"))
    cluster.run(1 * S)
    assert call.result.code == 429
    assert call.took_us == 302 * MS
