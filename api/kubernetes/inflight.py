"""How many requests may be under way at once: who comes too many is told to come again.

Source: k8s.io/apiserver/pkg/server/filters/maxinflight.go. Requests that need nothing from outside are answered at
once and never count; what counts are those that wait, for a webhook or another server. Watches and connections into
pods are not limited, nor is whoever is of system:masters.

Not modelled: the queues of priority and fairness, in which a request waits for its turn before it is refused.
"""

from __future__ import annotations

from seatrial.sim.apiserver.request import Request, Response
from seatrial.sim.apiserver.routing import parse

PRIVILEGED = "system:masters"
RETRY_AFTER_S = 1
LONG_RUNNING = frozenset({"attach", "exec", "log", "portforward", "proxy"})
"""Subresources that may go on for as long as they like."""
READS = ("GET", "HEAD")
TRUE = ("1", "t", "T", "true", "TRUE", "True")


class Inflight:
    """The requests of one server that wait. ``reads`` and ``writes`` are the limits; 0 means none."""

    def __init__(self, reads: int = 400, writes: int = 200) -> None:
        self._limits = {False: writes, True: reads}
        self._waiting = {False: 0, True: 0}

    def refuses(self, request: Request) -> bool:
        """Whether a request is one too many."""
        read = request.method in READS
        limit = self._limits[read]
        return 0 < limit <= self._waiting[read] and not (privileged(request) or long_running(request))

    def begin(self, request: Request) -> None:
        """A request begins to wait; ``end`` it once it is answered."""
        self._waiting[request.method in READS] += 1

    def end(self, request: Request) -> None:
        self._waiting[request.method in READS] -= 1


def privileged(request: Request) -> bool:
    credentials = request.credentials
    return credentials is not None and PRIVILEGED in credentials.certificate_organizations


def watches(request: Request) -> bool:
    """Whether the query asks for a watch."""
    return (request.query.get("watch") or ("",))[0] in TRUE


def long_running(request: Request) -> bool:
    """Whether a request may go on: a watch, a log, a connection."""
    info = parse(request.method, request.path, watches(request))
    return info.verb in ("watch", "proxy") or info.subresource in LONG_RUNNING


def too_many() -> Response:
    """The answer to one too many (filters.tooManyRequests)."""
    text = b"Too many requests, please try again later.\n"
    return Response(429, text, "text/plain; charset=utf-8", headers={"Retry-After": str(RETRY_AFTER_S)})
