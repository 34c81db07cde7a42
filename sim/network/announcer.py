"""Who answers for the addresses of load balancers: one machine for each, as MetalLB's layer-2 mode elects it.

Source: go.universe.tf/metallb (speaker/layer2_controller.go): among the machines that are there, the first in the order
of a hash; with ``externalTrafficPolicy: Local`` among those with a ready endpoint. Not modelled: a speaker per machine
with its memberlist, and so the event ``nodeAssigned``; a failed machine's addresses move at once, upstream's after
some seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.network.agent import Agent, service_account
from seatrial.sim.network.proxy import service_of

Object = Mapping[str, Any]


def balancer_addresses(service: Object) -> list[str]:
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return [entry["ip"] for entry in ingress if entry.get("ip")]


def elect(machines: Iterable[str], address: str) -> str | None:
    """The machine that answers for an address."""
    return min(machines, key=lambda name: hashlib.sha256(f"{name}#{address}".encode()).digest(), default=None)


class Announcer(Agent):
    """Answers for balancers' addresses; ``alive`` are the machines that could, now."""

    def __init__(self, wiring: Wiring, host: str, alive: Callable[[], list[str]]) -> None:
        super().__init__(wiring, "speaker", host, service_account("kube-system", "speaker"), "speaker/v0.15")
        self._alive = alive

    def _begin(self) -> None:
        self._services = self.watch("services", indexers={"address": balancer_addresses})
        indexers = {"service": lambda piece: (service_of(piece),)}
        self._slices = self.watch("endpointslices.discovery.k8s.io", indexers=indexers)

    def machine_for(self, address: str) -> str | None:
        """Who takes packets for an address; None: nobody does."""
        services = self._services.view.indexed("address", address) if self.running else ()
        for service in services:
            metadata = service["metadata"]
            slices = self._slices.view.indexed("service", f"{metadata['namespace']}/{metadata['name']}")
            ready: dict[str, None] = {}
            for piece in slices:
                for entry in piece.get("endpoints") or ():
                    if (entry.get("conditions") or {}).get("ready", True):
                        ready[entry.get("nodeName", "")] = None
            machines = self._alive() if ready else []
            if service["spec"].get("externalTrafficPolicy") == "Local":
                machines = [name for name in machines if name in ready]
            return elect(machines, address)
        return None
