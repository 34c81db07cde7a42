"""The garbage collector: what nobody owns any more goes, in the background, in the foreground, or is orphaned.

It keeps a graph of owners and dependents over all kinds; whether an owner still exists it asks the API server.

Source: k8s.io/kubernetes/pkg/controller/garbagecollector (garbagecollector.go, graph_builder.go, patch.go). *Not
modelled*: events about owner references that point into another namespace.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, NamedTuple

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers.actions import (
    MERGE_PATCH,
    STRATEGIC_PATCH,
    Action,
    Batch,
    Delete,
    Get,
    Outcome,
    Patch,
    Steps,
    Turn,
    ignoring,
)
from seatrial.sim.controllers.controller import Controller, Seen
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.kinds import Kinds, Resource

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
IGNORED = ("events",)
"""Kinds that own nothing and belong to nobody (DefaultIgnoredResources)."""
ABSENT_MAX = 500
"""Owners remembered as gone."""


class Item(NamedTuple):
    """An object as a node of the graph, and the key under which it is looked at."""

    work: str
    """``delete`` or ``orphan``."""
    storage: str
    namespace: str
    name: str
    uid: str


def item_of(storage: str, obj: Object, work: str = "delete") -> Item:
    metadata = obj["metadata"]
    return Item(work, storage, metadata.get("namespace", ""), metadata["name"], metadata["uid"])


def refs(obj: Object | None) -> list[Mapping[str, Any]]:
    return (obj["metadata"].get("ownerReferences") or []) if obj is not None else []


def has_finalizer(obj: Object, finalizer: str) -> bool:
    return finalizer in (obj["metadata"].get("finalizers") or ())


def waits_for_dependents(obj: Object | None) -> bool:
    """Being deleted in the foreground (isDeletingDependents)."""
    return obj is not None and "deletionTimestamp" in obj["metadata"] and has_finalizer(obj, FOREGROUND)


# --- the graph


def keys_for(storage: str) -> Callable[[Seen], Iterable[Item]]:
    """Keeps the graph of dependents in step with one kind's changes; gives the items that may have to go."""

    def keys(seen: Seen) -> Iterable[Item]:
        new, old = seen.new, seen.old
        if seen.verb == "DELETED":
            return _deleted(storage, seen)
        assert new is not None
        metadata = new["metadata"]
        now_refs, old_refs = refs(new), refs(old)
        if not now_refs and not old_refs and "deletionTimestamp" not in metadata:
            return ()
        found: list[Item] = []
        if now_refs != old_refs:
            found += _relink(storage, seen, now_refs, old_refs)
        if "deletionTimestamp" in metadata:
            found += _deletion_started(storage, seen, new, old)
        return found

    return keys


def _graph(memory: dict[Any, Any]) -> dict[str, dict[Item, bool]]:
    """Dependents by their owner's uid, and whether they block its deletion."""
    graph: dict[str, dict[Item, bool]] = memory.setdefault("graph", {})
    return graph


def _relink(
    storage: str, seen: Seen, now_refs: list[Mapping[str, Any]], old_refs: list[Mapping[str, Any]]
) -> list[Item]:
    graph = _graph(seen.memory)
    me = item_of(storage, seen.obj)
    present = {ref["uid"]: ref for ref in now_refs}
    found: list[Item] = []
    for ref in old_refs:
        after = present.get(ref["uid"])
        if after is None:
            _unlink(graph, ref["uid"], me)
        if after is None or (ref.get("blockOwnerDeletion") and not after.get("blockOwnerDeletion")):
            found += _waiting_owner(seen, me, ref)
    for ref in now_refs:
        graph.setdefault(ref["uid"], {})[me] = bool(ref.get("blockOwnerDeletion"))
        if _owner_in_view(seen, me, ref) is None and me not in found:
            found.append(me)
    return found


def _unlink(graph: dict[str, dict[Item, bool]], uid: str, item: Item) -> None:
    dependents = graph.get(uid)
    if dependents is not None:
        dependents.pop(item, None)
        if not dependents:
            del graph[uid]


def _owner_in_view(seen: Seen, me: Item, ref: Mapping[str, Any]) -> tuple[str, Object] | None:
    kinds: Kinds = seen.memory["kinds"]
    resource = resource_of(kinds, ref)
    if resource is None or resource.storage not in seen.memory["followed"]:
        return None
    owner = seen.view(resource.storage).get(me.namespace if resource.namespaced else "", ref["name"])
    return (resource.storage, owner) if owner is not None and owner["metadata"]["uid"] == ref["uid"] else None


def resource_of(kinds: Kinds, ref: Mapping[str, Any]) -> Resource | None:
    group, _, version = ref["apiVersion"].rpartition("/")
    return kinds.by_kind(group, version, ref["kind"])


def _waiting_owner(seen: Seen, me: Item, ref: Mapping[str, Any]) -> list[Item]:
    found = _owner_in_view(seen, me, ref)
    return [item_of(*found)] if found is not None and waits_for_dependents(found[1]) else []


def _deletion_started(storage: str, seen: Seen, new: Object, old: Object | None) -> list[Item]:
    """An object that begins to be deleted with one of the collector's finalizers."""
    began = old is None or "deletionTimestamp" not in old["metadata"]
    if has_finalizer(new, ORPHAN) and (began or not has_finalizer(old, ORPHAN)):  # type: ignore[arg-type]
        return [item_of(storage, new, ORPHAN)]
    if has_finalizer(new, FOREGROUND) and (began or not has_finalizer(old, FOREGROUND)):  # type: ignore[arg-type]
        return [*_graph(seen.memory).get(new["metadata"]["uid"], ()), item_of(storage, new)]
    return []


def _deleted(storage: str, seen: Seen) -> list[Item]:
    graph = _graph(seen.memory)
    obj = seen.obj
    me = item_of(storage, obj)
    found: list[Item] = []
    for ref in refs(obj):
        _unlink(graph, ref["uid"], me)
        found += _waiting_owner(seen, me, ref)
    dependents = graph.get(me.uid)
    if dependents:
        _absent(seen.memory)[me.uid] = None
        found += dependents
    return found


def _absent(memory: dict[Any, Any]) -> dict[str, None]:
    """Owners known to be gone, the latest few hundred."""
    absent: dict[str, None] = memory.setdefault("absent", {})
    if len(absent) >= ABSENT_MAX:
        del absent[next(iter(absent))]
    return absent


# --- one item


def reconcile(turn: Turn) -> Steps:
    item: Item = turn.key
    kinds: Kinds = turn.shared["kinds"]
    try:
        resource = kinds.resource(item.storage)
    except KeyError:
        return None
    latest = yield from ignoring(Get(resource, item.namespace, item.name), 404)
    if latest is None or latest["metadata"]["uid"] != item.uid:
        return None
    if item.work == ORPHAN:
        return (yield from _orphan(turn, resource, item, latest))
    if waits_for_dependents(latest):
        return (yield from _wait_for_dependents(turn, resource, item, latest))
    if "deletionTimestamp" in latest["metadata"] or not refs(latest):
        return None
    owners = yield from _classify(turn, kinds, item, latest)
    if owners is None:
        return Outcome(retry=True)
    yield from _judge(turn, resource, item, latest, owners)
    return None


class Owners(NamedTuple):
    solid: list[Mapping[str, Any]]
    dangling: list[Mapping[str, Any]]
    waiting: list[Mapping[str, Any]]


def _classify(turn: Turn, kinds: Kinds, item: Item, obj: Object) -> Generator[Action, Any, Owners | None]:
    """Which owners are there, gone, or waiting for this item; None if one's kind is unknown."""
    owners = Owners([], [], [])
    absent = _absent(turn.memory)
    for ref in refs(obj):
        if ref["uid"] in absent:
            owners.dangling.append(ref)
            continue
        resource = resource_of(kinds, ref)
        if resource is None or (resource.namespaced and not item.namespace):
            return None
        owner = yield from ignoring(Get(resource, item.namespace if resource.namespaced else "", ref["name"]), 404)
        if owner is None or owner["metadata"]["uid"] != ref["uid"]:
            absent[ref["uid"]] = None
            owners.dangling.append(ref)
        elif waits_for_dependents(owner):
            owners.waiting.append(ref)
        else:
            owners.solid.append(ref)
    return owners


def _judge(turn: Turn, resource: Resource, item: Item, obj: Object, owners: Owners) -> Generator[Action, Any, None]:
    if owners.solid:
        lost = {ref["uid"] for ref in (*owners.dangling, *owners.waiting)}
        if lost:
            yield from ignoring(_without_owners(resource, obj, lost), 404)
        return
    dependents = _graph(turn.memory).get(item.uid) or {}
    if owners.waiting and dependents:
        if any(waits_for_dependents(turn.view(each.storage).get(each.namespace, each.name)) for each in dependents):
            yield from ignoring(_unblocked(resource, obj), 404)
        policy = "Foreground"
    elif has_finalizer(obj, ORPHAN):
        policy = "Orphan"
    else:
        policy = "Foreground" if has_finalizer(obj, FOREGROUND) else "Background"
    conditions = {"uid": item.uid, "resourceVersion": obj["metadata"]["resourceVersion"]}
    options = {"propagationPolicy": policy, "preconditions": conditions}
    yield from ignoring(Delete(resource, item.namespace, item.name, "", options), 404)


def _without_owners(resource: Resource, obj: Object, uids: Iterable[str]) -> Patch:
    """The item without some of its owner references."""
    metadata = obj["metadata"]
    gone = tuple(uids)
    if resource.custom:
        left = [ref for ref in refs(obj) if ref["uid"] not in gone]
        patch = {"metadata": {"ownerReferences": left, "resourceVersion": metadata["resourceVersion"]}}
        return Patch(resource, metadata.get("namespace", ""), metadata["name"], patch, MERGE_PATCH)
    deleted = [{"$patch": "delete", "uid": uid} for uid in sorted(gone)]
    patch = {"metadata": {"ownerReferences": deleted, "uid": metadata["uid"]}}
    return Patch(resource, metadata.get("namespace", ""), metadata["name"], patch, STRATEGIC_PATCH)


def _unblocked(resource: Resource, obj: Object) -> Patch:
    """Breaks a circle of objects that wait for each other."""
    metadata = obj["metadata"]
    left = [{**ref, "blockOwnerDeletion": False} for ref in refs(obj)]
    patch = {"metadata": {"ownerReferences": left, "resourceVersion": metadata["resourceVersion"]}}
    return Patch(resource, metadata.get("namespace", ""), metadata["name"], patch, MERGE_PATCH)


def _wait_for_dependents(turn: Turn, resource: Resource, item: Item, latest: Object) -> Steps:
    """Foreground: the finalizer stays until no blocking dependent is left (processDeletingDependentsItem)."""
    blocking = [each for each, blocks in (_graph(turn.memory).get(item.uid) or {}).items() if blocks]
    if not blocking:
        yield from ignoring(_without_finalizer(resource, latest, FOREGROUND), 404)
        return None
    views = ((each, turn.view(each.storage).get(each.namespace, each.name)) for each in blocking)
    return Outcome(also=tuple(each for each, obj in views if not waits_for_dependents(obj)))


def _without_finalizer(resource: Resource, obj: Object, finalizer: str) -> Patch:
    metadata = obj["metadata"]
    left = [each for each in metadata.get("finalizers") or () if each != finalizer]
    patch = {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": left}}
    return Patch(resource, metadata.get("namespace", ""), metadata["name"], patch, MERGE_PATCH)


def _orphan(turn: Turn, resource: Resource, item: Item, latest: Object) -> Steps:
    """Dependents lose their reference to the owner, then the owner may go (attemptToOrphan)."""
    kinds: Kinds = turn.shared["kinds"]
    patches = []
    for each in _graph(turn.memory).get(item.uid) or {}:
        dependent = turn.view(each.storage).get(each.namespace, each.name)
        if dependent is not None:
            patches.append(_without_owners(kinds.resource(each.storage), dependent, [item.uid]))
    for answer in (yield Batch(tuple(patches))) if patches else ():
        if isinstance(answer, Exception) and not (isinstance(answer, ApiError) and answer.code in (404, 422)):
            raise answer
    if has_finalizer(latest, ORPHAN):
        yield from ignoring(_without_finalizer(resource, latest, ORPHAN), 404)
    return None


CONTROLLER = Controller(
    name="garbage-collector-controller",
    account="generic-garbage-collector",
    reconcile=reconcile,
    watches=(),
    every_kind=keys_for,
    workers=20,
    qps_factor=2,
)
