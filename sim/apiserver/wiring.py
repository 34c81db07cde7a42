"""What the composition root hands every component: the clock, the network, and where the API server is.

A component gets nothing else of the cluster, so that it can be killed alone and cannot read another's memory.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from seatrial.sim.apiserver.context import ExternalCall
from seatrial.sim.apiserver.kubelets import Kubelets
from seatrial.sim.apiserver.server import unreachable
from seatrial.sim.config import ClusterSpec
from seatrial.sim.kernel.clock import Clock, Signal
from seatrial.sim.kernel.streams import Streams
from seatrial.sim.kernel.topology import Topology
from seatrial.sim.machinery.kinds import Kinds

if TYPE_CHECKING:
    from seatrial.sim.apiserver.client import Endpoint
    from seatrial.sim.apiserver.informer import Informer

Steps = Generator[Any, Any, Any]
External = Callable[[ExternalCall], Steps]
"""Performs a call that leaves the simulation: yields what it waits for on the clock, returns the answer."""


def nobody(call: ExternalCall) -> Generator[Any, Any, Any]:
    """Where nothing outside the simulation can be reached, every call is refused."""
    return unreachable(call)
    yield


@dataclass(slots=True)
class Wiring:
    """The seams between a component and the rest of the cluster."""

    spec: ClusterSpec
    clock: Clock
    streams: Streams
    topology: Topology
    kinds: Kinds
    endpoint: Endpoint
    kubelets: Kubelets
    external: External = nobody
    lag: Callable[[str, str], int] | None = None
    """The seam for stale views: by how many µs what a watch brings is late, by user agent and kind in the store."""
    frozen: Callable[[str, str], bool] | None = None
    """The seam for processes that stand still, by machine and user agent: they send nothing."""
    deaf: Callable[[str, str, str], bool] | None = None
    """The seam for watches that stand still, by machine, user agent and kind in the store: nothing arrives."""
    twice: Callable[[str, str], bool] | None = None
    """The seam for watches that bring everything twice, by user agent and kind in the store."""
    released: Signal = field(init=False)
    """Fires when something that stood still goes on."""
    informers: dict[Informer, None] = field(default_factory=dict)
    """The informers that run, in the order of their start: what settling and fault injection look at."""

    def __post_init__(self) -> None:
        self.released = Signal(self.clock)
        self.endpoint.is_meddled = self.is_meddled

    def is_meddled(self) -> bool:
        """Whether a fault uses one of the seams for what is on its way."""
        return any(seam is not None for seam in (self.lag, self.frozen, self.deaf, self.twice))
