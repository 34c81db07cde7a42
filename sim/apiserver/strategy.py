"""What distinguishes the kinds in the generic registry: one row each, and small functions where a kind has a rule.

Source: the strategy.go of each kind under k8s.io/kubernetes/pkg/registry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.sim.apiserver import customresource_strategy, daemonsets, jobs, pods, services, storage
from seatrial.sim.apiserver.context import Context
from seatrial.sim.apiserver.options import DeleteOptions
from seatrial.sim.apiserver.request import Object
from seatrial.sim.kernel.streams import uid_from
from seatrial.sim.machinery.kinds import Resource

PrepareCreate = Callable[[Context, Object], Object]
PrepareUpdate = Callable[[Context, Object, Object], Object]
AfterDelete = Callable[[Context, Object], None]
Narrow = Callable[[Object, Object], Object]


@dataclass(frozen=True, slots=True)
class Strategy:
    generation: bool = False
    """metadata.generation counts the changes of everything but metadata and status."""
    generation_on_delete: bool = True
    status_on_create: bool = False
    """A created object keeps the status that came with it."""
    generation_metadata: tuple[str, ...] = ()
    """Fields of metadata whose changes count for the generation as well."""
    deletion_warning: Callable[[DeleteOptions], str] | None = None
    unconditional_update: bool = True
    """An update without a resourceVersion is accepted."""
    create_on_update: bool = False
    """PUT creates what is not there."""
    returns_deleted: bool = False
    """DELETE answers with the object instead of a Status."""
    orphans_by_default: bool = False
    labels_on_status: bool = True
    """Labels may be changed through the status subresource."""
    prepare_create: PrepareCreate | None = None
    prepare_update: PrepareUpdate | None = None
    prepare_status: PrepareUpdate | None = None
    """The same for an update through the status subresource."""
    grace_s: Callable[[Object, int | None], int] | None = None
    """How long a deletion may take; kinds without it are deleted at once."""
    begin_create: PrepareCreate | None = None
    """Runs after validation: allocates what must be given back when the write fails."""
    begin_update: PrepareUpdate | None = None
    after_delete: AfterDelete | None = None
    mark_deleted: PrepareCreate | None = None
    """What a deletion makes of an object beyond marking it, e.g. a finalizer of its own."""


def _namespace_create(context: Context, obj: Object) -> Object:
    spec = dict(obj.get("spec") or {})
    finalizers = list(spec.get("finalizers") or ())
    if "kubernetes" not in finalizers:
        finalizers.append("kubernetes")
    return {**obj, "spec": {**spec, "finalizers": finalizers}, "status": {"phase": "Active"}}


def _limit_range_name(context: Context, obj: Object) -> Object:
    """A limit range without a name is called by its own identity."""
    metadata = obj["metadata"]
    if metadata.get("name"):
        return obj
    return {**obj, "metadata": {**metadata, "name": uid_from(context.server.streams("apiserver/names"))}}


def _named_secrets(context: Context, obj: Object) -> Object:
    """Of the secrets that an account lists, only the names count (serviceaccount strategy.cleanSecretReferences)."""
    secrets = obj.get("secrets")
    if not secrets:
        return obj
    return {**obj, "secrets": [{"name": secret["name"]} if "name" in secret else {} for secret in secrets]}


def _namespace_update(context: Context, obj: Object, old: Object) -> Object:
    if context.info.subresource == "finalize":
        return obj
    spec = {**(obj.get("spec") or {}), "finalizers": (old.get("spec") or {}).get("finalizers")}
    return {**obj, "spec": {key: value for key, value in spec.items() if value is not None}}


ROWS: Mapping[str, Strategy] = {
    "pods": Strategy(
        generation=True,
        returns_deleted=True,
        grace_s=pods.grace_s,
        prepare_create=pods.prepare_create,
        prepare_update=pods.prepare_update,
    ),
    "namespaces": Strategy(returns_deleted=True, prepare_create=_namespace_create, prepare_update=_namespace_update),
    "nodes": Strategy(status_on_create=True),
    "services": Strategy(
        create_on_update=True,
        returns_deleted=True,
        prepare_create=services.prepare_create,
        prepare_update=services.prepare_update,
        begin_create=services.allocate,
        begin_update=services.reallocate,
        after_delete=services.release,
    ),
    "endpoints": Strategy(create_on_update=True),
    "events": Strategy(create_on_update=True),
    "limitranges": Strategy(create_on_update=True, prepare_create=_limit_range_name),
    "podtemplates": Strategy(generation=True, create_on_update=True, returns_deleted=True),
    "resourcequotas": Strategy(create_on_update=True, returns_deleted=True),
    "serviceaccounts": Strategy(
        returns_deleted=True,
        prepare_create=_named_secrets,
        prepare_update=lambda context, obj, old: _named_secrets(context, obj),
    ),
    "persistentvolumes": Strategy(
        returns_deleted=True, prepare_create=storage.prepare_volume, prepare_status=storage.prepare_volume_status
    ),
    "persistentvolumeclaims": Strategy(returns_deleted=True, prepare_create=storage.prepare_claim),
    "replicationcontrollers": Strategy(generation=True, returns_deleted=True, orphans_by_default=True),
    "deployments.apps": Strategy(generation=True, generation_metadata=("annotations",), labels_on_status=False),
    "replicasets.apps": Strategy(generation=True),
    "statefulsets.apps": Strategy(generation=True),
    "daemonsets.apps": Strategy(
        generation=True, prepare_create=daemonsets.prepare_create, prepare_update=daemonsets.prepare_update
    ),
    "controllerrevisions.apps": Strategy(),
    "jobs.batch": Strategy(
        generation=True,
        orphans_by_default=True,
        prepare_create=jobs.prepare_create,
        begin_create=jobs.labelled,
        deletion_warning=jobs.deletion_warning,
    ),
    "cronjobs.batch": Strategy(generation=True),
    "horizontalpodautoscalers.autoscaling": Strategy(generation=True),
    "ingresses.networking.k8s.io": Strategy(generation=True),
    "ingressclasses.networking.k8s.io": Strategy(generation=True),
    "networkpolicies.networking.k8s.io": Strategy(generation=True),
    "servicecidrs.networking.k8s.io": Strategy(),
    "endpointslices.discovery.k8s.io": Strategy(generation=True, generation_metadata=("labels", "annotations")),
    "poddisruptionbudgets.policy": Strategy(generation=True, unconditional_update=False),
    "priorityclasses.scheduling.k8s.io": Strategy(generation=True, create_on_update=True),
    "roles.rbac.authorization.k8s.io": Strategy(create_on_update=True),
    "rolebindings.rbac.authorization.k8s.io": Strategy(create_on_update=True),
    "clusterroles.rbac.authorization.k8s.io": Strategy(create_on_update=True),
    "clusterrolebindings.rbac.authorization.k8s.io": Strategy(create_on_update=True),
    "leases.coordination.k8s.io": Strategy(create_on_update=True, unconditional_update=False),
    "storageclasses.storage.k8s.io": Strategy(returns_deleted=True),
    "csidrivers.storage.k8s.io": Strategy(generation=True, returns_deleted=True),
    "csinodes.storage.k8s.io": Strategy(returns_deleted=True),
    "volumeattachments.storage.k8s.io": Strategy(returns_deleted=True),
    "validatingwebhookconfigurations.admissionregistration.k8s.io": Strategy(generation=True),
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": Strategy(generation=True),
    "validatingadmissionpolicies.admissionregistration.k8s.io": Strategy(generation=True),
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": Strategy(generation=True),
    "mutatingadmissionpolicies.admissionregistration.k8s.io": Strategy(generation=True),
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": Strategy(generation=True),
    "flowschemas.flowcontrol.apiserver.k8s.io": Strategy(generation=True),
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": Strategy(generation=True),
    "customresourcedefinitions.apiextensions.k8s.io": Strategy(
        generation=True,
        generation_on_delete=False,
        returns_deleted=True,
        unconditional_update=False,
        prepare_create=customresource_strategy.prepare_definition,
        prepare_update=customresource_strategy.change_definition,
        mark_deleted=customresource_strategy.mark_definition,
    ),
}


def _only(path: str, *names: str) -> Narrow:
    """A door through which nothing but these fields of spec or status changes."""

    def narrow(new: Object, old: Object) -> Object:
        part = dict(old.get(path) or {})
        given = new.get(path) or {}
        for name in names:
            if name in given:
                part[name] = given[name]
            else:
                part.pop(name, None)
        return {**old, "metadata": new["metadata"], path: part}

    return narrow


NARROW: Mapping[tuple[str, str], Narrow] = {
    ("pods", "ephemeralcontainers"): _only("spec", "ephemeralContainers"),
    ("pods", "resize"): pods.resized,
    ("namespaces", "finalize"): _only("spec", "finalizers"),
    ("certificatesigningrequests.certificates.k8s.io", "approval"): _only("status", "conditions"),
}
"""Subresources that are the object itself through a narrow door: from (sent, stored) to what is stored."""

DEFAULT = Strategy()
CUSTOM = Strategy(generation=True, unconditional_update=False, prepare_status=customresource_strategy.change_status)
"""Custom resources (k8s.io/apiextensions-apiserver/pkg/registry/customresource)."""


def strategy(resource: Resource) -> Strategy:
    """The row of a kind. Kinds that follow every default need none."""
    return ROWS.get(resource.storage) or (CUSTOM if resource.custom else DEFAULT)


def changed(
    new: Mapping[str, Any], old: Mapping[str, Any], metadata: tuple[str, ...] = (), status: bool = False
) -> bool:
    """Whether anything but metadata and status differs, which is what a generation counts, or one of the named fields
    of metadata. ``status``: the status counts as well."""
    ours, theirs = new["metadata"], old["metadata"]
    if any((ours.get(name) or None) != (theirs.get(name) or None) for name in metadata):
        return True
    return any(
        new.get(key) != old.get(key)
        for key in (*new, *(key for key in old if key not in new))
        if key not in ("metadata", "apiVersion", "kind") and (status or key != "status")
    )
