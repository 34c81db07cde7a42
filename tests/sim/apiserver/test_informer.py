"""Informers: a view that is late by the link, stale behind a cut one, and right again afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.sim.apiserver.client import Client
from seatrial.sim.apiserver.informer import Informer
from seatrial.sim.cluster import ADMIN, Cluster
from seatrial.sim.config import MS, ApiserverSpec, ClusterSpec, S
from seatrial.sim.kernel.clock import Process

LATENCY_US = 1 * MS


def bare(**limits: Any) -> Cluster:
    spec = ClusterSpec(nodes=0, controllers="none", apiserver=ApiserverSpec(**limits))
    cluster = Cluster(spec, verify=True)
    cluster.topology.add_host("far")
    cluster.topology.link("far", "m-k8s", LATENCY_US)
    return cluster


class Watcher:
    """An informer of the ConfigMaps in ``default``, and what it told."""

    def __init__(self, cluster: Cluster, **selectors: Any) -> None:
        self.cluster = cluster
        self.told: list[tuple[str, str, int]] = []
        client = Client(cluster.wiring, "far", ADMIN, "watcher/1")
        resource = cluster.kinds.resource("configmaps")
        self.informer = Informer(cluster.wiring, client, resource, "default", **selectors)
        self.informer.on_change(self._tell)
        self.process: Process = cluster.clock.spawn(self.informer.run(), "watcher")

    def _tell(self, verb: str, new: Any, old: Any) -> None:
        assert (new is None) == (verb == "DELETED")
        assert (old is None) == (verb == "ADDED")
        self.told.append((verb, (new or old)["metadata"]["name"], self.cluster.now))

    @property
    def verbs(self) -> list[tuple[str, str]]:
        return [(verb, name) for verb, name, _ in self.told]

    @property
    def seen(self) -> list[Any]:
        return sorted(self.informer.view.list(), key=lambda obj: obj["metadata"]["name"])


def put(cluster: Cluster, name: str, value: str = "1", **labels: str) -> None:
    metadata = {"name": name, "labels": labels}
    cluster.apply({"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": {"x": value}})


def there(cluster: Cluster) -> list[Any]:
    return cluster.store.list("configmaps", "default")


@pytest.fixture
def cluster() -> Cluster:
    return bare()


def test_list_then_deliveries_in_order_after_the_links_latency(cluster: Cluster) -> None:
    put(cluster, "a")
    watcher = Watcher(cluster)
    cluster.run(10 * MS)
    assert watcher.informer.synced
    assert watcher.seen == there(cluster)
    began = cluster.now
    put(cluster, "b")
    put(cluster, "b", "2")
    cluster.delete("cm", "a")
    cluster.run(LATENCY_US - 1)
    assert len(watcher.told) == 1
    cluster.run(1)
    assert watcher.told[1:] == [(verb, name, began + LATENCY_US) for verb, name in watcher.verbs[1:]]
    assert watcher.verbs[1:] == [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "a")]
    assert watcher.seen == there(cluster)
    assert watcher.informer.view.revision == cluster.store.revision


def test_view_shares_the_stores_objects(cluster: Cluster) -> None:
    put(cluster, "a")
    watcher = Watcher(cluster)
    cluster.run(10 * MS)
    put(cluster, "b")
    cluster.run(10 * MS)
    assert all(mine is stored for mine, stored in zip(watcher.seen, there(cluster), strict=True))


def test_selector_lets_objects_come_and_go(cluster: Cluster) -> None:
    watcher = Watcher(cluster, label_selector="app=web")
    cluster.run(10 * MS)
    put(cluster, "a", app="db")
    put(cluster, "a", app="web")
    put(cluster, "a", "2", app="web")
    put(cluster, "a", app="db")
    cluster.run(10 * MS)
    assert watcher.verbs == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_bookmarks_advance_a_quiet_view(cluster: Cluster) -> None:
    watcher = Watcher(cluster)
    cluster.run(10 * MS)
    cluster.apply({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "other"}})
    cluster.run(1 * S)
    assert watcher.informer.view.revision < cluster.store.revision
    cluster.run(61 * S)
    assert watcher.informer.view.revision == cluster.store.revision


def test_view_is_stale_while_the_link_is_cut_and_catches_up_in_order(cluster: Cluster) -> None:
    watcher = Watcher(cluster)
    cluster.run(10 * MS)
    cluster.topology.cut("far", "m-k8s")
    put(cluster, "a")
    cluster.run(5 * S)
    put(cluster, "a", "2")
    cluster.run(5 * S)
    assert watcher.told == []
    assert watcher.informer.busy()
    cluster.topology.mend("far", "m-k8s")
    cluster.run(10 * S)
    assert watcher.verbs == [("ADDED", "a"), ("MODIFIED", "a")]
    assert not watcher.informer.busy()


def test_long_cut_breaks_the_watch_which_is_begun_anew(cluster: Cluster) -> None:
    watcher = Watcher(cluster)
    cluster.run(10 * MS)
    cluster.topology.cut("far", "m-k8s")
    put(cluster, "a")
    cluster.run(200 * S)
    put(cluster, "b")
    cluster.delete("cm", "a")
    cluster.topology.mend("far", "m-k8s")
    cluster.run(61 * S)
    assert watcher.seen == there(cluster)
    assert ("ADDED", "b") in watcher.verbs


def test_restart_of_the_server_goes_on_where_the_watch_ended(cluster: Cluster) -> None:
    watcher = Watcher(cluster)
    cluster.run(2 * S)
    cluster.endpoint.up = False
    cluster.run(3 * S)
    assert "new watch" in watcher.informer.busy()
    cluster.endpoint.up = True
    put(cluster, "a")
    cluster.run(60 * S)
    assert watcher.verbs == [("ADDED", "a")]


def test_compacted_log_makes_it_list_again() -> None:
    cluster = bare(watch_cache_changes=1000)
    watcher = Watcher(cluster)
    put(cluster, "gone")
    cluster.run(10 * MS)
    cluster.topology.cut("far", "m-k8s")
    cluster.run(100 * S)
    cluster.delete("cm", "gone")
    for number in range(1200):
        put(cluster, "busy", str(number))
    cluster.store.compact(cluster.store.revision - 1)
    cluster.topology.mend("far", "m-k8s")
    cluster.run(60 * S)
    assert watcher.seen == there(cluster)
    assert watcher.verbs[-1] == ("DELETED", "gone")


def test_watch_is_renewed_for_ever_without_a_list(cluster: Cluster) -> None:
    put(cluster, "a")
    watcher = Watcher(cluster)
    cluster.advance("2h")
    put(cluster, "b")
    cluster.run(1 * S)
    assert watcher.verbs == [("ADDED", "a"), ("ADDED", "b")]


def test_killed_informer_leaves_nothing_behind(cluster: Cluster) -> None:
    watcher = Watcher(cluster)
    cluster.run(10 * MS)
    watcher.process.kill()
    assert cluster.wiring.informers == {}
    put(cluster, "a")
    cluster.run(1 * S)
    assert watcher.told == []
    assert cluster.clock.once_by(cluster.now + 10**9) is None


STEP = st.sampled_from(
    ["put a", "put b", "put c", "delete a", "delete b", "cut", "mend", "down", "up", "1ms", "3s", "50s"]
)


@settings(max_examples=25, deadline=None)
@given(st.lists(STEP, max_size=25))
def test_whatever_happens_the_view_ends_where_the_store_is(steps: list[str]) -> None:
    """Safety: handlers tell a consistent story. Liveness: when all is mended the view becomes what is stored."""
    cluster = bare()
    watcher = Watcher(cluster)
    told: dict[str, Any] = {}

    def check(verb: str, new: Any, old: Any) -> None:
        name = (new or old)["metadata"]["name"]
        assert (name in told) == (verb != "ADDED")
        if new is None:
            del told[name]
        else:
            told[name] = new

    watcher.informer.on_change(check)
    for number, step in enumerate(steps):
        _take(cluster, step, str(number))
    _take(cluster, "mend", "")
    _take(cluster, "up", "")
    cluster.run(200 * S)
    assert watcher.seen == there(cluster)
    assert sorted(told) == [obj["metadata"]["name"] for obj in there(cluster)]


def _take(cluster: Cluster, step: str, value: str) -> None:
    if step.startswith("put"):
        put(cluster, step[4:], value)
    elif step.startswith("delete"):
        if cluster.store.get("configmaps", "default", step[7:]) is not None:
            cluster.delete("cm", step[7:])
    elif step == "cut":
        cluster.topology.cut("far", "m-k8s")
    elif step == "mend":
        cluster.topology.mend("far", "m-k8s")
    elif step in ("up", "down"):
        cluster.endpoint.up = step == "up"
    else:
        cluster.advance(step)
