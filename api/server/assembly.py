"""What a live cluster is made of: the simulation, its objects from disk, and the way back there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.api.server.driver import wall_us
from seatrial.api.server.pki import Pki
from seatrial.api.server.state import Home, Settings
from seatrial.sim.apiserver.request import Request
from seatrial.sim.apiserver.server import Apiserver
from seatrial.sim.kernel.clock import Clock


@dataclass(frozen=True, slots=True)
class Live:
    """A simulation, ready to be pumped and served."""

    clock: Clock
    server: Apiserver
    flush: Callable[[], None] | None
    """Makes durable what is committed; None for a cluster that keeps nothing."""
    journal: Callable[[Request], None] | None
    encoded: Callable[[Any], bytes]
    facts: Callable[[], Mapping[str, Any]]
    """What ``status`` shows of it."""
    close: Callable[[], None]


def assemble(home: Home, settings: Settings, keys: Pki) -> Live:
    """Builds a cluster and puts back what it held when it last ran. Raises Problem for objects that cannot be read."""
    raise SystemExit((home, settings, keys, wall_us))
