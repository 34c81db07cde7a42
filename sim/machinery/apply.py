"""Server-side apply: what a configuration makes of an object, and who owns its fields afterwards.

An apply asks before it takes over a field of another manager (409) unless it is forced, and what its configuration no
longer names and nobody else owns goes away.

Source: k8s.io/apimachinery/pkg/util/managedfields/internal (structuredmerge.go, lastapplied*.go, skipnonapplied.go),
sigs.k8s.io/structured-merge-diff/v6/merge (update.go, conflict.go).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from seatrial.sim.machinery import configuration, conversion, errors, fieldsets
from seatrial.sim.machinery.fieldsets import MEMBER, Set, Shape
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.machinery.managers import (
    APPLY,
    UNOWNED,
    UPDATE,
    Entry,
    Held,
    Manager,
    Object,
    decoded,
    empty,
    entry_for,
    entry_of,
    in_order,
    reset_fields,
    shape_of,
    update_managed_fields,
    updated,
    with_entries,
)

__all__ = ["apply", "conflict", "update_managed_fields"]

BEFORE_FIRST_APPLY = "before-first-apply"
KUBECTL = "kubectl"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def apply(
    old: Object | None, patch: Any, manager: str, force: bool, subresource: str, stamp: str, resource: Resource
) -> Object:
    """What a configuration makes of the stored object (None when there is none), managedFields included.

    The result is in the resource's version and not yet defaulted. Raises ApiError: 400 for a configuration of another
    kind or with managedFields, 409 for conflicts, 500 as upstream for one that does not fit the schema.
    """
    config = _checked(patch, resource)
    live: Object = MEMBER if old is None else conversion.convert(old, resource)
    me = Manager(manager, APPLY, "", subresource)
    shape = shape_of(resource)
    bare = with_entries(live, None)
    try:
        entries = _entries(shape, live, me, stamp, resource)
        merged, held = _Applying(shape, bare, config, decoded(entries), me, reset_fields(resource, subresource)).result(
            force
        )
    except fieldsets.Keyless as problem:
        what = _named(live, resource.api_version, resource.kind)
        raise errors.unexplained(f"failed to create typed live object ({what}): {problem}") from None
    when = stamp
    if merged == bare:
        merged, when = bare, held[me][0].get("time", "")
    return with_entries(_with_last_applied(merged, config, manager), _encoded(held, me, resource, when))


def _entries(shape: Shape, live: Object, me: Manager, stamp: str, resource: Resource) -> Sequence[Entry] | None:
    """The entries of the live object; what an object without any holds belongs to whoever wrote it before."""
    entries: Sequence[Entry] | None = (live.get("metadata") or MEMBER).get("managedFields")
    if entries or not live:
        return entries
    owned = fieldsets.difference(fieldsets.compare(shape, empty(resource), live)[0], UNOWNED)
    before = Manager(BEFORE_FIRST_APPLY, UPDATE, resource.api_version, me.subresource)
    return updated((), before, owned, None, stamp)


def _named(obj: Object, version: str, kind: str) -> str:
    """Namespace, name and kind as upstream's errors give them."""
    gvk = f"{version if '/' in version else '/' + version}, Kind={kind}"
    return f"{_text(_metadata(obj), 'namespace')}/{_text(_metadata(obj), 'name')}; {gvk}"


def _metadata(obj: Object) -> Object:
    """The metadata of what need not be an object yet."""
    metadata = obj.get("metadata")
    return metadata if isinstance(metadata, dict) else MEMBER


def _text(value: Object, name: str) -> str:
    """A member that should be text; empty when it is not (unstructured.NestedString)."""
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _checked(patch: Any, resource: Resource) -> Object:
    """The configuration, if it is one of the kind. Raises ApiError."""
    if not isinstance(patch, dict):
        raise errors.bad_request("error decoding YAML: not an object")
    version, kind = _text(patch, "apiVersion"), _text(patch, "kind")
    what = _named(patch, version, kind)
    if (version, kind) != (resource.api_version, resource.kind):
        raise errors.bad_request(f"invalid object type: {what.partition('; ')[2]}")
    if _metadata(patch).get("managedFields") is not None:
        raise errors.bad_request("metadata.managedFields must be nil")
    found = list(configuration.problems(resource.type, patch, resource.custom is not None))
    if found:
        listed = found[0] if len(found) == 1 else "\n".join(["errors:", *(f"  {text}" for text in found)])
        raise errors.unexplained(f"failed to create typed patch object ({what}): {listed}")
    return patch


def _encoded(held: Mapping[Manager, Held], me: Manager, resource: Resource, stamp: str) -> Sequence[Entry]:
    entries: list[Entry] = []
    for manager, (entry, fields) in held.items():
        if fields is None:
            continue
        if manager == me:
            raw = fieldsets.written(fields)
            entries.append(entry_for(me.manager, APPLY, resource.api_version, stamp, me.subresource, raw))
        else:
            entries.append(entry if fields is entry.get("fieldsV1") else entry_of(entry, fields))
    return in_order(entries)


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
