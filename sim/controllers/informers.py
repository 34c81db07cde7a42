"""The caches that all controllers of one manager share: one informer for each kind, with everybody's indexes.

Source: k8s.io/client-go/informers and the indexers that k8s.io/kubernetes/pkg/controller registers
(controller_utils.go PodControllerIndex, AddPodNodeNameIndexer). *Not modelled*: resyncs every twelve hours.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any

from seatrial.sim.apiserver.client import Client
from seatrial.sim.apiserver.informer import Informer
from seatrial.sim.apiserver.request import Object, User
from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.kernel.clock import Process
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.store.view import View

Indexer = Callable[[Object], Iterable[str]]
Handler = Callable[[str, Object | None, Object | None], None]

MANAGER_USER = "system:kube-controller-manager"
USER_AGENT = "kube-controller-manager"


def owner_uids(obj: Object) -> list[str]:
    """Of every owner."""
    return list({ref["uid"]: None for ref in obj["metadata"].get("ownerReferences") or ()})


def controller_of(obj: Object) -> Any:
    """The owner reference of the controller, or None (metav1.GetControllerOf)."""
    for ref in obj["metadata"].get("ownerReferences") or ():
        if ref.get("controller"):
            return ref
    return None


def controller_uid(obj: Object) -> list[str]:
    ref = controller_of(obj)
    return [ref["uid"]] if ref is not None else []


def orphans(obj: Object) -> list[str]:
    """The namespace, for objects without a controller."""
    return [] if controller_of(obj) is not None else [obj["metadata"].get("namespace", "")]


def node_name(pod: Object) -> list[str]:
    name = pod["spec"].get("nodeName")
    return [name] if name else []


def claims(pod: Object) -> list[str]:
    """``namespace/name`` of the claims that a pod's volumes name, those of ephemeral volumes included."""
    metadata = pod["metadata"]
    found: dict[str, None] = {}
    for volume in pod["spec"].get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            found[f"{metadata['namespace']}/{volume['persistentVolumeClaim']['claimName']}"] = None
        elif "ephemeral" in volume:
            found[f"{metadata['namespace']}/{metadata['name']}-{volume['name']}"] = None
    return list(found)


def label(name: str) -> Indexer:
    """By ``namespace/value`` of a label."""

    def keys(obj: Object) -> list[str]:
        metadata = obj["metadata"]
        value = (metadata.get("labels") or {}).get(name)
        return [] if value is None else [f"{metadata.get('namespace', '')}/{value}"]

    return keys


OWNED: dict[str, Indexer] = {"owner": owner_uids}
CONTROLLED: dict[str, Indexer] = {**OWNED, "controller": controller_uid, "orphan": orphans}

INDEXERS: dict[str, dict[str, Indexer]] = {
    "pods": {**CONTROLLED, "node": node_name, "claim": claims},
    "replicasets.apps": CONTROLLED,
    "controllerrevisions.apps": CONTROLLED,
    "jobs.batch": CONTROLLED,
    "endpointslices.discovery.k8s.io": {**CONTROLLED, "service": label("kubernetes.io/service-name")},
}
"""Indexes by kind; every other kind has the one by owner, which the garbage collector needs."""


class Informers:
    """``of`` gives a kind's informer and creates it at the first call; ``start`` sets all going."""

    def __init__(
        self, wiring: Wiring, host: str, user_agent: str = f"{USER_AGENT}/shared-informers", user: User | None = None
    ) -> None:
        self._wiring = wiring
        user = user or User(MANAGER_USER, ("system:authenticated",))
        self._client = Client(wiring, host, user, user_agent)
        self._all: dict[str, Informer] = {}
        self._processes: dict[str, Process] = {}
        self._started = False

    def of(self, storage: str | Resource) -> Informer:
        resource = self._wiring.kinds.resource(storage) if isinstance(storage, str) else storage
        informer = self._all.get(resource.storage)
        if informer is None:
            indexers = INDEXERS.get(resource.storage, OWNED)
            informer = Informer(self._wiring, self._client, resource, indexers=indexers, heedless=True)
            self._all[resource.storage] = informer
            if self._started:
                self._run(resource.storage, informer)
        return informer

    def view(self, storage: str) -> View:
        informer = self._all.get(storage)
        return self.of(storage).view if informer is None else informer.view

    @property
    def client(self) -> Client:
        """What the informers ask with."""
        return self._client

    def known(self, storage: str) -> View:
        """The view of a kind that is followed already; an empty one of others."""
        informer = self._all.get(storage)
        return informer.view if informer is not None else View()

    def items(self) -> list[tuple[str, Informer]]:
        return list(self._all.items())

    def start(self) -> None:
        self._started = True
        for storage, informer in self._all.items():
            self._run(storage, informer)

    def _run(self, storage: str, informer: Informer) -> None:
        self._processes[storage] = self._wiring.clock.spawn(informer.run(), f"informer {storage}")

    def drop(self, storage: str) -> None:
        """Of a kind that is not served any more."""
        self._all.pop(storage, None)
        process = self._processes.pop(storage, None)
        if process is not None:
            process.kill()

    def stop(self) -> None:
        for process in self._processes.values():
            process.kill()
        self._processes.clear()
        self._started = False

    def wait_synced(self, storages: Iterable[str]) -> Generator[Any, Any, None]:
        """Until each of these kinds has been listed."""
        for storage in storages:
            informer = self.of(storage)
            while not informer.synced:
                yield informer.changed.wait()
