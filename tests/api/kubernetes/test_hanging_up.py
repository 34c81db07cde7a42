"""The end of the API server's process: what clients hold open into pods breaks off, however it is carried."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any, cast

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection
from wsproto.events import Request as Handshake
from wsproto.frame_protocol import CloseReason

from seatrial.api.kubernetes.channels import V5
from seatrial.api.kubernetes.portforward import TUNNELLED
from seatrial.api.kubernetes.wire import Kubernetes
from seatrial.api.server.driver import Driver
from seatrial.sim.apiserver.connecting import Connect
from seatrial.sim.apiserver.kubelets import Kubelet
from seatrial.sim.apiserver.request import Request, Response
from seatrial.sim.kernel.clock import Clock
from tests.api.server.harness import edge, story

SPDY = (
    b"GET /api/v1/namespaces/default/pods/web/%b HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
    b"X-Stream-Protocol-Version: %b\r\n\r\n"
)


class Open:
    """What a kubelet has opened for a client."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class Quiet:
    """A kubelet whose processes and servers say nothing."""

    def __init__(self) -> None:
        self.opened: list[Open] = []

    def exec(self, *_: Any, **__: Any) -> Open:
        self.opened.append(Open())
        return self.opened[-1]

    def port_forward(self, *_: Any) -> Open:
        return self.exec()


class Pipeline:
    def __init__(self, connect: Connect) -> None:
        self.connect = connect

    def serve(self, request: Request) -> Generator[Any, Any, Response]:
        return Response(101, self.connect, streaming=True)
        yield


def broken_off(kind: str, shake: bytes, wire: WSConnection | None) -> tuple[list[Any], Quiet]:
    """What a client hears after its handshake until the connection ends, and the kubelet behind it."""
    heard: list[Any] = []
    kubelet = Quiet()

    async def main() -> None:
        driver = Driver(Clock(0))
        driver.start(asyncio.get_running_loop())
        connect = Connect(kind, cast(Kubelet, kubelet), "default", "web", "c", ("sh",), stdin=True, ports=(80,))
        kubernetes = Kubernetes(Pipeline(connect), driver)
        async with edge(kubernetes) as listener:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(shake)
            while wire is None and not heard:
                heard.append(await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5))
            while wire is not None and not any(isinstance(event, AcceptConnection) for event in heard):
                wire.receive_data(await asyncio.wait_for(reader.read(65536), 5))
                heard.extend(wire.events())
            heard.clear()
            kubernetes.hang_up()
            while data := await asyncio.wait_for(reader.read(65536), 5):
                heard.append(data)
            writer.close()
        driver.stop()

    story(main)
    return heard, kubelet


@pytest.mark.parametrize(("kind", "protocol"), [("exec", V5), ("portforward", TUNNELLED), ("portforward", "")])
def test_a_web_socket_ends_without_a_farewell(kind: str, protocol: str) -> None:
    wire = WSConnection(ConnectionType.CLIENT)
    path = f"/api/v1/namespaces/default/pods/web/{kind}"
    shake = wire.send(Handshake(host="x", target=path, subprotocols=[protocol] if protocol else []))
    heard, kubelet = broken_off(kind, shake, wire)
    for data in heard:
        wire.receive_data(data)
    assert not any(isinstance(event, CloseConnection) for event in wire.events())
    wire.receive_data(None)
    (last,) = wire.events()
    assert isinstance(last, CloseConnection) and last.code == CloseReason.ABNORMAL_CLOSURE
    assert [each.closed for each in kubelet.opened] == [1 for _ in kubelet.opened]
    assert kubelet.opened or protocol == TUNNELLED, "a tunnel opens nothing by itself"


@pytest.mark.parametrize(("kind", "protocol"), [("exec", b"v4.channel.k8s.io"), ("portforward", b"portforward.k8s.io")])
def test_a_connection_of_spdy_streams_ends(kind: str, protocol: bytes) -> None:
    heard, _ = broken_off(kind, SPDY % (kind.encode(), protocol), None)
    assert heard == []
