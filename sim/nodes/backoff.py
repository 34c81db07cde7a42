"""Exponential back-off per key, as container restarts and image pulls use it (k8s.io/client-go/util/flowcontrol).

A delay begins at the event that caused it (a container's end), not when somebody asks. Not modelled: the jitter that
client-go's Backoff can add; the kubelet uses none.
"""

from __future__ import annotations

from zlib import crc32


class Backoff:
    """Delays that double from ``initial_us`` to ``max_us`` and are forgotten after twice the maximum without use."""

    __slots__ = ("_entries", "initial_us", "max_us")

    def __init__(self, initial_us: int, max_us: int) -> None:
        self.initial_us = initial_us
        self.max_us = max_us
        self._entries: dict[str, tuple[int, int]] = {}

    def delay_us(self, key: str) -> int:
        """The current delay of a key, 0 when it has none (Backoff.Get)."""
        return self._entries.get(key, (0, 0))[0]

    def next(self, key: str, event_us: int, now_us: int) -> None:
        """Notes another failure at ``event_us`` (Backoff.Next)."""
        entry = self._entries.get(key)
        if entry is None or self._expired(event_us, entry[1]):
            self._entries[key] = (self.initial_us, now_us)
        else:
            self._entries[key] = (min(entry[0] * 2, self.max_us), now_us)

    def since_event(self, key: str, event_us: int, now_us: int) -> int:
        """µs that are left of the delay which began at ``event_us``; 0 or less: none (Backoff.IsInBackOffSince)."""
        entry = self._entries.get(key)
        if entry is None or self._expired(event_us, entry[1]):
            return 0
        return entry[0] - (now_us - event_us)

    def since_update(self, key: str, now_us: int) -> int:
        """µs that are left of the delay which began at the last failure (Backoff.IsInBackOffSinceUpdate)."""
        entry = self._entries.get(key)
        if entry is None or self._expired(now_us, entry[1]):
            return 0
        return entry[0] - (now_us - entry[1])

    def forget(self, key: str) -> None:
        self._entries.pop(key, None)

    def forget_prefix(self, prefix: str) -> None:
        """Drops every key of a pod that is gone."""
        for key in [key for key in self._entries if key.startswith(prefix)]:
            del self._entries[key]

    def _expired(self, event_us: int, updated_us: int) -> bool:
        return event_us - updated_us > 2 * self.max_us


def jitter(period_us: int, factor: float, *salt: object) -> int:
    """``period_us`` lengthened by up to ``factor`` (wait.Jitter).

    The draw is a function of ``salt`` alone, so that a rhythm can be computed when somebody looks, whatever else was
    drawn meanwhile.
    """
    draw = crc32(repr(salt).encode()) / 0x1_0000_0000
    return int(period_us * (1 + factor * draw))
