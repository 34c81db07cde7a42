"""An ASGI application on our connections: what FastAPI, which serves the control API, needs and no more.

Not modelled: streamed bodies, lifespan events and WebSockets; the control API has none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from seatrial.api.server.message import Answer, Incoming, Outgoing

log = logging.getLogger("seatrial")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


def scope_of(incoming: Incoming) -> dict[str, Any]:
    """The ASGI view of a request."""
    path, _, query = incoming.target.partition("?")
    headers = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, joined in incoming.headers.items()
        for value in joined.split("\x00")
    ]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": incoming.method,
        "scheme": "https",
        "path": unquote(path),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": headers,
        "client": (incoming.peer.address, 0),
        "server": None,
    }


async def call(app: AsgiApp, incoming: Incoming) -> Outgoing:
    """The application's whole answer."""
    outgoing = Outgoing(500)
    parts: list[bytes] = []
    asked = False

    async def receive() -> Message:
        nonlocal asked
        if asked:
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": incoming.body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            outgoing.code = message["status"]
            pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers", ())]
            outgoing.headers = [(name, value) for name, value in pairs if name.lower() != "content-length"]
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    await app(scope_of(incoming), receive, send)
    outgoing.body = b"".join(parts)
    return outgoing


class Mounted:
    """An ASGI application that is made when it is first asked for, outside the loop's thread: importing takes long."""

    def __init__(self, make: Callable[[], AsgiApp]) -> None:
        self._make = make
        self._app: asyncio.Future[AsgiApp] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, incoming: Incoming, answer: Answer) -> None:
        loop = asyncio.get_running_loop()
        if self._app is None:
            self._app = asyncio.ensure_future(loop.run_in_executor(None, self._make))
        task = loop.create_task(self._serve(self._app, incoming, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, made: asyncio.Future[AsgiApp], incoming: Incoming, answer: Answer) -> None:
        try:
            outgoing = await call(await asyncio.shield(made), incoming)
        except Exception:
            log.exception("%s %s", incoming.method, incoming.target)
            outgoing = Outgoing(500, [("Content-Type", "text/plain")], b"internal error; see the server's log\n")
        answer(outgoing)
