"""What a specification means in hosts, links and components."""

from __future__ import annotations

from typing import Any, Final, Protocol

from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.config import ClusterSpec
from seatrial.sim.kernel.topology import Topology

CONTROL_PLANE: Final = "m-k8s"
"""The control plane's machine."""
LAN: Final = "lan"
"""Where the machines' links meet."""


class Component(Protocol):
    """What can be started and killed alone."""

    name: str
    host: str

    @property
    def running(self) -> bool: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def busy(self) -> list[str]:
        """What it is about to do."""


def workers(spec: ClusterSpec) -> list[str]:
    """The names of the worker machines that the cluster brings along."""
    return [] if spec.control_plane_only else [f"w{number}-k8s" for number in range(1, spec.nodes + 1)]


def topology(spec: ClusterSpec) -> Topology:
    """The machines and their links."""
    built, latency = Topology(), spec.latency
    built.add_host(LAN)
    built.add_host(CONTROL_PLANE, loopback_us=latency.control_plane_us)
    near = latency.node_us // 2
    built.link(CONTROL_PLANE, LAN, near)
    for name in workers(spec):
        built.add_host(name)
        built.link(name, LAN, latency.node_us - near)
    return built


def components(wiring: Wiring, ca_certificate: str) -> list[Any]:
    """The components of the specification, not started yet."""
    if wiring.spec.controllers != "all":
        return []
    # A bare API server needs neither, and they (numpy above all) take longest to import.
    from seatrial.sim.controllers.manager import ControllerManager
    from seatrial.sim.scheduler.scheduler import Scheduler

    manager = ControllerManager(wiring, CONTROL_PLANE, shared={"root_ca": ca_certificate})
    return [manager, Scheduler(wiring, CONTROL_PLANE)]
