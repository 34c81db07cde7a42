"""Events: named by the nanosecond, counted, combined, filtered."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from seatrial.sim.apiserver.events import AGGREGATE_MAX, COMBINED, SPAM_BURST, SPAM_INTERVAL_US
from seatrial.sim.config import S
from seatrial.sim.controllers.events import Recorder
from seatrial.sim.machinery.errors import not_found

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"namespace": "default", "name": "p", "uid": "u", "resourceVersion": "7"},
}


class Server:
    """Remembers what was written."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.gone: set[str] = set()

    def create(self, resource: Any, obj: Any, subresource: str = "", cause: Any = None) -> Generator[Any, Any, Any]:
        self.events[obj["metadata"]["name"]] = dict(obj)
        return obj
        yield

    def patch(
        self,
        resource: Any,
        namespace: str,
        name: str,
        patch: Any,
        content_type: str,
        subresource: str = "",
        cause: Any = None,
    ) -> Generator[Any, Any, Any]:
        if name in self.gone:
            raise not_found("", "events", name)
        self.events[name].update(patch)
        return self.events[name]
        yield


class Desk:
    """A recorder, its server and the time."""

    def __init__(self) -> None:
        self.now = 1_767_225_600 * S
        self.server = Server()
        self.recorder = Recorder("replicaset-controller", 0, lambda: None)

    def say(self, message: str, reason: str = "SuccessfulCreate") -> None:
        self.recorder.record(self.now, POD, "Normal", reason, message)
        for _ in self.recorder.send(self.server, None, lambda: self.now):
            raise AssertionError("the server answers at once")

    @property
    def written(self) -> list[dict[str, Any]]:
        return list(self.server.events.values())


def test_an_event_looks_as_client_go_sends_it() -> None:
    desk = Desk()
    desk.say("Created pod: p-1")
    (event,) = desk.written
    assert event["metadata"] == {"name": f"p.{desk.now * 1000:x}", "namespace": "default"}
    assert event["involvedObject"] == {
        "kind": "Pod",
        "namespace": "default",
        "name": "p",
        "uid": "u",
        "apiVersion": "v1",
        "resourceVersion": "7",
    }
    assert (event["count"], event["reportingComponent"], event["reportingInstance"]) == (1, "replicaset-controller", "")
    assert event["source"] == {"component": "replicaset-controller"}
    assert event["eventTime"] is None


def test_the_same_event_again_is_counted() -> None:
    desk = Desk()
    desk.say("same")
    first = desk.written[0]["firstTimestamp"]
    desk.now += 30 * S
    desk.say("same")
    (event,) = desk.written
    assert (event["count"], event["firstTimestamp"]) == (2, first)
    assert event["lastTimestamp"] != first


def test_two_events_of_one_instant_have_different_names() -> None:
    desk = Desk()
    desk.say("one")
    desk.say("two")
    assert len(desk.written) == 2


def test_many_similar_events_are_combined() -> None:
    desk = Desk()
    for number in range(AGGREGATE_MAX + 2):
        desk.say(f"Created pod: p-{number}")
    assert len(desk.written) == AGGREGATE_MAX
    last = desk.written[-1]
    assert last["message"] == f"{COMBINED}Created pod: p-{AGGREGATE_MAX + 1}"
    assert last["count"] == 3


def test_an_object_with_too_many_events_is_filtered() -> None:
    desk = Desk()
    for number in range(SPAM_BURST + 5):
        desk.say("message", f"Reason{number}")
    assert len(desk.written) == SPAM_BURST
    desk.now += SPAM_INTERVAL_US
    desk.say("message", "Later")
    assert len(desk.written) == SPAM_BURST + 1


def test_an_expired_event_comes_back_with_its_count() -> None:
    desk = Desk()
    desk.say("same")
    name = desk.written[0]["metadata"]["name"]
    desk.server.gone.add(name)
    desk.say("same")
    assert desk.server.events[name]["count"] == 2
