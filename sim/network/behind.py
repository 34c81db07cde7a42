"""Processes outside that stand behind Services: what an EndpointSlice with the annotation ``TARGET`` means.

The slice names the machine outside as its endpoint, so the cluster's own rules lead there. Whoever comes by a
connection from outside is connected byte for byte at the edge (``beyond``); a request from inside leaves the simulation
as a call and its answer comes later. Not modelled: raw connections from inside, the headers of answers to requests from
inside.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, Final

from seatrial.sim.apiserver.context import ExternalCall
from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.kernel.clock import Signal
from seatrial.sim.network.hosts import refused
from seatrial.sim.network.outside import Outside
from seatrial.sim.network.requests import OUTSIDE_ADDRESS

Object = Mapping[str, Any]
SLICES: Final = "endpointslices.discovery.k8s.io"
TARGET: Final = "seatrial.dev/target"
"""host:port of the process, as this machine names it."""
TIMEOUT_US: Final = 30_000_000
"""How long a request from inside waits for its answer."""
HOP_BY_HOP: Final = ("connection", "content-length", "host", "transfer-encoding")
Answer = Callable[[int, Mapping[str, str], bytes], Any]


class Behind:
    """The port of a process outside."""

    def __init__(self, wiring: Wiring, answer: Answer, host: str, port: int) -> None:
        self._wiring, self._answer = wiring, answer
        self.beyond = (host, port)

    def http(self, request: Any) -> Any:
        """An answer that comes later."""
        came = Signal(self._wiring.clock)
        self._wiring.clock.spawn(self._ask(request, came), f"request to {self.beyond[0]}:{self.beyond[1]}")
        return self._answer(0, {}, b"")._replace(later=came)

    def _ask(self, request: Any, came: Signal) -> Generator[Any, Any, None]:
        host, port = self.beyond
        headers = tuple((name, value) for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP)
        asked = next((value for name, value in request.headers.items() if name.lower() == "host"), host)
        call = ExternalCall(
            f"http://{asked}{request.path}",
            request.body,
            TIMEOUT_US,
            method=request.method,
            headers=headers,
            addresses=(f"{host}:{port}",),
        )
        # Whoever asked waits from now on.
        yield self._wiring.clock.sleep(0)
        answered = yield from self._wiring.external(call)
        if isinstance(answered, OSError):
            came.fire(self._answer(502, {"Content-Type": "text/plain"}, f"{answered}\n".encode()))
        else:
            code, body = answered
            came.fire(self._answer(code, {}, body))

    def open(self, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str) -> Any:
        raise refused()


def follow(wiring: Wiring, outside: Outside, answer: Answer) -> None:
    """Keeps what listens outside as the slices of the store have it."""
    store = wiring.endpoint.server.store
    opened: dict[tuple[str, str], list[tuple[str, str, int]]] = {}

    def take(obj: Object, gone: bool) -> None:
        metadata = obj["metadata"]
        place = (metadata["namespace"], metadata["name"])
        for key in opened.pop(place, ()):
            outside.listeners.pop(key, None)
        target = (metadata.get("annotations") or {}).get(TARGET, "")
        host, _, port = target.rpartition(":")
        if gone or not port.isdigit():
            return
        keys = [(OUTSIDE_ADDRESS, "TCP", each["port"]) for each in obj.get("ports") or () if each.get("port")]
        opened[place] = keys
        for key in keys:
            outside.listeners[key] = Behind(wiring, answer, host, int(port))

    def changed(change: Any) -> None:
        if change.storage == SLICES:
            take(change.obj, change.verb == "DELETED")

    for each in store.list(SLICES):
        take(each, False)
    store.observe(changed)
