"""Histories that begin again: what a replay is checked against, what its clients may know, and files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.api.problem import Problem
from seatrial.api.server import histories, pki
from seatrial.api.server.assembly import Live, assemble, kept_journal
from seatrial.api.server.histories import begin_again, check_same, detach, loaded, save
from seatrial.api.server.state import Home, Settings
from seatrial.sim.apiserver.request import Credentials, Request, Response
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.entrance import Moment
from seatrial.sim.kernel.journal import Journal
from seatrial.sim.machinery.errors import ApiError

ADMIN = Credentials("kubernetes-admin", ("system:masters",))
KEYS = pki.make()
SETTINGS = Settings(spec=ClusterSpec(name="lab", nodes=0, controllers="none"), seed=0, port=0, boots=1)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "lab")
    made.save(SETTINGS)
    pki.save(KEYS, made.pki)
    return made


@pytest.fixture
def live(home: Home) -> Live:
    """Three ConfigMaps, a second apart."""
    made = assemble(home, SETTINGS, KEYS)
    for name in ("a", "b", "c"):
        create(made, name)
        made.cluster.clock.run_until(made.cluster.now + 1_000_000)
    return made


def create(live: Live, name: str) -> str:
    path = "/api/v1/namespaces/default/configmaps"
    body = b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"%b"}}' % name.encode()
    answers: list[Response | None] = []
    live.submit(Request("POST", path, body=body, credentials=ADMIN), answers.append)
    assert answers[0] is not None
    return str(answers[0].body["metadata"]["resourceVersion"])


def names(cluster: Cluster) -> list[str]:
    return [obj["metadata"]["name"] for obj in cluster.list("configmaps", "default")]


def test_a_replayed_beginning_is_compared_with_the_log(live: Live) -> None:
    journal, now = live.history(), live.cluster.now
    again = Cluster.replay(journal, Moment(now - 1_500_000))
    assert names(again) == ["a", "b"]
    check_same(live.cluster.store, again, journal)
    other = Journal(journal.header, [entry for entry in journal.entries if b'"b"' not in str(entry).encode()])
    request = other.entries[0]
    other.entries[0] = request._replace(value={**request.value, "body": {"text": "{}"}})
    with pytest.raises(Problem, match="differs from what happened at revision"):
        check_same(live.cluster.store, Cluster.replay(other, Moment(now)), other)
    with pytest.raises(Problem, match="another end"):
        check_same(None, Cluster.replay(other), other)


def test_heartbeats_are_compared_as_they_were_stored() -> None:
    cluster = Cluster(ClusterSpec(nodes=1))
    cluster.advance("30s")
    assert cluster.get("node", "w1-k8s")["status"]["conditions"], "somebody looks, so that heartbeats are stored"
    journal = cluster.journal.until(cluster.now, {})
    check_same(cluster.server.store, Cluster.replay(journal, Moment(cluster.now - 7_000_000)), journal)


def test_clients_of_the_history_that_was_given_up_list_anew(live: Live) -> None:
    given_out = live.cluster.store.revision
    again = Cluster.replay(live.history(), Moment(live.cluster.now - 1_500_000))
    common = again.store.revision
    detach(again, given_out)
    again.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}})
    assert int(again.get("configmap", "new")["metadata"]["resourceVersion"]) > given_out
    path = "/api/v1/namespaces/default/configmaps"
    for revision, gone in ((common, False), (common + 1, True), (given_out, True), (given_out + 1, False)):
        query = {"watch": ("true",), "resourceVersion": (str(revision),)}
        frames = again.request(Request("GET", path, query)).body.read()
        assert (frames[0].type, frames[0].object.get("code")) == (("ERROR", 410) if gone else ("ADDED", None))
    stale = {**live.cluster.get("configmap", "b"), "data": {"x": "1"}}
    stale["metadata"] = {**stale["metadata"], "resourceVersion": str(given_out)}
    assert again.request(Request("PUT", f"{path}/b", body=stale)).code == 409
    replayed = Cluster.replay(Journal.load(again.journal.dump()))
    assert replayed.digest() == again.digest()


def test_a_cluster_begins_from_a_history_and_keeps_what_it_holds(live: Live, home: Home) -> None:
    save(live.history(), home.beginning)
    digest, held = live.cluster.digest(), names(live.cluster)
    live.close(0)
    shares: list[float] = []
    again = begin_again(home, SETTINGS, KEYS, shares.append)
    assert again.cluster.digest() == digest
    assert not home.beginning.exists()
    create(again, "d")
    again.close(0)
    later = assemble(home, SETTINGS.model_copy(update={"boots": 2}), KEYS)
    assert names(later.cluster) == [*held, "d"]
    with pytest.raises(ApiError):
        later.cluster.get("configmap", "e")
    later.close(0)


def test_a_halted_clusters_snapshot_holds_its_objects(live: Live, home: Home) -> None:
    held, revision = names(live.cluster), live.cluster.store.revision
    live.close(0)
    journal = loaded(kept_journal(home, SETTINGS).dump(), "snapshot")
    again = Cluster.replay(journal)
    assert (names(again), again.store.revision) == (held, revision)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty"),
        (b"hello\n", "not JSON"),
        (b'{"seatrialJournal":1}\n', "version 1 cannot be read"),
        (b'{"seatrialJournal":2,"seatrial":"0.0.0"}\n', "written by Seatrial 0.0.0"),
        (b'{"seatrialJournal":2}\n', "the header has no 'spec'"),
    ],
)
def test_a_file_of_another_version_is_refused_with_the_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(Problem, match=reason):
        loaded(raw, "file")


def test_names_of_snapshots(home: Home) -> None:
    assert histories.free_name(home, "before") == "before-1"
    save(Journal({}), histories.snapshot_file(home, "before-1"))
    assert histories.free_name(home, "before") == "before-2"
    with pytest.raises(Problem, match="already"):
        histories.check_new(home, "before-1")
    for name in ("", "../etc", "a/b", "-x"):
        with pytest.raises(Problem, match="letters, digits"):
            histories.snapshot_file(home, name)
