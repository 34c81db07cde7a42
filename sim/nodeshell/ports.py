"""What daemons of a machine listen on: the kubelet's API and its health, and sshd.

Not modelled: that a port is bound to one address alone; TLS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seatrial.sim.network.hosts import refused
from seatrial.sim.nodeshell.machine import Machine
from seatrial.sim.workloads.http import HttpConnection
from seatrial.sim.workloads.net import HttpRequest, HttpResponse

HEALTH, KUBELET, SSH = 10248, 10250, 22
PLAIN = {"Content-Type": "text/plain; charset=utf-8"}


class Daemon:
    """A port that is closed while its process does not run; ``name`` is for people."""

    certificate = None

    def __init__(self, name: str, running: Callable[[], bool], answer: Callable[[HttpRequest], HttpResponse]) -> None:
        self.name = name
        self._running, self._answer = running, answer

    def http(self, request: HttpRequest) -> HttpResponse:
        if not self._running():
            raise refused()
        return self._answer(request)

    def open(self, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str) -> Any:
        if not self._running():
            raise refused()
        return HttpConnection(self, on_data, on_close, client)


def listen(machine: Machine) -> None:
    """Opens the ports of a machine's daemons."""
    node, services = machine.node, machine.site.plane.services
    rows: dict[int, tuple[str, Callable[[], bool], Callable[[HttpRequest], HttpResponse]]] = {
        HEALTH: ("kubelet-health", lambda: node.running, _healthy),
        KUBELET: ("kubelet", lambda: node.running, _unauthorized),
        SSH: ("sshd", lambda: node.powered, _no_http),
    }
    for port, (name, running, answer) in rows.items():
        services[machine.name, "TCP", port] = Daemon(name, running, answer)


def _healthy(request: HttpRequest) -> HttpResponse:
    return (
        HttpResponse(200, PLAIN, b"ok")
        if request.path == "/healthz"
        else HttpResponse(404, PLAIN, b"404 page not found\n")
    )


def _unauthorized(request: HttpRequest) -> HttpResponse:
    return HttpResponse(200, PLAIN, b"ok") if request.path == "/healthz" else HttpResponse(401, PLAIN, b"Unauthorized")


def _no_http(request: HttpRequest) -> HttpResponse:
    raise ConnectionResetError("sshd speaks no HTTP")
