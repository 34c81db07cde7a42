"""Events as client-go's recorder sends them: counted, aggregated, filtered, written in the background.

Source: k8s.io/client-go/tools/record (event.go, events_cache.go). *Not modelled*: retries of an event whose write
failed; it is lost, as upstream's is after twelve tries.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Mapping
from typing import Any, Protocol

from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import S
from seatrial.sim.controllers.actions import STRATEGIC_PATCH
from seatrial.sim.kernel.clock import stamp_of
from seatrial.sim.machinery.errors import ApiError

SPAM_BURST = 25
"""Events about one object from one source before the filter drops some."""
SPAM_INTERVAL_US = 300 * S
"""One more is let through in this time."""
AGGREGATE_MAX = 10
"""Different messages of one reason about one object that are written out before they are combined."""
AGGREGATE_WINDOW_US = 600 * S
CACHE_MAX = 4096
COMBINED = "(combined from similar events): "


class Writer(Protocol):
    """The part of a client that the recorder needs."""

    def create(
        self, resource: Any, obj: Object, subresource: str = "", cause: Any = None
    ) -> Generator[Any, Any, Any]: ...

    def patch(
        self,
        resource: Any,
        namespace: str,
        name: str,
        patch: Any,
        content_type: str,
        subresource: str = "",
        cause: Any = None,
    ) -> Generator[Any, Any, Any]: ...


def reference(obj: Object) -> dict[str, Any]:
    """The involvedObject of an event about ``obj`` (reference.GetReference)."""
    if "ref" in obj:
        return dict(obj["ref"])
    metadata = obj["metadata"]
    ref = {"kind": obj["kind"], "namespace": metadata.get("namespace", ""), "name": metadata.get("name", "")}
    ref["uid"] = metadata.get("uid", "")
    ref["apiVersion"] = obj["apiVersion"]
    ref["resourceVersion"] = metadata.get("resourceVersion", "")
    return {key: value for key, value in ref.items() if value}


class _Recent(OrderedDict[Any, Any]):
    """The last few thousand entries, as upstream's LRU cache."""

    def put(self, key: Any, value: Any) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > CACHE_MAX:
            self.popitem(last=False)


class Recorder:
    """One component's events. ``wake`` is called when there is something to send; ``pending`` gives it away."""

    def __init__(self, component: str, offset_ns: int, wake: Callable[[], None]) -> None:
        self.component = component
        self._wake = wake
        self._last_ns = 0
        self._offset_ns = offset_ns
        self._spam = _Recent()
        self._similar = _Recent()
        self._known = _Recent()
        self.pending: deque[tuple[dict[str, Any], Any]] = deque()

    def record(self, now: int, about: Object, type_: str, reason: str, message: str, cause: Any = None) -> None:
        ref = reference(about)
        self.pending.append((self._event(now, ref, type_, reason, message), cause))
        self._wake()

    def _event(self, now: int, ref: Mapping[str, Any], type_: str, reason: str, message: str) -> dict[str, Any]:
        # Upstream names an event by the nanosecond; two of one simulated microsecond must still differ.
        stamp_ns = max(now * 1000 + self._offset_ns, self._last_ns + 1)
        self._last_ns = stamp_ns
        at = stamp_of(now)
        namespace = ref.get("namespace") or "default"
        return {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"name": f"{ref['name']}.{stamp_ns:x}", "namespace": namespace},
            "involvedObject": dict(ref),
            "reason": reason,
            "message": message,
            "source": {"component": self.component},
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
            "type": type_,
            "eventTime": None,
            "reportingComponent": self.component,
            "reportingInstance": "",
        }

    def send(self, client: Writer, resource: Any, now: Callable[[], int]) -> Generator[Any, Any, None]:
        """Writes what is pending, one request at a time."""
        while self.pending:
            event, cause = self.pending.popleft()
            yield from self._send_one(client, resource, event, cause, now())

    def _send_one(self, client: Writer, resource: Any, event: dict[str, Any], cause: Any, now: int) -> Any:
        event, key = self._aggregate(event, now)
        if not self._let_through(event, now):
            return
        known = self._known.get(key)
        try:
            if known is not None:
                namespace, name, first, count = known
                patch = {"count": count + 1, "lastTimestamp": event["lastTimestamp"], "message": event["message"]}
                try:
                    yield from client.patch(resource, namespace, name, patch, STRATEGIC_PATCH, "", cause)
                    self._known.put(key, (namespace, name, first, count + 1))
                    return
                except ApiError as error:
                    if error.code != 404:
                        raise
                # The event has expired meanwhile: it is written anew with the count it has reached.
                named = {"name": name, "namespace": namespace}
                event = {**event, "metadata": named, "count": count + 1, "firstTimestamp": first}
            yield from client.create(resource, event, "", cause)
            metadata = event["metadata"]
            self._known.put(key, (metadata["namespace"], metadata["name"], event["firstTimestamp"], event["count"]))
        except ApiError:
            return

    def _aggregate(self, event: dict[str, Any], now: int) -> tuple[dict[str, Any], Any]:
        """The event and the key under which it is counted (EventAggregate)."""
        ref = event["involvedObject"]
        about = tuple(ref.get(key, "") for key in ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath"))
        similar = (*about, event["type"], event["reason"])
        full = (*similar, event["message"])
        last_us, messages = self._similar.get(similar, (0, ()))
        if now - last_us > AGGREGATE_WINDOW_US:
            messages = ()
        if event["message"] not in messages:
            messages = (*messages, event["message"])
        if len(messages) < AGGREGATE_MAX:
            self._similar.put(similar, (now, messages))
            return event, full
        self._similar.put(similar, (now, messages[1:]))
        return {**event, "message": COMBINED + event["message"]}, similar

    def _let_through(self, event: dict[str, Any], now: int) -> bool:
        """A token bucket for each object (EventSourceObjectSpamFilter)."""
        ref = event["involvedObject"]
        key = tuple(ref.get(field, "") for field in ("kind", "namespace", "name", "uid", "apiVersion"))
        full_at = max(self._spam.get(key, 0), now)
        if full_at - now > SPAM_INTERVAL_US * (SPAM_BURST - 1):
            return False
        self._spam.put(key, full_at + SPAM_INTERVAL_US)
        return True
