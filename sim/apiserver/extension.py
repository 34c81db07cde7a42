"""An API server of somebody else's: a program of the cluster that serves kinds of its own behind the aggregation layer.

Its kinds are written as CustomResourceDefinitions are, its objects lie in a store of its own, and what it does with
them is what any API server does. Namespaces it knows from the cluster's API server, as k8s.io/apiserver's admission
does. *Not modelled*: delegated authorization, which asks the cluster's API server for the decision that it has just
made; watches, which the aggregation layer does not carry; a store that outlives the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

import orjson

from seatrial.sim.apiserver.client import Client
from seatrial.sim.apiserver.informer import Informer
from seatrial.sim.apiserver.request import Object, Request, User
from seatrial.sim.apiserver.server import Apiserver
from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.kernel.clock import Process
from seatrial.sim.kernel.streams import Streams
from seatrial.sim.machinery.custom import definition as definitions
from seatrial.sim.machinery.kinds import Kinds
from seatrial.sim.store.store import Store

NAMESPACES = "namespaces"
AUTHORIZED = "system:masters"
ANONYMOUS = "system:anonymous"


class ExtensionServer:
    """One process of such a program; starts and ends with its container."""

    def __init__(self, wiring: Wiring, host: str, user: User, name: str, served: Iterable[Object]) -> None:
        self._wiring, self._host, self.name = wiring, host, name
        self._client = Client(wiring, host, user, name.partition("/")[0])
        self._served = list(served)
        self._process: Process | None = None

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        wiring = self._wiring
        streams = Streams(f"{wiring.streams.seed}/{self.name}/{wiring.clock.now}")
        rows = [definitions.row(each, version) for each in self._served for version in each["spec"]["versions"]]
        self._server = Apiserver(wiring.spec, Store(wiring.clock), wiring.clock, streams, Kinds(rows))
        self._namespaces = Informer(wiring, self._client, wiring.kinds.resource(NAMESPACES), heedless=True)
        self._namespaces.on_change(self._namespace_changed)
        self._process = wiring.clock.spawn(self._namespaces.run(), f"{self.name}/namespaces")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None

    @property
    def ready(self) -> bool:
        return self.running and self._namespaces.synced

    def _namespace_changed(self, verb: str, new: Object | None, old: Object | None) -> None:
        store = self._server.store
        name = (new or old or {})["metadata"]["name"]
        known = store.get(NAMESPACES, "", name)
        if new is None:
            if known is not None:
                store.delete(NAMESPACES, "", name)
        elif known is None:
            store.create(NAMESPACES, new)
        else:
            store.update(NAMESPACES, new)

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str, bytes]:
        """Status code, media type and body for a request as the aggregation layer passes it on."""
        path, _, query = target.partition("?")
        said = {name.lower(): value for name, value in headers.items()}
        request = Request(
            method,
            unquote(path),
            {name: tuple(values) for name, values in parse_qs(query, keep_blank_values=True).items()},
            body or None,
            said.get("content-type", "application/json"),
            user=User(said.get("x-remote-user", ANONYMOUS), (AUTHORIZED, "system:authenticated")),
            user_agent=said.get("user-agent", ""),
        )
        if request.query.get("watch", ("",))[0] in ("1", "true"):
            return 405, "text/plain; charset=utf-8", b"watches are not carried\n"
        response = self._server.handle(request)
        raw: Any = response.body
        if not isinstance(raw, bytes | bytearray | memoryview):
            raw = orjson.dumps(raw)
        return response.code, response.content_type, bytes(raw)
