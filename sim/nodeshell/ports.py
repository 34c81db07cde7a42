"""What daemons of a machine listen on beside their metrics: the kubelet's health, and sshd.

Not modelled: that a port is bound to one address alone; TLS.
"""

from __future__ import annotations

from collections.abc import Callable

from seatrial.sim.nodeshell.machine import Machine
from seatrial.sim.ports import Port
from seatrial.sim.workloads.net import HttpRequest, HttpResponse

HEALTH, SSH = 10248, 22
PLAIN = {"Content-Type": "text/plain; charset=utf-8"}


def listen(machine: Machine) -> None:
    """Opens the ports of a machine's daemons."""
    node, services = machine.node, machine.site.plane.services
    rows: dict[int, tuple[str, Callable[[], bool], Callable[[HttpRequest], HttpResponse]]] = {
        HEALTH: ("kubelet-health", lambda: node.running, _healthy),
        SSH: ("sshd", lambda: node.powered, _no_http),
    }
    for port, (name, running, answer) in rows.items():
        services[machine.name, "TCP", port] = Port(name, answer, running, None)


def _healthy(request: HttpRequest) -> HttpResponse:
    return (
        HttpResponse(200, PLAIN, b"ok")
        if request.path == "/healthz"
        else HttpResponse(404, PLAIN, b"404 page not found\n")
    )


def _no_http(request: HttpRequest) -> HttpResponse:
    raise ConnectionResetError("sshd speaks no HTTP")
