"""Who owns which field: managedFields on every write, and server-side apply.

Every writer of an object is a manager; its entry in ``metadata.managedFields`` lists what it set. An update takes
fields over silently, an apply asks first (409) unless it is forced, and gives up what its configuration no longer
names.

Source: k8s.io/apimachinery/pkg/util/managedfields/internal, sigs.k8s.io/structured-merge-diff/v6/merge/update.go.

Not modelled: entries of another version of the kind are compared by the names of the version that is written; fields
whose schema turned from granular to atomic are not reconciled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from seatrial.sim.machinery import configuration, conversion, errors, fieldsets
from seatrial.sim.machinery.fields import quoted
from seatrial.sim.machinery.fieldsets import MEMBER, Set, Shape
from seatrial.sim.machinery.kinds import Resource

Object = Mapping[str, Any]
Entry = Mapping[str, Any]

UPDATE, APPLY = "Update", "Apply"
BEFORE_FIRST_APPLY = "before-first-apply"
ANCIENT_CHANGES = "ancient-changes"
UPDATE_MANAGERS_MAX = 10
"""Update entries that an object keeps; the oldest are merged beyond that (DefaultMaxUpdateManagers)."""
KUBECTL = "kubectl"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

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


def _manager(entry: Entry) -> Manager:
    operation = entry.get("operation", "")
    version = "" if operation == APPLY else entry.get("apiVersion", "")
    return Manager(entry.get("manager", ""), operation, version, entry.get("subresource", ""))


Held = tuple[Entry, Set | None]
"""An entry as it was stored, and what its manager owns now."""


def _decoded(entries: Sequence[Entry] | None) -> dict[Manager, Held]:
    return {_manager(entry): (entry, entry.get("fieldsV1") or None) for entry in entries or ()}


def update_managed_fields(
    old: Object | None, new: Object, manager: str, subresource: str, stamp: str, resource: Resource
) -> Object:
    """The new object with its managedFields as an update by ``manager`` leaves them.

    ``old`` is what is stored, None for a creation; ``stamp`` the time in RFC 3339. A list of one empty entry in the
    new object asks for all ownership to be dropped.
    """
    before = MEMBER if old is None else old["metadata"]
    given, stored = (new.get("metadata") or MEMBER).get("managedFields"), before.get("managedFields")
    resets = given is not None and len(given) == 1 and not given[0]
    entries = () if resets else stored if subresource or not given or not _readable(given) else given
    if not entries and old is not None and before.get("uid"):
        return _with_entries(new, None)
    shown_old, shown_new = old, new
    if conversion.converts(resource):
        shown_new = conversion.convert(new, resource)
        shown_old = None if old is None else conversion.convert(old, resource)
    shape = fieldsets.of_type(resource.type)
    changed, removed = fieldsets.compare(shape, _empty(resource) if shown_old is None else shown_old, shown_new)
    ignored = reset_fields(resource, subresource)
    if ignored is not None:
        changed, removed = fieldsets.excluding(changed, ignored), fieldsets.excluding(removed, ignored)
    if changed is None and removed is None:
        return _with_entries(new, entries)
    me = Manager(manager, UPDATE, resource.api_version, subresource)
    taken = fieldsets.difference(changed, UNOWNED)
    return _with_entries(
        new, _updated(tuple(entries or ()), me, taken, removed, "" if subresource == "scale" else stamp)
    )


def _readable(entries: Any) -> bool:
    return all(isinstance(entry, dict) and entry.get("operation") in (UPDATE, APPLY) for entry in entries)


def _empty(resource: Resource) -> Object:
    """A new object of the kind before anything is set."""
    return MEMBER if resource.custom or resource.type is None else resource.type.zero


def _updated(
    entries: Sequence[Entry], me: Manager, taken: Set | None, removed: Set | None, stamp: str
) -> Sequence[Entry]:
    """The entries after ``me`` took some fields and others vanished."""
    kept: list[Entry] = []
    mine: Entry | None = None
    for entry in entries:
        fields = entry.get("fieldsV1") or None
        if _manager(entry) == me:
            mine = entry
            continue
        left = fieldsets.difference(fieldsets.difference(fields, taken), removed)
        if left is fields:
            kept.append(entry)
        elif left is not None:
            kept.append(_entry_of(entry, left))
    owned = None if mine is None else mine.get("fieldsV1") or None
    left = fieldsets.union(fieldsets.difference(owned, removed), taken)
    if mine is not None and left is owned and (taken is None or mine.get("time") == stamp):
        kept.append(mine)
    elif left is not None:
        when = mine.get("time", "") if mine is not None and taken is None else stamp
        kept.append(_entry(me.manager, UPDATE, me.api_version, when, me.subresource, fieldsets.written(left)))
    if len(kept) == len(entries) and all(one is other for one, other in zip(kept, entries, strict=True)):
        return entries
    return _sorted(_capped(kept))


@lru_cache(maxsize=1 << 14)
def _entry(manager: str, operation: str, version: str, stamp: str, subresource: str, raw: bytes) -> Entry:
    """One entry; equal ones are one object, since the pods of a template differ in nothing here."""
    entry: dict[str, Any] = {"manager": manager, "operation": operation, "apiVersion": version}
    if stamp:
        entry["time"] = stamp
    entry["fieldsType"] = "FieldsV1"
    entry["fieldsV1"] = fieldsets.read(raw)
    if subresource:
        entry["subresource"] = subresource
    return entry


def _entry_of(entry: Entry, fields: Set) -> Entry:
    """The entry with other fields."""
    who = (entry.get("manager", ""), entry.get("operation", ""), entry.get("apiVersion", ""))
    return _entry(*who, entry.get("time", ""), entry.get("subresource", ""), fieldsets.written(fields))


def _order(entry: Entry) -> tuple[str, ...]:
    return tuple(entry.get(key, "") for key in ("operation", "time", "manager", "apiVersion", "subresource"))


def _sorted(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=_order)


def _capped(entries: list[Entry]) -> list[Entry]:
    """The oldest updates of each version merged into one, until there are few enough (capmanagers.go)."""
    surplus = sum(entry["operation"] == UPDATE for entry in entries) - UPDATE_MANAGERS_MAX
    if surplus <= 0:
        return entries
    oldest = sorted(
        (entry for entry in entries if entry["operation"] == UPDATE),
        key=lambda entry: (entry.get("time", ""), _manager(entry).identifier),
    )
    held = _decoded(entries)
    firsts: dict[str, Manager] = {}
    for entry in oldest:
        if surplus <= 0:
            break
        me, version = _manager(entry), entry["apiVersion"]
        bucket = Manager(ANCIENT_CHANGES, UPDATE, version, "")
        if version not in firsts:
            firsts[version] = me
            continue
        if bucket not in held:
            held[bucket] = held.pop(firsts[version])
        fields = fieldsets.union(held.pop(me)[1], held.pop(bucket)[1]) or MEMBER
        merged = _entry(ANCIENT_CHANGES, UPDATE, version, entry.get("time", ""), "", fieldsets.written(fields))
        held[bucket] = (merged, fields)
        surplus -= 1
    return [entry for entry, _ in held.values()]


def _with_entries(obj: Object, entries: Sequence[Entry] | None) -> Object:
    metadata = obj.get("metadata") or MEMBER
    if (metadata.get("managedFields") or None) is (entries or None):
        return obj
    rest = {key: value for key, value in metadata.items() if key != "managedFields"}
    if entries:
        rest["managedFields"] = entries if isinstance(entries, list) else list(entries)
    return {**obj, "metadata": rest}


def apply(
    old: Object | None, patch: Any, manager: str, force: bool, subresource: str, stamp: str, resource: Resource
) -> Object:
    """What a configuration makes of the stored object (None when there is none), managedFields included.

    The result is in the resource's version and not yet defaulted. Raises ApiError: 400 for a configuration of another
    kind or with managedFields, 409 for conflicts, 500 as upstream for one that does not fit the schema.
    """
    config = _checked(patch, resource)
    live: Object = MEMBER if old is None else conversion.convert(old, resource)
    entries = (live.get("metadata") or MEMBER).get("managedFields")
    shape = fieldsets.of_type(resource.type)
    if not entries and old is not None:
        owned = fieldsets.difference(fieldsets.compare(shape, _empty(resource), live)[0], UNOWNED)
        me = Manager(BEFORE_FIRST_APPLY, UPDATE, resource.api_version, subresource)
        entries = _updated((), me, owned, None, stamp)
    bare = _with_entries(live, None)
    me = Manager(manager, APPLY, "", subresource)
    applying = _Applying(shape, bare, config, _decoded(entries), me, reset_fields(resource, subresource))
    merged, held = applying.result(force)
    when = stamp
    if merged == bare:
        when = held[me][0].get("time", "") if me in held else ""
        merged = bare
    return _with_entries(_with_last_applied(merged, config, manager), _encoded(held, me, resource, when))


def _checked(patch: Any, resource: Resource) -> Object:
    """The configuration, if it is one of the kind. Raises ApiError."""
    if not isinstance(patch, dict):
        raise errors.bad_request("error decoding YAML: not an object")
    metadata, version, kind = patch.get("metadata") or MEMBER, patch.get("apiVersion", ""), patch.get("kind", "")
    gvk = f"{version if '/' in version else '/' + version}, Kind={kind}"
    if (version, kind) != (resource.api_version, resource.kind):
        raise errors.bad_request(f"invalid object type: {gvk}")
    if metadata.get("managedFields") is not None:
        raise errors.bad_request("metadata.managedFields must be nil")
    found = list(configuration.problems(resource.type, patch))
    if found:
        name = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
        listed = found[0] if len(found) == 1 else "\n".join(["errors:", *(f"  {text}" for text in found)])
        raise errors.ApiError(500, "", f"failed to create typed patch object ({name}; {gvk}): {listed}")
    return patch


def _encoded(held: Mapping[Manager, Held], me: Manager, resource: Resource, stamp: str) -> Sequence[Entry]:
    entries: list[Entry] = []
    for manager, (entry, fields) in held.items():
        if fields is None:
            continue
        if manager == me:
            raw = fieldsets.written(fields)
            entries.append(_entry(me.manager, APPLY, resource.api_version, stamp, me.subresource, raw))
        else:
            entries.append(entry if fields is entry.get("fieldsV1") else _entry_of(entry, fields))
    return _sorted(entries)


class _Applying:
    """One apply: the live object, the configuration, and who owns what."""

    def __init__(
        self, shape: Shape, live: Object, config: Object, held: dict[Manager, Held], me: Manager, ignored: Set | None
    ) -> None:
        self._shape, self._live, self._config = shape, live, config
        self._held, self._me, self._ignored = held, me, ignored

    def result(self, force: bool) -> tuple[Object, dict[Manager, Held]]:
        """The merged object and its owners. Raises ApiError 409."""
        before = self._held.get(self._me)
        last = None if before is None else before[1]
        claimed = fieldsets.applied(self._shape, self._config)
        if self._ignored is not None:
            claimed = fieldsets.excluding(claimed, self._ignored)
        merged = configuration.merge(self._shape, self._live, self._config)
        held = {**self._held, self._me: (MEMBER if before is None else before[0], claimed)}
        merged = self._pruned(merged, held, last)
        changed, removed = fieldsets.compare(self._shape, self._live, merged)
        if self._ignored is not None:
            changed, removed = fieldsets.excluding(changed, self._ignored), fieldsets.excluding(removed, self._ignored)
        conflicts = {
            manager: both
            for manager, (_, fields) in held.items()
            if manager != self._me and (both := fieldsets.intersection(fields, changed)) is not None
        }
        if conflicts and not force:
            self._refuse(conflicts)
        kept = {}
        for manager, (entry, fields) in held.items():
            if manager != self._me:
                fields = fieldsets.difference(fieldsets.difference(fields, conflicts.get(manager)), removed)
            else:
                fields = fieldsets.difference(fields, UNOWNED)
            kept[manager] = (entry, fields)
        return merged, kept

    def _pruned(self, merged: Object, held: Mapping[Manager, Held], last: Set | None) -> Object:
        """Without what this manager applied before, applies no longer, and nobody else owns."""
        if last is None:
            return merged
        shape = self._shape
        last = fieldsets.with_named(shape, last)
        owned: Set | None = None
        for _, fields in held.values():
            owned = fieldsets.union(owned, fields)
        whole = fieldsets.with_named(shape, fieldsets.applied(shape, merged))
        pruned = fieldsets.without_items(shape, merged, last) or {}
        there = fieldsets.union(self._named(pruned), fieldsets.with_named(shape, owned))
        pruned = fieldsets.without_items(shape, merged, fieldsets.difference(whole, there)) or {}
        gone = fieldsets.intersection(fieldsets.difference(whole, self._named(pruned)), last)
        result: Object = fieldsets.without_items(shape, merged, gone) or {}
        return result

    def _named(self, obj: Object) -> Set | None:
        return fieldsets.with_named(self._shape, fieldsets.applied(self._shape, obj))

    def _refuse(self, conflicts: Mapping[Manager, Set]) -> None:
        """Raises ApiError 409; kubectl is excused from conflicts with what it applied from the client's side."""
        left = dict(conflicts)
        if self._me.manager == KUBECTL:
            allowed = self._last_applied()
            left = {
                manager: rest
                for manager, fields in conflicts.items()
                if (rest := fieldsets.difference(fields, allowed)) is not None
            }
        if left:
            raise conflict(left)

    def _last_applied(self) -> Set | None:
        """The fields that client-side apply set and that still have its values."""
        text = ((self._live.get("metadata") or MEMBER).get("annotations") or MEMBER).get(LAST_APPLIED)
        try:
            config = orjson.loads(text or "")
        except orjson.JSONDecodeError:
            return None
        changed, removed = fieldsets.compare(self._shape, config, self._live)
        return fieldsets.difference(fieldsets.difference(fieldsets.applied(self._shape, config), changed), removed)


def _with_last_applied(obj: Object, config: Object, manager: str) -> Object:
    """kubectl's server-side apply keeps the annotation of its client-side apply in step."""
    metadata = obj.get("metadata") or MEMBER
    annotations = metadata.get("annotations") or MEMBER
    if manager != KUBECTL or not annotations.get(LAST_APPLIED):
        return obj
    own = config.get("metadata") or MEMBER
    kept = {key: value for key, value in (own.get("annotations") or MEMBER).items() if key != LAST_APPLIED}
    plain = {**config, "metadata": {**own, "annotations": kept}}
    text = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE).decode()
    return {**obj, "metadata": {**metadata, "annotations": {**annotations, LAST_APPLIED: text}}}


def conflict(conflicts: Mapping[Manager, Set]) -> errors.ApiError:
    """409 with one cause per field, by manager (NewConflictError)."""
    found = [
        (manager, path)
        for manager in sorted(conflicts, key=lambda manager: manager.identifier)
        for path in fieldsets.paths(conflicts[manager])
    ]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": path}
        for manager, path in found
    ]
    if len(found) == 1:
        text = f"Apply failed with 1 conflict: conflict with {found[0][0]}: {found[0][1]}"
    else:
        lines: list[str] = []
        for manager in dict.fromkeys(manager for manager, _ in found):
            lines.append(f"conflicts with {manager}:")
            lines += [f"- {path}" for other, path in found if other == manager]
        text = f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
    return errors.ApiError(409, "Conflict", text, {"causes": causes})
