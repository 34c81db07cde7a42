"""Why an object is as it is: the chain of changes from a user's command down to the container, with times.

Every change remembers its cause: the component that asked for it, the key that it worked on and the revision that made
it do so. A story follows these links back from what happened to an object.

Source: nothing upstream; a real cluster keeps no causes. *Not modelled*: causes older than the log's floor, and those
of writes that a timer set off, for which the owner's last change stands in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from seatrial.sim.config import S
from seatrial.sim.kernel.clock import micro_stamp_of
from seatrial.sim.machinery.kinds import Kinds
from seatrial.sim.store.log import Change
from seatrial.sim.store.store import Store

Object = Mapping[str, Any]
STATE_FIELDS: Final = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
WORDS_MAX: Final = 4
"""Differences of one change that are told; a rollout's first status has a dozen."""
TEXT_MAX: Final = 40
EVENTS: Final = "events"


class Step(NamedTuple):
    """One change, who made it and what it was."""

    change: Change
    by: str
    """The component, or who wrote from outside."""
    what: str
    because: int | None
    """The revision of the step that this one follows from."""

    @property
    def kind(self) -> str:
        return str(self.change.obj.get("kind", self.change.storage))

    @property
    def name(self) -> str:
        return str(self.change.obj["metadata"]["name"])

    def __str__(self) -> str:
        because = f"  (because of {self.because})" if self.because is not None else ""
        at, revision = micro_stamp_of(self.change.at_us), self.change.revision
        return f"{at}  {revision:>6}  {self.by}: {self.kind}/{self.name} {self.what}{because}"


class Story(tuple[Step, ...]):
    """Steps in the order in which they happened; as text, one line each."""

    def __str__(self) -> str:
        return "\n".join(map(str, self))


def story(store: Store, kinds: Kinds, storage: str, namespace: str, name: str) -> Story:
    """How the object came about, what happened to it and what led to each: its last life, if it had several. What warns
    of it, and of what it owns, is told as well.

    Empty when the log knows nothing of it.
    """
    life = _last_life(store.history(storage, namespace, name))
    found: dict[int, Step] = {}
    for change in life:
        if change is life[0] or change.verb == "DELETED" or differences(change):
            _trace(store, kinds, change, found)
    if life:
        for change in _warnings(store, kinds, life[0].obj["metadata"].get("uid")):
            found[change.revision] = _warning_step(change)
    return Story(found[revision] for revision in sorted(found))


def _last_life(history: list[Change]) -> list[Change]:
    starts = [at for at, change in enumerate(history) if change.verb == "ADDED"]
    return history[starts[-1] :] if starts else history


def _trace(store: Store, kinds: Kinds, change: Change | None, found: dict[int, Step]) -> None:
    """Adds a change and all that it follows from."""
    while change is not None and change.revision not in found:
        before = _before(store, kinds, change)
        source = before.revision if before is not None else None
        found[change.revision] = Step(change, author(change), _what(change), source)
        change = before


def because(store: Store, kinds: Kinds, change: Change) -> int | None:
    """The revision that a change follows from, if the log knows."""
    before = _before(store, kinds, change)
    return None if before is None else before.revision


def _before(store: Store, kinds: Kinds, change: Change) -> Change | None:
    """What made the writer write: the change it names or, when it names none, its owner's last one."""
    if change.cause is None:
        return None
    revision = change.cause[2]
    if revision is not None:
        return store.change(revision) if revision < change.revision else None
    for owner in change.obj["metadata"].get("ownerReferences") or ():
        resource = kinds.of(owner)
        if resource is None:
            continue
        namespace = change.obj["metadata"].get("namespace", "") if resource.namespaced else ""
        history = store.history(resource.storage, namespace, owner["name"])
        earlier = [each for each in history if each.revision < change.revision]
        if earlier:
            return earlier[-1]
    return None


def author(change: Change) -> str:
    """Who made a change: a component, or a user with a client."""
    if change.cause is not None:
        return str(change.cause[0])
    old = (change.old or {}).get("metadata", {}).get("managedFields") or ()
    new = change.obj["metadata"].get("managedFields") or ()
    written = [entry for entry in new if entry not in old] if change.verb != "DELETED" else []
    return f"user, with {written[-1].get('manager', 'unknown')}" if written else "user"


def _what(change: Change) -> str:
    if change.verb == "ADDED":
        return "created"
    if change.verb == "DELETED":
        return "removed"
    return ", ".join(differences(change) or _parts(change.obj, change.old or {})) or "changed"


def _parts(new: Object, old: Object) -> Iterator[str]:
    """Where an object differs, when there is nothing more to tell about it."""
    for top in ("spec", "status"):
        one, other = old.get(top) or {}, new.get(top) or {}
        yield from (f"{top}.{key} changed" for key in {**one, **other} if one.get(key) != other.get(key))


def differences(change: Change) -> list[str]:
    """What an update changed, in a few words each; empty when it is of no interest, as a heartbeat's."""
    new, old = change.obj, change.old
    if old is None or change.verb != "MODIFIED":
        return []
    found = list(_told(new, old))
    return found if len(found) <= WORDS_MAX else [*found[:WORDS_MAX], f"and {len(found) - WORDS_MAX} more"]


def _told(new: Object, old: Object) -> Iterator[str]:
    if "deletionTimestamp" in new["metadata"] and "deletionTimestamp" not in old["metadata"]:
        yield "asked to go"
    node = (new.get("spec") or {}).get("nodeName") if new.get("kind") == "Pod" else None
    if node and not old["spec"].get("nodeName"):
        yield f"bound to {node}"
    else:
        yield from _fields(new.get("spec") or {}, old.get("spec") or {}, "spec.")
    for key in ("labels", "annotations", "finalizers", "ownerReferences", "data"):
        place_new, place_old = (new, old) if key == "data" else (new["metadata"], old["metadata"])
        if place_new.get(key) != place_old.get(key):
            yield f"{key} changed"
    yield from _status(new.get("status") or {}, old.get("status") or {})


def _status(new: Object, old: Object) -> Iterator[str]:
    for field in STATE_FIELDS:
        states = {each["name"]: _state(each) for each in old.get(field) or ()}
        for each in new.get(field) or ():
            if states.get(each["name"]) != _state(each):
                yield f"container {each['name']} {_state(each)}"
    counts = {key: value for key, value in new.items() if isinstance(value, int | str)}
    before = {key: value for key, value in old.items() if isinstance(value, int | str)}
    yield from _fields(counts, before, "")
    conditions = {each["type"]: each.get("status") for each in old.get("conditions") or ()}
    for each in new.get("conditions") or ():
        if conditions.get(each["type"]) != each.get("status"):
            reason = f" ({each['reason']})" if each.get("reason") else ""
            yield f"{each['type']}={each.get('status')}{reason}"


def _state(status: Object) -> str:
    for word, state in (status.get("state") or {}).items():
        reason = state.get("reason", "")
        code = f" {state['exitCode']}" if "exitCode" in state else ""
        return f"{word}{f' ({reason}{code})' if reason or code else ''}"
    return "unknown"


def _fields(new: Object, old: Object, prefix: str) -> Iterator[str]:
    for key in [*new, *(key for key in old if key not in new)]:
        one, other = old.get(key), new.get(key)
        if one == other or key.endswith(("Time", "observedGeneration")):
            continue
        if isinstance(one, Mapping | list) or isinstance(other, Mapping | list):
            yield f"{prefix}{key} changed"
        else:
            yield f"{prefix}{key} {_short(one)} → {_short(other)}"


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 1] + "…"


def _warnings(store: Store, kinds: Kinds, uid: str | None) -> Iterator[Change]:
    """The first of each event that warns of the object, or of what it owns: of many that say the same, one."""
    said = set()
    for event in store.list(EVENTS):
        about = event.get("involvedObject") or {}
        if event.get("type") != "Warning" or not uid:
            continue
        owned = about.get("uid") != uid
        words = (event.get("reason"), event.get("message"))
        if owned and (words in said or not _belongs(store, kinds, about, uid)):
            continue
        if owned:
            said.add(words)
        metadata = event["metadata"]
        history = store.history(EVENTS, metadata["namespace"], metadata["name"])
        yield from history[:1]


def _belongs(store: Store, kinds: Kinds, ref: Mapping[str, Any], uid: str, namespace: str = "") -> bool:
    """Whether an object that is still there is owned, at however many removes, by the one with this ``uid``."""
    resource = kinds.of(ref) if ref.get("kind") and ref.get("apiVersion") else None
    if resource is None:
        return False
    namespace = ref.get("namespace", namespace)
    obj = store.get(resource.storage, namespace if resource.namespaced else "", ref.get("name", ""))
    if obj is None or obj["metadata"]["uid"] != ref.get("uid"):
        return False
    owners = obj["metadata"].get("ownerReferences") or ()
    return any(each["uid"] == uid or _belongs(store, kinds, each, uid, namespace) for each in owners)


def _warning_step(change: Change) -> Step:
    event = change.obj
    by = event.get("reportingComponent") or (event.get("source") or {}).get("component") or "unknown"
    return Step(change, by, f"warns {event.get('reason')}: {event.get('message')}", None)


def shown(steps: Story, offset_us: int = 0) -> list[dict[str, Any]]:
    """The story as JSON-shaped values, its times moved by ``offset_us``."""
    return [
        {
            "at": micro_stamp_of(step.change.at_us + offset_us),
            "revision": step.change.revision,
            "by": step.by,
            "verb": step.change.verb,
            "kind": step.kind,
            "namespace": step.change.obj["metadata"].get("namespace", ""),
            "name": step.name,
            "what": step.what,
            "because": step.because,
            "afterSeconds": (step.change.at_us - steps[0].change.at_us) / S,
        }
        for step in steps
    ]
