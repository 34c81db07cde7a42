"""ValidatingAdmissionPolicy: expressions that refuse a request, warn of it, or note it.

Source: k8s.io/apiserver/pkg/admission/plugin/policy/validating (dispatcher.go, validator.go). *Not modelled*: the audit
log; what would be written there (validationActions Audit, auditAnnotations) is evaluated, and its errors count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from seatrial.sim.apiserver.admission.policies_active import Failure, Invocation, invocations
from seatrial.sim.apiserver.admission.policies_inputs import Inputs, OutOfBudget
from seatrial.sim.apiserver.context import Attributes, Context
from seatrial.sim.apiserver.request import Object
from seatrial.sim.machinery import errors
from seatrial.sim.machinery.cel import admission as expressions
from seatrial.sim.machinery.cel.errors import EvaluationError
from seatrial.sim.machinery.cel.values import type_name

CODES = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413, "Invalid": 422}
"""Status codes of the reasons that a validation may give."""
MESSAGE_BYTES_MAX = 5 * 1024


class Decision(NamedTuple):
    """One validation that did not hold, or could not be evaluated."""

    message: str
    reason: str = "Invalid"


class Denial(NamedTuple):
    policy: Object
    binding: Object | None
    decision: Decision


def check(context: Context, attributes: Attributes) -> None:
    """Raises the ApiError of the first validation that denies the request; adds the warnings of the others."""
    denials: list[Denial] = []
    for found in invocations(context, attributes, "validatingadmission"):
        fails_closed = found.policy["spec"].get("failurePolicy") != "Ignore"
        if isinstance(found, Failure):
            if fails_closed:
                denials.append(Denial(found.policy, found.binding, Decision(found.message)))
            continue
        decisions, audit_errors = _evaluate(context, attributes, found, fails_closed)
        actions = found.binding["spec"].get("validationActions") or ()
        for decision in decisions:
            if "Deny" in actions:
                denials.append(Denial(found.policy, found.binding, decision))
            if "Warn" in actions:
                names = _names(found.policy, found.binding)
                context.warnings.append(f"Validation failed for ValidatingAdmissionPolicy {names}: {decision.message}")
        denials += [Denial(found.policy, found.binding, decision) for decision in audit_errors]
    if denials:
        raise _refusal(attributes, denials[0])


def _names(policy: Object, binding: Object | None) -> str:
    with_binding = f" with binding '{binding['metadata']['name']}'" if binding is not None else ""
    return f"'{policy['metadata']['name']}'{with_binding}"


def _refusal(attributes: Attributes, denial: Denial) -> errors.ApiError:
    names = _names(denial.policy, denial.binding)
    message = f"ValidatingAdmissionPolicy {names} denied request: {denial.decision.message}"
    resource = attributes.resource
    causes = [{"message": message}]
    refusal = errors.forbidden(resource.group, resource.plural, attributes.name, message, causes)
    reason = denial.decision.reason
    return errors.ApiError(CODES.get(reason, 422), reason, refusal.message, refusal.details)


def _evaluate(
    context: Context, attributes: Attributes, found: Invocation, fails_closed: bool
) -> tuple[list[Decision], list[Decision]]:
    """The validations that do not hold, and the audit annotations that could not be made."""
    spec = found.policy["spec"]
    inputs = Inputs(context, attributes, found.shown_as, found.param, spec)
    unmet, problem = inputs.unmet(spec.get("matchConditions") or ())
    if unmet:
        return [], []
    if problem:
        return ([Decision(problem)] if fails_closed else []), []
    try:
        decisions = [
            decision
            for validation in spec.get("validations") or ()
            if (decision := _validate(inputs, validation, fails_closed)) is not None
        ]
    except OutOfBudget as error:
        return ([Decision(str(error))] if fails_closed else []), []
    return decisions, _audit(inputs, spec, fails_closed)


def _validate(inputs: Inputs, validation: Mapping[str, Any], fails_closed: bool) -> Decision | None:
    text = validation.get("expression") or ""
    try:
        holds = inputs.evaluate(text, expressions.VALIDATION)
    except EvaluationError as error:
        return Decision(str(error)) if fails_closed else None
    if holds is True:
        return None
    message = _computed(inputs, validation) or (validation.get("message") or "").strip()
    return Decision(message or f"failed expression: {text.strip()}", validation.get("reason") or "Invalid")


def _computed(inputs: Inputs, validation: Mapping[str, Any]) -> str:
    """What the messageExpression says; empty when it says nothing that can be shown."""
    text = validation.get("messageExpression")
    if not text:
        return ""
    try:
        value = inputs.evaluate(text, expressions.MESSAGE)
    except EvaluationError:
        return ""
    told = value.strip() if isinstance(value, str) else ""
    return "" if "\n" in told or len(told.encode()) > MESSAGE_BYTES_MAX else told


def _audit(inputs: Inputs, spec: Mapping[str, Any], fails_closed: bool) -> list[Decision]:
    inputs.budget = expressions.BUDGET
    wrong: list[Decision] = []
    for annotation in spec.get("auditAnnotations") or ():
        text = annotation.get("valueExpression") or ""
        try:
            value = inputs.evaluate(text, expressions.AUDIT)
        except (EvaluationError, OutOfBudget) as error:
            if fails_closed:
                wrong.append(Decision(str(error)))
            continue
        if value is not None and not isinstance(value, str):
            told = f"valueExpression '{text}' resulted in unsupported return type: {type_name(value)}. "
            wrong.append(Decision(f"{told}Return type must be either string or null."))
    return wrong
