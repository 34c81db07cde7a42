"""Events as the scheduler sends them: events.k8s.io, repeated ones counted in a series.

Source: k8s.io/client-go/tools/events (event_recorder.go, event_broadcaster.go).

*Not modelled*: the refresh of a series every half hour; a series' count is sent when it begins and when it is over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Mapping
from typing import Any

from seatrial.sim.apiserver.client import Client, Unreachable
from seatrial.sim.apiserver.events import STRATEGIC, noted
from seatrial.sim.config import S
from seatrial.sim.kernel.clock import Clock, Process, Signal
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.kinds import Resource

Object = Mapping[str, Any]
SERIES_OVER_US = 360 * S
"""A series that nobody adds to for so long is over (finishTime)."""


class _Series:
    __slots__ = ("count", "event", "observed", "observed_us")

    def __init__(self, event: dict[str, Any], now: int) -> None:
        self.event = event
        self.count = 1
        self.observed = ""
        self.observed_us = now


class Recorder:
    """Records events of one reporting controller; a process of its own sends them, one after the other."""

    def __init__(self, clock: Clock, client: Client, resource: Resource, host: str) -> None:
        self._clock, self._client, self._resource, self._host = clock, client, resource, host
        self._queue: deque[tuple[str, dict[str, Any]]] = deque()
        self._more = Signal(clock)
        self._series: dict[tuple[Any, ...], _Series] = {}
        self._last_ns = 0
        self._process: Process | None = None

    def start(self) -> None:
        """Begin to send."""
        self._process = self._clock.spawn(self._run(), "scheduler/events")

    def stop(self) -> None:
        """What was not sent is lost."""
        if self._process is not None:
            self._process.kill()
            self._process = None
        self._queue.clear()
        self._series.clear()

    @property
    def busy(self) -> bool:
        """Whether something is still to be sent."""
        return bool(self._queue)

    def event(
        self,
        controller: str,
        pod: Object,
        kind: str,
        reason: str,
        action: str,
        note: str,
        related: Object | None = None,
    ) -> None:
        """Record what happened to a pod. ``kind``: Normal or Warning."""
        now = self._clock.now
        instance = f"{controller}-{self._host}"
        regarding = reference(pod)
        about = tuple(regarding.values())
        other = None if related is None else reference(related)
        key = (kind, action, reason, controller, instance, about, None if other is None else tuple(other.values()))
        known = self._series.get(key)
        if known is not None and now - known.observed_us < SERIES_OVER_US:
            known.count += 1
            known.observed, known.observed_us = self._clock.micro_stamp(), now
            self._series[key] = self._series.pop(key)
            if known.count == 2:
                series = {"series": {"count": 2, "lastObservedTime": known.observed}}
                self._send("patch", {**series, "metadata": known.event["metadata"]})
            return
        # Names carry the nanosecond, never twice the same.
        self._last_ns = max(now * 1000, self._last_ns + 1)
        event = noted(self._last_ns, now, controller, self._host, regarding, kind, reason, action, note)
        if other is not None:
            event["related"] = other
        self._forget(now)
        self._series[key] = _Series(event, now)
        self._send("create", event)

    def _forget(self, now: int) -> None:
        """Series that are over; those that were observed longest ago come first."""
        while self._series:
            key = next(iter(self._series))
            series = self._series[key]
            if now - series.observed_us < SERIES_OVER_US:
                return
            del self._series[key]
            if series.count > 2:
                last = {"series": {"count": series.count, "lastObservedTime": series.observed}}
                self._send("patch", {**last, "metadata": series.event["metadata"]})

    def _send(self, how: str, body: dict[str, Any]) -> None:
        if self._process is not None:
            self._queue.append((how, body))
            self._more.fire()

    def _run(self) -> Generator[Any, Any, None]:
        client, resource = self._client, self._resource
        while True:
            while self._queue:
                how, body = self._queue[0]
                meta = body["metadata"]
                try:
                    if how == "create":
                        yield from client.create(resource, body)
                    else:
                        patch = {"series": body["series"]}
                        yield from client.patch(resource, meta["namespace"], meta["name"], patch, STRATEGIC)
                except (ApiError, Unreachable):
                    pass
                self._queue.popleft()
            yield self._more.wait()


def reference(pod: Object) -> dict[str, str]:
    """The pod as an event names it."""
    meta = pod["metadata"]
    known = {name: meta[name] for name in ("name", "namespace", "resourceVersion", "uid") if meta.get(name)}
    return {"apiVersion": "v1", "kind": "Pod", **known}
