"""The control API under /seatrial/v1/: what one can do to a cluster that no real cluster lets one do.

It is served on the port of the Kubernetes API, with the same authentication. Every path is authorised as a non-resource
URL, so that cluster-admins may use it and nobody else unless a ClusterRole says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from seatrial.api.control.clock import clock_view
from seatrial.api.kubernetes.wire import request_of
from seatrial.api.server.asgi import AsgiApp, Mounted
from seatrial.api.server.driver import Driver
from seatrial.api.server.message import Answer, App, Incoming, Outgoing
from seatrial.sim.apiserver.authorization import Attributes, Authorizer, refusal
from seatrial.sim.apiserver.request import Request, User
from seatrial.sim.machinery import errors

if TYPE_CHECKING:
    from fastapi import FastAPI

PREFIX = "/seatrial/"
BASE = "/seatrial/v1"


class Guarded(Protocol):
    """What the control API asks of the API server."""

    authorizer: Authorizer

    def user_of(self, request: Request) -> User: ...


class Front:
    """The one application of the port: the control API for its prefix, Kubernetes for everything else."""

    def __init__(self, kubernetes: App, control: App) -> None:
        self._kubernetes = kubernetes
        self._control = control

    def __call__(self, incoming: Incoming, answer: Answer) -> None:
        app = self._control if incoming.target.startswith(PREFIX) else self._kubernetes
        app(incoming, answer)


class Control:
    """The control API behind its guard."""

    def __init__(
        self, server: Guarded, make: Callable[[], AsgiApp], upgrades: Mapping[str, Callable[[Incoming], Outgoing]] = {}
    ) -> None:
        self._server = server
        self._mounted = Mounted(make)
        self._upgrades = upgrades
        """By path: what turns a connection into something else than HTTP."""

    def __call__(self, incoming: Incoming, answer: Answer) -> None:
        request = request_of(incoming)
        try:
            user = self._server.user_of(request)
            asked = Attributes(request.method.lower(), path=request.path)
            if not self._server.authorizer.allowed(user, asked):
                raise refusal(user, asked)
        except errors.ApiError as error:
            body = orjson.dumps(error.status()) + b"\n"
            answer(Outgoing(error.code, [("Content-Type", "application/json")], body))
            return
        upgrade = self._upgrades.get(request.path) if incoming.upgrade else None
        if upgrade is not None:
            answer(upgrade(incoming))
        else:
            self._mounted(incoming, answer)


def make_app(
    driver: Driver,
    status: Callable[[], Mapping[str, Any]],
    stop: Callable[[], None],
    *more: Callable[[FastAPI], None],
) -> FastAPI:
    """The FastAPI application; each of ``more`` adds paths of its own.

    Importing FastAPI takes half a second, so it is made on first use.
    """
    from fastapi import FastAPI

    app = FastAPI(title="Seatrial control API", version="v1", openapi_url=f"{BASE}/openapi.json", docs_url=None)

    @app.get(f"{BASE}/status")
    async def show_status() -> dict[str, Any]:
        """What runs here, and how it is."""
        return {**status(), "clock": clock_view(driver)}

    @app.post(f"{BASE}/stop", status_code=202)
    async def stop_server() -> dict[str, str]:
        """Ends the server once what is committed is durable."""
        stop()
        return {"status": "stopping"}

    for add in more:
        add(app)
    return app
