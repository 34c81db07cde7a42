"""The status of ValidatingAdmissionPolicies: observed, and what type checking found.

Source: k8s.io/kubernetes/pkg/controller/validatingadmissionpolicystatus/controller.go. *Not modelled*: type checking of
the expressions; no warnings are ever found.
"""

from __future__ import annotations

from seatrial.sim.controllers.actions import Steps, Turn, update_status
from seatrial.sim.controllers.shell import Controller, object_key

POLICIES = "validatingadmissionpolicies.admissionregistration.k8s.io"


def reconcile(turn: Turn) -> Steps:
    _, name = turn.key
    policy = turn.view(POLICIES).get("", name)
    if policy is None:
        return None
    generation = policy["metadata"].get("generation", 0)
    status = policy.get("status") or {}
    if status.get("observedGeneration", 0) < generation:
        yield update_status(POLICIES, policy, {**status, "observedGeneration": generation, "typeChecking": {}})
    return None


CONTROLLER = Controller(
    name="validatingadmissionpolicy-status-controller",
    reconcile=reconcile,
    watches=((POLICIES, object_key),),
)
