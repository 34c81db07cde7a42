"""Leases: objects of some kinds live for a time and are then deleted by the store itself.

Source: k8s.io/apiserver/pkg/storage/etcd3/lease_manager.go: objects that come within a minute share a lease, which
lasts that much longer; a lease takes at most a thousand objects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from seatrial.sim.kernel.clock import Clock
from seatrial.sim.store.shelf import Place

REUSE_US: Final = 60_000_000
"""leaseReuseDurationSeconds."""
REUSE_PERCENT: Final = 5
"""leaseReusePercent: of the time to live; the lesser of the two counts."""
OBJECTS_MAX: Final = 1000
"""defaultLeaseMaxObjectCount."""


class Lease:
    """A time to die, and who does then."""

    __slots__ = ("due", "places")

    def __init__(self, due: int) -> None:
        self.due = due
        self.places: dict[Place, None] = {}


class Leases:
    """The leases of one kind."""

    def __init__(self, clock: Clock, ttl_us: int, expire: Callable[[Place], None]) -> None:
        self._clock = clock
        self._ttl_us = ttl_us
        self._expire = expire
        self._current: Lease | None = None
        self._of: dict[Place, Lease] = {}
        self._granted = 0

    def attach(self, place: Place) -> None:
        """A write: the object lives a full time again."""
        self.detach(place)
        lease = self._grant()
        lease.places[place] = None
        self._of[place] = lease

    def detach(self, place: Place) -> None:
        """The object is gone, or under another lease."""
        lease = self._of.pop(place, None)
        if lease is not None:
            del lease.places[place]

    def _grant(self) -> Lease:
        due, lease = self._clock.now + self._ttl_us, self._current
        if lease is not None and due <= lease.due and self._granted < OBJECTS_MAX:
            self._granted += 1
            return lease
        self._granted = 1
        lease = self._current = Lease(due + min(self._ttl_us * REUSE_PERCENT // 100, REUSE_US))
        self._clock.at(lease.due, lambda: self._end(lease), periodic=True)
        return lease

    def _end(self, lease: Lease) -> None:
        if self._current is lease:
            self._current = None
        for place in list(lease.places):
            self._of.pop(place, None)
            self._expire(place)
