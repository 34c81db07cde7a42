"""Proof that committed objects stay as they are: a digest of each, taken when stored and looked at again later."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

Object = Mapping[str, Any]


class Mutated(Exception):
    """A committed object was changed in place: whoever wrote to it should have copied."""

    def __init__(self, kind: str, namespace: str, name: str, revision: str) -> None:
        super().__init__(kind, namespace, name, revision)
        self.kind, self.namespace, self.name, self.revision = kind, namespace, name, revision

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name} was changed in place after revision {self.revision}"


def _digest(obj: Object) -> bytes:
    return hashlib.blake2b(orjson.dumps(obj), digest_size=16).digest()


class Seals:
    """Digests of the objects that the log or the store still holds."""

    def __init__(self) -> None:
        self._sealed: dict[int, tuple[Object, bytes]] = {}

    def seal(self, obj: Object) -> None:
        """Remembers what the object looks like now."""
        self._sealed[id(obj)] = (obj, _digest(obj))

    def check(self, obj: Object) -> None:
        """Raises Mutated when it looks different."""
        found = self._sealed.get(id(obj))
        if found is not None and found[0] is obj and found[1] != _digest(obj):
            metadata = obj["metadata"]
            raise Mutated(
                obj.get("kind", ""), metadata.get("namespace", ""), metadata["name"], metadata["resourceVersion"]
            )

    def retire(self, obj: Object | None) -> None:
        """Looks at the object for the last time."""
        if obj is not None:
            self.check(obj)
            self._sealed.pop(id(obj), None)

    def check_all(self) -> None:
        """Raises Mutated for the first object that looks different."""
        for obj, _ in list(self._sealed.values()):
            self.check(obj)
