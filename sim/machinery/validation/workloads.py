"""Deployments, ReplicaSets, StatefulSets, DaemonSets, ReplicationControllers and their revisions.

Source: k8s.io/kubernetes/pkg/apis/apps/validation and pkg/apis/core/validation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seatrial.sim.machinery import selectors
from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.claims import claim_spec
from seatrial.sim.machinery.validation.golang import internal_form
from seatrial.sim.machinery.validation.label_selectors import converts, is_empty, label_selector
from seatrial.sim.machinery.validation.memo import remembered
from seatrial.sim.machinery.validation.names import is_label, percent
from seatrial.sim.machinery.validation.pods import pod_template
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Check,
    Errors,
    Object,
    at,
    each,
    forbidden,
    immutable,
    invalid,
    nonnegative,
    not_supported,
    required,
    same,
)
from seatrial.sim.machinery.validation.table import table

MISMATCH = "`selector` does not match template `labels`"
GREATER = "cannot be greater than status.replicas"

TEMPLATE = remembered(pod_template)


def int_or_percent(value: Any) -> Errors:
    """A count that is not negative, or a percentage."""
    if isinstance(value, str):
        return [invalid("", value, text) for text in percent(value)]
    return nonnegative(value)


def percentage(value: Any) -> int | None:
    """The number of a percentage; None for anything else."""
    return int(value[:-1]) if isinstance(value, str) and not percent(value) else None


def amount_of(value: Any) -> int:
    """The number before the percent sign, or the number; a text that is neither counts as 0."""
    share = percentage(value)
    if share is not None:
        return share
    return value if isinstance(value, int) else 0


def at_most_all(value: Any) -> Errors:
    share = percentage(value)
    return (invalid("", value, "must not be greater than 100%"),) if share is not None and share > 100 else NONE


def _count(value: Any) -> Errors:
    return [*int_or_percent(value), *at_most_all(value)]


def template(value: Object, selector: Object | None, supported: bool = True) -> Errors:
    """A template and whether the selector finds its pods. Raises nothing: a selector that cannot be used is skipped."""
    errors: list[FieldError] = []
    labels = (value.get("metadata") or {}).get("labels")
    if selector is None or (converts(selector) and not is_empty(selector)):
        if not selectors.labels(selector)(labels or {}):
            errors.append(invalid("metadata.labels", labels, MISMATCH))
    if supported:
        errors += TEMPLATE(value)
    return errors


def always_running(value: Object, owner: str) -> Errors:
    """What a template of pods that are replaced for ever must say."""
    errors: list[FieldError] = []
    spec = value.get("spec") or {}
    if spec.get("restartPolicy") != "Always":
        errors.append(not_supported("spec.restartPolicy", spec.get("restartPolicy") or "", ("Always",)))
    if spec.get("activeDeadlineSeconds") is not None:
        told = f"activeDeadlineSeconds in {owner} is not Supported"
        errors.append(forbidden("spec.activeDeadlineSeconds", told))
    return errors


def _selected(spec: Object, owner: str, wrong: str, kind: str) -> Errors:
    """Selector and template of a kind that needs a selector; ``wrong``: what is said of one that cannot be used."""
    errors: list[FieldError] = []
    selector, pods = spec.get("selector"), spec.get("template") or {}
    if selector is None:
        errors.append(required("selector"))
    else:
        errors += at("selector", label_selector(selector))
        if is_empty(selector):
            errors.append(invalid("selector", selector, f"empty selector is invalid for {kind}"))
        if not converts(selector):
            errors.append(invalid("selector", selector, wrong))
            return errors
    errors += at("template", [*template(pods, selector), *always_running(pods, owner)])
    return errors


def _rolling_deployment(value: Object) -> Errors:
    unavailable, surge = value.get("maxUnavailable", 0), value.get("maxSurge", 0)
    errors = [*at("maxUnavailable", int_or_percent(unavailable)), *at("maxSurge", int_or_percent(surge))]
    if amount_of(unavailable) == 0 and amount_of(surge) == 0:
        errors.append(invalid("maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0"))
    errors += at("maxUnavailable", at_most_all(unavailable))
    return errors


def _deployment_strategy(value: Object) -> Errors:
    kind, rolling = value.get("type") or "", value.get("rollingUpdate")
    if kind == "Recreate":
        told = "may not be specified when strategy `type` is 'Recreate'"
        return (forbidden("rollingUpdate", told),) if rolling is not None else NONE
    if kind == "RollingUpdate":
        if rolling is None:
            return (required("rollingUpdate", "this should be defaulted and never be nil"),)
        return at("rollingUpdate", _rolling_deployment(rolling))
    shown = internal_form(value, "DeploymentStrategy")
    return (not_supported("", shown, ("Recreate", "RollingUpdate")),)


_deployment_fields = table(
    {
        "replicas": nonnegative,
        "minReadySeconds": nonnegative,
        "revisionHistoryLimit": nonnegative,
        "progressDeadlineSeconds": nonnegative,
    }
)


def deployment_spec(spec: Object) -> Errors:
    errors = [*_deployment_fields(spec), *_selected(spec, "ReplicaSet", "invalid label selector", "deployment")]
    errors += at("strategy", _deployment_strategy(spec.get("strategy") or {}))
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds") or 0
    if deadline is not None and deadline <= ready:
        errors.append(invalid("progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))
    return errors


_replica_set_fields = table({"replicas": nonnegative, "minReadySeconds": nonnegative})


def replica_set_spec(spec: Object) -> Errors:
    return [*_replica_set_fields(spec), *_selected(spec, "ReplicaSet", "invalid label selector", "deployment")]


def replication_controller_spec(spec: Object) -> Errors:
    errors = [*_replica_set_fields(spec)]
    selector, pods = spec.get("selector"), spec.get("template")
    if not selector:
        errors.append(required("selector"))
    if pods is None:
        return [*errors, required("template")]
    wanted = {"matchLabels": selector} if selector else {}
    errors += at("template", [*template(pods, wanted), *always_running(pods, "ReplicationController")])
    return errors


def _rolling_stateful_set(value: Object) -> Errors:
    errors: list[FieldError] = []
    if value.get("partition") is not None:
        errors += at("partition", nonnegative(value["partition"]))
    unavailable = value.get("maxUnavailable")
    if unavailable is not None:
        errors += at("maxUnavailable", int_or_percent(unavailable))
        if amount_of(unavailable) == 0:
            errors.append(invalid("maxUnavailable", unavailable, "cannot be 0"))
        errors += at("maxUnavailable", at_most_all(unavailable))
    return errors


def _stateful_set_strategy(value: Object) -> Errors:
    kind, rolling = value.get("type") or "", value.get("rollingUpdate")
    if not kind:
        return (required(""),)
    if kind == "OnDelete":
        if rolling is None:
            return NONE
        shown = internal_form(rolling, "RollingUpdateStatefulSetStrategy")
        return (invalid("rollingUpdate", shown, "only allowed for updateStrategy 'RollingUpdate'"),)
    if kind == "RollingUpdate":
        return at("rollingUpdate", _rolling_stateful_set(rolling)) if rolling is not None else NONE
    shown = internal_form(value, "StatefulSetUpdateStrategy")
    return (invalid("", shown, "must be 'RollingUpdate' or 'OnDelete'"),)


def _retention(value: str) -> Errors:
    return NONE if value in ("Retain", "Delete") else (not_supported("", value, ("Retain", "Delete")),)


def _management(value: str) -> Errors:
    if value in ("OrderedReady", "Parallel"):
        return NONE
    return (invalid("", value, "must be 'OrderedReady' or 'Parallel'") if value else required(""),)


def _ordinals(value: Object) -> Errors:
    return at("start", nonnegative(value.get("start") or 0))


_stateful_set_fields = table(
    {
        "podManagementPolicy": _management,
        "updateStrategy": _stateful_set_strategy,
        "persistentVolumeClaimRetentionPolicy": table({"whenDeleted": _retention, "whenScaled": _retention}),
        "replicas": nonnegative,
        "minReadySeconds": nonnegative,
        "ordinals": _ordinals,
    }
)


def _with_claims(spec: Object) -> Object:
    """The template as its pods will be: claims are volumes too, and win over volumes of the same name."""
    pods = spec.get("template") or {}
    claims = [(claim.get("metadata") or {}).get("name") or "" for claim in spec.get("volumeClaimTemplates") or ()]
    if not claims:
        return pods
    inner = pods.get("spec") or {}
    kept = [volume for volume in inner.get("volumes") or () if volume.get("name") not in claims]
    brought = [{"name": name, "persistentVolumeClaim": {"claimName": name or "x"}} for name in claims]
    return {**pods, "spec": {**inner, "volumes": [*brought, *kept]}}


def stateful_set_spec(spec: Object) -> Errors:
    errors = [*_stateful_set_fields(spec)]
    errors += _selected({**spec, "template": _with_claims(spec)}, "StatefulSet", "", "statefulset")
    return errors


def stateful_set_create(value: Object) -> Errors:
    """A new StatefulSet: names that its pods need, and claims that can be made."""
    spec = value.get("spec") or {}
    errors: list[FieldError] = []
    if service := spec.get("serviceName"):
        errors += at("spec.serviceName", is_label(service))
    claims = spec.get("volumeClaimTemplates")
    errors += at("spec", each("volumeClaimTemplates", claims, lambda c: at("spec", claim_spec(c.get("spec") or {}))))
    return [*at("spec", stateful_set_spec(spec)), *errors]


def _rolling_daemon_set(value: Object) -> Errors:
    unavailable, surge = value.get("maxUnavailable", 0), value.get("maxSurge", 0)
    errors = [*at("maxUnavailable", _count(unavailable)), *at("maxSurge", _count(surge))]
    if amount_of(unavailable) and amount_of(surge):
        errors.append(invalid("maxSurge", surge, "may not be set when maxUnavailable is non-zero"))
    elif not amount_of(unavailable) and not amount_of(surge):
        errors.append(required("maxUnavailable", "cannot be 0 when maxSurge is 0"))
    return errors


def _daemon_set_strategy(value: Object) -> Errors:
    kind, rolling = value.get("type") or "", value.get("rollingUpdate")
    if kind == "OnDelete":
        return NONE
    if kind == "RollingUpdate":
        return (
            at("rollingUpdate", _rolling_daemon_set(rolling)) if rolling is not None else (required("rollingUpdate"),)
        )
    shown = internal_form(value, "DaemonSetUpdateStrategy")
    return (not_supported("", shown, ("RollingUpdate", "OnDelete")),)


_daemon_set_fields = table(
    {"minReadySeconds": nonnegative, "updateStrategy": _daemon_set_strategy, "revisionHistoryLimit": nonnegative}
)


def daemon_set_spec(spec: Object) -> Errors:
    errors: list[FieldError] = []
    selector, pods = spec.get("selector"), spec.get("template") or {}
    if selector is not None:
        errors += at("selector", label_selector(selector))
        if is_empty(selector):
            errors.append(invalid("selector", selector, "empty selector is invalid for daemonset"))
    errors += at("template", [*template(pods, selector), *always_running(pods, "DaemonSet")])
    errors += _daemon_set_fields({"updateStrategy": {}, **spec})
    return errors


def controller_revision(value: Object) -> Errors:
    errors: list[FieldError] = []
    if value.get("data") is None:
        errors.append(required("data", "data is mandatory"))
    if value.get("revision") is not None:
        errors += at("revision", nonnegative(value["revision"]))
    return errors


def selector_immutable(new: Object, old: Object) -> Errors:
    """apps/v1: whom a workload owns is decided once."""
    return immutable("spec.selector", (new.get("spec") or {}).get("selector"), (old.get("spec") or {}).get("selector"))


STATEFUL_SET_MUTABLE = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
)  # fmt: skip
STATEFUL_SET_FIXED = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


def stateful_set_update(new: Object, old: Object) -> Errors:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    errors: list[FieldError] = []
    if service := after.get("serviceName"):
        if service != before.get("serviceName"):
            errors += at("spec.serviceName", is_label(service))
    keys = (*after, *(key for key in before if key not in after))
    if any(key not in STATEFUL_SET_MUTABLE and not same(after.get(key), before.get(key)) for key in keys):
        errors.append(forbidden("spec", STATEFUL_SET_FIXED))
    return errors


def controller_revision_update(new: Object, old: Object) -> Errors:
    return immutable("data", new.get("data"), old.get("data"))


def _counters(*names: str) -> Check:
    return table({f"status.{name}": nonnegative for name in names})


def _at_most(pairs: Sequence[tuple[str, str, str]], status: Object) -> Errors:
    return [
        invalid(f"status.{name}", status.get(name) or 0, told)
        for name, most, told in pairs
        if (status.get(name) or 0) > (status.get(most) or 0)
    ]


STATUS_LIMITS: Mapping[str, tuple[tuple[str, ...], tuple[tuple[str, str, str], ...]]] = {
    "deployments.apps": (
        ("observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas",
         "unavailableReplicas", "collisionCount", "terminatingReplicas"),
        (("updatedReplicas", "replicas", GREATER), ("readyReplicas", "replicas", GREATER),
         ("availableReplicas", "replicas", GREATER),
         ("availableReplicas", "readyReplicas", "cannot be greater than readyReplicas")),
    ),
    "replicasets.apps": (
        ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration",
         "terminatingReplicas"),
        (("fullyLabeledReplicas", "replicas", GREATER), ("readyReplicas", "replicas", GREATER),
         ("availableReplicas", "replicas", GREATER),
         ("availableReplicas", "readyReplicas", "cannot be greater than readyReplicas")),
    ),
    "replicationcontrollers": (
        ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"),
        (("fullyLabeledReplicas", "replicas", GREATER), ("readyReplicas", "replicas", GREATER),
         ("availableReplicas", "replicas", GREATER),
         ("availableReplicas", "readyReplicas", "cannot be greater than readyReplicas")),
    ),
    "statefulsets.apps": (
        ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas",
         "observedGeneration", "collisionCount"),
        (("readyReplicas", "replicas", GREATER), ("currentReplicas", "replicas", GREATER),
         ("updatedReplicas", "replicas", GREATER), ("availableReplicas", "replicas", GREATER),
         ("availableReplicas", "readyReplicas", "cannot be greater than status.readyReplicas")),
    ),
    "daemonsets.apps": (
        ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady",
         "observedGeneration", "updatedNumberScheduled", "numberAvailable", "numberUnavailable", "collisionCount"),
        (),
    ),
}  # fmt: skip
"""Kind -> counters that are not negative, and (counter, what it cannot exceed, text)."""


def status_of(storage: str) -> Any:
    """The check of a workload's new status against its old one."""
    counters, limits = STATUS_LIMITS[storage]
    positive = _counters(*counters)

    def check(new: Object, old: Object) -> Errors:
        status, before = new.get("status") or {}, old.get("status") or {}
        errors = [*positive(new), *_at_most(limits, status)]
        if (status.get("collisionCount") or 0) < (before.get("collisionCount") or 0):
            errors.append(invalid("status.collisionCount", status.get("collisionCount") or 0, "cannot be decremented"))
        return errors

    return check
