"""A user's own reconciler as a component of the simulation, with the shell that the built-in controllers have.

    def reconcile(turn):
        obj = turn.view("configmaps").get(*turn.key)        # what the cache shows
        made = yield Create("secrets", {...})                # a request and its answer
        return Outcome(again_in_us=60_000_000)

    cluster.attach(Operator(cluster, "copier", reconcile, {"configmaps": object_key}))

The shell does what client-go and controller-runtime do: list before watch, one worker per key, back-off, waiting for
the operator's own writes to come back. *Not modelled*: leader election of operators, and their service accounts; an
operator is a member of system:masters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.sim.apiserver.request import User
from seatrial.sim.cluster import Cluster
from seatrial.sim.composition import CONTROL_PLANE
from seatrial.sim.controllers.actions import Steps, Turn
from seatrial.sim.controllers.controller import Controller, Keys, Seen
from seatrial.sim.controllers.informers import Informers, controller_of
from seatrial.sim.controllers.shell import Shell
from seatrial.sim.kernel.clock import Process

GROUPS = ("system:masters", "system:authenticated")


@dataclass(frozen=True)
class _Own(Controller):
    """A controller outside the manager: it asks in its own name."""

    @property
    def user(self) -> User:
        return User(f"system:operator:{self.name}", GROUPS)


def owner_key(kind: str) -> Keys:
    """The key of the changed object's controller, if that is of this kind: for the objects that an operator makes."""

    def keys(seen: Seen) -> Iterable[Any]:
        reference = controller_of(seen.obj)
        if reference is not None and reference["kind"] == kind:
            yield seen.obj["metadata"].get("namespace", ""), reference["name"]

    return keys


def namespace_key(seen: Seen) -> Iterable[Any]:
    """The key of the namespace in which something changed."""
    yield "", seen.obj["metadata"].get("namespace", "")


class Operator:
    """One process that runs one reconciler."""

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        reconcile: Callable[[Turn], Steps],
        watches: Mapping[str, Keys],
        reads: Iterable[str] = (),
        workers: int = 1,
        host: str = CONTROL_PLANE,
    ) -> None:
        self.name, self.host = name, host
        self._wiring = cluster.wiring
        self._controller = _Own(name, reconcile, tuple(watches.items()), tuple(reads), workers=workers)
        self._informers: Informers | None = None
        self._start: Process | None = None
        self.shell: Shell | None = None

    @property
    def running(self) -> bool:
        return self.shell is not None

    def start(self) -> None:
        """Begins with empty memory: its views are listed before anything is reconciled."""
        if self.shell is not None:
            return
        wiring = self._wiring
        self._informers = informers = Informers(wiring, self.host, f"{self.name}/shared-informers")
        self.shell = Shell(
            self._controller, wiring, self.host, informers, wiring.spec, {"kinds": wiring.kinds}, self.name
        )
        self._start = wiring.clock.spawn(self.shell.start(), f"start {self.name}")
        informers.start()

    def stop(self) -> None:
        """As kill -9."""
        if self.shell is None or self._informers is None or self._start is None:
            return
        self.shell.kill()
        self._informers.stop()
        self._start.kill()
        self.shell = self._informers = self._start = None

    def busy(self) -> list[str]:
        return self.shell.busy() if self.shell is not None else []
