"""The log of changes and the cursors that read it.

One ordered log holds every change. Each kind has a channel, and so has each indexed value somebody watches (the pods of
one node): a change is put on the channels that it concerns and touches no other, whoever watches them.
Source: etcd's mvcc.watchableStore and the watch cache of k8s.io/apiserver/pkg/storage/cacher.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

Object = Mapping[str, Any]
Call = Callable[[], None]


class Change(NamedTuple):
    """One entry of the log."""

    revision: int
    at_us: int
    verb: str
    """ADDED, MODIFIED or DELETED."""
    storage: str
    obj: Object
    """The object as it became; of a deletion, as it was last seen, with this revision."""
    old: Object | None
    """The object before; None of an addition."""
    cause: Any
    """What made the writer write: (component, key, revision), or None from outside."""


class Compacted(Exception):
    """What was asked for lies below the floor of the log."""

    def __init__(self, floor: int) -> None:
        super().__init__(floor)
        self.floor = floor

    def __str__(self) -> str:
        return "etcdserver: mvcc: required revision has been compacted"


REVISION = attrgetter("revision")


class Channel:
    """The changes that concern one kind, or one value of an index of it."""

    __slots__ = ("armed", "base", "changes", "since", "watchers")

    def __init__(self, since: int = 0) -> None:
        self.changes: list[Change] = []
        self.since = since
        """It has the changes after this revision."""
        self.base = 0
        """How many changes were dropped from the front."""
        self.armed: dict[Watch, None] = {}
        """Who wants to hear of the next change; a dict, because its order is that of asking."""
        self.watchers = 0

    def append(self, change: Change) -> None:
        """Adds a change; ``announce`` tells the watchers, once all channels have it."""
        self.changes.append(change)

    def precede(self, changes: list[Change], since: int) -> None:
        """Adds what came before, back to ``since``."""
        self.changes[:0] = changes
        self.base -= len(changes)
        self.since = since

    def announce(self, change: Change) -> None:
        """Calls those who wait for a change like this."""
        if not self.armed:
            return
        namespace = change.obj["metadata"].get("namespace", "")
        for watch in [w for w in self.armed if w.namespace is None or w.namespace == namespace]:
            del self.armed[watch]
            watch._call_now()

    def after(self, revision: int) -> int:
        """Where, counted from the first change ever, the changes after ``revision`` begin."""
        return self.base + bisect_right(self.changes, revision, key=REVISION)

    def drop(self, floor: int) -> None:
        """Forgets the changes up to and including revision ``floor``."""
        n = bisect_right(self.changes, floor, key=REVISION)
        del self.changes[:n]
        self.base += n


class Tip:
    """Where the log ends and begins; what a cursor needs to know of the store."""

    __slots__ = ("floor", "revision")

    def __init__(self, revision: int) -> None:
        self.revision = revision
        self.floor = revision


class Watch:
    """A cursor on a channel. It costs nothing while nothing happens there."""

    __slots__ = ("_call", "_channel", "_close", "_next", "_position", "_tip", "closed", "namespace")

    def __init__(self, channel: Channel, tip: Tip, since: int, namespace: str | None, close: Call) -> None:
        self._channel = channel
        self._tip = tip
        self._next = channel.after(since)
        self._call: Call | None = None
        self._close = close
        self.namespace = namespace
        self._position = since
        self.closed = False

    @property
    def position(self) -> int:
        """The revision up to which everything was read: the store's own when nothing is left to read."""
        return self._position if self._is_ready() else self._tip.revision

    def read(self, limit: int = 500) -> list[Change]:
        """The next changes, at most ``limit``. Raises Compacted when the log no longer holds the next one."""
        channel = self._channel
        start = self._next - channel.base
        if start < 0:
            raise Compacted(self._tip.floor)
        changes, namespace = channel.changes, self.namespace
        end = len(changes)
        if start == end:
            return []
        if namespace is None:
            stop = min(start + limit, end)
            out = changes[start:stop]
        else:
            out = []
            stop = start
            while stop < end and len(out) < limit:
                change = changes[stop]
                stop += 1
                if change.obj["metadata"].get("namespace", "") == namespace:
                    out.append(change)
        self._next = channel.base + stop
        self._position = changes[stop - 1].revision
        return out

    def _is_ready(self) -> bool:
        channel, namespace = self._channel, self.namespace
        start = self._next - channel.base
        if start < 0:
            return True
        changes = channel.changes
        if namespace is None:
            return start < len(changes)
        while start < len(changes) and changes[start].obj["metadata"].get("namespace", "") != namespace:
            start += 1
        self._next = channel.base + start
        return start < len(changes)

    def on_ready(self, call: Call) -> None:
        """Calls once, as soon as there is something to read: at once, or from within the write that brings it.

        The call is to be short: it delays the writer.
        """
        if self.closed or self._is_ready():
            call()
            return
        self._call = call
        self._channel.armed[self] = None

    def _call_now(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()

    def close(self) -> None:
        """Gives the cursor up; may be called more than once."""
        if not self.closed:
            self.closed = True
            self._channel.armed.pop(self, None)
            self._close()
