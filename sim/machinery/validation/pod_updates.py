"""What may change in a pod: by an update, in its status, by ephemeral containers, by a resize.

Source: k8s.io/kubernetes/pkg/apis/core/validation (ValidatePodUpdate, ValidatePodStatusUpdate,
ValidatePodEphemeralContainersUpdate, ValidatePodResize).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.pods import qos_class
from seatrial.sim.machinery.validation import addresses
from seatrial.sim.machinery.validation.containers import trimmed_image
from seatrial.sim.machinery.validation.names import is_qualified_name, is_subdomain
from seatrial.sim.machinery.validation.pods import MIRROR, pod
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Errors,
    Object,
    at,
    duplicate,
    each,
    forbidden,
    immutable,
    in_range,
    invalid,
    required,
    same,
)
from seatrial.sim.machinery.validation.resources import amount
from seatrial.sim.machinery.validation.scheduling import tolerations
from seatrial.sim.machinery.validation.structures import difference

UPDATABLE = ",".join(
    (
        "`spec.containers[*].image`",
        "`spec.initContainers[*].image`",
        "`spec.activeDeadlineSeconds`",
        "`spec.tolerations` (only additions to existing tolerations)",
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
    )
)
DEADLINE_MAX = 2147483647
SYSTEM_CONDITIONS = ("PodScheduled", "Ready", "Initialized")
RESIZED = ("cpu", "memory")


def pod_update(new: Object, old: Object) -> Errors:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    errors = [*_mirror(new, old)]
    if after is before:
        return errors
    errors += pod(new)
    for field in ("containers", "initContainers"):
        listed = after.get(field) or ()
        if len(listed) != len(before.get(field) or ()):
            return [*errors, forbidden(f"spec.{field}", "pod updates may not add or remove containers")]
        errors += at("spec", each(field, listed, _image))
    deadline, stop = _deadline(after.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds"))
    errors += at("spec", deadline)
    if stop:
        return errors
    errors += at(
        "spec.tolerations", _added_tolerations(after.get("tolerations") or (), before.get("tolerations") or ())
    )
    errors += at("spec", _removed_gates(after.get("schedulingGates") or (), before.get("schedulingGates") or ()))
    if same(after, before):
        return errors
    comparable, found = _comparable(after, before)
    errors += found
    if not same(comparable, before):
        told = f"pod updates may not change fields other than {UPDATABLE}\n{difference(before, comparable, 'PodSpec')}"
        errors.append(forbidden("spec", told))
    return errors


def _mirror(new: Object, old: Object) -> Errors:
    after, before = (obj["metadata"].get("annotations") or {} for obj in (new, old))
    if after is before or after.get(MIRROR) == before.get(MIRROR):
        return NONE
    what = "add" if MIRROR not in before else "remove or update"
    return (forbidden(f"metadata.annotations[{MIRROR}]", f"may not {what} mirror pod annotation"),)


def _image(container: Object) -> Errors:
    return trimmed_image(container) if container.get("image") else (required("image"),)


def _deadline(new: int | None, old: int | None) -> tuple[Errors, bool]:
    """Errors and whether upstream looks no further."""
    if new is not None:
        if not 0 <= new <= DEADLINE_MAX:
            return (invalid("activeDeadlineSeconds", new, in_range(0, DEADLINE_MAX)),), True
        if old is not None and old < new:
            told = "must be less than or equal to previous value"
            return (invalid("activeDeadlineSeconds", new, told),), True
    elif old is not None:
        told = "must not update from a positive integer to nil value"
        return (invalid("activeDeadlineSeconds", None, told),), False
    return NONE, False


def _without_seconds(value: Object) -> Mapping[str, Any]:
    return {key: part for key, part in value.items() if key != "tolerationSeconds"}


def _added_tolerations(new: Sequence[Object], old: Sequence[Object]) -> Errors:
    if new is old:
        return NONE
    kept = [_without_seconds(value) for value in new]
    if any(_without_seconds(value) not in kept for value in old):
        return (forbidden("", "existing toleration can not be modified except its tolerationSeconds"),)
    return tolerations(new)


def _removed_gates(new: Sequence[Object], old: Sequence[Object]) -> Errors:
    known = [gate.get("name") for gate in old]
    return [
        forbidden(
            f"schedulingGates[{i}].name", f"only deletion is allowed, but found new scheduling gate '{gate['name']}'"
        )
        for i, gate in enumerate(new)
        if gate.get("name") not in known
    ]


def _comparable(after: Object, before: Object) -> tuple[Mapping[str, Any], Errors]:
    """The new spec with everything that may change as it was, and what is wrong with the placement of a gated pod."""
    spec = dict(after)
    for field in ("containers", "initContainers"):
        if spec.get(field):
            pairs = zip(spec[field], before[field], strict=True)
            spec[field] = [{**ours, "image": theirs.get("image", "")} for ours, theirs in pairs]
    for field in ("activeDeadlineSeconds", "schedulingGates", "tolerations"):
        spec[field] = before.get(field)
    grace = before.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        spec["terminationGracePeriodSeconds"] = grace
    spec = {key: value for key, value in spec.items() if value is not None}
    return (_gated(spec, before)) if before.get("schedulingGates") else (spec, NONE)


def _gated(spec: dict[str, Any], before: Object) -> tuple[Mapping[str, Any], Errors]:
    """A pod that is held back may be narrowed down further."""
    errors: list[FieldError] = []
    selector, had = spec.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    if selector != had:
        if any(selector.get(key) != value for key, value in had.items()):
            told = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
            errors.append(invalid("spec.nodeSelector", selector or None, told))
        spec = {**spec, "nodeSelector": before.get("nodeSelector")}
    affinity, old_affinity = dict(spec.get("affinity") or {}), before.get("affinity") or {}
    ours, theirs = affinity.get("nodeAffinity"), old_affinity.get("nodeAffinity")
    if not same(ours, theirs):
        errors += at("spec.affinity.nodeAffinity", _narrowed(ours or {}, theirs or {}))
        affinity["nodeAffinity"] = theirs
        kept = {key: value for key, value in affinity.items() if value is not None}
        spec = {**spec, "affinity": kept or before.get("affinity")}
    return {key: value for key, value in spec.items() if value is not None}, errors


REQUIRED_TERMS = "requiredDuringSchedulingIgnoredDuringExecution"


def _narrowed(new: Object, old: Object) -> Errors:
    had = (old.get(REQUIRED_TERMS) or {}).get("nodeSelectorTerms") or []
    terms = (new.get(REQUIRED_TERMS) or {}).get("nodeSelectorTerms") or []
    path = f"{REQUIRED_TERMS}.nodeSelectorTerms"
    if not had:
        return NONE
    if len(had) != len(terms):
        told = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        return (invalid(path, terms or None, told),)
    told = "only additions are allowed (no mutations or deletions)"
    pairs = enumerate(zip(terms, had, strict=True))
    return [invalid(f"{path}[{index}]", ours, told) for index, (ours, theirs) in pairs if not _only_adds(ours, theirs)]


def _only_adds(new: Object, old: Object) -> bool:
    lists = [(new.get(key) or [], old.get(key) or []) for key in ("matchExpressions", "matchFields")]
    if not any(had for _, had in lists):
        return not any(has for has, _ in lists)
    return all(same(has[: len(had)], had) for has, had in lists)


def pod_status(new: Object, old: Object) -> Errors:
    errors = [*_mirror(new, old)]
    status, before = new.get("status") or {}, old.get("status") or {}
    spec = old.get("spec") or {}
    if status is before:
        return errors
    # What is the old status' own was found right when it came.
    conditions = status.get("conditions") or ()
    for index, condition in enumerate(() if conditions is before.get("conditions") else conditions):
        if condition.get("type") not in SYSTEM_CONDITIONS:
            errors += at(f"metadata.conditions[{index}].Type", is_qualified_name(condition.get("type") or ""))
    nominated = status.get("nominatedNodeName")
    if nominated and nominated != before.get("nominatedNodeName"):
        errors += at("status.nominatedNodeName", is_subdomain(nominated))
    if status.get("qosClass") != before.get("qosClass"):
        errors += immutable("status.qosClass", status.get("qosClass"), before.get("qosClass"))
    policy = spec.get("restartPolicy") or ""
    for field, rule in (
        ("containerStatuses", policy),
        ("initContainerStatuses", policy),
        ("ephemeralContainerStatuses", "Never"),
    ):
        if status.get(field) is not before.get(field):
            errors += at("status", _resurrected(field, status, before, rule, spec))
    if any(status.get(field) is not before.get(field) for field in ("podIPs", "hostIPs", "hostIP")):
        errors += at("status", [*_ips("podIPs", status), *_host_ips(status)])
    return errors


def _resurrected(field: str, status: Object, before: Object, policy: str, spec: Object) -> Errors:
    """Containers that ended for good and run again."""
    new, old = status.get(field) or (), before.get(field) or ()
    if policy == "Always" or not old:
        return NONE
    restarting = [
        c.get("name")
        for c in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
        if c.get("restartPolicy") == "Always" or c.get("restartPolicyRules") or c.get("restartPolicy") == "OnFailure"
    ]
    ended = {c.get("name"): (c.get("state") or {}).get("terminated") is not None for c in new}
    errors: list[FieldError] = []
    for index, container in enumerate(old):
        state = (container.get("state") or {}).get("terminated")
        name = container.get("name")
        if state is None or name in restarting or (state.get("exitCode", 0) != 0 and policy == "OnFailure"):
            continue
        if ended.get(name) is False:
            told = "may not be transitioned to non-terminated state"
            errors.append(forbidden(f"{field}[{index}].state", told))
    return errors


def _ips(field: str, status: Object) -> Errors:
    listed = [entry.get("ip") or "" for entry in status.get(field) or ()]
    errors = [*each(field, listed, addresses.is_ip)]
    if len(listed) > 1:
        if not addresses.is_dual_stack(listed) or len(listed) > 2:
            told = "may specify no more than one IP for each IP family"
            errors.append(invalid(field, [{"IP": ip} for ip in listed], told))
        errors += [duplicate(f"{field}[{i}]", {"IP": ip}) for i, ip in enumerate(listed) if ip in listed[:i]]
    return errors


def _host_ips(status: Object) -> Errors:
    listed = status.get("hostIPs") or ()
    if not listed:
        return NONE
    errors: list[FieldError] = []
    first = listed[0].get("ip") or ""
    if (status.get("hostIP") or "") != first:
        errors.append(invalid("hostIPs[0].ip", first, "must be equal to `hostIP`"))
    return [*errors, *_ips("hostIPs", status)]


def ephemeral_containers(new: Object, old: Object) -> Errors:
    """The ephemeralcontainers subresource: those that are there stay as they are."""
    if MIRROR in (old["metadata"].get("annotations") or {}):
        return (forbidden("", "static pods do not support ephemeral containers"),)
    errors = [*pod(new)]
    named = {c.get("name"): c for c in (new.get("spec") or {}).get("ephemeralContainers") or ()}
    for container in (old.get("spec") or {}).get("ephemeralContainers") or ():
        name = container.get("name")
        if name not in named:
            told = f'existing ephemeral containers "{name}" may not be removed\n'
            errors.append(forbidden("spec.ephemeralContainers", told))
        elif not same(container, named[name]):
            shown = difference(container, named[name], "EphemeralContainer")
            told = f'existing ephemeral containers "{name}" may not be changed\n{shown}'
            errors.append(forbidden("spec.ephemeralContainers", told))
    return errors


def resize(new: Object, old: Object) -> Errors:
    """The resize subresource: cpu and memory of containers and sidecars."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if MIRROR in (old["metadata"].get("annotations") or {}):
        return (forbidden("", "static pods cannot be resized"),)
    if (before.get("os") or {}).get("name") == "windows":
        return (forbidden("", "windows pods cannot be resized"),)
    errors = [*pod(new)]
    quality = (old.get("status") or {}).get("qosClass") or qos_class(before)
    if quality != qos_class(after):
        told = "Pod QOS Class may not change as a result of resizing"
        errors.append(invalid("spec", (new.get("status") or {}).get("qosClass") or quality, told))
    if not _node_resizes(old):
        errors.append(forbidden("spec", "Pod running on node without support for resize"))
    for field in ("containers", "initContainers"):
        ours, theirs = after.get(field) or (), before.get(field) or ()
        for index, (container, had) in enumerate(zip(ours, theirs, strict=False)):
            errors += at(f"spec.{field}[{index}].resources", _resized(container, had))
            errors += _only_resized(field, container, had)
    if errors:
        return errors
    rest_new = {key: value for key, value in after.items() if key not in ("containers", "initContainers")}
    rest_old = {key: value for key, value in before.items() if key not in ("containers", "initContainers")}
    if not same(rest_new, rest_old):
        errors.append(forbidden("spec", "only cpu and memory resources are mutable"))
    return errors


def _node_resizes(pod: Object) -> bool:
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if (status.get("state") or {}).get("running") is not None:
            return status.get("resources") is not None
    return True


def _resized(new: Object, old: Object) -> Errors:
    after, before = new.get("resources") or {}, old.get("resources") or {}
    if same(after, before):
        return NONE
    errors: list[FieldError] = []
    for what, told in (
        ("requests", "resource requests cannot be removed"),
        ("limits", "resource limits cannot be removed"),
    ):
        if any(name not in (after.get(what) or {}) for name in before.get(what) or ()):
            errors.append(forbidden(what, told))
    return errors


def _cpu_and_memory_aside(container: Object) -> Mapping[str, Any]:
    resources = container.get("resources") or {}
    kept = {
        what: {name: amount(size) for name, size in (resources.get(what) or {}).items() if name not in RESIZED}
        for what in ("limits", "requests")
    }
    return {**container, "resources": {**resources, **kept}, "resizePolicy": None}


def _only_resized(field: str, new: Object, old: Object) -> Errors:
    if field == "initContainers" and new.get("restartPolicy") != "Always":
        if not same(new, old):
            return (forbidden("spec", "resources for non-sidecar init containers are immutable"),)
        return NONE
    if same(_cpu_and_memory_aside(new), _cpu_and_memory_aside(old)):
        return NONE
    sidecar = " for sidecar containers" if field == "initContainers" else ""
    return (forbidden("spec", f"only cpu and memory resources{sidecar} are mutable"),)
