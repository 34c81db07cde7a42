"""kube-controller-manager: the process that runs all controllers, once it leads.

Source: k8s.io/kubernetes/cmd/kube-controller-manager/app/controllermanager.go. *Not modelled*: its own HTTP endpoints
beyond ``/metrics`` and health.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from seatrial.sim.apiserver.client import Client
from seatrial.sim.apiserver.leases import RESTART_US, Election, Elector
from seatrial.sim.apiserver.request import User
from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.controllers import metrics
from seatrial.sim.controllers.controller import Controller
from seatrial.sim.controllers.garbagecollector import IGNORED
from seatrial.sim.controllers.informers import MANAGER_USER, USER_AGENT, Informers
from seatrial.sim.controllers.registry import CONTROLLERS
from seatrial.sim.controllers.shell import Shell
from seatrial.sim.kernel.clock import Process
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.machinery.metrics import Meters

NAME = "kube-controller-manager"
CUSTOM_KINDS = "customresourcedefinitions.apiextensions.k8s.io"


class ControllerManager:
    """One replica. ``shared`` is what its command line hands to controllers: ``root_ca`` (PEM text), ``signer``."""

    name = NAME

    def __init__(
        self,
        wiring: Wiring,
        host: str,
        controllers: Sequence[Controller] | None = None,
        shared: Mapping[str, Any] | None = None,
    ) -> None:
        self._wiring, self.host = wiring, host
        chosen = CONTROLLERS if controllers is None else controllers
        addons = not wiring.spec.control_plane_only
        self._controllers = [each for each in chosen if addons or not each.addon]
        self._shared = {"kinds": wiring.kinds, **(shared or {})}
        self._client = Client(wiring, host, User(MANAGER_USER, ("system:authenticated",)), USER_AGENT)
        self._informers: Informers | None = None
        self.shells: list[Shell] = []
        self._processes: list[Process] = []
        self.leads = False
        self.meters = Meters(NAME)
        """The requests of this process."""
        self._began_us = 0

    @property
    def running(self) -> bool:
        return bool(self._processes)

    def start(self) -> None:
        """Starts the process; the controllers follow when it leads."""
        if not self._processes:
            self.meters, self._began_us = Meters(NAME), self._wiring.clock.now
            self._client.meters = self.meters
            self._processes.append(self._wiring.clock.spawn(self._main(), NAME))

    def stop(self) -> None:
        """As kill -9: between two requests, everything in memory is lost."""
        self._end_controllers()
        processes, self._processes = self._processes, []
        for process in processes:
            process.kill()

    def busy(self) -> list[str]:
        """What still happens, for who asks why a cluster does not settle."""
        if not self.running:
            return []
        if not self.leads:
            stands_by = self._elector is not None and self._elector.stands_by
            return [] if stands_by else [f"{NAME}: waits for its lease"]
        return [each for shell in self.shells for each in shell.busy()]

    def metrics(self) -> bytes:
        """What /metrics tells."""
        wiring, informers = self._wiring, self._informers
        queues = {shell.name: shell.queue for shell in self.shells}
        view = informers.known if informers is not None else None
        version = wiring.spec.kubernetes_version
        return metrics.page(version, self._began_us, wiring.clock.now, self.meters, queues, self.leads, view)

    _elector: Elector | None = None

    def _main(self) -> Generator[Any, Any, None]:
        wiring = self._wiring
        rng = wiring.streams(f"{NAME}/{self.host}")
        while True:
            elector = Elector(wiring, self._client, rng, self.host, Election(NAME), NAME)
            self._elector = elector
            yield from elector.acquire()
            yield from elector.announce()
            self._start_controllers()
            yield from elector.hold()
            self._end_controllers()
            yield wiring.clock.sleep(RESTART_US)

    def _start_controllers(self) -> None:
        wiring = self._wiring
        informers = self._informers = Informers(wiring, self.host)
        settings = wiring.spec
        self.shells = [Shell(each, wiring, self.host, informers, settings, self._shared) for each in self._controllers]
        informers.client.meters = self.meters
        for shell in self.shells:
            shell.client.meters = self.meters
            if shell.controller.every_kind is not None:
                self._follow_all(shell, informers)
        self.leads = True
        for shell in self.shells:
            self._processes.append(wiring.clock.spawn(shell.start(), f"start {shell.name}"))
        informers.start()

    def _follow_all(self, shell: Shell, informers: Informers) -> None:
        """The garbage collector hears of every kind that can be deleted, of custom ones when they appear."""
        followed: dict[str, None] = {}
        shell.memory["kinds"], shell.memory["followed"] = self._wiring.kinds, followed

        def follow(resource: Resource) -> None:
            if resource.storage not in followed and _collectable(resource):
                followed[resource.storage] = None
                assert shell.controller.every_kind is not None
                shell.follow(resource.storage, shell.controller.every_kind(resource.storage))

        def on_definition(verb: str, new: Any, old: Any) -> None:
            if new is None:
                storage = old["metadata"]["name"]
                followed.pop(storage, None)
                informers.drop(storage)
                return
            spec = new["spec"]
            for version in spec.get("versions") or ():
                found = self._wiring.kinds.find(spec["group"], version["name"], spec["names"]["plural"])
                if found is not None and version.get("served"):
                    follow(found)

        for resource in self._wiring.kinds:
            follow(resource)
        informers.of(CUSTOM_KINDS).on_change(on_definition)

    def _end_controllers(self) -> None:
        self.leads = False
        for shell in self.shells:
            shell.kill()
        self.shells = []
        if self._informers is not None:
            self._informers.stop()
            self._informers = None
        for process in self._processes[1:]:
            process.kill()
        del self._processes[1:]


def _collectable(resource: Resource) -> bool:
    return (
        not resource.virtual and resource.storage not in IGNORED and {"list", "watch", "delete"} <= set(resource.verbs)
    )
