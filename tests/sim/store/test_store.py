"""The store: one revision, one log, watches as cursors, compaction, leases, quota."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sim.config import S
from seatrial.sim.invariants.log import revisions_are_contiguous
from seatrial.sim.kernel.clock import Clock
from seatrial.sim.store.integrity import Mutated
from seatrial.sim.store.store import Change, Compacted, Conflict, KeyExists, KeyMissing, NoSpace, Store, Watch

Object = Mapping[str, Any]


def thing(name: str, namespace: str = "default", **fields: Any) -> Object:
    return {"kind": "Thing", "metadata": {"name": name, "namespace": namespace}, **fields}


def names(objects: list[Object]) -> list[str]:
    return [obj["metadata"]["name"] for obj in objects]


def seen(watch: Watch) -> list[tuple[str, str]]:
    return [(change.verb, change.obj["metadata"]["name"]) for change in watch.read()]


@pytest.fixture
def store() -> Store:
    return Store(Clock(), verify=True)


def test_every_write_is_one_revision_of_everything(store: Store) -> None:
    first = store.create("things", thing("a"))
    second = store.create("others", thing("a"))
    third = store.update("things", {**first, "spec": 1})
    gone = store.delete("others", "default", "a")
    found = [int(obj["metadata"]["resourceVersion"]) for obj in (first, second, third, gone)]
    assert found == list(range(found[0], found[0] + 4))
    assert store.revision == found[-1]


def test_writes_hold_what_they_expect(store: Store) -> None:
    old = store.create("things", thing("a"))
    store.update("things", {**old, "spec": 1}, expect=old["metadata"]["resourceVersion"])
    with pytest.raises(KeyExists):
        store.create("things", thing("a"))
    with pytest.raises(Conflict):
        store.update("things", {**old, "spec": 2}, expect=old["metadata"]["resourceVersion"])
    with pytest.raises(Conflict):
        store.delete("things", "default", "a", expect=old["metadata"]["resourceVersion"])
    for write in (lambda: store.update("things", thing("b")), lambda: store.delete("things", "default", "b")):
        with pytest.raises(KeyMissing):
            write()
    assert store.revision == int(old["metadata"]["resourceVersion"]) + 1


def test_lists_are_in_the_order_of_etcd_keys(store: Store) -> None:
    for namespace, name in (("b", "x"), ("a", "z"), ("a-b", "y"), ("a", "y"), ("a.b", "w")):
        store.create("things", thing(name, namespace))
    found = [(obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in store.list("things")]
    assert found == [("a-b", "y"), ("a.b", "w"), ("a", "y"), ("a", "z"), ("b", "x")]
    assert names(store.list("things", "a")) == ["y", "z"]
    assert store.list("things", "nowhere") == store.list("nothing") == []


def test_last_state_of_a_deletion_carries_its_revision(store: Store) -> None:
    old = store.create("things", thing("a"))
    watch = store.watch("things", store.revision)
    gone = store.delete("things", "default", "a", last={**old, "marked": True})
    (change,) = watch.read()
    assert change.obj == gone
    assert gone["marked"] is True
    assert gone["metadata"]["resourceVersion"] == str(store.revision)
    assert change.old == old


def test_watch_reads_what_follows_its_revision(store: Store) -> None:
    store.create("things", thing("before"))
    watch = store.watch("things", store.revision)
    obj = store.create("things", thing("a"))
    store.create("others", thing("b"))
    store.update("things", obj)
    store.delete("things", "default", "a")
    assert seen(watch) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    assert watch.position == store.revision
    assert seen(store.watch("things", int(obj["metadata"]["resourceVersion"])))[0] == ("MODIFIED", "a")


def test_limited_reads_go_on_where_they_stopped(store: Store) -> None:
    watch = store.watch("things", store.revision)
    for number in range(5):
        store.create("things", thing(f"a{number}", "one" if number % 2 else "two"))
    assert [len(watch.read(2)) for _ in range(4)] == [2, 2, 1, 0]
    narrow = store.watch("things", store.floor, namespace="one")
    assert [len(narrow.read(1)) for _ in range(3)] == [1, 1, 0]


def test_ready_is_told_once_and_only_of_what_the_watch_will_show(store: Store) -> None:
    watch = store.watch("things", store.revision, namespace="one")
    told: list[int] = []
    watch.on_ready(lambda: told.append(store.revision))
    store.create("things", thing("a", "two"))
    assert told == []
    store.create("things", thing("b", "one"))
    store.create("things", thing("c", "one"))
    assert len(told) == 1
    watch.on_ready(lambda: told.append(-1))
    assert told[-1] == -1
    watch.read()
    watch.on_ready(lambda: told.append(-2))
    watch.close()
    store.create("things", thing("d", "one"))
    assert -2 not in told


def test_watch_by_index_sees_objects_come_and_go(store: Store) -> None:
    store.index("pods", "node", lambda pod: pod.get("node", ""))
    one = store.create("pods", thing("a", node="w1"))
    watch = store.watch("pods", store.floor, index=("node", "w1"))
    idle = store.watch("pods", store.revision, index=("node", "w2"))
    moved = store.update("pods", {**one, "node": "w3"})
    store.update("pods", {**moved, "more": 1})
    store.create("pods", thing("b", node="w1"))
    assert seen(watch) == [("ADDED", "a"), ("MODIFIED", "a"), ("ADDED", "b")]
    assert seen(idle) == []
    assert names(store.indexed("pods", "node", "w1")) == ["b"]
    assert names(store.indexed("pods", "node", "w3")) == ["a"]
    assert store.indexed("pods", "node", "w9") == []


def test_compaction_moves_the_floor_and_drops_cursors_below(store: Store) -> None:
    slow = store.watch("things", store.revision)
    for number in range(4):
        store.create("things", thing(f"a{number}"))
    late = store.watch("things", store.revision)
    old = store.revision - 2
    store.compact(store.revision - 1)
    with pytest.raises(Compacted) as caught:
        slow.read()
    assert caught.value.floor == store.floor == store.revision - 1
    for ask in (
        lambda: store.watch("things", old),
        lambda: store.list_at("things", None, old),
        lambda: store.compact(old),
    ):
        with pytest.raises(Compacted):
            ask()
    store.create("things", thing("new"))
    assert seen(late) == [("ADDED", "new")]
    assert names(store.list_at("things", None, store.floor)) == ["a0", "a1", "a2"]


def test_log_keeps_a_bounded_number_of_changes() -> None:
    store = Store(Clock(), retain=100)
    for number in range(1000):
        store.create("things", thing(f"a{number}"))
    assert 100 <= store.revision - store.floor <= 113
    assert len(store.watch("things", store.floor).read(1000)) == store.revision - store.floor


def test_events_die_with_their_lease_within_a_minute_of_their_hour() -> None:
    clock = Clock()
    store = Store(clock)
    store.lease("events", 3600 * S)
    store.create("events", thing("first"))
    clock.run_until(30 * S)
    second = store.create("events", thing("second"))
    clock.run_until(1800 * S)
    store.update("events", {**second, "count": 2})
    clock.run_until(3600 * S)
    assert names(store.list("events")) == ["first", "second"]
    clock.run_until(3660 * S)
    assert names(store.list("events")) == ["second"]
    clock.run_until(5460 * S)
    assert store.list("events") == []


def test_full_store_takes_deletions_only_until_it_has_room_again() -> None:
    store = Store(Clock(), quota_bytes=10_000)
    with pytest.raises(NoSpace, match="etcdserver: mvcc: database space exceeded"):
        for number in range(1000):
            store.create("things", thing(f"a{number}", text="x" * 500))
    with pytest.raises(NoSpace):
        store.create("things", thing("small"))
    revision = store.revision
    for obj in store.list("things"):
        store.delete("things", "default", obj["metadata"]["name"])
    with pytest.raises(NoSpace):
        store.create("things", thing("small"))
    store.compact(store.revision)
    store.space.disarm()
    store.create("things", thing("small"))
    assert store.revision > revision


def test_mutation_of_a_committed_object_is_found() -> None:
    store = Store(Clock(), verify=True)
    obj = store.create("things", thing("a", spec={"n": 1}))
    store.check_integrity()
    obj["spec"]["n"] = 2
    with pytest.raises(Mutated, match="Thing default/a"):
        store.check_integrity()
    with pytest.raises(Mutated):
        store.update("things", {**obj, "spec": {"n": 3}})


def test_bytes_are_those_of_this_very_object(store: Store) -> None:
    obj = store.create("things", thing("a"))
    assert store.encoded(obj) is store.encoded(obj)
    assert store.encoded({**obj, "more": 1}).endswith(b'"more":1}')


def test_causes_are_kept_with_their_revisions(store: Store) -> None:
    user = store.create("things", thing("a"))
    store.create("others", thing("b"), cause=("controller", "default/a", store.revision))
    change = store.change(store.revision)
    assert change is not None
    assert change.cause == ("controller", "default/a", int(user["metadata"]["resourceVersion"]))
    assert [c.verb for c in store.history("things", "default", "a")] == ["ADDED"]
    assert store.change(store.revision + 1) is None


def test_digest_tells_histories_apart() -> None:
    def history(*names: str, retain: int = 100_000) -> str:
        clock = Clock()
        store = Store(clock, retain=retain)
        for name in names:
            clock.run_until(clock.now + 1)
            store.create("things", thing(name))
        return store.digest()

    assert history("a", "b", "c") == history("a", "b", "c") == history("a", "b", "c", retain=1)
    assert history("a", "b", "c") != history("b", "a", "c")


WRITES = st.lists(
    st.tuples(st.sampled_from("cud"), st.sampled_from(["a", "a-b", "b"]), st.sampled_from(["x", "y", "z"])),
    max_size=40,
)


@given(WRITES, st.data())
def test_log_and_snapshots_tell_one_history(writes: list[tuple[str, str, str]], data: st.DataObject) -> None:
    """A list at any revision is the list now with the watch's changes taken back, and a view fed by a watch from there
    becomes the list now."""
    store = Store(Clock(), verify=True)
    states: dict[int, list[Object]] = {store.revision: []}
    for verb, namespace, name in writes:
        try:
            if verb == "c":
                store.create("things", thing(name, namespace))
            elif verb == "u":
                store.update("things", thing(name, namespace, n=store.revision))
            else:
                store.delete("things", namespace, name)
        except (KeyExists, KeyMissing):
            continue
        states[store.revision] = store.list("things")
    since = data.draw(st.sampled_from(sorted(states)))
    assert store.list_at("things", None, since) == states[since]
    assert store.list_at("things", "a", since) == [o for o in states[since] if o["metadata"]["namespace"] == "a"]
    replayed = {_place(obj): obj for obj in states[since]}
    for change in store.watch("things", since).read(1000):
        _play(replayed, change)
    assert sorted(map(str, replayed.values())) == sorted(map(str, store.list("things")))
    store.check_integrity()


def _place(obj: Object) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def _play(state: dict[tuple[str, str], Object], change: Change) -> None:
    assert state.get(_place(change.obj)) == change.old
    if change.verb == "DELETED":
        del state[_place(change.obj)]
    else:
        state[_place(change.obj)] = change.obj


def test_revisions_of_a_history_that_was_given_up_are_gone(store: Store) -> None:
    first = store.create("pods", thing("a"))
    since = int(first["metadata"]["resourceVersion"])
    store.skip(since + 100)
    store.skip(since)
    assert store.revision == since + 100
    second = store.create("pods", thing("b"))
    assert second["metadata"]["resourceVersion"] == str(since + 101)
    for revision in (since + 1, since + 99):
        with pytest.raises(Compacted):
            store.watch("pods", revision)
        with pytest.raises(Compacted):
            store.list_at("pods", None, revision)
    for revision in (since, since + 100):
        assert [change.obj for change in store.watch("pods", revision).read()] == [second]
        assert store.list_at("pods", None, revision) == [first]
    held = [store.change(revision) for revision in range(since, since + 102)]
    assert [change.obj for change in held if change is not None] == [first, second]
    assert list(revisions_are_contiguous(store)) == []
