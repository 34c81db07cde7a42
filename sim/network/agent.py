"""What the network's components have in common: a process on a machine that watches a few kinds.

Each start begins with empty views, as a new process does.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Any

from seatrial.sim.apiserver.client import Client
from seatrial.sim.apiserver.informer import Handler, Informer
from seatrial.sim.apiserver.request import User
from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.kernel.clock import Process
from seatrial.sim.store.view import KeysOf

Steps = Generator[Any, Any, Any]


def service_account(namespace: str, name: str) -> User:
    """Whom a pod's token stands for."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(f"system:serviceaccount:{namespace}:{name}", groups)


class Agent:
    """A component that can be started and killed alone. Subclasses say in ``_begin`` what they watch and do."""

    def __init__(self, wiring: Wiring, name: str, host: str, user: User, user_agent: str) -> None:
        self.wiring, self.clock = wiring, wiring.clock
        self.name, self.host = name, host
        self.client = Client(wiring, host, user, user_agent)
        self.running = False
        self._processes: list[Process] = []

    def start(self) -> None:
        if not self.running:
            self.running = True
            self._begin()

    def stop(self) -> None:
        if self.running:
            self.running = False
            for process in self._processes:
                process.kill()
            self._processes = []
            self._end()

    def busy(self) -> list[str]:
        return []

    def _begin(self) -> None:
        raise TypeError(f"{type(self).__name__} does nothing")

    def _end(self) -> None:
        """What is left to do when the process is gone."""

    def spawn(self, steps: Steps, what: str) -> None:
        """Starts something that ends with the component."""
        self._processes = [process for process in self._processes if process.alive]
        self._processes.append(self.clock.spawn(steps, f"{self.name}/{what}"))

    def watch(
        self,
        storage: str,
        handler: Handler | None = None,
        label_selector: str = "",
        field_selector: str = "",
        indexers: Mapping[str, KeysOf] | None = None,
    ) -> Informer:
        """An informer that runs from now on."""
        resource = self.wiring.kinds.resource(storage)
        informer = Informer(self.wiring, self.client, resource, "", label_selector, field_selector, indexers, True)
        if handler is not None:
            informer.on_change(handler)
        self.spawn(informer.run(), storage)
        return informer

    def synced(self, informers: Iterable[Informer]) -> Steps:
        """Ends when all views are there."""
        for informer in informers:
            while not informer.synced:
                yield informer.changed.wait(1_000_000, periodic=True)
