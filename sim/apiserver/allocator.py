"""Numbers handed out once each: cluster IP addresses and node ports.

Source: k8s.io/kubernetes/pkg/registry/core/service/ipallocator and …/portallocator: the lower band of a range is kept
for callers who ask for a number of their own and is used for others only when the rest is gone.
"""

from __future__ import annotations

import random
from collections.abc import Callable

ATTEMPTS = 64
"""Draws before the allocator walks the range in order."""


class Allocator:
    """A range of ``size`` offsets, of which the first ``band`` are reserved for explicit requests."""

    def __init__(self, size: int, band: int, rng: random.Random) -> None:
        self._size = size
        self._band = band
        self._rng = rng
        self._taken: set[int] = set()

    def take(self, offset: int) -> bool:
        """Takes this offset; False when it is taken already."""
        if offset in self._taken:
            return False
        self._taken.add(offset)
        return True

    def draw(self) -> int | None:
        """Takes a free offset; None when there is none."""
        for low, high in ((self._band, self._size), (0, self._band)):
            found = self._draw(low, high)
            if found is not None:
                self._taken.add(found)
                return found
        return None

    def _draw(self, low: int, high: int) -> int | None:
        if low >= high:
            return None
        for _ in range(ATTEMPTS):
            offset = self._rng.randrange(low, high)
            if offset not in self._taken:
                return offset
        return next((offset for offset in range(low, high) if offset not in self._taken), None)

    def give_back(self, offset: int) -> None:
        self._taken.discard(offset)

    def __contains__(self, offset: int) -> bool:
        return offset in self._taken


def address_band(size: int) -> int:
    """How much of an address range is kept for explicit requests (ipallocator.calculateRangeOffset)."""
    return _band(size, 16, 256, 16)


def port_band(size: int) -> int:
    """The same for node ports (portallocator.calculateRangeOffset)."""
    return _band(size, 16, 128, 32)


def _band(size: int, least: int, most: int, step: int) -> int:
    return 0 if size < least else min(max(least, size // step), most)


Undo = Callable[[], None]
