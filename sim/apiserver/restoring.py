"""Other data behind the API server: what etcd was given in place of what it had.

Source: etcd's restore of a snapshot with ``--bump-revision``. Revisions go on from where they were, and what differs is
written as changes, which open watches bring: *visibly different* from upstream, where they bring nothing until the API
server is started again, or end with 410 Gone. What is the same in both keeps its resourceVersion. As upstream,
components that are not started again remember what was: the garbage collector takes an object that it saw go for gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from seatrial.sim.apiserver.bootstrap import bootstrap
from seatrial.sim.apiserver.customresources import STORAGE as DEFINITIONS
from seatrial.sim.apiserver.request import Object
from seatrial.sim.apiserver.server import Apiserver
from seatrial.sim.apiserver.services import ServiceNumbers
from seatrial.sim.store.shelf import Place, place_of

Objects = Mapping[str, Iterable[Object]]
"""By kind in the store."""


def put_back(server: Apiserver, objects: Objects, cause: Any, authority: str = "") -> None:
    """Makes the store hold these objects and no others; an empty one gets what a fresh cluster of that authority (a
    certificate in PEM) holds."""
    store = server.store
    server.standing.wake()
    wanted = {storage: {place_of(obj): obj for obj in each} for storage, each in objects.items()}
    kinds = sorted({*store.storages(), *wanted}, key=lambda storage: (storage == DEFINITIONS, storage))
    for storage in kinds:
        there = wanted.get(storage, {})
        for obj in store.list(storage):
            if not _is_same(obj, there.get(place_of(obj))):
                _take_away(server, storage, place_of(obj), cause)
    for storage in reversed(kinds):
        for obj in wanted.get(storage, {}).values():
            _put(server, storage, obj, cause)
        if storage == DEFINITIONS:
            server.customresources.restore()
    server.service_numbers = ServiceNumbers(server.spec, server.streams, store)
    bootstrap(server, authority)


def _is_same(obj: Object, wanted: Object | None) -> bool:
    """Whether it is another version of one object, and not another of its name."""
    return wanted is not None and bool(wanted["metadata"].get("uid") == obj["metadata"].get("uid"))


def _take_away(server: Apiserver, storage: str, place: Place, cause: Any) -> None:
    server.commit(server.kinds.resource(storage), lambda store: store.delete(storage, *place, cause=cause))


def _put(server: Apiserver, storage: str, obj: Object, cause: Any) -> None:
    found = server.store.get(storage, *place_of(obj))
    if found is not None and found["metadata"]["resourceVersion"] == obj["metadata"]["resourceVersion"]:
        return
    if found is None:
        server.commit(server.kinds.resource(storage), lambda store: store.create(storage, obj, cause=cause))
    else:
        server.commit(server.kinds.resource(storage), lambda store: store.update(storage, obj, cause=cause))
