"""Events as client-go makes and writes them: counted when they repeat, combined, held back when they flood.

Those of events.k8s.io are only made here. Source: k8s.io/client-go/tools/record (event.go, events_cache.go),
tools/events (event_recorder.go) and tools/reference.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator
from typing import Any, NamedTuple

from seatrial.sim.apiserver.client import Client
from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import S
from seatrial.sim.kernel.clock import micro_stamp_of, stamp_of
from seatrial.sim.machinery.errors import ApiError

SPAM_BURST = 25
"""Events of one type about one object from one source before the filter drops some."""
SPAM_INTERVAL_US = 300 * S
"""One more is let through in this time."""
AGGREGATE_MAX = 10
"""Different messages of one reason about one object that are written out before they are combined."""
AGGREGATE_WINDOW_US = 600 * S
CACHE_MAX = 4096
COMBINED = "(combined from similar events): "
NOTE_MAX = 1024
"""Longer notes are cut (util.TruncateMessage)."""
STRATEGIC = "application/strategic-merge-patch+json"
OBJECT = ("kind", "namespace", "name", "uid", "apiVersion")
"""What of a reference tells objects apart."""


def reference(obj: Object, field_path: str = "") -> dict[str, Any]:
    """An ObjectReference to an object, or with ``field_path`` to a part of it, as a container of a pod
    (reference.GetReference)."""
    if "ref" in obj:
        return dict(obj["ref"])
    metadata = obj["metadata"]
    ref = {"kind": obj["kind"], "namespace": metadata.get("namespace", ""), "name": metadata.get("name", "")}
    ref["uid"] = metadata.get("uid", "")
    ref["apiVersion"] = obj["apiVersion"]
    ref["resourceVersion"] = metadata.get("resourceVersion", "")
    ref["fieldPath"] = field_path
    return {key: value for key, value in ref.items() if value}


class Source:
    """A component that records events."""

    def __init__(self, component: str, host: str = "", offset_ns: int = 0) -> None:
        """``offset_ns``: what tells its events' names from those that others make in the same microsecond."""
        self.wire = {"component": component, "host": host} if host else {"component": component}
        self._offset_ns, self._last_ns = offset_ns, 0

    def event(self, now: int, ref: Object, type_: str, reason: str, message: str) -> dict[str, Any]:
        """A new Event (makeEvent)."""
        # Upstream names an event by the nanosecond; two of one simulated microsecond must still differ.
        self._last_ns = max(now * 1000 + self._offset_ns, self._last_ns + 1)
        at = stamp_of(now)
        return {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {
                "name": f"{ref['name']}.{self._last_ns:x}",
                "namespace": ref.get("namespace") or "default",
            },
            "involvedObject": dict(ref),
            "reason": reason,
            "message": message,
            "source": self.wire,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
            "type": type_,
            "eventTime": None,
            "reportingComponent": self.wire["component"],
            "reportingInstance": self.wire.get("host", ""),
        }


def noted(
    name_ns: int, now: int, controller: str, host: str, about: Object, type_: str, reason: str, action: str, note: str
) -> dict[str, Any]:
    """A new Event of events.k8s.io (makeEvent); ``name_ns`` makes its name."""
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{about['name']}.{name_ns:x}", "namespace": about.get("namespace") or "default"},
        "eventTime": micro_stamp_of(now),
        "reportingController": controller,
        "reportingInstance": f"{controller}-{host}",
        "action": action,
        "reason": reason,
        "regarding": about,
        "note": note if len(note) <= NOTE_MAX else note[: NOTE_MAX - 4] + " ...",
        "type": type_,
    }


class Observed(NamedTuple):
    """An event as it is to be written."""

    event: dict[str, Any]
    is_known: bool
    """It was written before: its count is to be changed."""


class _Known(NamedTuple):
    name: str
    first: str
    times: int


class _Recent(OrderedDict[Any, Any]):
    """The last few thousand entries, as upstream's LRU cache."""

    def put(self, key: Any, value: Any) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > CACHE_MAX:
            self.popitem(last=False)


class Correlator:
    """What one source remembers of the events that it has recorded (EventCorrelator)."""

    def __init__(self) -> None:
        self._spam, self._similar, self._known = _Recent(), _Recent(), _Recent()

    def clear(self) -> None:
        for each in (self._spam, self._similar, self._known):
            each.clear()

    def correlate(self, event: dict[str, Any], now: int) -> Observed | None:
        """What is to be written of an event; None of one too many, which is counted nevertheless."""
        event, key = self._aggregate(event, now)
        known: _Known | None = self._known.get(key)
        if known is not None:
            named = {**event["metadata"], "name": known.name}
            event = {**event, "metadata": named, "firstTimestamp": known.first, "count": known.times + 1}
        self._known.put(key, _Known(event["metadata"]["name"], event["firstTimestamp"], event["count"]))
        return Observed(event, known is not None) if self._lets_through(event, now) else None

    def _aggregate(self, event: dict[str, Any], now: int) -> tuple[dict[str, Any], Any]:
        """The event, and the key under which it is counted (EventAggregate)."""
        ref = event["involvedObject"]
        similar = (*(ref.get(field, "") for field in OBJECT), event["type"], event["reason"])
        last_us, messages = self._similar.get(similar, (0, ()))
        if now - last_us > AGGREGATE_WINDOW_US:
            messages = ()
        if event["message"] not in messages:
            messages = (*messages, event["message"])
        if len(messages) < AGGREGATE_MAX:
            self._similar.put(similar, (now, messages))
            return event, (*similar, ref.get("fieldPath", ""), event["message"])
        self._similar.put(similar, (now, messages[1:]))
        combined = {"message": COMBINED + event["message"], "reportingComponent": "", "reportingInstance": ""}
        return {**event, **combined}, similar

    def _lets_through(self, event: Object, now: int) -> bool:
        """A token bucket for each object and type of event (EventSourceObjectSpamFilter)."""
        ref = event["involvedObject"]
        key = (*(ref.get(field, "") for field in OBJECT), event["type"])
        full_at = max(self._spam.get(key, 0), now)
        passes: bool = full_at - now <= SPAM_INTERVAL_US * (SPAM_BURST - 1)
        self._spam.put(key, full_at + SPAM_INTERVAL_US if passes else full_at)
        return passes


def write(client: Client, resource: Any, observed: Observed, cause: Any = None) -> Generator[Any, Any, None]:
    """Creates an event or changes the one that is there. Raises ApiError and Unreachable."""
    event = observed.event
    if observed.is_known:
        metadata, patch = event["metadata"], {key: event[key] for key in ("count", "lastTimestamp", "message")}
        try:
            yield from client.patch(resource, metadata["namespace"], metadata["name"], patch, STRATEGIC, "", cause)
            return
        except ApiError as error:
            if error.code != 404:
                raise
        # It has expired meanwhile, or never came: it is written anew with the count that it has reached.
    yield from client.create(resource, event, "", cause)
