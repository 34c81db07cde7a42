"""What a request costs the container that answers it: CPU, memory while it is under way, and a place in its queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from seatrial.sim.workloads.net import HttpRequest, HttpResponse, Work

if TYPE_CHECKING:
    from seatrial.sim.workloads.process import Proc

ANNOTATION = "workload.seatrial.dev/"
"""Prefix of pod annotations that change what an image's service does."""


class Cost(NamedTuple):
    """Of one request."""

    cpu_us: int = 300
    memory_kb: float = 32
    places: int = 511
    """Requests that may wait; what comes beyond is dropped (the backlog of a listening socket)."""

    def annotated(self, annotations: Mapping[str, str], container: str) -> Cost:
        """The cost as the pod's annotations have it: ``workload.seatrial.dev/cpu-per-request: 10ms``."""
        changes: dict[str, Any] = {}
        for key, text in annotations.items():
            name, _, only = key.removeprefix(ANNOTATION).partition(".")
            apply = ANNOTATIONS.get(name) if key.startswith(ANNOTATION) else None
            if apply is not None and only in ("", container):
                field, convert = apply
                changes[field] = convert(text)
        return self._replace(**changes) if changes else self


def microseconds(text: str) -> int:
    """``40ms``, ``300us``, ``0.1s``; a bare number is of seconds. Raises ValueError."""
    for unit, us in (("us", 1), ("ms", 1000), ("s", 1_000_000)):
        if text.endswith(unit):
            return round(float(text.removesuffix(unit)) * us)
    return round(float(text) * 1_000_000)


def mebibytes(text: str) -> float:
    """``1Mi`` or ``1``. Raises ValueError."""
    return float(text.removesuffix("Mi"))


ANNOTATIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "cpu-per-request": ("cpu_us", microseconds),
    "memory-per-request": ("memory_kb", lambda text: mebibytes(text) * 1024),
    "queue": ("places", int),
}


def charged(proc: Proc, cost: Cost, request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The answer with what it takes; what the program itself waited for comes on top."""
    container = proc.container
    container.request_bytes = round(cost.memory_kb * 1024)
    taken = container.work(request.copies, cost.cpu_us * 1000, request.over_us, request.window, cost.places)
    waits, lost, own = taken.waits, taken.lost, response.work
    if own is not None and own.waits:
        longer = max(us for _, us in own.waits)
        waits = tuple((count, us + longer) for count, us in waits)
    elif own is not None:
        waits, lost = (), request.copies - taken.held
    return response._replace(work=Work(waits, lost, taken.held, lambda: container.ended_us))
