"""The objects of one kind, in the order of their keys.

etcd orders keys as text, ``namespace/name``: that order is what lists have and what continue tokens cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Object = Mapping[str, Any]
KeyOf = Callable[[Object], str]
Place = tuple[str, str]
"""(namespace, name); the namespace is empty for cluster-scoped objects."""


def place_of(obj: Object) -> Place:
    """Where an object stands."""
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def order_of(place: Place) -> str:
    """The text that etcd orders keys by."""
    namespace, name = place
    return f"{namespace}/{name}" if namespace else name


class Bucket:
    """One namespace's objects by name. Names are put in order when somebody lists."""

    __slots__ = ("_added", "_names", "_removed", "objects")

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self._names: list[str] = []
        self._added = False
        self._removed = False

    def put(self, name: str, obj: Object) -> None:
        if name not in self.objects:
            self._names.append(name)
            self._added = True
        self.objects[name] = obj

    def pop(self, name: str) -> None:
        del self.objects[name]
        self._removed = True

    def listed(self) -> list[Object]:
        """The objects in the order of their names."""
        if self._removed:
            self._names = sorted(self.objects)
        elif self._added:
            # Nearly in order already, which this sort makes use of.
            self._names.sort()
        self._added = self._removed = False
        objects = self.objects
        return [objects[name] for name in self._names]


class Index:
    """Objects by a value computed from them, as the watch cache indexes pods by node."""

    __slots__ = ("key_of", "places")

    def __init__(self, key_of: KeyOf, objects: Iterable[Object]) -> None:
        self.key_of = key_of
        self.places: dict[str, dict[Place, Object]] = {}
        for obj in objects:
            self.put(place_of(obj), None, obj)

    def put(self, place: Place, old: Object | None, new: Object | None) -> None:
        """Follows an object's change."""
        key_of = self.key_of
        after = key_of(new) if new is not None else None
        if old is not None:
            before = key_of(old)
            if before != after:
                found = self.places[before]
                del found[place]
                if not found:
                    del self.places[before]
        if new is not None and after is not None:
            self.places.setdefault(after, {})[place] = new


class Shelf:
    """All objects of one kind."""

    __slots__ = ("_namespaces", "buckets", "indexes")

    def __init__(self) -> None:
        self.buckets: dict[str, Bucket] = {}
        self._namespaces: list[str] | None = None
        self.indexes: dict[str, Index] = {}

    def get(self, namespace: str, name: str) -> Object | None:
        bucket = self.buckets.get(namespace)
        return None if bucket is None else bucket.objects.get(name)

    def put(self, place: Place, old: Object | None, new: Object | None) -> None:
        """Puts ``new`` where ``old`` was; None for an object that is not there before or after."""
        namespace, name = place
        bucket = self.buckets.get(namespace)
        if bucket is None:
            bucket = self.buckets[namespace] = Bucket()
            self._namespaces = None
        if new is not None:
            bucket.put(name, new)
        else:
            bucket.pop(name)
            if not bucket.objects:
                del self.buckets[namespace]
                self._namespaces = None
        for index in self.indexes.values():
            index.put(place, old, new)

    def listed(self, namespace: str | None = None) -> list[Object]:
        """The objects of a namespace, or all, in the order of their keys."""
        if namespace is not None:
            bucket = self.buckets.get(namespace)
            return bucket.listed() if bucket is not None else []
        buckets = self.buckets
        if len(buckets) == 1:
            return next(iter(buckets.values())).listed()
        if self._namespaces is None:
            self._namespaces = sorted(buckets, key=lambda name: f"{name}/")
        return [obj for name in self._namespaces for obj in buckets[name].listed()]

    def indexed(self, name: str, key: str) -> list[Object]:
        """The objects of one value of an index, in the order of their keys."""
        found = self.indexes[name].places.get(key)
        if not found:
            return []
        return [found[place] for place in sorted(found, key=order_of)]
