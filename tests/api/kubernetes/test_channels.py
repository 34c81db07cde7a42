"""exec and attach over WebSocket, in front of a kubelet that the test plays."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Message, RejectConnection, TextMessage
from wsproto.events import Request as Handshake

from seatrial.api.kubernetes import channels
from seatrial.api.kubernetes.upgrading import upgrade
from seatrial.api.server.driver import Driver
from seatrial.api.server.message import Answer, Incoming
from seatrial.sim.apiserver.connecting import Connect
from seatrial.sim.apiserver.kubelets import ExecError, Kubelet, OnExit, OnOutput
from seatrial.sim.kernel.clock import Clock
from tests.api.server.harness import DEADLINE_S, edge, story, until


class Shell:
    """A process that repeats what it is told, and ends with the number of characters."""

    def __init__(self, on_output: OnOutput, on_exit: OnExit) -> None:
        self.on_output, self.on_exit = on_output, on_exit
        self.sizes: list[tuple[int, int]] = []
        self.heard = 0
        self.hung_up = False

    def write_stdin(self, data: bytes) -> None:
        self.heard += len(data)
        self.on_output("stdout" if data.islower() else "stderr", data)

    def close_stdin(self) -> None:
        self.on_exit(self.heard)

    def resize(self, width: int, height: int) -> None:
        self.sizes.append((width, height))

    def close(self) -> None:
        self.hung_up = True


class Played:
    """A kubelet that serves exec."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.refusal = refusal
        self.shells: list[Shell] = []

    def exec(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: list[str],
        on_output: OnOutput,
        on_exit: OnExit,
        stdin: bool = False,
        tty: bool = False,
    ) -> Shell:
        if self.refusal is not None:
            raise self.refusal
        self.shells.append(Shell(on_output, on_exit))
        return self.shells[-1]


class Client:
    """kubectl's end of the WebSocket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.socket = WSConnection(ConnectionType.CLIENT)
        self.events: list[Any] = []

    async def open(self, subprotocols: list[str]) -> Any:
        self.writer.write(self.socket.send(Handshake(host="x", target="/exec", subprotocols=subprotocols)))
        return await self.next()

    async def next(self) -> Any:
        while not self.events:
            data = await asyncio.wait_for(self.reader.read(65536), DEADLINE_S)
            self.socket.receive_data(data or None)
            self.events = [event for event in self.socket.events() if not isinstance(event, Message) or event.data]
        return self.events.pop(0)

    def say(self, channel: int, data: bytes) -> None:
        self.writer.write(self.socket.send(BytesMessage(data=bytes([channel]) + data)))


def play(
    kubelet: Played,
    scene: Callable[[Client], Any],
    kind: str = "exec",
    command: tuple[str, ...] = ("sh",),
    ending: Callable[[], bool] = lambda: True,
) -> None:
    """What a client does, and what has come to hold when it has gone."""

    async def main() -> None:
        driver = Driver(Clock(0))
        driver.start(asyncio.get_running_loop())
        connect = Connect(kind, cast(Kubelet, kubelet), "default", "web", "c", command, stdin=True)

        def app(incoming: Incoming, answer: Answer) -> None:
            answer(upgrade(incoming, connect, driver))

        async with edge(app) as listener:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            await scene(Client(reader, writer))
            writer.close()
            await until(ending)
        driver.stop()

    story(main)


def test_streams_have_their_channels_and_the_outcome_comes_last() -> None:
    kubelet = Played()

    async def scene(client: Client) -> None:
        accepted = await client.open([channels.V5, channels.V4])
        assert isinstance(accepted, AcceptConnection)
        assert accepted.subprotocol == channels.V5
        assert (await client.next()).data == b"\x01"
        client.say(0, b"hello")
        assert (await client.next()).data == b"\x01hello"
        client.say(0, b"HELLO")
        assert (await client.next()).data == b"\x02HELLO"
        client.say(4, json.dumps({"Width": 80, "Height": 24}).encode())
        client.say(255, b"\x00")
        outcome = (await client.next()).data
        assert outcome[0] == 3
        status = json.loads(outcome[1:])
        assert (status["status"], status["reason"]) == ("Failure", "NonZeroExitCode")
        assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "10"}]
        assert isinstance(await client.next(), CloseConnection)

    play(kubelet, scene)
    assert kubelet.shells[0].sizes == [(80, 24)]


def test_a_process_that_ends_well_says_success() -> None:
    async def scene(client: Client) -> None:
        await client.open([channels.V5])
        await client.next()
        client.say(255, b"\x00")
        assert json.loads((await client.next()).data[1:]) == {"metadata": {}, "status": "Success"}

    play(Played(), scene)


@pytest.mark.parametrize("offered", [[], [channels.V1]])
def test_before_the_fourth_version_the_outcome_is_a_message_or_nothing(offered: list[str]) -> None:
    async def scene(client: Client) -> None:
        accepted = await client.open(offered)
        assert accepted.subprotocol == (offered[0] if offered else None)
        assert (await client.next()).data == b"\x01"
        client.say(0, b"abc")
        assert (await client.next()).data == b"\x01abc"
        client.say(255, b"\x00")
        assert (await client.next()).data == b"\x03command terminated with non-zero exit code: exit code 3"
        assert isinstance(await client.next(), CloseConnection)

    async def well(client: Client) -> None:
        await client.open(offered)
        await client.next()
        client.say(255, b"\x00")
        assert isinstance(await client.next(), CloseConnection)

    play(Played(), scene)
    play(Played(), well)


@pytest.mark.parametrize("offered", [channels.V1_BASE64, channels.V4_BASE64])
def test_browsers_get_text(offered: str) -> None:
    async def scene(client: Client) -> None:
        assert (await client.open([offered])).subprotocol == offered
        assert (await client.next()).data == "1"
        client.writer.write(client.socket.send(TextMessage(data="0" + base64.b64encode(b"hello").decode())))
        assert (await client.next()).data == "1" + base64.b64encode(b"hello").decode()

    play(Played(), scene)


def test_a_process_that_cannot_start_says_why() -> None:
    async def scene(client: Client) -> None:
        await client.open([channels.V4])
        await client.next()
        status = json.loads((await client.next()).data[1:])
        assert status["reason"] == "InternalError"
        assert 'exec: "nope": not found' in status["message"]

    play(Played(ExecError('exec: "nope": not found')), scene)


def test_a_process_may_end_while_the_simulation_catches_up_with_the_end_of_its_input() -> None:
    said: list[tuple[int, bytes]] = []
    shells: list[Shell] = []

    class CatchingUp:
        """A driver in whose next step the process ends."""

        def enter(self) -> None:
            if shells:
                shells[0].on_exit(0)

        def look(self) -> None: ...

        def release(self, send: Callable[[], None]) -> None:
            send()

    def begin(on_output: OnOutput, on_exit: OnExit) -> Shell:
        shells.append(Shell(on_output, on_exit))
        return shells[0]

    attached = channels.Attached(
        cast(channels.Begin, begin), cast(Driver, CatchingUp()), lambda *what: said.append(what), lambda: None
    )
    attached.start()
    attached.end_input()
    assert said[0] == (channels.OUTCOME, b'{"metadata":{},"status":"Success"}')


def test_a_client_that_goes_away_hangs_up() -> None:
    kubelet = Played()

    async def scene(client: Client) -> None:
        await client.open([channels.V5])
        await client.next()

    play(kubelet, scene, ending=lambda: kubelet.shells[0].hung_up)


@pytest.mark.parametrize(("kind", "offered"), [("exec", ["soap"]), ("portforward", ["v5.channel.k8s.io"])])
def test_what_we_do_not_speak_is_refused(kind: str, offered: list[str]) -> None:
    async def scene(client: Client) -> None:
        refused = await client.open(offered)
        assert isinstance(refused, RejectConnection)
        assert refused.status_code == 400

    play(Played(), scene, kind)
