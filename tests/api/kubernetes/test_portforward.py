"""Connections of port-forward that the pod's side ends, at once or later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from seatrial.api.kubernetes.portchannels import PortChannels
from seatrial.api.kubernetes.portforward import Forwards
from seatrial.api.server.driver import Driver
from seatrial.api.server.spdy import Session
from seatrial.api.server.websocket import WebSocket
from seatrial.sim.apiserver.connecting import Connect
from seatrial.sim.apiserver.kubelets import Kubelet
from seatrial.sim.kernel.clock import Clock

Close = Callable[[], None]


class Greeting:
    """A kubelet in whose pods something says one thing and hangs up, in the midst of being dialled or afterwards."""

    def __init__(self, at_once: bool) -> None:
        self.at_once = at_once
        self.closes: list[Close] = []

    def port_forward(
        self, namespace: str, pod: str, port: int, on_data: Callable[[bytes], None], on_close: Close
    ) -> Any:
        on_data(b"hello")
        if self.at_once:
            on_close()
        self.closes.append(on_close)
        return object()


class Written:
    """A SPDY session that notes what is written: (stream, bytes, whether they are the last)."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bytes, bool]] = []

    def write(self, stream: int, content: bytes, last: bool) -> None:
        self.frames.append((stream, content, last))


class Messages:
    """A WebSocket that notes its messages, with None for its end."""

    def __init__(self) -> None:
        self.said: list[bytes | None] = []

    def send(self, data: bytes) -> None:
        self.said.append(data)

    def close(self) -> None:
        self.said.append(None)


def played(kubelet: Greeting, scene: Callable[[Connect, Driver], None]) -> None:
    async def main() -> None:
        driver = Driver(Clock(0))
        driver.start(asyncio.get_running_loop())
        scene(Connect("portforward", cast(Kubelet, kubelet), "default", "web", ports=(80,)), driver)
        await asyncio.sleep(0)
        if not kubelet.at_once:
            kubelet.closes[0]()
        await asyncio.sleep(0)
        driver.stop()

    asyncio.run(main())


@pytest.mark.parametrize("at_once", [True, False])
def test_both_streams_end_with_the_pods_side(at_once: bool) -> None:
    session = Written()

    def scene(connect: Connect, driver: Driver) -> None:
        forwards = Forwards(connect, driver)
        forwards.session = cast(Session, session)
        forwards.opened(1, {"streamtype": "error", "requestid": "0", "port": "80"})
        forwards.opened(3, {"streamtype": "data", "requestid": "0", "port": "80"})

    played(Greeting(at_once), scene)
    assert session.frames == [(3, b"hello", False), (3, b"", True), (1, b"", True)]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_socket_of_channels_ends_with_its_last_connection(at_once: bool) -> None:
    socket = Messages()
    played(Greeting(at_once), lambda connect, driver: PortChannels(connect, driver).opened(cast(WebSocket, socket)))
    assert socket.said == [b"\x00P\x00", b"\x01P\x00", b"\x00hello", None]
