"""The status of ValidatingAdmissionPolicies: observed, and what type checking found.

Source: k8s.io/kubernetes/pkg/controller/validatingadmissionpolicystatus/controller.go and
k8s.io/apiserver/pkg/admission/plugin/policy/validating/typechecking.go. *Not modelled*: the types of custom
kinds, whose expressions are not warned of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.sim.controllers.actions import Steps, Turn, update_status
from seatrial.sim.controllers.controller import Controller, object_key
from seatrial.sim.machinery import kinds, schema
from seatrial.sim.machinery.cel import typecheck
from seatrial.sim.machinery.cel.types import Type

POLICIES = "validatingadmissionpolicies.admissionregistration.k8s.io"


def matched_kinds(spec: Mapping[str, Any]) -> list[typecheck.Kind]:
    """The kinds that a policy's rules name, in order; rules with wildcards name none."""
    known = kinds.builtin()
    found: dict[typecheck.Kind, None] = {}
    for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or ():
        names = [rule.get(part) or [] for part in ("apiGroups", "apiVersions", "resources")]
        if any("*" in name for part in names for name in part):
            continue
        for group in names[0]:
            for version in names[1]:
                for plural in names[2]:
                    resource = known.find(group, version, plural)
                    if resource is not None:
                        found[group, version, resource.kind] = None
    return sorted(found)


def type_of(kind: typecheck.Kind) -> Type | None:
    found = schema.type_of_kind(*kind)
    return None if found is None else typecheck.of_struct(found)


def type_checking(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The status.typeChecking of a policy."""
    warnings = typecheck.warnings(spec, matched_kinds(spec), type_of)
    return {"expressionWarnings": warnings} if warnings else {}


def reconcile(turn: Turn) -> Steps:
    _, name = turn.key
    policy = turn.view(POLICIES).get("", name)
    if policy is None:
        return None
    generation = policy["metadata"].get("generation", 0)
    status = policy.get("status") or {}
    if status.get("observedGeneration", 0) < generation:
        yield update_status(
            POLICIES,
            policy,
            {**status, "observedGeneration": generation, "typeChecking": type_checking(policy["spec"])},
        )
    return None


CONTROLLER = Controller(
    name="validatingadmissionpolicy-status-controller",
    reconcile=reconcile,
    watches=((POLICIES, object_key),),
)
