"""How much of the quota the store's content takes, as etcd's --quota-backend-bytes counts it.

Not modelled: free pages that only a defragmentation gives back. The size is that of what is alive and of the changes
that the log still holds. Of kinds that are written all the time and are much alike, one object in sixteen is measured
and stands for the others as long as half of the quota is free.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

Object = Mapping[str, Any]
SAMPLE: Final = 16
ALIKE: Final = frozenset(
    {"pods", "nodes", "events", "endpoints", "endpointslices.discovery.k8s.io", "leases.coordination.k8s.io"}
)


class NoSpace(Exception):
    """The quota is used up: nothing but deletions goes through until space is made."""

    def __str__(self) -> str:
        return "etcdserver: mvcc: database space exceeded"


class Space:
    """Counts bytes in (by kind) and out."""

    def __init__(self, quota_bytes: int) -> None:
        self.quota_bytes = quota_bytes
        self._writes: dict[str, int] = {}
        self._typical: dict[str, int] = {}
        self._sizes: dict[int, int] = {}
        self.used_bytes = 0
        self.exceeded = False

    def add(self, revision: int, storage: str, obj: Object) -> None:
        """Counts a revision of an object that is about to be stored. Raises NoSpace."""
        if self.exceeded:
            raise NoSpace
        count = self._writes.get(storage, 0)
        self._writes[storage] = count + 1
        if storage not in ALIKE or count % SAMPLE == 0 or self.used_bytes * 2 > self.quota_bytes:
            size = len(orjson.dumps(obj))
            self._typical[storage] = size
        else:
            size = self._typical[storage]
        if self.used_bytes + size > self.quota_bytes:
            self.exceeded = True
            raise NoSpace
        self._sizes[revision] = size
        self.used_bytes += size

    def drop(self, revision: int) -> None:
        """A revision that nothing refers to any more."""
        self.used_bytes -= self._sizes.pop(revision, 0)

    def disarm(self) -> None:
        """Takes the alarm back if there is room again, as ``etcdctl alarm disarm`` after a compaction."""
        self.exceeded = self.used_bytes >= self.quota_bytes
