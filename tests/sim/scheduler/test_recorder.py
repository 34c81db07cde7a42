"""Events of a scheduler: repeated ones are a series, and of a series that is over nothing is remembered."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, cast

from seatrial.sim.apiserver.client import Client
from seatrial.sim.config import EPOCH_US, S
from seatrial.sim.kernel.clock import Clock
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.scheduler.recorder import SERIES_OVER_US, Recorder


class Server:
    """Remembers what was written."""

    def __init__(self) -> None:
        self.written: list[tuple[str, Any]] = []

    def create(self, resource: Any, obj: Any) -> Generator[Any, Any, Any]:
        self.written.append((obj["metadata"]["name"].partition(".")[0], obj.get("series")))
        return obj
        yield

    def patch(self, resource: Any, namespace: str, name: str, patch: Any, kind: str) -> Generator[Any, Any, Any]:
        self.written.append((name.partition(".")[0], patch["series"]["count"]))
        return patch
        yield


def pod(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "n", "uid": name}}


def test_what_is_over_is_forgotten_though_an_older_series_goes_on() -> None:
    clock, server = Clock(EPOCH_US), Server()
    recorder = Recorder(clock, cast(Client, server), cast(Resource, None), "m")
    recorder.start()
    for number in range(30):
        recorder.event("default-scheduler", pod("stuck"), "Warning", "FailedScheduling", "Scheduling", "no room")
        recorder.event("default-scheduler", pod(f"p{number}"), "Normal", "Scheduled", "Binding", "")
        clock.run_until(clock.now + 60 * S)
    assert len(recorder._series) <= SERIES_OVER_US // (60 * S) + 1
    assert [each for each in server.written if each[0] == "stuck"] == [("stuck", None), ("stuck", 2)]
    clock.run_until(clock.now + SERIES_OVER_US)
    recorder.event("default-scheduler", pod("last"), "Normal", "Scheduled", "Binding", "")
    clock.run_until(clock.now + S)
    assert len(recorder._series) == 1
    assert ("stuck", 30) in server.written
