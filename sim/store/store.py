"""The store: etcd as Kubernetes uses it. One revision for everything, one ordered log, watches as cursors.

Source: etcd's server/storage/mvcc and k8s.io/apiserver/pkg/storage/etcd3.
Not modelled: transactions over several keys (each write is a revision of its own, so a lease that ends deletes its
objects one revision after the other) and members of a cluster.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

import orjson

from seatrial.sim.kernel.clock import Clock
from seatrial.sim.kernel.compact import compact
from seatrial.sim.kernel.trace import Trace
from seatrial.sim.store.integrity import Seals
from seatrial.sim.store.leases import Leases
from seatrial.sim.store.log import Call, Change, Channel, Compacted, Tip, Watch
from seatrial.sim.store.shelf import Index, KeyOf, Place, Shelf, order_of, place_of
from seatrial.sim.store.space import NoSpace, Space

__all__ = ["Change", "Compacted", "Conflict", "KeyExists", "KeyMissing", "NoSpace", "Store", "Watch"]

Object = Mapping[str, Any]
Objects = list[Object]
Changes = list[Change]
Channels = list[Channel]

RETAIN: Final = 100_000
"""Changes that the log keeps when nobody says otherwise."""
ENCODED_MAX: Final = 20_000
"""Objects whose bytes are kept."""


class Gap(NamedTuple):
    """Revisions that no change has: those of a history that was given up."""

    last: int
    """The revision before them."""
    next: int
    """The first that counts again."""


class KeyExists(Exception):
    """A create of what is there."""


class KeyMissing(Exception):
    """An update or deletion of what is not there."""


class Conflict(Exception):
    """A write that expects another revision of the object than the one that is there."""


class Store:
    """All objects of a cluster. Only the API server writes to it."""

    def __init__(
        self,
        clock: Clock,
        retain: int = RETAIN,
        quota_bytes: int = 2 * 1024**3,
        verify: bool = False,
        revision: int = 1,
    ) -> None:
        self._clock = clock
        self._retain = retain
        self._tip = Tip(revision)
        self._log: deque[Change] = deque()
        self._gaps: list[Gap] = []
        self._shelves: dict[str, Shelf] = {}
        self._channels: dict[str, Channel] = {}
        self._narrow: dict[str, dict[tuple[str, str], Channel]] = {}
        self._leases: dict[str, Leases] = {}
        self._observers: list[Callable[[Change], None]] = []
        self.on_watch: Callable[[str], Call] | None = None
        """Told of every watch of a kind, unless it is heedless; returns what is to be called at its end."""
        self._encoded: dict[int, tuple[Object, bytes]] = {}
        self._trace = Trace()
        self._seals = Seals() if verify else None
        self.space = Space(quota_bytes)

    @property
    def revision(self) -> int:
        """The last change's number."""
        return self._tip.revision

    @property
    def floor(self) -> int:
        """Revisions below are compacted: neither lists nor watches go back there."""
        return self._tip.floor

    # reading

    def get(self, storage: str, namespace: str, name: str) -> Object | None:
        shelf = self._shelves.get(storage)
        return None if shelf is None else shelf.get(namespace, name)

    def list(self, storage: str, namespace: str | None = None) -> Objects:
        """In the order of the keys."""
        shelf = self._shelves.get(storage)
        return [] if shelf is None else shelf.listed(namespace)

    def list_at(self, storage: str, namespace: str | None, revision: int | None) -> Objects:
        """The list as it was at a revision; None for now. Raises Compacted."""
        found = self.list(storage, namespace)
        channel = self._channels.get(storage)
        if revision is None or revision >= self.revision or channel is None:
            return found
        self._check_known(revision)
        since = channel.changes[channel.after(revision) - channel.base :]
        if namespace is not None:
            since = [change for change in since if place_of(change.obj)[0] == namespace]
        if not since:
            return found
        then: dict[Place, Object] = {place_of(obj): obj for obj in found}
        for change in reversed(since):
            if change.old is None:
                del then[place_of(change.obj)]
            else:
                then[place_of(change.old)] = change.old
        return [then[place] for place in sorted(then, key=order_of)]

    def index(self, storage: str, name: str, key_of: KeyOf) -> None:
        """Keeps the objects of a kind by a value as well, for ``indexed`` and for watches of one value."""
        shelf = self._shelf(storage)
        shelf.indexes[name] = Index(key_of, shelf.listed())

    def has_index(self, storage: str, name: str) -> bool:
        """Whether ``index`` was called for it."""
        shelf = self._shelves.get(storage)
        return shelf is not None and name in shelf.indexes

    def indexed(self, storage: str, name: str, key: str) -> Objects:
        """The objects with that value, in the order of the keys. Raises KeyError for an unknown index."""
        return self._shelf(storage).indexed(name, key)

    def storages(self) -> tuple[str, ...]:
        """The kinds that were ever stored."""
        return tuple(self._shelves)

    def count(self, storage: str) -> int:
        """How many objects of a kind there are."""
        shelf = self._shelves.get(storage)
        return 0 if shelf is None else sum(len(bucket.objects) for bucket in shelf.buckets.values())

    def changes(self, storage: str) -> int:
        """How many changes of a kind this store has seen: the same number means that nothing of the kind changed."""
        channel = self._channels.get(storage)
        return 0 if channel is None else channel.base + len(channel.changes)

    def encoded(self, obj: Object) -> bytes:
        """The object as JSON. The bytes of what was asked for lately are kept."""
        key = id(obj)
        found = self._encoded.get(key)
        if found is not None and found[0] is obj:
            return found[1]
        raw = compact(orjson.dumps(obj))
        if len(self._encoded) >= ENCODED_MAX:
            del self._encoded[next(iter(self._encoded))]
        self._encoded[key] = (obj, raw)
        return raw

    # watching

    def watch(
        self,
        storage: str,
        since: int,
        namespace: str | None = None,
        index: tuple[str, str] | None = None,
        heedless: bool = False,
    ) -> Watch:
        """A cursor behind revision ``since``; ``index`` (name, key) narrows it to objects that have, or had before a
        change, that value. ``heedless``: not every change need be seen. Raises Compacted below the floor and for a
        revision of a history that was given up."""
        self._check_known(since)
        end = _nothing if heedless or self.on_watch is None else self.on_watch(storage)
        if index is None:
            return Watch(self._channel(storage), self._tip, since, namespace, end)
        channel = self._narrowed(storage, index, since)
        channel.watchers += 1

        def close() -> None:
            end()
            channel.watchers -= 1
            if not channel.watchers:
                del self._narrow[storage][index]

        return Watch(channel, self._tip, since, namespace, close)

    def _check_known(self, revision: int) -> None:
        if revision < self.floor:
            raise Compacted(self.floor)
        for gap in self._gaps:
            if gap.last < revision < gap.next:
                raise Compacted(gap.next)

    def _channel(self, storage: str) -> Channel:
        channel = self._channels.get(storage)
        if channel is None:
            channel = self._channels[storage] = Channel()
        return channel

    def _narrowed(self, storage: str, index: tuple[str, str], since: int) -> Channel:
        """The channel of an index's value, with the changes after ``since``: as a rule its watchers have just listed,
        and there are none."""
        narrow = self._narrow.setdefault(storage, {})
        channel = narrow.get(index)
        if channel is None:
            channel = narrow[index] = Channel(self.revision)
        if since < channel.since:
            whole = self._channel(storage)
            first, last = (whole.after(revision) - whole.base for revision in (since, channel.since))
            name, key = index
            key_of = self._shelf(storage).indexes[name].key_of
            channel.precede([each for each in whole.changes[first:last] if key in _keys(key_of, each)], since)
        return channel

    def observe(self, call: Callable[[Change], None]) -> None:
        """Calls with every change, from within the write: for what keeps the objects elsewhere as well."""
        self._observers.append(call)

    # writing

    def create(self, storage: str, obj: Object, cause: Any = None) -> Object:
        """Stores a new object and returns it with its resourceVersion. Raises KeyExists, NoSpace."""
        place = place_of(obj)
        shelf = self._shelf(storage)
        if shelf.get(*place) is not None:
            raise KeyExists(storage, *place)
        return self._commit("ADDED", shelf, storage, place, obj, None, cause)

    def update(self, storage: str, obj: Object, expect: str | None = None, cause: Any = None) -> Object:
        """Replaces an object and returns the new one with its resourceVersion.

        ``expect`` is the resourceVersion that must be there. Raises KeyMissing, Conflict, NoSpace.
        """
        place = place_of(obj)
        shelf = self._shelf(storage)
        old = self._expected(shelf, storage, place, expect)
        return self._commit("MODIFIED", shelf, storage, place, obj, old, cause)

    def delete(
        self,
        storage: str,
        namespace: str,
        name: str,
        expect: str | None = None,
        cause: Any = None,
        last: Object | None = None,
    ) -> Object:
        """Takes an object away and returns it with the revision of that; ``last`` is how it is last seen, when that
        differs from what is stored. Raises KeyMissing, Conflict."""
        place = (namespace, name)
        shelf = self._shelf(storage)
        old = self._expected(shelf, storage, place, expect)
        return self._commit("DELETED", shelf, storage, place, old if last is None else last, old, cause)

    def _expected(self, shelf: Shelf, storage: str, place: Place, expect: str | None) -> Object:
        old = shelf.get(*place)
        if old is None:
            raise KeyMissing(storage, *place)
        if expect is not None and old["metadata"]["resourceVersion"] != expect:
            raise Conflict(storage, *place)
        if self._seals is not None:
            self._seals.check(old)
        return old

    def _commit(
        self, verb: str, shelf: Shelf, storage: str, place: Place, obj: Object, old: Object | None, cause: Any
    ) -> Object:
        tip = self._tip
        revision = tip.revision + 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(revision)}}
        if verb != "DELETED":
            self.space.add(revision, storage, obj)
        tip.revision = revision
        shelf.put(place, old, obj if verb != "DELETED" else None)
        change = Change(revision, self._clock.now, verb, storage, obj, old, cause)
        if self._seals is not None:
            self._seals.seal(obj)
        self._log.append(change)
        channel = self._channel(storage)
        channel.append(change)
        leases = self._leases.get(storage)
        if leases is not None:
            if verb == "DELETED":
                leases.detach(place)
            else:
                leases.attach(place)
        narrow = self._narrow.get(storage)
        concerned = self._spread(narrow, shelf, change) if narrow else []
        for observe in self._observers:
            observe(change)
        if channel.armed:
            channel.announce(change)
        for other in concerned:
            other.announce(change)
        if len(self._log) > self._retain + (self._retain >> 3):
            self.compact(self._log[-self._retain - 1].revision)
        return obj

    def _spread(self, narrow: dict[tuple[str, str], Channel], shelf: Shelf, change: Change) -> Channels:
        """Puts a change on the channels of the values it concerns."""
        concerned = []
        for name, index in shelf.indexes.items():
            for key in _keys(index.key_of, change):
                channel = narrow.get((name, key))
                if channel is not None:
                    channel.append(change)
                    concerned.append(channel)
        return concerned

    def _shelf(self, storage: str) -> Shelf:
        shelf = self._shelves.get(storage)
        if shelf is None:
            shelf = self._shelves[storage] = Shelf()
        return shelf

    def restore(self, revision: int, objects: Iterator[tuple[str, Object]]) -> None:
        """Begins anew with what a durable copy held; nothing of its log is known, so the floor is ``revision``."""
        self._tip.revision = self._tip.floor = revision
        for storage, obj in objects:
            place = place_of(obj)
            self._shelf(storage).put(place, None, obj)
            with suppress(NoSpace):
                self.space.add(int(obj["metadata"]["resourceVersion"]), storage, obj)
            if storage in self._leases:
                self._leases[storage].attach(place)
            if self._seals is not None:
                self._seals.seal(obj)

    # keeping house

    def skip(self, revision: int) -> None:
        """Lets revisions go on from ``revision``: those before it, which another history of this cluster has used, are
        treated as compacted, so that its clients list anew (etcdutl snapshot restore --bump-revision)."""
        if revision > self.revision:
            self._gaps.append(Gap(self.revision, revision))
            self._tip.revision = revision

    def lease(self, storage: str, ttl_us: int) -> None:
        """Objects of this kind live ``ttl_us`` after their last write, as Kubernetes Events do."""

        def expire(place: Place) -> None:
            self.delete(storage, *place, cause=("lease", order_of(place), None))

        leases = self._leases[storage] = Leases(self._clock, ttl_us, expire)
        for obj in self.list(storage):
            leases.attach(place_of(obj))

    def compact(self, revision: int) -> None:
        """Forgets the changes up to and including ``revision``, which becomes the floor. Raises Compacted below it."""
        if revision < self.floor:
            raise Compacted(self.floor)
        log = self._log
        while log and log[0].revision <= revision:
            change = log.popleft()
            self._trace.add(*change[:5])
            if change.old is not None:
                self.space.drop(int(change.old["metadata"]["resourceVersion"]))
            if self._seals is not None:
                self._seals.retire(change.old)
                if change.verb == "DELETED":
                    self._seals.retire(change.obj)
        self._tip.floor = revision
        for channel in self._channels.values():
            channel.drop(revision)
        for narrow in self._narrow.values():
            for channel in narrow.values():
                channel.drop(revision)

    # what happened

    def change(self, revision: int) -> Change | None:
        """The log's entry of a revision; None below the floor and above the tip."""
        if not self._log:
            return None
        first = self._log[0].revision
        at = revision - first
        for gap in self._gaps:
            if gap.last < revision <= gap.next:
                return None
            if first <= gap.last and gap.next < revision:
                at -= gap.next - gap.last
        return self._log[at] if 0 <= at < len(self._log) else None

    def skipped(self, revision: int) -> bool:
        """Whether no change has this revision, because ``skip`` left it out."""
        return any(gap.last < revision <= gap.next for gap in self._gaps)

    def history(self, storage: str, namespace: str, name: str) -> Changes:
        """The changes of one object, under any uid, that the log still holds."""
        channel = self._channels.get(storage)
        place = (namespace, name)
        return [change for change in channel.changes if place_of(change.obj) == place] if channel is not None else []

    def digest(self) -> str:
        """Of everything that ever happened here: two histories with the same digest are the same."""
        trace = self._trace.copy()
        for change in self._log:
            trace.add(*change[:5])
        return trace.digest()

    def check_integrity(self) -> None:
        """Raises Mutated when an object was changed after it was stored; only a store with ``verify`` knows."""
        if self._seals is not None:
            self._seals.check_all()


def _keys(key_of: KeyOf, change: Change) -> tuple[str, ...]:
    """The one or two values of an index that a change concerns."""
    new = key_of(change.obj)
    if change.old is None:
        return (new,)
    old = key_of(change.old)
    return (new,) if old == new else (new, old)


def _nothing() -> None:
    return None
