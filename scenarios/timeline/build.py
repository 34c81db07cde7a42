"""A timeline from what is known of a history: the store's log, which has the causes, and the journal, which has faults,
loads and what was done to the clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from seatrial.scenarios.timeline.model import Band, Lane, Mark, Span, Timeline, Turn
from seatrial.scenarios.timeline.states import state_of
from seatrial.sim.causes import author, because, differences
from seatrial.sim.kernel.journal import Journal
from seatrial.sim.machinery.kinds import Kinds
from seatrial.sim.store.log import Change
from seatrial.sim.store.shelf import Place, place_of
from seatrial.sim.store.store import Store

Object = Mapping[str, Any]
Key = tuple[str, Place]
Owners = dict[Key, list[Key]]
SYSTEM: Final = ("kube-system", "kube-public", "kube-node-lease", "kubernetes-dashboard")
QUIET: Final = frozenset(
    {
        "events",
        "leases.coordination.k8s.io",
        "endpoints",
        "endpointslices.discovery.k8s.io",
        "serviceaccounts",
        "controllerrevisions.apps",
        "csinodes.storage.k8s.io",
        "podtemplates",
    }
)
"""Kinds that follow from others; they have a lane only when they are asked for."""
SLICES: Final = "endpointslices.discovery.k8s.io"
SERVICE_NAME: Final = "kubernetes.io/service-name"
LANES_MAX: Final = 80


def timeline_of(
    store: Store,
    kinds: Kinds,
    journal: Journal,
    now: int,
    since: int | None = None,
    until: int | None = None,
    about: tuple[str, str, str] | None = None,
    every: bool = False,
    lanes_max: int = LANES_MAX,
) -> Timeline:
    """The timeline from ``since`` to ``until`` (µs; all that the log holds, by default). ``about`` is the one object
    (storage, namespace, name) that it is about, with what it owns and what owns it; without it, everything in the
    users' namespaces and the nodes, or with ``every`` all kinds and namespaces."""
    began = int(journal.header.get("now", now))
    start, end = max(began, since or began), min(now, until or now)
    base, changes = _revision(store, start), [each for each in _changes(store) if each.at_us <= end]
    before = dict(_world(store, base))
    recent = [change for change in changes if change.revision > base]
    owners = _owners(before, recent, kinds)
    chosen = _chosen(before, recent, owners, about, every)
    ordered = _ordered(chosen, owners)
    kept = ordered[:lanes_max]
    wanted = {key for key, _ in kept}
    names = {key: (before.get(key) or _first(recent, key)) for key in wanted}
    return Timeline(
        start=start,
        end=end,
        lanes=tuple(_lane(key, names[key], depth) for key, depth in kept),
        spans=tuple(_spans(wanted, before, recent, start, end)),
        marks=tuple(_marks(store, kinds, wanted, recent)),
        bands=tuple(_bands(journal, start, end)),
        stage=tuple(_stage(before, recent, start)),
        hidden=len(ordered) - len(kept),
    )


def _changes(store: Store) -> Iterator[Change]:
    for revision in range(store.floor + 1, store.revision + 1):
        change = store.change(revision)
        if change is not None:
            yield change


def _revision(store: Store, at_us: int) -> int:
    """The last revision before a moment."""
    found = store.floor
    for change in _changes(store):
        if change.at_us >= at_us:
            break
        found = change.revision
    return found


def _world(store: Store, revision: int) -> Iterator[tuple[Key, Object]]:
    for storage in store.storages():
        for obj in store.list_at(storage, None, revision):
            yield (storage, place_of(obj)), obj


def _key(change: Change) -> Key:
    return change.storage, place_of(change.obj)


def _first(changes: list[Change], key: Key) -> Object:
    return next(change.obj for change in changes if _key(change) == key)


def _owners(before: Mapping[Key, Object], changes: list[Change], kinds: Kinds) -> Owners:
    """Who owns each object: the first of its owner references that is known."""
    found: Owners = {}
    pairs: Iterable[tuple[Key, Object]] = (*before.items(), *((_key(change), change.obj) for change in changes))
    for key, obj in pairs:
        for reference in obj["metadata"].get("ownerReferences") or ():
            resource = kinds.of(reference)
            if resource is not None:
                namespace = key[1][0] if resource.namespaced else ""
                owner = (resource.storage, (namespace, reference["name"]))
                if owner not in found.setdefault(key, []):
                    found[key].append(owner)
    return found


def _chosen(
    before: Mapping[Key, Object],
    changes: list[Change],
    owners: Owners,
    about: tuple[str, str, str] | None,
    every: bool,
) -> list[Key]:
    """The objects that have a lane, in the order in which they appear."""
    known = list(dict.fromkeys((*before, *map(_key, changes))))
    if about is not None:
        storage, namespace, name = about
        return _family((storage, (namespace, name)), known, owners)
    touched = {
        _key(change)
        for change in changes
        if (every or change.storage not in QUIET) and (change.verb != "MODIFIED" or differences(change))
    }
    return [
        key
        for key in known
        if (key[0] == "nodes" or key in touched)
        and (every or (key[0] not in QUIET and key[1][0] not in SYSTEM and (key[1][0] or key[0] == "nodes")))
        and (every or not _is_root_ca(key))
    ]


def _is_root_ca(key: Key) -> bool:
    return key[0] == "configmaps" and key[1][1] == "kube-root-ca.crt"


def _family(root: Key, known: list[Key], owners: Owners) -> list[Key]:
    """An object, whoever owns it, and what it owns, down to the last."""
    above, below = [root], [root]
    for key in above:
        above += [owner for owner in owners.get(key, ()) if owner not in above]
    for key in below:
        below += [each for each in known if key in owners.get(each, ()) and each not in below and each[0] != "events"]
    return [key for key in known if key in above or key in below]


def _ordered(chosen: list[Key], owners: Owners) -> list[tuple[Key, int]]:
    """Nodes first, then each object below its owner, with its depth."""
    there = dict.fromkeys(chosen)
    below: dict[Key | None, list[Key]] = {}
    for key in chosen:
        parent = next((owner for owner in owners.get(key, ()) if owner in there), None)
        below.setdefault(parent, []).append(key)
    found: list[tuple[Key, int]] = []

    def put(key: Key, depth: int) -> None:
        found.append((key, depth))
        for each in below.get(key, ()):
            put(each, depth + 1)

    for root in sorted(below.get(None, ()), key=lambda key: key[0] != "nodes"):
        put(root, 0)
    return found


def lane_key(key: Key) -> str:
    """A lane's name for spans and marks."""
    storage, (namespace, name) = key
    return f"{storage} {namespace}/{name}"


def _lane(key: Key, obj: Object, depth: int) -> Lane:
    storage, (namespace, name) = key
    kind = str(obj.get("kind") or storage)
    return Lane(key=lane_key(key), kind=kind, namespace=namespace, name=name, depth=depth)


def _spans(
    wanted: set[Key], before: Mapping[Key, Object], changes: list[Change], start: int, end: int
) -> Iterator[Span]:
    open_: dict[Key, tuple[int, tuple[str, Any]]] = {
        key: (start, state_of(obj)) for key, obj in before.items() if key in wanted
    }
    for change in changes:
        key = _key(change)
        if key not in wanted:
            continue
        known = open_.get(key)
        state = None if change.verb == "DELETED" else state_of(change.obj)
        if known is not None and state == known[1]:
            continue
        if known is not None:
            began, (word, tone) = known
            yield Span(lane=lane_key(key), start=began, end=change.at_us, state=word, tone=tone)
            del open_[key]
        if state is not None:
            open_[key] = (change.at_us, state)
    for key, (began, (word, tone)) in open_.items():
        yield Span(lane=lane_key(key), start=began, end=end, state=word, tone=tone)


def _marks(store: Store, kinds: Kinds, wanted: set[Key], changes: list[Change]) -> Iterator[Mark]:
    for change in changes:
        key = _key(change)
        if key in wanted:
            told = {"ADDED": "created", "DELETED": "removed"}.get(change.verb) or ", ".join(differences(change))
            if told:
                yield Mark(
                    lane=lane_key(key),
                    at=change.at_us,
                    what=told,
                    by=author(change),
                    revision=change.revision,
                    because=because(store, kinds, change),
                )
        elif change.storage == "events" and change.verb != "DELETED" and change.obj.get("type") == "Warning":
            mark = _warning(change, kinds, wanted)
            if mark is not None:
                yield mark


def _warning(change: Change, kinds: Kinds, wanted: set[Key]) -> Mark | None:
    event = change.obj
    about = event.get("involvedObject") or {}
    resource = kinds.of({"apiVersion": about.get("apiVersion") or "v1", "kind": about.get("kind")})
    if resource is None:
        return None
    key = (resource.storage, (about.get("namespace", "") if resource.namespaced else "", about.get("name", "")))
    if key not in wanted:
        return None
    return Mark(
        lane=lane_key(key),
        at=change.at_us,
        what=f"{event.get('reason')}: {event.get('message')}",
        by=str(event.get("reportingComponent") or (event.get("source") or {}).get("component") or "unknown"),
        revision=change.revision,
        warning=True,
    )


def _bands(journal: Journal, start: int, end: int) -> Iterator[Band]:
    """Faults, loads and jumps that touch the stretch."""
    for band in _all_bands(journal, end):
        if band.start <= end and band.end >= start:
            yield band.model_copy(update={"start": max(band.start, start), "end": min(band.end, end)})


def _all_bands(journal: Journal, end: int) -> Iterator[Band]:
    running: dict[tuple[str, str], Band] = {}
    paused: int | None = None
    for at, kind, value in journal.entries:
        if kind in ("fault", "load"):
            if "remove" in value:
                band = running.pop((kind, value["remove"]), None)
                if band is not None:
                    yield band.model_copy(update={"end": min(at, band.end)})
                continue
            began = at + value.get("after", 0)
            lasts = value.get("lasts")
            title = f"{value['name']} {_parameters(value['add'])}".strip()
            band = Band.model_validate(
                {"kind": kind, "title": title, "start": began, "end": end if lasts is None else began + lasts}
            )
            running[kind, value["name"]] = band
        elif kind == "clock" and value.get("from") is not None and value["from"] < at:
            yield Band(kind="clock", title=f"clock {value['do']}", start=value["from"], end=at)
        elif kind == "clock" and value.get("do") == "pause":
            paused = at
        elif kind == "clock" and value.get("do") == "resume" and paused is not None:
            yield Band(kind="clock", title="paused", start=paused, end=at)
            paused = None
    yield from running.values()


def _parameters(value: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={each}" for key, each in value.items() if key != "kind")


def _stage(before: Mapping[Key, Object], changes: list[Change], start: int) -> Iterator[Turn]:
    """What is on the stage at the beginning, and how it changes."""
    shown: dict[tuple[str, str], dict[str, Any] | None] = {}
    slices: dict[Key, Object] = {key: obj for key, obj in before.items() if key[0] == SLICES}
    beginning = [(key, obj) for key, obj in before.items()]
    for at, key, obj in [
        *((start, key, obj) for key, obj in beginning),
        *((change.at_us, _key(change), None if change.verb == "DELETED" else change.obj) for change in changes),
    ]:
        turned = _turned(key, obj, slices)
        if turned is None:
            continue
        kind, name, value = turned
        if shown.get((kind, name)) != value:
            shown[kind, name] = value
            yield Turn.model_validate({"at": at, "kind": kind, "key": name, "value": value})


def _turned(key: Key, obj: Object | None, slices: dict[Key, Object]) -> tuple[str, str, dict[str, Any] | None] | None:
    storage, (namespace, name) = key
    if storage == "nodes":
        return "node", name, None if obj is None else dict(zip(("state", "tone"), state_of(obj), strict=True))
    if storage == "pods":
        if obj is None:
            return "pod", f"{namespace}/{name}", None
        state, tone = state_of(obj)
        node, ip = obj["spec"].get("nodeName", ""), (obj.get("status") or {}).get("podIP", "")
        return "pod", f"{namespace}/{name}", {"node": node, "ip": ip, "state": state, "tone": tone}
    if storage == SLICES:
        known = obj if obj is not None else slices.get(key)
        service = ((known or {}).get("metadata", {}).get("labels") or {}).get(SERVICE_NAME, "")
        if obj is None:
            slices.pop(key, None)
        else:
            slices[key] = obj
        return ("service", f"{namespace}/{service}", _endpoints(namespace, service, slices)) if service else None
    return None


def _endpoints(namespace: str, service: str, slices: Mapping[Key, Object]) -> dict[str, Any] | None:
    rows = []
    found = False
    for (_, (place, _)), piece in slices.items():
        if place == namespace and (piece["metadata"].get("labels") or {}).get(SERVICE_NAME) == service:
            found = True
            for endpoint in piece.get("endpoints") or ():
                conditions = endpoint.get("conditions") or {}
                pod = (endpoint.get("targetRef") or {}).get("name", "")
                rows.append(
                    {
                        "address": (endpoint.get("addresses") or [""])[0],
                        "pod": pod,
                        "ready": bool(conditions.get("ready", True)),
                        "terminating": bool(conditions.get("terminating")),
                    }
                )
    return {"endpoints": rows} if found else None
