"""How many requests may wait at once, and what the next one is told."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from seatrial.api.kubernetes.inflight import Inflight, long_running
from seatrial.api.kubernetes.wire import Kubernetes
from seatrial.api.server.driver import Driver
from seatrial.api.server.message import Incoming, Outgoing, Peer
from seatrial.sim.apiserver.request import Request, Response
from seatrial.sim.kernel.clock import Clock

PODS = "/api/v1/namespaces/default/pods"


@pytest.mark.parametrize(
    ("method", "path", "query", "goes_on"),
    [
        ("GET", PODS, {}, False),
        ("GET", PODS, {"watch": ("1",)}, True),
        ("GET", PODS, {"watch": ("0",)}, False),
        ("GET", f"{PODS}/a/log", {}, True),
        ("POST", f"{PODS}/a/exec", {}, True),
        ("POST", f"{PODS}/a/eviction", {}, False),
        ("GET", "/version", {}, False),
    ],
)
def test_watches_logs_and_connections_may_go_on(method: str, path: str, query: Any, goes_on: bool) -> None:
    assert long_running(Request(method, path, query)) is goes_on


def nothing() -> None:
    """Time does not pass."""


def at_once(send: Callable[[], None]) -> None:
    """Nothing has to become durable first."""
    send()


class Waiting:
    """A pipeline in which every request waits."""

    def serve(self, request: Request) -> Generator[Any, Any, Response]:
        yield "a webhook"
        return Response(200, {})


class Edge:
    """The edge in front of it, and what came out: one write and two reads may wait."""

    def __init__(self) -> None:
        self.backs: list[Any] = []
        driver = Driver(Clock(0))
        for name, stand_in in (("look", nothing), ("enter", nothing), ("answer", at_once)):
            setattr(driver, name, stand_in)
        self.app = Kubernetes(Waiting(), driver, lambda _, __, back: self.backs.append(back), inflight=Inflight(2, 1))

    def send(self, method: str, path: str = PODS, groups: tuple[str, ...] = ()) -> Outgoing | None:
        """The answer, if there is one already."""
        out: list[Outgoing] = []
        self.app(Incoming(method, path, {}, b"", Peer(common_name="somebody", organizations=groups)), out.append)
        return out[0] if out else None


def test_one_too_many_is_told_to_come_again() -> None:
    edge = Edge()
    assert edge.send("POST") is None
    refused = edge.send("POST")
    assert refused is not None
    assert (refused.code, refused.body) == (429, b"Too many requests, please try again later.\n")
    assert ("Retry-After", "1") in refused.headers
    assert ("Content-Type", "text/plain; charset=utf-8") in refused.headers


def test_reads_and_writes_are_counted_apart() -> None:
    edge = Edge()
    waiting = [edge.send(method) for method in ("POST", "GET", "GET")]
    assert waiting == [None] * 3
    refused = edge.send("GET")
    assert refused is not None and refused.code == 429


def test_an_answer_makes_room_for_the_next_request() -> None:
    edge = Edge()
    edge.send("POST")
    edge.backs.pop()(Response(200, {}))
    assert edge.send("POST") is None


def test_administrators_and_watches_are_never_refused() -> None:
    edge = Edge()
    for _ in range(3):
        assert edge.send("POST", groups=("system:masters",)) is None
        assert edge.send("GET", f"{PODS}?watch=true") is None
