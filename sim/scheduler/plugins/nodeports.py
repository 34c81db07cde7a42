"""NodePorts: a host port serves one pod per node, protocol and address (pkg/scheduler/framework/plugins/nodeports)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.columns import Column, Rows
from seatrial.sim.scheduler.framework import Depends, Filter, Plugin, Status, unschedulable
from seatrial.sim.scheduler.podinfo import PodInfo, Traits

REASON = "node(s) didn't have free ports for the requested pod ports"
ANY_ADDRESS = "0.0.0.0"

Port = tuple[str, str, int]
"""(address, protocol, port)."""


class NodePorts(Plugin):
    """Filters on host ports in use."""

    name = "NodePorts"
    events = ("AssignedPod/Delete", "Node/Add")

    def filter(self, traits: Traits) -> Filter | None:
        return _PortsFilter(self.cache, traits.host_ports) if traits.host_ports else None

    def hint(self, pod: PodInfo, event: str, old: object, new: object) -> bool:
        if event != "AssignedPod/Delete" or not isinstance(old, PodInfo):
            return True
        return clash(pod.traits.host_ports, old.traits.host_ports)


class _PortsFilter(Filter):
    depends = Depends.PODS

    def __init__(self, cache: Cache, wanted: tuple[Port, ...]) -> None:
        self.cache, self.wanted = cache, wanted
        self.users = cache.tally("host ports", lambda traits, terminating: len(traits.host_ports))

    def column(self, rows: Rows | None = None) -> Column:
        users = self.users.column if rows is None else self.users.column[rows]
        verdicts = np.zeros(len(users), dtype=np.int64)
        for position in np.flatnonzero(users).tolist():
            verdicts[position] = self.one(position if rows is None else int(rows[position]))
        return verdicts

    def one(self, row: int, added: Sequence[PodInfo] = (), removed: Sequence[PodInfo] = ()) -> int:
        gone = {pod.uid for pod in removed}
        pods = [pod for pod in self.cache.nodes[row].pods.values() if pod.uid not in gone]
        used = (port for pod in (*pods, *added) for port in pod.traits.host_ports)
        return int(clash(self.wanted, used))

    def status(self, verdict: int) -> Status:
        return unschedulable(REASON)


def clash(wanted: Iterable[Port], used: Iterable[Port]) -> bool:
    """Whether a wanted port is in use on the same address, or on any where one of the two says so."""
    taken = list(used)
    return any(
        protocol == other_protocol
        and port == other_port
        and (address == other_address or ANY_ADDRESS in (address, other_address))
        for address, protocol, port in wanted
        for other_address, other_protocol, other_port in taken
    )
