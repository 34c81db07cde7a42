"""An edge to talk to: a listener on a free port of loopback, in the test's own loop."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from seatrial.api.server import pki
from seatrial.api.server.listener import Listener, bind, tls
from seatrial.api.server.message import App

DEADLINE_S = 240.0
TURN_S, TURNS = 0.001, 100
"""In each turn of the loop everything that has arrived is looked at, however long the machine was busy elsewhere."""


@lru_cache(maxsize=1)
def keys() -> pki.Pki:
    """One set of certificates for all tests."""
    return pki.make()


def client_context(pair: pki.Pair | None) -> ssl.SSLContext:
    """The client's side of TLS, with or without a certificate."""
    context = ssl.create_default_context(cadata=keys().authority.certificate.decode())
    if pair is not None:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "client.pem"
            path.write_bytes(pair.certificate + pair.key)
            context.load_cert_chain(path)
    return context


@asynccontextmanager
async def edge(app: App, secure: bool = False) -> AsyncIterator[Listener]:
    listener = Listener(app, bind("127.0.0.1", 0), tls(keys()) if secure else None)
    await listener.start()
    try:
        yield listener
    finally:
        await listener.close()


async def exchange(listener: Listener, raw: bytes) -> bytes:
    """Sends bytes as they are and reads until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(raw)
    async with asyncio.timeout(DEADLINE_S):
        received = await reader.read()
    writer.close()
    return received


async def until(holds: Callable[[], bool]) -> None:
    """Lets the loop go round until something holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not holds():
            await asyncio.sleep(TURN_S)


async def still(look: Callable[[], int]) -> int:
    """Lets the loop go round until a number stays the same for many turns; the number."""
    found, turns = look(), 0
    while turns < TURNS:
        await asyncio.sleep(TURN_S)
        found, turns = (found, turns + 1) if look() == found else (look(), 0)
    return found


def story(run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a test's coroutine on the loop that the server uses."""
    import uvloop

    uvloop.run(run())
