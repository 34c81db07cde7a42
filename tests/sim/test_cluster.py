"""The cluster as library users meet it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seatrial.sim import invariants
from seatrial.sim.apiserver.context import ExternalCall
from seatrial.sim.apiserver.request import Request, User
from seatrial.sim.cluster import Cluster, NotSettled, duration_us, objects_of
from seatrial.sim.config import ApiserverSpec, ClusterSpec, S
from seatrial.sim.kernel.journal import Journal
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.store.sqlite import Durable

BARE = ClusterSpec(nodes=0, controllers="none")

MANIFEST = """
apiVersion: v1
kind: Namespace
metadata:
  name: shop
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: a, namespace: shop, annotations: {since: "2026-01-01"}}
  data: {x: "1"}
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: b}
  data: {x: "2"}
"""


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(BARE, verify=True)


def test_manifest_is_applied_changed_and_taken_away(cluster: Cluster) -> None:
    stored = cluster.apply(MANIFEST)
    assert [obj["kind"] for obj in stored] == ["Namespace", "ConfigMap", "ConfigMap"]
    assert cluster.get("configmap", "a", "shop") == stored[1]
    assert cluster.get("cm", "b")["data"] == {"x": "2"}
    cluster.apply(MANIFEST.replace('{x: "1"}', '{y: "3"}'))
    assert cluster.get("ConfigMap", "a", "shop")["data"] == {"y": "3"}
    revision = cluster.store.revision
    cluster.apply(MANIFEST.replace('{x: "1"}', '{y: "3"}'))
    assert cluster.store.revision == revision
    cluster.delete("cm", "b")
    with pytest.raises(ApiError, match='configmaps "b" not found'):
        cluster.get("cm", "b")
    assert [obj["metadata"]["name"] for obj in cluster.list("configmaps", "shop")] == ["a"]
    assert [obj["metadata"]["name"] for obj in cluster.list("ns", label_selector="kubernetes.io/metadata.name=shop")]


def test_what_the_server_refuses_is_raised_and_stores_nothing(cluster: Cluster) -> None:
    revision = cluster.store.revision
    with pytest.raises(ApiError) as caught:
        cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "dota": {}})
    assert caught.value.code in (400, 500)
    assert cluster.store.revision == revision


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        ("a: [", "not YAML"),
        ("just text", "no kind"),
        ({"apiVersion": "v9", "kind": "Thing", "metadata": {"name": "a"}}, "no matches for kind 'Thing'"),
    ],
)
def test_what_is_no_manifest_is_refused(cluster: Cluster, manifest: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        cluster.apply(manifest)


def test_times_in_manifests_stay_text() -> None:
    (obj,) = objects_of("kind: A\nmetadata: {annotations: {at: 2026-01-01T00:00:00Z}}\n")
    assert obj["metadata"]["annotations"] == {"at": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("text", "us"), [("5m", 300 * S), ("1h30m", 5400 * S), ("250ms", 250_000), ("1.5s", 1_500_000), (7, 7)]
)
def test_durations(text: str | int, us: int) -> None:
    assert duration_us(text) == us


@pytest.mark.parametrize("text", ["", "5", "5 m", "m", "-5m", "5m!"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        duration_us(text)


def test_time_passes_only_when_told(cluster: Cluster) -> None:
    began = cluster.now
    cluster.apply(MANIFEST)
    assert cluster.now == began
    cluster.advance("90s")
    assert cluster.clock.stamp() == "2026-01-01T00:01:30Z"


def test_settled_cluster_has_nothing_due_soon(cluster: Cluster) -> None:
    seen: list[int] = []
    began = cluster.now
    cluster.clock.after(3 * S, lambda: cluster.clock.after(4 * S, lambda: seen.append(cluster.now - began)))
    cluster.clock.after(60 * S, lambda: seen.append(-1))
    cluster.settle()
    assert seen == [7 * S]
    assert cluster.now - began < 8 * S


def test_cluster_that_never_rests_is_named(cluster: Cluster) -> None:
    def restless() -> Any:
        while True:
            yield cluster.clock.sleep(1 * S)

    cluster.clock.spawn(restless(), "restless")
    with pytest.raises(NotSettled, match=r"still busy: .*restless"):
        cluster.settle()


def test_rhythm_does_not_keep_it_from_being_settled(cluster: Cluster) -> None:
    def ticks() -> Any:
        while True:
            yield cluster.clock.sleep(1 * S, periodic=True)

    cluster.clock.spawn(ticks(), "ticks")
    cluster.settle()


def test_requests_are_the_administrators_unless_they_say_otherwise(cluster: Cluster) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    assert cluster.request(Request("GET", path)).code == 200
    somebody = User("somebody", ("system:authenticated",))
    assert cluster.request(Request("GET", path, user=somebody)).code == 403


def test_two_clusters_never_meet() -> None:
    one, other = Cluster(BARE), Cluster(BARE)
    one.apply(MANIFEST)
    assert other.list("cm", "shop") == []
    assert one.digest() != other.digest()


def test_seed_decides_names_and_uids() -> None:
    digests = [Cluster(BARE, seed).digest() for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]


def test_journal_of_a_story_replays_to_the_same_digest(cluster: Cluster) -> None:
    cluster.apply(MANIFEST)
    cluster.advance("10m")
    cluster.delete("cm", "b")
    cluster.request(Request("POST", "/api/v1/namespaces/shop/configmaps", body=b"no json"))
    cluster.settle()
    again = Cluster.replay(Journal.load(cluster.journal.dump()))
    assert (again.digest(), again.now) == (cluster.digest(), cluster.now)
    assert again.journal.dump() == cluster.journal.dump()


def test_kept_state_is_there_after_a_restart(tmp_path: Path) -> None:
    first = Cluster(BARE, seed=3, state=Durable(tmp_path / "state.db"))
    first.advance("10m")
    first.apply(MANIFEST)
    kept = {storage: first.store.list(storage) for storage in first.store.storages()}
    assert first.state is not None
    first.state.close()
    second = Cluster(BARE, seed=3, boot=1, state=Durable(tmp_path / "state.db"))
    assert {storage: second.store.list(storage) for storage in kept} == kept
    assert (second.store.revision, second.now) == (first.store.revision, first.now)
    (obj,) = second.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}})
    uids = [each["metadata"]["uid"] for storage in kept for each in kept[storage]]
    assert obj["metadata"]["uid"] not in uids
    assert second.state is not None
    second.state.close()


def test_log_and_objects_agree(cluster: Cluster) -> None:
    cluster.apply(MANIFEST)
    cluster.delete("cm", "b")
    assert list(invariants.revisions_are_contiguous(cluster.store)) == []
    assert list(invariants.objects_carry_their_revision(cluster.store)) == []


def test_full_database_refuses_writes_and_takes_deletions() -> None:
    cluster = Cluster(ClusterSpec(nodes=0, controllers="none", apiserver=ApiserverSpec(quota_bytes=1_000_000)))
    filler = "x" * 100_000
    with pytest.raises(ApiError, match="etcdserver: mvcc: database space exceeded") as caught:
        for number in range(20):
            metadata = {"name": f"full-{number}"}
            cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"x": filler}})
    assert caught.value.code == 500
    cluster.delete("cm", "full-0")


def test_answers_from_outside_are_replayed_from_the_journal() -> None:
    """A component asks the world; the replay, which has no world, gets the same answer at the same moment."""

    def asks(cluster: Cluster) -> Any:
        answer = yield from cluster.wiring.external(ExternalCall("https://hook", b"ask", 10 * S))
        heard.append((answer, cluster.now))

    def world(call: ExternalCall) -> Any:
        yield cluster.clock.sleep(1234)
        return 200, b"echo " + call.body

    def poke(cluster: Cluster) -> None:
        cluster.on_replay("poke", lambda _: cluster.clock.spawn(asks(cluster), "asks"))

    heard: list[tuple[Any, int]] = []
    cluster = Cluster(BARE)
    cluster.connect(world)
    poke(cluster)
    cluster.journal.append(cluster.now, "poke", None)
    cluster.clock.spawn(asks(cluster), "asks")
    cluster.advance("1s")
    again = Cluster(BARE)
    poke(again)
    again.follow(Journal.load(cluster.journal.dump()))
    assert heard == [((200, b"echo ask"), BARE.epoch_us + 1234)] * 2
    assert again.journal.dump() == cluster.journal.dump()


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1.27"}]}
"""


def test_workload_runs_is_replaced_and_tells_why() -> None:
    cluster = Cluster(ClusterSpec(nodes=2), verify=True)
    cluster.apply(DEPLOYMENT)
    cluster.advance("30s")
    cluster.settle()
    pods = cluster.list("pods", "default")
    assert [pod["status"]["phase"] for pod in pods] == ["Running"] * 3
    chain = cluster.why("pod", pods[0]["metadata"]["name"])
    assert [step.kind for step in chain][:3] == ["Deployment", "ReplicaSet", "Pod"]
    cluster.delete("pod", pods[0]["metadata"]["name"])
    cluster.settle()
    replaced = cluster.list("pods", "default")
    assert len(replaced) == 3
    assert pods[0]["metadata"]["uid"] not in [pod["metadata"]["uid"] for pod in replaced]


@pytest.mark.parametrize("name", ["kube-controller-manager", "kube-scheduler"])
def test_component_killed_and_started_again_catches_up(name: str) -> None:
    cluster = Cluster(ClusterSpec(nodes=1), verify=True)
    cluster.advance("30s")
    (component,) = [each for each in cluster.components if each.name == name]
    component.stop()
    assert not component.running
    cluster.apply(DEPLOYMENT)
    cluster.advance("60s")
    assert not [pod for pod in cluster.list("pods", "default") if pod["spec"].get("nodeName")]
    component.start()
    cluster.advance("60s")
    assert [pod["status"]["phase"] for pod in cluster.list("pods", "default")] == ["Running"] * 3


def test_pod_network_too_small_for_the_nodes_is_said() -> None:
    with pytest.raises(ValueError, match=r"pod_cidr 172.16.0.0/16 holds 256 of 301 nodes: give it a range of /15"):
        Cluster(ClusterSpec(nodes=300))
