"""Who answers for the addresses of load balancers: one machine for each, as MetalLB's layer-2 mode elects it.

Source: go.universe.tf/metallb (speaker/layer2_controller.go): among the machines that are there, the first in the order
of a hash; with ``externalTrafficPolicy: Local`` among those with a ready endpoint. Whoever announces a service says so
whenever the service or its endpoints change (speaker/main.go). Not modelled: a speaker per machine with its memberlist;
a failed machine's addresses move at once, upstream's after some seconds, and nobody says so before the next change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from seatrial.sim.apiserver.events import reference
from seatrial.sim.apiserver.informer import Informer
from seatrial.sim.apiserver.recorder import Recorder
from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.network.agent import Agent, Steps, service_account
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
        self._recorder = Recorder(wiring.clock, self.client, wiring.kinds.resource("events"), "metallb-speaker", "")
        self._informers: list[Informer] = []

    def _begin(self) -> None:
        self._services = self.watch("services", self._service_changed, indexers={"address": balancer_addresses})
        indexers = {"service": lambda piece: (service_of(piece),)}
        self._slices = self.watch("endpointslices.discovery.k8s.io", self._slice_changed, indexers=indexers)
        self._informers = [self._services, self._slices]
        self._recorder.start()
        self.spawn(self._first(), "first")

    def _end(self) -> None:
        self._informers = []
        self._recorder.stop()

    def busy(self) -> list[str]:
        return [f"{self.name}: events"] if self._recorder.busy() else []

    def _first(self) -> Steps:
        yield from self.synced(self._informers)
        for service in self._services.view.list():
            self._tell(service)

    def _service_changed(self, verb: str, new: Object | None, old: Object | None) -> None:
        self._tell(new)

    def _slice_changed(self, verb: str, new: Object | None, old: Object | None) -> None:
        piece = new or old
        if piece is not None:
            self._tell(self._services.view.get(*service_of(piece).split("/")))

    def _tell(self, service: Object | None) -> None:
        """Says who announces a service, if somebody does."""
        if service is None or not all(informer.synced for informer in self._informers):
            return
        machines = {name: None for each in balancer_addresses(service) if (name := self.machine_for(each))}
        for machine in machines:
            text = f'announcing from node "{machine}" with protocol "layer2"'
            self._recorder.event(reference(service), "Normal", "nodeAssigned", text)

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
