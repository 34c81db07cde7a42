"""Calls that leave the simulation: real HTTP outside, simulated time inside."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Generator
from typing import Any

import pytest

from seatrial.api.server.driver import Driver, wall_us
from seatrial.api.server.message import Answer, App, Incoming, Outgoing
from seatrial.api.server.outside import Outside
from seatrial.sim.apiserver.context import ExternalCall
from seatrial.sim.kernel.clock import Clock
from tests.api.server.harness import edge, keys, story

S = 1_000_000
AUTHORITY = keys().authority.certificate


def called(app: App, call_of: Callable[[int], ExternalCall], secure: bool = False) -> Any:
    """What a process of the simulation gets from its call."""
    answers: list[Any] = []

    async def run() -> None:
        clock = Clock(wall_us())
        driver = Driver(clock)
        driver.start(asyncio.get_running_loop())
        outside = Outside(clock, driver)

        def process(call: ExternalCall) -> Generator[Any, Any, None]:
            answers.append((yield from outside.perform(call)))

        async with edge(app, secure) as listener:
            clock.spawn(process(call_of(listener.port)), "webhook")
            driver.wake()
            while not answers:
                await asyncio.sleep(0.005)
        driver.stop()

    story(run)
    return answers[0]


def echo(incoming: Incoming, answer: Answer) -> None:
    code = 200 if incoming.target == "/hook?timeout=1s" else 418
    answer(Outgoing(code, [], incoming.method.encode() + b" " + incoming.body))


@pytest.mark.parametrize("secure", [False, True])
def test_the_answer_enters_the_simulation(secure: bool) -> None:
    scheme = "https" if secure else "http"
    answer = called(
        echo,
        lambda port: ExternalCall(f"{scheme}://localhost:{port}/hook?timeout=1s", b'{"a":1}', 60 * S, AUTHORITY),
        secure,
    )
    assert answer == (200, b'POST {"a":1}')


def test_a_service_is_called_at_an_address_and_shows_the_certificate_of_its_name() -> None:
    answer = called(
        echo,
        lambda port: ExternalCall(
            "https://hook.shop.svc:443/hook?timeout=1s",
            b"!",
            60 * S,
            AUTHORITY,
            method="PUT",
            server_name="localhost",
            addresses=(f"127.0.0.1:{port}",),
        ),
        secure=True,
    )
    assert answer == (200, b"PUT !")


def test_another_status_is_told() -> None:
    answer = called(echo, lambda port: ExternalCall(f"http://127.0.0.1:{port}/", b"", 60 * S))
    assert answer == (418, b"POST ")


def test_nobody_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        answer = called(echo, lambda _: ExternalCall(f"http://127.0.0.1:{port}/", b"", 60 * S))
    assert isinstance(answer, OSError)
    assert str(answer) == f'Post "http://127.0.0.1:{port}/": dial tcp 127.0.0.1:{port}: connect: connection refused'


def test_a_certificate_of_somebody_else_is_not_trusted() -> None:
    from seatrial.api.server import pki

    foreign = pki.make().authority.certificate
    answer = called(echo, lambda port: ExternalCall(f"https://localhost:{port}/", b"", 60 * S, foreign), secure=True)
    assert "tls: failed to verify certificate: x509: " in str(answer)


def test_who_does_not_answer_in_time_is_not_waited_for() -> None:
    answer = called(lambda incoming, answer: None, lambda port: ExternalCall(f"http://127.0.0.1:{port}/", b"", S // 5))
    assert str(answer).endswith("context deadline exceeded")
