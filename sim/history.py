"""What happened, as something to ask: the state of a cluster after every change, one after the other.

The log holds the changes, a ``World`` is the state after one of them. Predicates and invariants look at worlds; nothing
here looks into a component.

*Not modelled*: what lies below the log's floor. A history that begins after a compaction starts with what the first
changes happen to touch, so keep the log longer than what is asked of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from seatrial.sim.config import S
from seatrial.sim.store.log import Change
from seatrial.sim.store.shelf import Place, place_of
from seatrial.sim.store.store import Store

Object = Mapping[str, Any]
Objects = list[Object]
LATELY_US = 60 * S
"""How long a controller may act on what is past: the longest that a view is out of date in a test."""


class Past(NamedTuple):
    """An object as it was until it was replaced."""

    until_us: int
    obj: Object


class World:
    """The state after a change; it moves on with the history, so keep what you need of it."""

    def __init__(self) -> None:
        self.at_us = 0
        self.revision = 0
        self._objects: dict[str, dict[Place, Object]] = {}
        self._past: dict[tuple[str, Place], list[Past]] = {}

    def list(self, storage: str, namespace: str | None = None) -> Objects:
        found = self._objects.get(storage, {})
        return [obj for place, obj in found.items() if namespace is None or place[0] == namespace]

    def get(self, storage: str, namespace: str, name: str) -> Object | None:
        return self._objects.get(storage, {}).get((namespace, name))

    def owned(self, storage: str, uid: str) -> Objects:
        """The objects whose controller has this uid."""
        return [obj for obj in self._objects.get(storage, {}).values() if uid == controller_uid(obj)]

    def lately(self, storage: str, namespace: str, name: str, within_us: int = LATELY_US) -> Objects:
        """The object as it is and as it was at any moment of the last ``within_us``: what a view may still show."""
        found = [
            past.obj
            for past in self._past.get((storage, (namespace, name)), ())
            if past.until_us >= self.at_us - within_us
        ]
        now = self.get(storage, namespace, name)
        return found if now is None else [*found, now]

    def storages(self) -> Iterator[str]:
        yield from self._objects

    def take(self, change: Change) -> None:
        """Moves on by one change."""
        self.at_us, self.revision = change.at_us, change.revision
        place = place_of(change.obj)
        kind = self._objects.setdefault(change.storage, {})
        old = kind.get(place)
        if old is not None:
            past = self._past.setdefault((change.storage, place), [])
            past.append(Past(change.at_us, old))
            if past[0].until_us < change.at_us - LATELY_US:
                self._past[change.storage, place] = [each for each in past if each.until_us >= change.at_us - LATELY_US]
        if change.verb == "DELETED":
            kind.pop(place, None)
        else:
            kind[place] = change.obj


class History:
    """The changes of a store, and the worlds between them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def changes(self, storage: str = "", since: int = 0) -> Iterator[Change]:
        """All changes after revision ``since``, or those of one kind."""
        for revision in range(max(since, self._store.floor) + 1, self._store.revision + 1):
            change = self._store.change(revision)
            if change is not None and storage in ("", change.storage):
                yield change

    def worlds(self, since: int = 0) -> Iterator[tuple[Change, World]]:
        """Each change with the world that it made; of changes up to ``since`` only the effect is seen."""
        world = World()
        for change in self.changes():
            world.take(change)
            if change.revision > since:
                yield change, world

    def world(self) -> World:
        """The state now."""
        world = World()
        for change in self.changes():
            world.take(change)
        return world


class Follower:
    """Reads a history as it grows: each call of ``news`` gives what happened since the last one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.world = World()

    def news(self) -> Iterator[tuple[Change, World]]:
        for revision in range(max(self.world.revision, self._store.floor) + 1, self._store.revision + 1):
            change = self._store.change(revision)
            if change is not None:
                self.world.take(change)
                yield change, self.world


def controller_of(obj: Object) -> Object | None:
    """The owner reference of the controller, or None."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            found: Object = reference
            return found
    return None


def controller_uid(obj: Object) -> str:
    reference = controller_of(obj)
    return "" if reference is None else str(reference["uid"])
