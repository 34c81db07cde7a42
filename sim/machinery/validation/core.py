"""Namespaces, nodes, configuration, accounts, events, leases and other small kinds.

Source: k8s.io/kubernetes/pkg/apis/core/validation, pkg/apis/coordination/validation, pkg/apis/node/validation,
pkg/apis/scheduling/validation and pkg/apis/policy/validation.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation import addresses
from seatrial.sim.machinery.validation.golang import internal_form
from seatrial.sim.machinery.validation.label_selectors import label_selector
from seatrial.sim.machinery.validation.metadata import LABELS, finalizer, legacy_finalizer
from seatrial.sim.machinery.validation.names import config_key, is_label, is_qualified_name
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Errors,
    Object,
    at,
    duplicate,
    each,
    forbidden,
    immutable,
    invalid,
    not_supported,
    required,
    same,
    too_long,
)
from seatrial.sim.machinery.validation.resources import container_resources, resource_amount
from seatrial.sim.machinery.validation.scheduling import taints, toleration
from seatrial.sim.machinery.validation.workloads import at_most_all, int_or_percent

DATA_BYTES_MAX = 1024 * 1024
FROZEN = "field is immutable when `immutable` is set"
USER_PRIORITY_MAX = 1_000_000_000
EVICTION_POLICIES = ("AlwaysAllow", "IfHealthyBudget")
CIDRS_ONCE = 'node updates may not change podCIDR except from "" to valid'
PROVIDER_ONCE = 'node updates may not change providerID except from "" to valid'


def config_map(value: Object) -> Errors:
    errors: list[FieldError] = []
    data, binary = value.get("data") or {}, value.get("binaryData") or {}
    size = 0
    for key, text in data.items():
        errors += [invalid(f"data[{key}]", key, wrong) for wrong in config_key(key)]
        if key in binary:
            errors.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
        size += len(text.encode())
    for key, encoded in binary.items():
        errors += [invalid(f"binaryData[{key}]", key, wrong) for wrong in config_key(key)]
        size += _decoded_length(encoded)
    if size > DATA_BYTES_MAX:
        errors.append(too_long("", DATA_BYTES_MAX))
    return errors


def _decoded_length(encoded: str) -> int:
    return len(encoded) * 3 // 4 - encoded[-2:].count("=")


def config_map_update(new: Object, old: Object) -> Errors:
    if not old.get("immutable"):
        return NONE
    errors: list[FieldError] = []
    if not new.get("immutable"):
        errors.append(forbidden("immutable", FROZEN))
    errors += [forbidden(key, FROZEN) for key in ("data", "binaryData") if not same(new.get(key), old.get(key))]
    return errors


DOCKER_KEYS: Mapping[str, str] = {
    "kubernetes.io/dockercfg": ".dockercfg",
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
}
ACCOUNT_ANNOTATION = "kubernetes.io/service-account.name"


def secret(value: Object) -> Errors:
    errors: list[FieldError] = []
    data, kind = value.get("data") or {}, value.get("type") or ""
    for key in data:
        errors += [invalid(f"data[{key}]", key, wrong) for wrong in config_key(key)]
    if sum(map(_decoded_length, data.values())) > DATA_BYTES_MAX:
        errors.append(too_long("data", DATA_BYTES_MAX))
    if kind == "kubernetes.io/service-account-token":
        if not (value["metadata"].get("annotations") or {}).get(ACCOUNT_ANNOTATION):
            errors.append(required(f"metadata.annotations[{ACCOUNT_ANNOTATION}]"))
    elif kind in DOCKER_KEYS:
        errors += _docker(data, DOCKER_KEYS[kind])
    elif kind == "kubernetes.io/basic-auth":
        if "username" not in data and "password" not in data:
            errors += [required("data[username]"), required("data[password]")]
    elif kind == "kubernetes.io/ssh-auth":
        if not data.get("ssh-privatekey"):
            errors.append(required("data[ssh-privatekey]"))
    elif kind == "kubernetes.io/tls":
        errors += [required(f"data[{key}]") for key in ("tls.crt", "tls.key") if key not in data]
    return errors


def _docker(data: Mapping[str, str], key: str) -> Errors:
    if key not in data:
        return (required(f"data[{key}]"),)
    problem = json_problem(base64.b64decode(data[key] or ""))
    return (invalid(f"data[{key}]", "<secret contents redacted>", problem),) if problem else NONE


def json_problem(raw: bytes) -> str:
    """What Go says of bytes that should be a JSON object; empty when they are."""
    if not raw.strip():
        return "unexpected end of JSON input"
    try:
        parsed = json.loads(raw)
    except ValueError as problem:
        position = getattr(problem, "pos", 0)
        text = raw.decode(errors="replace")
        if position >= len(text.rstrip()):
            return "unexpected end of JSON input"
        where = "beginning of value" if position == 0 else "after top-level value"
        return (
            f"invalid character '{text[position]}' looking for {where}"
            if position == 0
            else (f"invalid character '{text[position]}' {where}")
        )
    if not isinstance(parsed, dict):
        kinds: Mapping[type, str] = {str: "string", list: "array", bool: "bool", int: "number", float: "number"}
        kind = kinds.get(type(parsed), "null")
        return (
            "" if parsed is None else f"json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
        )
    return ""


def secret_update(new: Object, old: Object) -> Errors:
    errors = [*immutable("type", new.get("type"), old.get("type"))]
    if old.get("immutable"):
        if not new.get("immutable"):
            errors.append(forbidden("immutable", FROZEN))
        if not same(new.get("data"), old.get("data")):
            errors.append(forbidden("data", FROZEN))
    return errors


def namespace(value: Object) -> Errors:
    errors: list[FieldError] = []
    for text in (value.get("spec") or {}).get("finalizers") or ():
        errors += at("spec.finalizers", [*finalizer(text), *legacy_finalizer(text)])
    return errors


def namespace_status(new: Object, old: Object) -> Errors:
    phase = (new.get("status") or {}).get("phase") or ""
    if not new["metadata"].get("deletionTimestamp"):
        if phase != "Active":
            return (invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty"),)
    elif phase != "Terminating":
        return (invalid("status.Phase", phase, "may only be 'Terminating' if `deletionTimestamp` is not empty"),)
    return NONE


def namespace_finalize(new: Object, old: Object) -> Errors:
    finalizers = (new.get("spec") or {}).get("finalizers")
    return at("spec", each("finalizers", finalizers, lambda text: [*finalizer(text), *legacy_finalizer(text)]))


def node(value: Object) -> Errors:
    spec = value.get("spec") or {}
    errors: list[FieldError] = []
    if found := spec.get("taints"):
        errors += at("metadata.taints", taints(found))
    errors += _node_resources(value)
    cidrs = _cidrs(spec)
    errors += at("spec", each("podCIDRs", cidrs, addresses.is_cidr))
    if len(cidrs) > 1:
        if not addresses.is_dual_stack(cidrs) or len(cidrs) > 2:
            told = "may specify no more than one CIDR for each IP family"
            errors.append(invalid("spec.podCIDRs", cidrs, told))
        errors += [duplicate(f"spec.podCIDRs[{i}]", cidr) for i, cidr in enumerate(cidrs) if cidr in cidrs[:i]]
    return errors


def _cidrs(spec: Object) -> list[str]:
    """All ranges of a node, as the internal version has them: podCIDR is the first."""
    first, given = spec.get("podCIDR") or "", list(spec.get("podCIDRs") or [])
    return [first, *given[1:]] if first else given


def _node_resources(value: Object) -> Errors:
    errors: list[FieldError] = []
    for field in ("capacity", "allocatable"):
        for name, size in ((value.get("status") or {}).get(field) or {}).items():
            errors += at(f"status.{field}.{name}", resource_amount(name, size))
    return errors


def node_update(new: Object, old: Object) -> Errors:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    errors = [*_node_resources(new)] if new.get("status") is not old.get("status") else []
    listed = (new.get("status") or {}).get("addresses") or []
    errors += [
        duplicate(f"status.addresses[{index}]", {"Type": one.get("type", ""), "Address": one.get("address", "")})
        for index, one in enumerate(listed)
        if one in listed[:index]
    ]
    if after is before:
        return errors
    cidrs = _cidrs(before)
    if cidrs and _cidrs(after) != cidrs:
        errors.append(forbidden("spec.podCIDRs", CIDRS_ONCE))
    if before.get("providerID") and after.get("providerID") != before["providerID"]:
        errors.append(forbidden("spec.providerID", PROVIDER_ONCE))
    if found := after.get("taints"):
        errors += at("metadata.taints", taints(found))
    if (after.get("externalID") or "") != (before.get("externalID") or ""):
        errors.append(forbidden("spec.externalID", "may not be updated"))
    return errors


def lease(value: Object) -> Errors:
    spec = value.get("spec") or {}
    errors: list[FieldError] = []
    duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if duration is not None and duration <= 0:
        errors.append(invalid("leaseDurationSeconds", duration, "must be greater than 0"))
    if transitions is not None and transitions < 0:
        errors.append(invalid("leaseTransitions", transitions, "must be greater than or equal to 0"))
    strategy, preferred = spec.get("strategy"), spec.get("preferredHolder")
    if strategy is not None:
        errors += at("strategy", is_qualified_name(strategy))
    if preferred is not None and not strategy:
        told = "may only be specified if `strategy` is defined"
        errors.append(forbidden("preferredHolder", told))
    return at("spec", errors)


def priority_class(value: Object) -> Errors:
    errors: list[FieldError] = []
    name, number = value["metadata"].get("name") or "", value.get("value") or 0
    if name.startswith("system-"):
        known = SYSTEM_CLASSES.get(name)
        if known is None:
            told = "priority class names with 'system-' prefix are reserved for system use only. error: "
            told += f"{name} is not a known system priority class"
            errors.append(forbidden("metadata.name", told))
        elif known != number:
            told = f"value of {name} PriorityClass must be {known}"
            errors.append(forbidden("metadata.name", _reserved(told)))
    elif number > USER_PRIORITY_MAX:
        told = f"maximum allowed value of a user defined priority is {USER_PRIORITY_MAX}"
        errors.append(forbidden("value", told))
    policy = value.get("preemptionPolicy")
    if policy is not None and policy not in ("PreemptLowerPriority", "Never"):
        errors.append(
            required("preemptionPolicy")
            if not policy
            else not_supported("preemptionPolicy", policy, ("PreemptLowerPriority", "Never"))
        )
    return errors


def _reserved(why: str) -> str:
    return f"priority class names with 'system-' prefix are reserved for system use only. error: {why}"


SYSTEM_CLASSES: Mapping[str, int] = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def priority_class_update(new: Object, old: Object) -> Errors:
    errors: list[FieldError] = []
    if (new.get("value") or 0) != (old.get("value") or 0):
        errors.append(forbidden("value", "may not be changed in an update."))
    errors += immutable("preemptionPolicy", new.get("preemptionPolicy"), old.get("preemptionPolicy"))
    return errors


def runtime_class(value: Object) -> Errors:
    errors: list[FieldError] = []
    handler = value.get("handler")
    errors += at("handler", is_label(handler)) if handler else [required("handler")]
    if (overhead := value.get("overhead")) is not None:
        errors += at("overhead", container_resources({"limits": overhead.get("podFixed") or {}}))
    if (scheduling := value.get("scheduling")) is not None:
        if selector := scheduling.get("nodeSelector"):
            errors += at("scheduling.nodeSelector", LABELS(selector))
        entries = scheduling.get("tolerations") or []
        errors += at("scheduling", each("tolerations", entries, toleration))
        errors += [
            duplicate(f"scheduling.tolerations[{index}]", internal_form(entry, "Toleration"))
            for index, entry in enumerate(entries)
            if entry in entries[:index]
        ]
    return errors


def runtime_class_update(new: Object, old: Object) -> Errors:
    return immutable("handler", new.get("handler"), old.get("handler"))


def disruption_budget_spec(spec: Object) -> Errors:
    errors: list[FieldError] = []
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if least is not None and most is not None:
        shown = internal_form(spec, "PodDisruptionBudgetSpec")
        errors.append(invalid("", shown, "minAvailable and maxUnavailable cannot be both set"))
    for name, value in (("minAvailable", least), ("maxUnavailable", most)):
        if value is not None:
            errors += at(name, [*int_or_percent(value), *at_most_all(value)])
    if (selector := spec.get("selector")) is not None:
        errors += at("selector", label_selector(selector))
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in EVICTION_POLICIES:
        errors.append(not_supported("unhealthyPodEvictionPolicy", policy, EVICTION_POLICIES))
    return errors


def disruption_budget(value: Object) -> Errors:
    return at("spec", disruption_budget_spec(value.get("spec") or {}))


BUDGET_COUNTERS = ("currentHealthy", "desiredHealthy", "expectedPods")


def disruption_budget_status(new: Object, old: Object) -> Errors:
    status = new.get("status") or {}
    errors: list[FieldError] = []
    for name in ("disruptionsAllowed", *BUDGET_COUNTERS):
        count: Any = status.get(name) or 0
        if count < 0:
            errors.append(invalid(f"status.{name}", count, "must be greater than or equal to 0"))
    return errors


def binding(value: Object) -> Errors:
    target = value.get("target") or {}
    errors: list[FieldError] = []
    if target.get("kind") and target["kind"] != "Node":
        errors.append(not_supported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        errors.append(required("target.name"))
    return errors
