"""Events are counted when they repeat and held back when they flood."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from seatrial.sim.apiserver.recorder import Recorder
from seatrial.sim.config import EPOCH_US, S
from seatrial.sim.kernel.clock import Clock
from seatrial.sim.machinery.errors import ApiError

ABOUT = {"kind": "Pod", "namespace": "n", "name": "a", "uid": "u", "apiVersion": "v1"}


class Server:
    """Stores events as the API server would."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}

    def create(
        self, resource: Any, obj: dict[str, Any], subresource: str = "", cause: Any = None
    ) -> Generator[Any, Any, Any]:
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
        if name not in self.events:
            raise ApiError(404, "NotFound", "", {})
        self.events[name].update(patch)
        return patch
        yield


class Bench:
    def __init__(self) -> None:
        self.clock = Clock(EPOCH_US)
        self.server = Server()
        self.recorder = Recorder(self.clock, self.server, None, "kubelet", "w1")
        self.recorder.start()

    def say(self, message: str, kind: str = "Normal", times: int = 1, every_us: int = S) -> None:
        for _ in range(times):
            self.recorder.event(ABOUT, kind, "Reason", message)
            self.clock.run_until(self.clock.now + every_us)

    def counts(self) -> dict[str, int]:
        return {event["message"]: event["count"] for event in self.server.events.values()}


def test_an_event_that_repeats_is_one_event() -> None:
    bench = Bench()
    bench.say("x", times=3)
    bench.say("y")
    assert bench.counts() == {"x": 3, "y": 1}
    (first, _) = bench.server.events.values()
    assert (first["firstTimestamp"], first["lastTimestamp"]) == ("2026-01-01T00:00:00Z", "2026-01-01T00:00:02Z")
    assert first["source"] == {"component": "kubelet", "host": "w1"}


def test_a_flood_is_cut_off_per_object_and_type() -> None:
    bench = Bench()
    bench.say("x", "Warning", times=40)
    bench.say("y", "Normal", times=2)
    assert bench.counts() == {"x": 25, "y": 2}
    bench.clock.run_until(bench.clock.now + 300 * S)
    bench.say("x", "Warning")
    assert bench.counts()["x"] == 41, "what was held back was counted"


def test_many_messages_of_one_reason_are_combined() -> None:
    bench = Bench()
    for number in range(12):
        bench.say(f"m{number}")
    names = list(bench.counts())
    assert names[:9] == [f"m{number}" for number in range(9)]
    assert names[9:] == ["(combined from similar events): m11"]
    assert bench.counts()[names[9]] == 3


def test_an_event_that_was_deleted_comes_back_with_its_count() -> None:
    bench = Bench()
    bench.say("x", times=2)
    (event,) = bench.server.events.values()
    bench.server.events.clear()
    bench.say("x")
    assert bench.counts() == {"x": 3}
    assert bench.server.events[event["metadata"]["name"]]["firstTimestamp"] == event["firstTimestamp"]
