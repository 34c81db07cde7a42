"""Records events for components outside of the control plane: a process of its own sends them, one after the other.

*Not modelled*: retries of an event whose write got no answer (twelve, every ten seconds, upstream); it is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

from seatrial.sim.apiserver.client import Unreachable
from seatrial.sim.apiserver.events import Correlator, Source, write
from seatrial.sim.apiserver.request import Object
from seatrial.sim.kernel.clock import Clock, Process, Signal
from seatrial.sim.machinery.errors import ApiError


class Recorder:
    """Records events of one source."""

    def __init__(self, clock: Clock, client: Any, resource: Any, component: str, host: str) -> None:
        self.clock = clock
        self.client = client
        self.resource = resource
        self.source = Source(component, host)
        self._queue: deque[tuple[dict[str, Any], int]] = deque()
        self._more = Signal(clock)
        self._correlator = Correlator()
        self._process: Process | None = None
        self.heard: Callable[[Object, str, str, str], None] | None = None
        """Also told of each event: (about, type, reason, message)."""

    def start(self) -> None:
        self._process = self.clock.spawn(self._send(), f"events/{self.source.wire.get('host', '')}")

    def stop(self) -> None:
        """What was not sent is lost, and so is what was counted."""
        if self._process is not None:
            self._process.kill()
            self._process = None
        self._queue.clear()
        self._correlator.clear()

    def busy(self) -> bool:
        return bool(self._queue)

    def event(self, about: Object, kind: str, reason: str, message: str) -> None:
        """Records an event of type ``kind`` (Normal, Warning) about an object reference."""
        if self._process is None:
            return
        now = self.clock.now
        self._queue.append((self.source.event(now, about, kind, reason, message), now))
        if self.heard is not None:
            self.heard(about, kind, reason, message)
        self._more.fire()

    def _send(self) -> Generator[Any, Any, None]:
        while True:
            while self._queue:
                observed = self._correlator.correlate(*self._queue[0])
                if observed is not None:
                    with suppress(ApiError, Unreachable):
                        yield from write(self.client, self.resource, observed)
                self._queue.popleft()
            yield self._more.wait()
