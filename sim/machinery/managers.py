"""Who owns which field: the managers in managedFields, kept up to date on every write.

Every writer of an object is a manager; its entry in ``metadata.managedFields`` lists what it set. An update takes
fields over silently.

Source: k8s.io/apimachinery/pkg/util/managedfields/internal, sigs.k8s.io/structured-merge-diff/v6/merge/update.go.

Not modelled: entries of another version of the kind are compared by the names of the version that is written; fields
whose schema turned from granular to atomic are not reconciled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from seatrial.sim.kernel.compact import compact
from seatrial.sim.machinery import alike, conversion, fieldsets
from seatrial.sim.machinery.fields import quoted
from seatrial.sim.machinery.fieldsets import HOLDERS, MEMBER, MISSING, Set, Shape
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.machinery.schema import Type

Object = Mapping[str, Any]
Entry = Mapping[str, Any]

UPDATE, APPLY = "Update", "Apply"
ANCIENT_CHANGES = "ancient-changes"
UPDATE_MANAGERS_MAX = 10
"""Update entries that an object keeps; the oldest are merged beyond that (DefaultMaxUpdateManagers)."""

OBJECT_META = (
    "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields",
    "resourceVersion",
)  # fmt: skip
UNOWNED: Set = {
    "f:apiVersion": MEMBER,
    "f:kind": MEMBER,
    "f:metadata": {fieldsets.SELF: MEMBER, **{f"f:{name}": MEMBER for name in OBJECT_META}},
}
"""What nobody owns (stripmeta.go)."""

STATUS: Set = {"f:status": MEMBER}
SPEC: Set = {"f:spec": MEMBER}
SPEC_AND_META: Set = {"f:spec": MEMBER, "f:metadata": MEMBER}
RESET: Mapping[tuple[str, str], Set] = {
    ("pods", "status"): {"f:spec": MEMBER, "f:metadata": {"f:deletionTimestamp": MEMBER, "f:ownerReferences": MEMBER}},
    ("deployments.apps", "status"): {"f:spec": MEMBER, "f:metadata": {"f:labels": MEMBER}},
    ("certificatesigningrequests.certificates.k8s.io", "status"): {
        "f:spec": MEMBER, "f:status": {"f:conditions": MEMBER},
    },
    ("certificatesigningrequests.certificates.k8s.io", "approval"): {
        "f:spec": MEMBER, "f:status": {"f:certificate": MEMBER},
    },
    ("customresourcedefinitions.apiextensions.k8s.io", "status"): SPEC_AND_META,
    ("validatingadmissionpolicies.admissionregistration.k8s.io", "status"): SPEC_AND_META,
    ("flowschemas.flowcontrol.apiserver.k8s.io", "status"): SPEC_AND_META,
    ("prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", "status"): SPEC_AND_META,
    ("resourceclaims.resource.k8s.io", "status"): SPEC_AND_META,
}  # fmt: skip
"""What a write through a subresource cannot set, where that is not the usual (each strategy's GetResetFields)."""


def reset_fields(resource: Resource, subresource: str) -> Set | None:
    """The fields that a write to a resource or subresource leaves as they are, whoever asks."""
    found = RESET.get((resource.storage, subresource))
    if found is not None:
        return found
    if subresource == "status":
        return SPEC_AND_META if resource.custom else SPEC
    return STATUS if "status" in resource.subresources else None


class Manager(NamedTuple):
    """Who wrote, how and through what; an applier is the same in every version."""

    manager: str
    operation: str
    api_version: str
    subresource: str

    @property
    def identifier(self) -> str:
        """Upstream's encoding, by which it sorts."""
        given = {"manager": self.manager, "operation": self.operation, "apiVersion": self.api_version}
        pairs = {**given, "subresource": self.subresource}
        return orjson.dumps({key: value for key, value in pairs.items() if value}).decode()

    def __str__(self) -> str:
        text = quoted(self.manager)
        if self.subresource:
            text += f" with subresource {quoted(self.subresource)}"
        return f"{text} using {self.api_version}" if self.operation == UPDATE else text


def manager_of(entry: Entry) -> Manager:
    """Whose entry it is."""
    operation = entry.get("operation", "")
    version = "" if operation == APPLY else entry.get("apiVersion", "")
    return Manager(entry.get("manager", ""), operation, version, entry.get("subresource", ""))


Held = tuple[Entry, Set | None]
"""An entry as it was stored, and what its manager owns now."""


def decoded(entries: Sequence[Entry] | None) -> dict[Manager, Held]:
    """Entries by manager."""
    return {manager_of(entry): (entry, entry.get("fieldsV1") or None) for entry in entries or ()}


def update_managed_fields(
    old: Object | None, new: Object, manager: str, subresource: str, stamp: str, resource: Resource
) -> Object:
    """The new object with its managedFields as an update by ``manager`` leaves them.

    ``old`` is what is stored, None for a creation; ``stamp`` the time in RFC 3339. A list of one empty entry in the
    new object asks for all ownership to be dropped. So does, as upstream, a list whose items lack their keys.
    """
    before = MEMBER if old is None else old["metadata"]
    given, stored = (new.get("metadata") or MEMBER).get("managedFields"), before.get("managedFields")
    entries = _before(given, stored, bool(subresource))
    if not entries and old is not None and before.get("uid"):
        return with_entries(new, None)
    shown_old, shown_new = old, new
    if conversion.converts(resource):
        shown_new = conversion.convert(new, resource)
        shown_old = None if old is None else conversion.convert(old, resource)
    me = Manager(manager, UPDATE, resource.api_version, subresource)
    try:
        if shown_old is None:
            parts = _parts(resource, shown_new)
            if not entries:
                return with_entries(new, _first_entries(resource, parts, me, stamp))
            changed, removed = _kept(resource, subresource, _created(resource, parts)), None
        else:
            changed, removed = fieldsets.compare(shape_of(resource), shown_old, shown_new)
            changed, removed = _kept(resource, subresource, changed), _kept(resource, subresource, removed)
    except fieldsets.Keyless:
        return with_entries(new, None)
    if changed is None and removed is None:
        return with_entries(new, entries)
    taken = fieldsets.difference(changed, UNOWNED)
    return with_entries(new, _updated_alike(entries or (), me, taken, removed, "" if subresource == "scale" else stamp))


def _kept(resource: Resource, subresource: str, fields: Set | None) -> Set | None:
    """Fields without those that a write through the subresource leaves as they are."""
    ignored = reset_fields(resource, subresource)
    return fields if ignored is None else fieldsets.excluding(fields, ignored)


def _before(given: Any, stored: Sequence[Entry] | None, of_subresource: bool) -> Sequence[Entry] | None:
    """The entries that a write starts from: those of the request, if it may and does say any (decodeLiveOrNew)."""
    if of_subresource or not given or given == stored:
        return stored
    if len(given) == 1 and not given[0]:
        return None
    if not all(isinstance(each, dict) and each.get("operation") in (UPDATE, APPLY) for each in given):
        return stored
    return in_order(entry_of(each, fields) for each in given if (fields := each.get("fieldsV1")))


Parts = tuple[tuple[str, bytes | None], ...]
"""What a new object sets at its top level: a field's name, and what it says where it has anything below it."""


def _parts(resource: Resource, new: Object) -> Parts:
    type = resource.type
    zero = MEMBER if resource.custom is not None or type is None else type.zero
    found: list[tuple[str, bytes | None]] = []
    for name, part in new.items():
        if name in ("apiVersion", "kind"):
            continue
        before = zero.get(name, MISSING)
        if not isinstance(part, HOLDERS) and not isinstance(before, HOLDERS):
            if before is MISSING or before != part:
                found.append((name, None))
            continue
        if name == "metadata":
            part = {key: value for key, value in (part or MEMBER).items() if key not in OBJECT_META}
        found.append((name, _said(part)))
    return tuple(found)


def _said(part: Any) -> bytes:
    """What decides who owns what of a part. Of plain texts it is their names alone, which events have in common."""
    if type(part) is dict:
        for value in part.values():
            if type(value) is not str or not value:
                break
        else:
            part = dict.fromkeys(part, "x")
    return compact(orjson.dumps(part))


@lru_cache(maxsize=1024)
def _first_entries(resource: Resource, parts: Parts, me: Manager, stamp: str) -> Sequence[Entry] | None:
    """The entries of a new object that has none; remembered, because the pods of a template say the same."""
    changed = _kept(resource, me.subresource, _created(resource, parts))
    return None if changed is None else updated((), me, fieldsets.difference(changed, UNOWNED), None, stamp)


def _created(resource: Resource, parts: Parts) -> Set | None:
    """What a new object sets."""
    found: dict[str, Any] = {}
    for name, raw in parts:
        changed = MEMBER if raw is None else _created_part(resource.type, resource.custom is not None, name, raw)
        if changed is not None:
            found[f"f:{name}"] = changed
    return found or None


@lru_cache(maxsize=1024)
def _created_part(type: Type | None, custom: bool, name: str, raw: bytes) -> Set | None:
    shape = fieldsets.of_custom(type) if custom else fieldsets.of_type(type)
    before = MISSING if custom or type is None else type.zero.get(name, MISSING)
    return fieldsets.compare(shape.below(name), before, orjson.loads(raw))[0]


def shape_of(resource: Resource) -> Shape:
    """How the fields of a kind's objects are owned."""
    return fieldsets.of_custom(resource.type) if resource.custom else fieldsets.of_type(resource.type)


def empty(resource: Resource) -> Object:
    """A new object of the kind before anything is set."""
    return MEMBER if resource.custom or resource.type is None else resource.type.zero


_alike: dict[tuple[Any, ...], tuple[Sequence[Entry], Sequence[Entry]]] = {}
"""What ``updated`` made of lists of entries, by the list itself, which is kept so that no other takes its id."""
ALIKE_MAX = 2048


def _updated_alike(
    entries: Sequence[Entry], me: Manager, taken: Set | None, removed: Set | None, stamp: str
) -> Sequence[Entry]:
    """As ``updated``; writes that are alike share one list, as do those of the pods of a template in one second."""
    key = (id(entries), me, fieldsets.written(taken), fieldsets.written(removed), stamp)
    found = _alike.get(key)
    if found is None:
        if len(_alike) >= ALIKE_MAX:
            _alike.clear()
        found = _alike[key] = entries, updated(entries, me, taken, removed, stamp)
    return found[1]


def updated(
    entries: Sequence[Entry], me: Manager, taken: Set | None, removed: Set | None, stamp: str
) -> Sequence[Entry]:
    """The entries after ``me`` took some fields and others vanished."""
    kept: list[Entry] = []
    mine: Entry | None = None
    for entry in entries:
        fields = entry.get("fieldsV1") or None
        if entry.get("manager", "") == me.manager and manager_of(entry) == me:
            mine = entry
            continue
        left = fieldsets.difference(fieldsets.difference(fields, taken), removed)
        if left is fields:
            kept.append(entry)
        elif left is not None:
            kept.append(_with_fields(entry, fieldsets.arranged(left, fields)))
    owned = None if mine is None else mine.get("fieldsV1") or None
    left = fieldsets.union(fieldsets.difference(owned, removed), taken)
    if mine is not None and left is owned and (taken is None or mine.get("time") == stamp):
        kept.append(mine)
    elif left is not None:
        when = mine.get("time", "") if mine is not None and taken is None else stamp
        if mine is not None and left is owned and when and "time" in mine:
            kept.append({**mine, "time": when})
        else:
            made = alike.shared(fieldsets.arranged(left, owned), owned or MEMBER)
            kept.append(_entry(me.manager, UPDATE, me.api_version, when, me.subresource, made))
    if len(kept) == len(entries) and all(one is other for one, other in zip(kept, entries, strict=True)):
        return entries
    return in_order(_capped(kept))


@lru_cache(maxsize=1 << 12)
def entry_for(manager: str, operation: str, version: str, stamp: str, subresource: str, raw: bytes) -> Entry:
    """One entry; equal ones are one object, since the pods of a template differ in nothing here."""
    return _entry(manager, operation, version, stamp, subresource, fieldsets.read(raw))


def _entry(manager: str, operation: str, version: str, stamp: str, subresource: str, fields: Set) -> Entry:
    entry: dict[str, Any] = {"manager": manager, "operation": operation, "apiVersion": version}
    if stamp:
        entry["time"] = stamp
    entry["fieldsType"] = "FieldsV1"
    entry["fieldsV1"] = fields
    if subresource:
        entry["subresource"] = subresource
    return entry


def _with_fields(entry: Entry, fields: Set) -> Entry:
    get = entry.get
    operation, version = get("operation", ""), get("apiVersion", "")
    return _entry(get("manager", ""), operation, version, get("time", ""), get("subresource", ""), fields)


def entry_of(entry: Entry, fields: Set) -> Entry:
    """The entry with other fields."""
    who = (entry.get("manager", ""), entry.get("operation", ""), entry.get("apiVersion", ""))
    return entry_for(*who, entry.get("time", ""), entry.get("subresource", ""), fieldsets.written(fields))


def _order(entry: Entry) -> tuple[str, ...]:
    get = entry.get
    return get("operation", ""), get("time", ""), get("manager", ""), get("apiVersion", ""), get("subresource", "")


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Entries as the server lists them: appliers first, then by time."""
    listed = list(entries)
    if len(listed) > 1:
        listed.sort(key=_order)
    return listed


def _capped(entries: list[Entry]) -> list[Entry]:
    """The oldest updates of each version merged into one, until there are few enough (capmanagers.go)."""
    if len(entries) <= UPDATE_MANAGERS_MAX:
        return entries
    surplus = sum(entry["operation"] == UPDATE for entry in entries) - UPDATE_MANAGERS_MAX
    if surplus <= 0:
        return entries
    oldest = sorted(
        (entry for entry in entries if entry["operation"] == UPDATE),
        key=lambda entry: (entry.get("time", ""), manager_of(entry).identifier),
    )
    held = decoded(entries)
    firsts: dict[str, Manager] = {}
    for entry in oldest:
        if surplus <= 0:
            break
        me, version = manager_of(entry), entry["apiVersion"]
        bucket = Manager(ANCIENT_CHANGES, UPDATE, version, "")
        if version not in firsts:
            firsts[version] = me
            continue
        if bucket not in held:
            held[bucket] = held.pop(firsts[version])
        fields = fieldsets.union(held.pop(me)[1], held.pop(bucket)[1]) or MEMBER
        merged = entry_for(ANCIENT_CHANGES, UPDATE, version, entry.get("time", ""), "", fieldsets.written(fields))
        held[bucket] = (merged, fields)
        surplus -= 1
    return [entry for entry, _ in held.values()]


def with_entries(obj: Object, entries: Sequence[Entry] | None) -> Object:
    """The object with these managedFields; without any when there are none."""
    metadata = obj.get("metadata") or MEMBER
    if (metadata.get("managedFields") or None) is (entries or None):
        return obj
    rest = {key: value for key, value in metadata.items() if key != "managedFields"}
    if entries:
        rest["managedFields"] = entries if isinstance(entries, list) else list(entries)
    return {**obj, "metadata": rest}
