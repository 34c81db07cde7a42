"""A component's own copy of a kind, possibly stale: what an informer feeds and a controller reads.

Source: k8s.io/client-go/tools/cache (thread_safe_store.go). The copy holds the very objects that were delivered;
they are never mutated, so sharing them is not reading another's memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from seatrial.sim.store.shelf import Place, place_of

Object = Mapping[str, Any]
Objects = list[Object]
Differences = list[tuple[str, Object, Object | None]]
KeysOf = Callable[[Object], Iterable[str]]


class View:
    """Objects by namespace and name, and by any index given at the start.

    An index maps an object to the values under which it is to be found, each at most once.
    """

    def __init__(self, indexers: Mapping[str, KeysOf] | None = None) -> None:
        self.revision = 0
        """The revision up to which deliveries came; 0 before the first list."""
        self._objects: dict[Place, Object] = {}
        self._namespaces: dict[str, dict[Place, Object]] = {}
        self._indexers = dict(indexers or {})
        self._indexes: dict[str, dict[str, dict[Place, Object]]] = {name: {} for name in self._indexers}

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, namespace: str, name: str) -> Object | None:
        return self._objects.get((namespace, name))

    def list(self, namespace: str | None = None) -> Objects:
        """In the order in which the objects came."""
        if namespace is None:
            return list(self._objects.values())
        return list(self._namespaces.get(namespace, {}).values())

    def indexed(self, name: str, key: str) -> Objects:
        """The objects that the index ``name`` has under ``key``. Raises KeyError for an unknown index."""
        return list(self._indexes[name].get(key, {}).values())

    def apply(self, verb: str, obj: Object) -> Object | None:
        """Takes in one delivery (ADDED, MODIFIED or DELETED); returns what was there before."""
        place = place_of(obj)
        old = self._objects.get(place)
        if verb == "DELETED":
            if old is not None:
                del self._objects[place]
                _drop(self._namespaces, place[0], place)
        else:
            self._objects[place] = obj
            if old is None:
                self._namespaces.setdefault(place[0], {})[place] = obj
            else:
                self._namespaces[place[0]][place] = obj
        if self._indexers:
            self._reindex(place, old, None if verb == "DELETED" else obj)
        revision = int(obj["metadata"]["resourceVersion"])
        if revision > self.revision:
            self.revision = revision
        return old

    def _reindex(self, place: Place, old: Object | None, new: Object | None) -> None:
        for name, keys_of in self._indexers.items():
            index = self._indexes[name]
            after = tuple(keys_of(new)) if new is not None else ()
            if old is not None:
                for key in keys_of(old):
                    if key not in after:
                        _drop(index, key, place)
            for key in after:
                found = index.get(key)
                if found is None:
                    index[key] = {place: new}  # type: ignore[dict-item]
                else:
                    found[place] = new  # type: ignore[assignment]

    def replace(self, objects: Iterable[Object], revision: int) -> Differences:
        """Becomes what a list found; returns the differences as (verb, new or last, old)."""
        changes: Differences = []
        gone = dict(self._objects)
        for obj in objects:
            old = gone.pop(place_of(obj), None)
            if old is obj:
                continue
            if old is not None and old["metadata"]["resourceVersion"] == obj["metadata"]["resourceVersion"]:
                continue
            changes.append(("MODIFIED" if old is not None else "ADDED", obj, old))
        changes += [("DELETED", old, old) for old in gone.values()]
        for verb, obj, _ in changes:
            self.apply(verb, obj)
        self.revision = revision
        return changes


def _drop(index: dict[str, dict[Place, Object]], key: str, place: Place) -> None:
    found = index[key]
    del found[place]
    if not found:
        del index[key]
