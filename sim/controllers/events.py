"""Events of controllers: recorded while they work, written in the background.

*Not modelled*: retries of an event whose write got no answer (twelve, every ten seconds, upstream); it is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

from seatrial.sim.apiserver.client import Client
from seatrial.sim.apiserver.events import Correlator, Source, reference, write
from seatrial.sim.apiserver.request import Object
from seatrial.sim.machinery.errors import ApiError


class Recorder:
    """One component's events. ``wake`` is called when there is something to send; ``pending`` gives it away."""

    def __init__(self, component: str, offset_ns: int, wake: Callable[[], None]) -> None:
        self._source = Source(component, offset_ns=offset_ns)
        self._wake = wake
        self._correlator = Correlator()
        self.pending: deque[tuple[dict[str, Any], Any]] = deque()

    def record(self, now: int, about: Object, type_: str, reason: str, message: str, cause: Any = None) -> None:
        self.pending.append((self._source.event(now, reference(about), type_, reason, message), cause))
        self._wake()

    def forget(self) -> None:
        """The process ends: what was not sent is lost, and so is what was counted."""
        self.pending.clear()
        self._correlator.clear()

    def send(self, client: Client, resource: Any, now: Callable[[], int]) -> Generator[Any, Any, None]:
        """Writes what is pending, one request at a time."""
        while self.pending:
            event, cause = self.pending.popleft()
            observed = self._correlator.correlate(event, now())
            if observed is not None:
                with suppress(ApiError):
                    yield from write(client, resource, observed, cause)
