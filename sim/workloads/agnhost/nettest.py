"""agnhost's ``nettest``: a server that notes who wrote to it. Not modelled: its own search for peers."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

from seatrial.sim.workloads.agnhost.site import JSON, Site, Values, flags, said, serving
from seatrial.sim.workloads.net import HttpRequest, HttpResponse
from seatrial.sim.workloads.process import Proc

SEARCH_US = 300 * 1_000_000
"""How long it looks for peers at least."""


def nettest(proc: Proc, words: list[str]) -> Generator[Any, Any, int]:
    """Serves /read, /write, /status and /quit on --port."""
    options = flags(words)
    peers, began = int(options.get("peers", "8")), proc.clock.now
    received: dict[str, int] = {}
    errors: list[str] = []

    def searching() -> bool:
        return proc.clock.now - began < SEARCH_US

    def read(request: HttpRequest, values: Values) -> HttpResponse:
        state = {
            "Hostname": proc.container.hostname,
            "Sent": None,
            "Received": received or None,
            "Errors": errors or None,
            "Log": None,
            "StillContactingPeers": searching(),
        }
        return said(json.dumps(state, indent="\t"), headers=JSON)

    def write(request: HttpRequest, values: Values) -> HttpResponse:
        try:
            source = str(json.loads(request.body)["Source"])
            received[source] = received.get(source, 0) + 1
        except (ValueError, KeyError, TypeError):
            errors.append(f"{proc.container.hostname}: Got request with no source")
        return said(json.dumps({"Hostname": proc.container.hostname}, separators=(",", ":")) + "\n", headers=JSON)

    def status(request: HttpRequest, values: Values) -> HttpResponse:
        return said("pass" if not peers else "running" if searching() else "fail")

    def leave(request: HttpRequest, values: Values) -> HttpResponse:
        proc.clock.after(0, lambda: proc.kill(0))
        return said("")

    routes = {"/read": read, "/write": write, "/status": status, "/quit": leave}
    grace_us = int(options.get("delay-shutdown", "0")) * 1_000_000
    return serving(proc, {("TCP", int(options.get("port", "8080"))): Site(proc, routes)}, grace_us)
