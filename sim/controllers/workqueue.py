"""The queue between changes and workers: a key waits once, is worked on once, and backs off after failures.

Source: k8s.io/client-go/util/workqueue (queue.go, delaying_queue.go, default_rate_limiters.go). *Not modelled*: the
fairness queues of newer versions; keys leave in the order in which they came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from seatrial.sim.config import MS, S
from seatrial.sim.controllers.actions import Key
from seatrial.sim.kernel.clock import Clock, Timer
from seatrial.sim.machinery.metrics import Distribution, families

BACKOFF_BASE_US = 5 * MS
"""First delay of a failing key; it doubles with every failure."""
BACKOFF_MAX_US = 1000 * S
BUCKET_INTERVAL_US = 100 * MS
"""One requeue in this time, all keys together (10 per second)."""
BUCKET_BURST = 100
WAITS, WORKS = "workqueue_queue_duration_seconds", "workqueue_work_duration_seconds"


class WorkQueue:
    """``on_ready`` is called whenever a key may be taken."""

    def __init__(
        self,
        clock: Clock,
        on_ready: Callable[[], None],
        backoff_base_us: int = BACKOFF_BASE_US,
        backoff_max_us: int = BACKOFF_MAX_US,
    ) -> None:
        self._clock = clock
        self._on_ready = on_ready
        self._backoff_base_us = backoff_base_us
        self._backoff_max_us = backoff_max_us
        self._ready: deque[Key] = deque()
        self._dirty: dict[Key, int] = {}
        """Keys that wait, with the time since when."""
        self._processing: dict[Key, int] = {}
        """Keys that are worked on, with the time since when."""
        self.adds = self.retries = 0
        """How often a key was put in, and how often because it had failed."""
        known = families("kube-controller-manager")
        self.waits = Distribution(known[WAITS].buckets)
        """How long keys waited."""
        self.works = Distribution(known[WORKS].buckets)
        """How long keys were worked on."""
        self._failures: dict[Key, int] = {}
        self._timers: dict[Key, tuple[int, Timer]] = {}
        self._bucket_at = 0

    def __len__(self) -> int:
        """Keys that wait or are worked on; those behind a timer do not count."""
        return len(self._ready) + len(self._processing)

    def __contains__(self, key: Key) -> bool:
        return key in self._dirty or key in self._processing

    @property
    def depth(self) -> int:
        """Keys that wait."""
        return len(self._ready)

    def since(self) -> list[int]:
        """Since when each key is worked on that is."""
        return list(self._processing.values())

    def add(self, key: Key) -> None:
        if key in self._dirty:
            return
        self._dirty[key] = self._clock.now
        self.adds += 1
        if key not in self._processing:
            self._ready.append(key)
            self._on_ready()

    def take(self) -> Key | None:
        """The next key, to be handed back with ``done``; None when nothing waits."""
        if not self._ready:
            return None
        key = self._ready.popleft()
        now = self._clock.now
        self.waits.add((now - self._dirty.pop(key)) / S)
        self._processing[key] = now
        return key

    def done(self, key: Key) -> None:
        since = self._processing.pop(key, None)
        if since is not None:
            self.works.add((self._clock.now - since) / S)
        if key in self._dirty:
            self._ready.append(key)
            self._on_ready()

    def add_after(self, key: Key, delay_us: int, periodic: bool = False) -> None:
        """Of two delays of a key the one that ends first counts."""
        if delay_us <= 0:
            self.add(key)
            return
        due = self._clock.now + delay_us
        waiting = self._timers.get(key)
        if waiting is not None:
            if waiting[0] <= due:
                return
            waiting[1].cancel()
        self._timers[key] = (due, self._clock.at(due, lambda: self._due(key), periodic))

    def _due(self, key: Key) -> None:
        del self._timers[key]
        self.add(key)

    def add_rate_limited(self, key: Key) -> None:
        """After the longer of the key's own back-off and the bucket's delay (MaxOfRateLimiter)."""
        failures = self._failures.get(key, 0)
        self.retries += 1
        self._failures[key] = failures + 1
        backoff = min(self._backoff_base_us << min(failures, 40), self._backoff_max_us)
        self.add_after(key, max(backoff, self._bucket_delay()))

    def _bucket_delay(self) -> int:
        now = self._clock.now
        self._bucket_at = max(self._bucket_at, now - BUCKET_INTERVAL_US * (BUCKET_BURST - 1))
        delay = max(0, self._bucket_at - now)
        self._bucket_at += BUCKET_INTERVAL_US
        return delay

    def forget(self, key: Key) -> None:
        """The key's next failure is its first."""
        self._failures.pop(key, None)

    def failures(self, key: Key) -> int:
        """How often the key has been put back since it was forgotten."""
        return self._failures.get(key, 0)

    def clear(self) -> None:
        """A killed process forgets everything."""
        for _, timer in self._timers.values():
            timer.cancel()
        for each in (self._ready, self._dirty, self._processing, self._failures, self._timers):
            each.clear()
