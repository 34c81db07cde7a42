"""Where faults enter: what a cluster offers from outside its components, and what keeps two faults on one thing apart.

Faults never reach into a component: they stop and start it, cut its links, answer in the API server's place, switch
machines, and signal processes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from seatrial.sim.apiserver.client import Verdict
from seatrial.sim.apiserver.context import ExternalCall
from seatrial.sim.apiserver.request import Request
from seatrial.sim.apiserver.server import unreachable
from seatrial.sim.apiserver.wiring import External, Steps, Wiring
from seatrial.sim.machinery import selectors
from seatrial.sim.machinery.values import nearest

if TYPE_CHECKING:
    from seatrial.sim.nodes.node import Node

Heal = Callable[[], None]
"""Takes a fault back."""
Judge = Callable[[Request], Verdict | None]


class NotThere(ValueError):
    """A fault on something that the cluster does not have."""


@dataclass(slots=True)
class Seams:
    """What faults act upon."""

    wiring: Wiring
    nodes: Mapping[str, Node]
    components: dict[str, Any]
    """What can be stopped and started alone, by name."""
    plane: Any
    """The data plane (network.dataplane.DataPlane)."""
    world: Any
    """What runs in containers, and the registries (workloads.world.World)."""
    name_servers: list[Any]
    edge: str
    """Where the machines' links meet."""
    store: Any
    _held: dict[Hashable, dict[int, Callable[[], None]]] = field(default_factory=dict)
    _judges: dict[int, Judge] = field(default_factory=dict)
    _refused: dict[int, str] = field(default_factory=dict)
    _predicates: dict[str, dict[int, Callable[..., bool]]] = field(default_factory=dict)
    _registries: dict[int, Callable[[str], str]] = field(default_factory=dict)
    _storages: dict[int, Callable[[str], str]] = field(default_factory=dict)
    _numbers: int = 0
    _external: External | None = None

    def hold(self, key: Hashable, begin: Callable[[], None], end: Callable[[], None]) -> Heal:
        """Does ``begin`` for the first who holds the key and ``end`` when the last one lets go."""
        self._numbers += 1
        number = self._numbers
        holders = self._held.setdefault(key, {})
        holders[number] = end
        if len(holders) == 1:
            begin()
        return partial(self._let_go, key, number)

    def _let_go(self, key: Hashable, number: int) -> None:
        holders = self._held.get(key, {})
        end = holders.pop(number, None)
        if end is not None and not holders:
            del self._held[key]
            end()

    def release(self, key: Hashable) -> None:
        """Takes a thing from all who hold it: somebody in the cluster has mended it."""
        holders = self._held.pop(key, None)
        if holders:
            next(iter(holders.values()))()

    def holds(self, key: Hashable) -> bool:
        return key in self._held

    def component(self, name: str) -> Any:
        """Raises NotThere."""
        component = self.components.get(name)
        if component is None:
            raise NotThere(f"no component {name!r}: {nearest(name, self.components)}")
        return component

    def freeze(self, frozen: Callable[[str, str], bool]) -> Heal:
        """Keeps processes, told by machine and user agent, from sending anything."""
        wiring = self.wiring

        def resume() -> None:
            wiring.released.fire()

        return self._among("frozen", frozen, lambda of: setattr(wiring, "frozen", of), resume)

    def deafen(self, deaf: Callable[[str, str, str], bool]) -> Heal:
        """Keeps watches, told by machine, user agent and kind in the store, from bringing anything."""
        wiring = self.wiring

        def resume() -> None:
            for informer in list(wiring.informers):
                informer.resume()

        return self._among("deaf", deaf, lambda of: setattr(wiring, "deaf", of), resume)

    def repeat(self, twice: Callable[[str, str], bool]) -> Heal:
        """Lets watches, told by user agent and kind in the store, bring everything twice."""
        return self._among("twice", twice, lambda of: setattr(self.wiring, "twice", of), nothing)

    def _among(
        self,
        seam: str,
        holds: Callable[..., bool],
        put: Callable[[Callable[..., bool] | None], None],
        healed: Callable[[], None],
    ) -> Heal:
        """Puts one more predicate among those of a seam, of which any may hold."""
        all_of = self._predicates.setdefault(seam, {})
        self._numbers += 1
        number = self._numbers
        all_of[number] = holds
        put(lambda *about: any(each(*about) for each in all_of.values()))
        self.wiring.endpoint.changed()

        def heal() -> None:
            del all_of[number]
            if not all_of:
                put(None)
            self.wiring.endpoint.changed()
            healed()

        return heal

    def stop(self, name: str) -> Heal:
        """Keeps a component stopped. Raises NotThere."""
        component = self.component(name)
        return self.hold(("component", name), component.stop, component.start)

    def cut(self, a: str, b: str, one_way: bool = False) -> Heal:
        """Keeps a way cut. Raises NotThere."""
        topology = self.wiring.topology
        for name in (a, b):
            if name not in topology.hosts():
                raise NotThere(f"no host {name!r} on the network: {nearest(name, topology.hosts())}")
        ways = [(a, b)] if one_way else [(a, b), (b, a)]
        heals = [
            self.hold(("cut", x, y), partial(topology.cut, x, y, True), partial(topology.mend, x, y, True))
            for x, y in ways
        ]
        return together(heals)

    def judge(self, judge: Judge) -> Heal:
        """Lets a fault look at each request that reaches the API server."""
        self._numbers += 1
        number = self._numbers
        self._judges[number] = judge
        self.wiring.endpoint.judge = self._judge

        def heal() -> None:
            del self._judges[number]
            if not self._judges:
                self.wiring.endpoint.judge = None

        return heal

    def _judge(self, request: Request) -> Verdict | None:
        """All delays add up; the first answer counts."""
        delay = 0
        for judge in list(self._judges.values()):
            verdict = judge(request)
            if verdict is not None:
                delay += verdict.delay_us
                if verdict.response is not None:
                    return Verdict(delay, verdict.response)
        return Verdict(delay) if delay else None

    def refuse_calls(self, part: str) -> Heal:
        """Nobody answers calls out of the simulation to URLs that contain ``part``."""
        if self._external is None:
            self._external, self.wiring.external = self.wiring.external, self._call
        self._numbers += 1
        number = self._numbers
        self._refused[number] = part

        def heal() -> None:
            del self._refused[number]

        return heal

    def _call(self, call: ExternalCall) -> Steps:
        assert self._external is not None
        if any(part in call.url for part in self._refused.values()):
            return unreachable(call)
        return (yield from self._external(call))

    def refuse_images(self, answer: Callable[[str], str]) -> Heal:
        """Lets a fault answer in the registries' place; the first that says something counts."""
        self._numbers += 1
        number = self._numbers
        self._registries[number] = answer
        self.world.registry = self._registry

        def heal() -> None:
            del self._registries[number]

        return heal

    def _registry(self, reference: str) -> str:
        return next((said for answer in self._registries.values() if (said := answer(reference))), "")

    def refuse_detaching(self, answer: Callable[[str], str]) -> Heal:
        """Lets a fault answer in the place of drivers that are to detach a volume; the first that says something
        counts. Raises NotThere."""
        attacher = self.component("csi-attacher")
        self._numbers += 1
        number = self._numbers
        self._storages[number] = answer
        attacher.refusal = self._storage

        def heal() -> None:
            del self._storages[number]

        return heal

    def _storage(self, driver: str) -> str:
        return next((said for answer in self._storages.values() if (said := answer(driver))), "")

    def node_names(self, name: str, selector: str) -> list[str]:
        """The machines that a fault means. Raises NotThere."""
        if name:
            if name not in self.nodes:
                raise NotThere(f"no machine {name!r}: {nearest(name, self.nodes)}")
            return [name]
        chosen = selectors.labels(selector)
        objects = {each["metadata"]["name"]: each for each in self.store.list("nodes")}
        found = [
            each for each in self.nodes if each in objects and chosen(objects[each]["metadata"].get("labels") or {})
        ]
        if not found:
            raise NotThere(f"no machine of the cluster's own matches {selector!r}")
        return found


def together(heals: list[Heal]) -> Heal:
    """Takes several things back, the last one first."""

    def heal() -> None:
        while heals:
            heals.pop()()

    return heal


def nothing() -> None:
    """The opposite of what is over by itself."""
