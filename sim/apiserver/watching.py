"""Watches: a cursor in the store's log, seen through a selector and a representation.

Source: k8s.io/apiserver/pkg/storage/cacher and k8s.io/apiserver/pkg/endpoints/handlers/watch.go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from seatrial.sim.kernel.clock import Clock, Timer
from seatrial.sim.machinery import errors
from seatrial.sim.store.store import Change, Compacted, Watch

Object = Mapping[str, Any]
Keep = Callable[[Object], bool]
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class Frame(NamedTuple):
    """One line of a watch: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR, and an object."""

    type: str
    object: Object
    change: Change | None = None
    """The log entry that the object is unchanged from, so that its bytes can be shared between watchers."""


class WatchStream:
    """A watch that a client reads: initial objects, then changes, bookmarks in between, an end.

    States: *open*; *closed* by the client, the timeout, or after an ERROR frame. Reading a closed stream gives what is
    left and then nothing; ``closed`` tells the difference from a quiet one.
    """

    def __init__(
        self,
        cursor: Watch,
        keep: Keep | None,
        show: Callable[[Object, bool], Object] | None,
        bookmark: Callable[[int], Object],
        initial: Sequence[Object] = (),
        ending: Object | None = None,
        after: int = 0,
    ) -> None:
        self._cursor = cursor
        self._keep = keep
        self._show = show
        self._bookmark = bookmark
        self._after = after
        self._pending: deque[Frame] = deque()
        self._first = True
        self._timers: list[Timer] = []
        self._call: Callable[[], None] | None = None
        self.closed = False
        self.life: tuple[int, int, int | None] | None = None
        """When it began, and what ``live`` was told."""
        self.at_rest = False
        self.on_close: Callable[[], None] | None = None
        for obj in initial:
            self._push("ADDED", obj, None)
        if ending is not None:
            self._pending.append(Frame("BOOKMARK", ending))

    def _push(self, kind: str, obj: Object, change: Change | None) -> None:
        if self._show is not None:
            shown = self._show(obj, self._first)
            self._pending.append(Frame(kind, shown, change if shown is obj else None))
            self._first = False
        else:
            self._pending.append(Frame(kind, obj, change))

    def read(self, limit: int = 500) -> list[Frame]:
        """The next frames, at most ``limit``; empty when nothing is new."""
        out: list[Frame] = []
        while self._pending and len(out) < limit:
            out.append(self._pending.popleft())
        if self.closed or len(out) >= limit:
            return out
        try:
            changes = self._cursor.read(limit - len(out))
        except Compacted:
            self.fail(errors.expired("too old resource version"))
            changes = []
        for change in changes:
            self._see(change)
        while self._pending and len(out) < limit:
            out.append(self._pending.popleft())
        return out

    def _see(self, change: Change) -> None:
        """A change through the selector: an object may come into view or leave it by a modification."""
        if change.revision <= self._after:
            return  # the client asked for a revision that was still to come
        keep = self._keep
        if keep is None:
            self._push(change.verb, change.obj, change)
            return
        is_kept = change.verb != "DELETED" and keep(change.obj)
        was_kept = change.old is not None and keep(change.old)
        if is_kept and was_kept:
            self._push("MODIFIED", change.obj, change)
        elif is_kept:
            self._push("ADDED", change.obj, change if change.verb == "ADDED" else None)
        elif was_kept:
            self._push("DELETED", last_seen(change), None)

    @property
    def position(self) -> int:
        """The revision up to which everything was read."""
        return self._cursor.position

    def on_ready(self, call: Callable[[], None]) -> None:
        """Calls once as soon as there is something to read or the stream has ended."""
        if self._pending or self.closed:
            call()
            return
        self._call = call
        self._cursor.on_ready(self._ready)

    def _ready(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()

    def live(self, clock: Clock, timeout_us: int, bookmark_us: int | None, at_rest: bool = False) -> None:
        """Ends the stream after ``timeout_us`` and, when asked, sends a bookmark each ``bookmark_us``.

        A stream ``at_rest`` does neither before ``stir``; whoever reads it knows how it goes on (informer.Life).
        """
        self.life, self.at_rest = (clock.now, timeout_us, bookmark_us), at_rest
        if not at_rest:
            self.stir(clock, clock.now + timeout_us)

    def stir(self, clock: Clock, ends_us: int, began_us: int | None = None) -> None:
        """From now on the stream, as one that began at ``began_us``, has an end and bookmarks."""
        assert self.life is not None
        bookmark_us = self.life[2]
        self.at_rest = False
        self._timers.append(clock.at(ends_us, self.close, periodic=True))
        if bookmark_us is not None:

            def remind() -> None:
                if not self.closed:
                    self._pending.append(Frame("BOOKMARK", self._bookmark(self._cursor.position)))
                    self._ready()
                    self._timers[1] = clock.after(bookmark_us, remind, periodic=True)

            passed = (clock.now - (self.life[0] if began_us is None else began_us)) % bookmark_us
            self._timers.append(clock.after(bookmark_us - passed, remind, periodic=True))

    def fail(self, error: errors.ApiError) -> None:
        """Ends the stream with an ERROR frame."""
        self._pending.append(Frame("ERROR", error.status()))
        self.close()

    def close(self) -> None:
        """Ends the stream; may be called more than once."""
        if self.closed:
            return
        self.closed = True
        if self.on_close is not None:
            self.on_close()
        self._cursor.close()
        for timer in self._timers:
            timer.cancel()
        self._ready()


def last_seen(change: Change) -> Object:
    """The object of a DELETED frame: its last visible state, with the revision of the change that removed it."""
    seen = change.obj if change.verb == "DELETED" else change.old
    assert seen is not None
    return {**seen, "metadata": {**seen["metadata"], "resourceVersion": str(change.revision)}}
