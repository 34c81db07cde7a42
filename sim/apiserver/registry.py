"""The generic registry: get, list, create, update and delete of one kind's objects.

Source: k8s.io/apiserver/pkg/registry/generic/registry/store.go and k8s.io/apiserver/pkg/registry/rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from seatrial.sim.apiserver import admission
from seatrial.sim.apiserver.context import Attributes, Context, Steps
from seatrial.sim.apiserver.options import DeleteOptions
from seatrial.sim.apiserver.request import Object
from seatrial.sim.apiserver.strategy import NARROW, Strategy, changed, strategy
from seatrial.sim.kernel.clock import parse_stamp, stamp_of
from seatrial.sim.kernel.streams import suffix, uid_from
from seatrial.sim.machinery import alike, dropping, errors, validation
from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.store.store import KeyExists, KeyMissing, NoSpace

GENERATED_BASE_MAX = 58
"""Bytes of generateName that a generated name keeps (names.maxGeneratedNameLength)."""
GENERATE_ATTEMPTS = 8
"""Tries to find a free generated name (registry.maxNameGenerationCreateAttempts)."""

SYSTEM_METADATA = ("creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")
"""What a client cannot change; the server's own values win. (A uid that is another object's is an error.)"""

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
"""The garbage collector's finalizers."""


def get(context: Context) -> Object:
    """Raises ApiError 404."""
    info = context.info
    obj = context.server.store.get(context.resource.storage, context.namespace, info.name)
    if obj is None:
        raise missing(context)
    return obj


def missing(context: Context) -> errors.ApiError:
    return errors.not_found(context.resource.group, context.resource.plural, context.info.name)


def create(context: Context, obj: Object, name_hint: str = "") -> Steps[Object]:
    """Stores a new object and returns it as stored; with dry run, as it would be.

    Raises ApiError as the pipeline refuses: 403 by admission, 409 when the name is taken, 422 by validation.
    """
    resource, server = context.resource, context.server
    rules = strategy(resource)
    obj = _placed(context, obj)
    obj = yield from admission.mutate(context, _attributes(context, "CREATE", obj, None))
    obj = _with_identity(context, obj)
    cast = context.cast if context.cast is not None and context.cast.is_of(obj) else None
    known = cast is not None and cast.mold.sound
    obj = cast.mold.begun(resource, obj) if cast is not None and known else _prepared(context, rules, obj)
    problems = validation.validate_create(resource, obj, known)
    if problems:
        raise errors.invalid(resource.group, resource.kind, obj["metadata"].get("name", ""), problems)
    warnings = validation.warnings(resource, obj, None, known=known)
    context.warnings.extend(warnings)
    if cast is not None and not known and not warnings:
        cast.found_right(obj)
    yield from admission.validate(context, _attributes(context, "CREATE", obj, None))
    if rules.begin_create is not None:
        obj = rules.begin_create(context, obj)
    name = obj["metadata"]["name"]
    if server.store.get(resource.storage, context.namespace, name) is not None:
        raise _taken(context, obj)
    if context.dry_run:
        return obj
    return server.commit(resource, lambda store: store.create(resource.storage, obj, context.request.cause))


def _taken(context: Context, obj: Object) -> errors.ApiError:
    group, plural, name = context.resource.group, context.resource.plural, obj["metadata"]["name"]
    if "generateName" in obj["metadata"] and name.startswith(obj["metadata"]["generateName"]):
        return errors.generate_name_conflict(group, plural, name)
    return errors.already_exists(group, plural, name)


def _placed(context: Context, obj: Object) -> Object:
    """The object with its namespace."""
    metadata = obj.get("metadata") or {}
    namespace = context.namespace
    if namespace and not metadata.get("namespace"):
        return {**obj, "metadata": {**metadata, "namespace": namespace}}
    return obj if "metadata" in obj else {**obj, "metadata": metadata}


def _with_identity(context: Context, obj: Object) -> Object:
    """The object with what the system sets, and a name when it asks for a generated one; mutating plug-ins do not see
    these yet (BeforeCreate)."""
    metadata = dict(obj["metadata"])
    base = metadata.get("generateName")
    if not metadata.get("name") and base:
        store, storage = context.server.store, context.resource.storage
        rng = context.server.streams("apiserver/names")
        for _ in range(GENERATE_ATTEMPTS):
            metadata["name"] = base[:GENERATED_BASE_MAX] + suffix(rng, 5)
            if store.get(storage, context.namespace, metadata["name"]) is None:
                break
    for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion"):
        metadata.pop(key, None)
    metadata["creationTimestamp"] = context.stamp
    metadata["uid"] = uid_from(context.server.streams("apiserver/uids"))
    return {**obj, "metadata": metadata}


def _prepared(context: Context, rules: Strategy, obj: Object) -> Object:
    """The object as its strategy wants a new one: no status yet, first generation."""
    obj = dropping.drop(context.resource, obj)
    metadata = obj["metadata"]
    if rules.generation:
        obj = {**obj, "metadata": {**metadata, "generation": 1}}
    elif "generation" in metadata:
        obj = {**obj, "metadata": {key: value for key, value in metadata.items() if key != "generation"}}
    if "status" in context.resource.subresources and not rules.status_on_create:
        obj = context.resource.with_empty_status(obj)
    return rules.prepare_create(context, obj) if rules.prepare_create is not None else obj


Make = Callable[[Object | None], Object]
"""From the stored object (None when there is none) to what the client wants it to be."""


def update(
    context: Context, make: Make, *, uid: str = "", create_missing: bool | None = None, must_version: bool = True
) -> Steps[tuple[Object, bool]]:
    """Replaces an object; returns it as stored and whether it was created.

    ``uid`` is the precondition that a PUT carries in its metadata; ``create_missing`` overrides the strategy's rule
    (server-side apply creates). Raises ApiError: 404, 409 on a stale resourceVersion, 403 and 422 as for create.
    """
    resource, server = context.resource, context.server
    rules = strategy(resource)
    old = server.store.get(resource.storage, context.namespace, context.info.name)
    if old is None:
        allowed = rules.create_on_update if create_missing is None else create_missing
        if not allowed or context.info.subresource:
            raise missing(context)
        obj = make(None)
        if uid:
            raise _uid_conflict(context, uid, "")
        return (yield from create(context, obj)), True
    if uid and uid != old["metadata"]["uid"]:
        raise _uid_conflict(context, uid, old["metadata"]["uid"])
    new = make(old)
    new = yield from admission.mutate(context, _attributes(context, "UPDATE", new, old))
    if must_version:
        _check_version(context, rules, new, old)
    new = before_update(context, rules, new, old)
    problems = validation.validate_update(resource, new, old, context.info.subresource)
    if problems:
        raise errors.invalid(resource.group, resource.kind, context.info.name, problems)
    context.warnings.extend(validation.warnings(resource, new, old, context.info.subresource))
    yield from admission.validate(context, _attributes(context, "UPDATE", new, old))
    if rules.begin_update is not None and not context.info.subresource:
        new = rules.begin_update(context, new, old)
    return _store(context, rules, new, old), False


def _store(context: Context, rules: Strategy, new: Object, old: Object) -> Object:
    if unchanged(new, old):
        return old
    if context.dry_run:
        return new
    metadata = new["metadata"]
    if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
        if not metadata.get("deletionGracePeriodSeconds") and _spec_released(new):
            return remove(context, rules, new)
    resource, status, before = context.resource, new.get("status"), old.get("status")
    if status is not before and isinstance(status, dict) and isinstance(before, dict):
        new = {**new, "status": alike.shared(status, before)}
    return context.server.commit(
        resource,
        lambda store: store.update(resource.storage, new, old["metadata"]["resourceVersion"], context.request.cause),
    )


def _spec_released(obj: Object) -> bool:
    """A namespace stays until its own finalizer in the spec is gone as well."""
    return not (obj.get("kind") == "Namespace" and (obj.get("spec") or {}).get("finalizers"))


def unchanged(new: Object, old: Object) -> bool:
    """Whether a write would store what is there; then none happens and the resourceVersion stays."""
    if new is old:
        return True
    for key in new:
        if key != "metadata" and new[key] != old.get(key):
            return False
    if any(key not in new for key in old):
        return False
    ours, theirs = new["metadata"], old["metadata"]
    for key in ours:
        if key not in ("resourceVersion", "managedFields") and ours[key] != theirs.get(key):
            return False
    if any(key not in ours for key in theirs if key != "resourceVersion"):
        return False
    return _same_owners(ours.get("managedFields"), theirs.get("managedFields"))


def _same_owners(ours: Any, theirs: Any) -> bool:
    """Whether two lists of managers differ in nothing but times."""
    if ours is theirs:
        return True
    if len(ours or ()) != len(theirs or ()):
        return False
    return all(
        a is b
        or all(a.get(key) == b.get(key) for key in ("manager", "operation", "apiVersion", "subresource", "fieldsV1"))
        for a, b in zip(ours or (), theirs or (), strict=True)
    )


def _check_version(context: Context, rules: Strategy, new: Object, old: Object) -> None:
    version = new["metadata"].get("resourceVersion")
    if not version or version == "0":
        if not rules.unconditional_update and not context.info.subresource and context.request.method == "PUT":
            problem = FieldError(
                "FieldValueInvalid", "metadata.resourceVersion", "Invalid value: 0: must be specified for an update"
            )
            raise errors.invalid(context.resource.group, context.resource.kind, context.info.name, [problem])
    elif version != old["metadata"]["resourceVersion"]:
        raise errors.conflict(context.resource.group, context.resource.plural, context.info.name)


ETCD_PREFIXES = {
    "nodes": "minions",
    "replicationcontrollers": "controllers",
    "services": "services/specs",
    "endpoints": "services/endpoints",
    "ingresses.networking.k8s.io": "ingress",
    "customresourcedefinitions.apiextensions.k8s.io": "apiextensions.k8s.io/customresourcedefinitions",
    "apiservices.apiregistration.k8s.io": "apiregistration.k8s.io/apiservices",
}


def etcd_prefix(resource: Resource) -> str:
    """Where a kind's keys begin below /registry: by its plural, but for a few, and custom kinds below their group."""
    if resource.custom:
        return f"{resource.group}/{resource.plural}"
    return ETCD_PREFIXES.get(resource.storage, resource.plural)


def _uid_conflict(context: Context, wanted: str, found: str) -> errors.ApiError:
    resource, info = context.resource, context.info
    parts = (f"/registry/{etcd_prefix(resource)}", context.namespace, info.name)
    key = "/".join(part for part in parts if part)
    why = (
        f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: "
        f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
    )
    return errors.conflict(resource.group, resource.plural, info.name, why)


def before_update(context: Context, rules: Strategy, new: Object, old: Object) -> Object:
    """What no client may change comes from the stored object; the generation counts (rest.BeforeUpdate)."""
    new = dropping.drop(context.resource, new, old)
    metadata, before = dict(new["metadata"]), old["metadata"]
    for key in SYSTEM_METADATA:
        if key in before:
            metadata[key] = before[key]
        else:
            metadata.pop(key, None)
    metadata["uid"] = metadata.get("uid") or before["uid"]
    metadata["resourceVersion"] = before["resourceVersion"]
    if "generation" in before:
        metadata["generation"] = before["generation"]
    else:
        metadata.pop("generation", None)
    new = {**new, "metadata": metadata}
    subresource = context.info.subresource
    narrow = NARROW.get((context.resource.storage, subresource)) if subresource else None
    if narrow is not None:
        new = narrow(new, old)
    elif subresource == "status":
        new = _status_only(rules, new, old)
    elif "status" in context.resource.subresources:
        new = with_field(new, "status", old.get("status"))
    prepare = rules.prepare_status if subresource == "status" else rules.prepare_update
    if prepare is not None:
        new = prepare(context, new, old)
    with_status = context.resource.custom is not None and "status" not in context.resource.subresources
    if rules.generation and subresource != "status" and changed(new, old, rules.generation_metadata, with_status):
        new = {**new, "metadata": {**new["metadata"], "generation": before.get("generation", 0) + 1}}
    return new


def _status_only(rules: Strategy, new: Object, old: Object) -> Object:
    """A status update changes the status and, of the metadata, what the kind lets it."""
    merged = {key: value for key, value in old.items() if key not in ("metadata", "status")}
    metadata = new["metadata"]
    if not rules.labels_on_status:
        metadata = with_field(metadata, "labels", old["metadata"].get("labels"))
    merged = {**{k: merged[k] for k in ("kind", "apiVersion") if k in merged}, "metadata": metadata, **merged}
    return with_field(merged, "status", new.get("status"))


def with_field(obj: Mapping[str, Any], key: str, value: Any) -> Mapping[str, Any]:
    """A copy with one field set, or without it when the value is None."""
    if value is None:
        return {k: v for k, v in obj.items() if k != key} if key in obj else obj
    return {**obj, key: value}


def delete(context: Context, options: DeleteOptions) -> Steps[tuple[Object, bool]]:
    """Deletes an object or marks it for deletion; returns it and whether it is gone.

    Raises ApiError: 404, 409 when a precondition does not hold, 403 by admission.
    """
    resource = context.resource
    rules = strategy(resource)
    old = get(context)
    _check_preconditions(context, options, old)
    yield from admission.validate(context, _attributes(context, "DELETE", None, old))
    new = mark_deleted(context, rules, old, options)
    if rules.mark_deleted is not None and "deletionTimestamp" not in old["metadata"]:
        new = rules.mark_deleted(context, new)
    metadata = new["metadata"]
    held = bool(metadata.get("finalizers")) or not _spec_released(new)
    waits = rules.grace_s is not None and metadata.get("deletionGracePeriodSeconds", 0) > 0
    if held or waits:
        if context.dry_run or new is old:
            return new, False
        stored = context.server.commit(
            resource, lambda store: store.update(resource.storage, new, None, context.request.cause)
        )
        return stored, False
    if context.dry_run:
        return (old if rules.grace_s is None else new), True
    if rules.grace_s is None:
        return remove(context, rules, old), True
    if new is not old:
        # Graceful kinds are marked first, however short the grace.
        new = context.server.commit(
            resource, lambda store: store.update(resource.storage, new, None, context.request.cause)
        )
    return remove(context, rules, new), True


def _check_preconditions(context: Context, options: DeleteOptions, old: Object) -> None:
    metadata, resource = old["metadata"], context.resource
    if resource.storage in OWN_PRECONDITIONS:
        _check_own_preconditions(context, options, metadata)
    if options.uid is not None and options.uid != metadata["uid"]:
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({metadata['uid']}). "
            "The object might have been deleted and then recreated"
        )
        raise errors.conflict(resource.group, resource.kind, context.info.name, why)
    if options.resource_version is not None and options.resource_version != metadata["resourceVersion"]:
        why = (
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match the ResourceVersion "
            f"in record ({metadata['resourceVersion']}). The object might have been modified"
        )
        raise errors.conflict(resource.group, resource.kind, context.info.name, why)


OWN_PRECONDITIONS = {
    "namespaces": "Precondition",
    "customresourcedefinitions.apiextensions.k8s.io": "precondition",
}
"""Kinds that check preconditions for themselves, and how they begin to say so."""


def _check_own_preconditions(context: Context, options: DeleteOptions, metadata: Object) -> None:
    """In other words than the generic registry (registry/core/namespace/storage, registry/customresourcedefinition)."""
    resource = context.resource
    begin = OWN_PRECONDITIONS[resource.storage]
    for wanted, key, word in (
        (options.uid, "uid", "UID"),
        (options.resource_version, "resourceVersion", "ResourceVersion"),
    ):
        if wanted is not None and wanted != metadata[key]:
            why = f"{begin} failed: {word} in precondition: {wanted}, {word} in object meta: {metadata[key]}"
            raise errors.conflict(resource.group, resource.plural, context.info.name, why)


def mark_deleted(context: Context, rules: Strategy, old: Object, options: DeleteOptions) -> Object:
    """The object as a deletion leaves it while something holds it back (rest.BeforeDelete, markAsDeleting)."""
    metadata = dict(old["metadata"])
    finalizers = _collector_finalizers(rules, metadata, options)
    if finalizers != list(metadata.get("finalizers") or ()):
        metadata["finalizers"] = finalizers
        if not finalizers:
            del metadata["finalizers"]
    if rules.grace_s is not None:
        _mark_graceful(context, rules, old, metadata, options)
    elif "deletionTimestamp" not in metadata:
        metadata["deletionTimestamp"] = context.stamp
        if rules.generation_on_delete and _keeps_grace(old):
            metadata["deletionGracePeriodSeconds"] = 0
        _next_generation(rules, metadata)
    new = {**old, "metadata": metadata}
    if old.get("kind") == "Namespace" and (old.get("status") or {}).get("phase") != "Terminating":
        new["status"] = {**(old.get("status") or {}), "phase": "Terminating"}
    return old if new == old else new


def _keeps_grace(obj: Object) -> bool:
    """Namespaces have a deletion of their own, which sets no grace period (registry/core/namespace/storage)."""
    return obj.get("kind") != "Namespace"


def _next_generation(rules: Strategy, metadata: dict[str, Any]) -> None:
    if rules.generation_on_delete and metadata.get("generation", 0) > 0:
        metadata["generation"] += 1


def _mark_graceful(
    context: Context, rules: Strategy, old: Object, metadata: dict[str, Any], options: DeleteOptions
) -> None:
    assert rules.grace_s is not None
    now_us = context.server.clock.now
    period = rules.grace_s(old, options.grace_s)
    if "deletionTimestamp" not in metadata:
        metadata["deletionTimestamp"] = stamp_of(now_us + period * 1_000_000)
        metadata["deletionGracePeriodSeconds"] = period
        _next_generation(rules, metadata)
        return
    current = metadata.get("deletionGracePeriodSeconds", 0)
    if options.grace_s is None or period >= current:
        return
    # A second request may only shorten the time that is left.
    began_us = parse_stamp(metadata["deletionTimestamp"]) - current * 1_000_000
    metadata["deletionTimestamp"] = stamp_of(max(began_us + period * 1_000_000, now_us))
    metadata["deletionGracePeriodSeconds"] = period


def _collector_finalizers(rules: Strategy, metadata: Mapping[str, Any], options: DeleteOptions) -> list[str]:
    """The finalizers after the propagation policy had its say (deletionFinalizersForGarbageCollection)."""
    present = list(metadata.get("finalizers") or ())
    orphan, foreground = ORPHAN in present, FOREGROUND in present
    if options.policy or options.orphan_dependents is not None:
        orphan = options.policy == "Orphan" or bool(options.orphan_dependents)
        foreground = options.policy == "Foreground"
    elif not orphan and not foreground:
        orphan = rules.orphans_by_default
    kept = [name for name in present if name not in (ORPHAN, FOREGROUND)]
    return kept + [ORPHAN] * orphan + [FOREGROUND] * foreground


def remove(context: Context, rules: Strategy, obj: Object) -> Object:
    """Takes the object out of the store."""
    resource, metadata = context.resource, obj["metadata"]
    gone = context.server.commit(
        resource,
        lambda store: store.delete(
            resource.storage, metadata.get("namespace", ""), metadata["name"], None, context.request.cause, last=obj
        ),
    )
    if rules.after_delete is not None:
        rules.after_delete(context, gone)
    return gone


def _attributes(context: Context, operation: str, new: Object | None, old: Object | None) -> Attributes:
    info = context.info
    name = info.name
    if not name and new is not None:
        name = new["metadata"].get("name") or new["metadata"].get("generateName", "")
    return Attributes(
        operation, context.resource, info.subresource, context.namespace, name, new, old, context.user, context.dry_run
    )


def store_error(resource: Resource, error: Exception) -> errors.ApiError:
    """What a refusal by the store looks like from outside: another write came in between, or there is no room."""
    if isinstance(error, NoSpace):
        return errors.unexplained(str(error))
    name = error.args[-1]
    if isinstance(error, KeyExists):
        return errors.already_exists(resource.group, resource.plural, name)
    if isinstance(error, KeyMissing):
        return errors.not_found(resource.group, resource.plural, name)
    return errors.conflict(resource.group, resource.plural, name)
