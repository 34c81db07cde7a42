"""Events as components outside of the control plane record them: counted when they repeat, held back when they flood.

Source: k8s.io/client-go/tools/record (event.go, events_cache.go). Events of core/v1 with the counting of the old
correlator, which the kubelet and most add-ons still use. Not modelled: retries of a write that failed (three in ten
seconds upstream); such an event is lost here at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.sim.apiserver.client import Unreachable
from seatrial.sim.kernel.clock import Clock, Process, Signal, stamp_of
from seatrial.sim.machinery.errors import ApiError

S = 1_000_000
SPAM_BURST = 25
SPAM_REFILL_US = 300 * S
SIMILAR_MAX = 10
SIMILAR_WITHIN_US = 600 * S
CACHE_MAX = 4096
MERGE = "application/merge-patch+json"
Key = tuple[tuple[str, ...], str]
"""What an event is known by: what similar ones share, and the message."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_us: int


@dataclass(slots=True)
class _Similar:
    messages: tuple[str, ...] = ()
    at_us: int = 0


@dataclass(slots=True)
class _Seen:
    name: str
    namespace: str
    count: int


class Recorder:
    """Records events of one source; a process of its own sends them."""

    def __init__(self, clock: Clock, client: Any, resource: Any, component: str, host: str) -> None:
        self.clock = clock
        self.client = client
        self.resource = resource
        self.source = {"component": component, "host": host} if host else {"component": component}
        self._queue: deque[tuple[Mapping[str, Any], str, str, str, int]] = deque()
        self._more = Signal(clock)
        self._buckets: dict[tuple[str, ...], _Bucket] = {}
        self._similar: dict[tuple[str, ...], _Similar] = {}
        self._seen: dict[Key, _Seen] = {}
        self._last_ns = 0
        self._process: Process | None = None
        self.heard: Callable[[Mapping[str, Any], str, str, str], None] | None = None
        """Also told of each event: (about, type, reason, message)."""

    def start(self) -> None:
        self._process = self.clock.spawn(self._send(), f"events/{self.source.get('host', '')}")

    def stop(self) -> None:
        """What was not sent is lost, and so is what was counted."""
        if self._process is not None:
            self._process.kill()
            self._process = None
        self._queue.clear()
        for cache in (self._buckets, self._similar, self._seen):
            cache.clear()

    def busy(self) -> bool:
        return bool(self._queue)

    def event(self, about: Mapping[str, Any], kind: str, reason: str, message: str) -> None:
        """Records an event of type ``kind`` (Normal, Warning) about an object reference."""
        if self._process is None:
            return
        self._queue.append((about, kind, reason, message, self.clock.now))
        if self.heard is not None:
            self.heard(about, kind, reason, message)
        self._more.fire()

    def _send(self) -> Generator[Any, Any, None]:
        while True:
            while self._queue:
                yield from self._write(*self._queue[0])
                self._queue.popleft()
            yield self._more.wait()

    def _write(
        self, about: Mapping[str, Any], kind: str, reason: str, message: str, at_us: int
    ) -> Generator[Any, Any, None]:
        group = (about.get("namespace", ""), about["name"], about.get("uid", ""), kind)
        similar_key = (*group, reason, about.get("fieldPath", ""))
        message = self._aggregated(similar_key, message, at_us)
        if not self._passes(group, at_us):
            return
        key = (similar_key, message)
        seen = self._seen.get(key)
        try:
            if seen is not None:
                seen.count += 1
                patch = {"count": seen.count, "lastTimestamp": stamp_of(at_us), "message": message}
                try:
                    yield from self.client.patch(self.resource, seen.namespace, seen.name, patch, MERGE)
                    return
                except ApiError as error:
                    if error.code != 404:
                        return
            made = self._made(about, kind, reason, message, at_us)
            metadata = made["metadata"]
            self._remember(key, _Seen(metadata["name"], metadata["namespace"], 1))
            yield from self.client.create(self.resource, made)
        except (ApiError, Unreachable):
            self._seen.pop(key, None)

    def _remember(self, key: Key, seen: _Seen) -> None:
        if len(self._seen) >= CACHE_MAX:
            del self._seen[next(iter(self._seen))]
        self._seen[key] = seen

    def _passes(self, group: tuple[str, ...], now: int) -> bool:
        """The spam filter: a burst per object and type, then one in five minutes."""
        bucket = self._buckets.get(group)
        if bucket is None:
            if len(self._buckets) >= CACHE_MAX:
                del self._buckets[next(iter(self._buckets))]
            bucket = self._buckets[group] = _Bucket(SPAM_BURST, now)
        bucket.tokens = min(SPAM_BURST, bucket.tokens + (now - bucket.at_us) / SPAM_REFILL_US)
        bucket.at_us = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def _aggregated(self, key: tuple[str, ...], message: str, now: int) -> str:
        """Many different messages of one reason become one event."""
        similar = self._similar.get(key)
        if similar is None:
            if len(self._similar) >= CACHE_MAX:
                del self._similar[next(iter(self._similar))]
            similar = self._similar[key] = _Similar()
        elif now - similar.at_us > SIMILAR_WITHIN_US:
            similar.messages = ()
        similar.at_us = now
        if len(similar.messages) < SIMILAR_MAX and message not in similar.messages:
            similar.messages = (*similar.messages, message)
        if len(similar.messages) < SIMILAR_MAX:
            return message
        return f"(combined from similar events): {message}"

    def _made(self, about: Mapping[str, Any], kind: str, reason: str, message: str, at_us: int) -> dict[str, Any]:
        # Names carry the nanosecond; what happens in one simulated microsecond is told apart by the last digits.
        self._last_ns = max(at_us * 1000, self._last_ns + 1)
        namespace = about.get("namespace") or "default"
        stamp = stamp_of(at_us)
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{about['name']}.{self._last_ns:x}", "namespace": namespace},
            "involvedObject": dict(about),
            "reason": reason,
            "message": message,
            "source": self.source,
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
            "type": kind,
            "eventTime": None,
            "reportingComponent": self.source["component"],
            "reportingInstance": self.source.get("host", ""),
        }


def reference(obj: Mapping[str, Any], field_path: str = "") -> dict[str, Any]:
    """An ObjectReference to an object, or with ``field_path`` to a part of it, as a container of a pod."""
    metadata = obj["metadata"]
    about = {
        "kind": obj["kind"],
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
        "uid": metadata["uid"],
        "apiVersion": obj["apiVersion"],
        "resourceVersion": metadata.get("resourceVersion", ""),
    }
    if field_path:
        about["fieldPath"] = field_path
    return about
