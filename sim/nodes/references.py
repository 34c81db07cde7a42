"""ConfigMaps and Secrets that the pods of a node refer to: watched one by one, while a pod needs them. Trust bundles,
which pods choose by their labels, are watched together.

Claims, their volumes, and what says whether these are attached, are asked for when they are mounted. Source:
k8s.io/kubernetes/pkg/kubelet/util/manager (watch_based_manager.go) and
volumemanager/populator (desired_state_of_world_populator.go). Not modelled: that upstream ends the watch
of an immutable object.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any

from seatrial.sim.apiserver.informer import Informer
from seatrial.sim.kernel.clock import Process
from seatrial.sim.machinery.errors import ApiError

if TYPE_CHECKING:
    from seatrial.sim.nodes.kubelet import Kubelet

Object = Mapping[str, Any]
Key = tuple[str, str, str]
"""(kind, namespace, name)."""

ASKED = ("claim", "volume", "driver", "node")
FETCH_TIMEOUT_US = 10_000_000


class References:
    """What the kubelet knows of the objects behind its pods."""

    def __init__(self, kubelet: Kubelet, on_change: Callable[[str], None]) -> None:
        self.kubelet = kubelet
        self._on_change = on_change
        """Called with the uid of each pod whose objects changed."""
        self._informers: dict[Key, tuple[Informer, Process]] = {}
        self._users: dict[Key, dict[str, None]] = {}
        self._asked: dict[Key, Object] = {}

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object as far as it is known. None: there is none."""
        if kind in ASKED:
            return self._asked.get((kind, namespace, name))
        watched = self._informers.get((kind, namespace, name))
        return None if watched is None else watched[0].view.get(namespace, name)

    def trust_bundles(self) -> list[Object]:
        """All that are known."""
        watched = self._informers.get(("trustbundle", "", ""))
        return [] if watched is None else watched[0].view.list()

    def fetch(self, uid: str, namespace: str, names: list[tuple[str, str]]) -> Generator[Any, Any, None]:
        """Waits until (kind, name) of a pod's namespace are known."""
        waiting = []
        for kind, name in names:
            key = (kind, namespace if name else "", name)
            self._users.setdefault(key, {})[uid] = None
            if kind in ASKED:
                yield from self._ask(key)
                continue
            watched = self._informers.get(key)
            if watched is None:
                watched = self._informers[key] = self._watch(key)
            if not watched[0].synced:
                waiting.append(watched[0])
        for informer in waiting:
            while not informer.synced:
                if not (yield informer.changed.wait(FETCH_TIMEOUT_US)) and not informer.synced:
                    break

    def _ask(self, key: Key) -> Generator[Any, Any, None]:
        kind, namespace, name = key
        try:
            self._asked[key] = yield from self.kubelet.client.get(self.kubelet.kinds[kind], namespace, name)
        except ApiError:
            self._asked.pop(key, None)

    def release(self, uid: str) -> None:
        """The pod needs nothing any more."""
        for key in [key for key, users in self._users.items() if uid in users]:
            users = self._users[key]
            del users[uid]
            if not users:
                del self._users[key]
                if self._asked.pop(key, None) is None and key in self._informers:
                    self._informers.pop(key)[1].kill()

    def stop(self) -> None:
        for _, process in self._informers.values():
            process.kill()
        self._informers.clear()
        self._users.clear()
        self._asked.clear()

    def _watch(self, key: Key) -> tuple[Informer, Process]:
        kind, namespace, name = key
        kubelet = self.kubelet
        resource = kubelet.kinds[kind]
        selector = f"metadata.name={name}" if name else ""
        informer = Informer(kubelet.wiring, kubelet.client, resource, namespace, field_selector=selector, heedless=True)

        def changed(verb: str, new: Object | None, old: Object | None) -> None:
            if informer.synced:
                for uid in list(self._users.get(key, ())):
                    self._on_change(uid)

        informer.on_change(changed)
        return informer, kubelet.spawn(informer.run(), f"{kind}/{namespace}/{name}")
