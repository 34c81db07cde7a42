"""Admission policies and their bindings.

Source: k8s.io/kubernetes/pkg/apis/admissionregistration/validation.
"""

from __future__ import annotations

from seatrial.sim.machinery.cel import admission
from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.expressions import Scope, expression, scope_of
from seatrial.sim.machinery.validation.label_selectors import label_selector
from seatrial.sim.machinery.validation.names import c_identifier, label_1035, path_segment, qualified_name, subdomain
from seatrial.sim.machinery.validation.problems import (
    Errors,
    Object,
    at,
    duplicate,
    each,
    invalid,
    not_supported,
    required,
)
from seatrial.sim.machinery.validation.webhooks import (
    FAILURE_POLICIES,
    MATCH_POLICIES,
    REINVOCATIONS,
    conditions,
    enum,
    rule,
)

REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
ACTIONS = ("Audit", "Deny", "Warn")
NOT_FOUND_ACTIONS = ("Allow", "Deny")
AUDIT_ANNOTATIONS_MAX = 20


def _match_resources(value: Object, defaulted: bool = True) -> Errors:
    errors: list[FieldError] = []
    if value.get("matchPolicy") is None and defaulted:
        errors.append(required("matchPolicy"))
    errors += enum("matchPolicy", value, MATCH_POLICIES)
    for name in ("namespaceSelector", "objectSelector"):
        selector = value.get(name)
        errors += at(name, label_selector(selector)) if selector is not None else [required(name)]
    for name in ("resourceRules", "excludeResourceRules"):
        errors += each(name, value.get(name), _named_rule)
    return errors


def _named_rule(value: Object) -> Errors:
    errors: list[FieldError] = []
    names = value.get("resourceNames") or []
    for index, name in enumerate(names):
        errors += [invalid(f"resourceNames[{index}]", name, text) for text in path_segment(name)]
        if name in names[:index]:
            errors.append(duplicate(f"resourceNames[{index}]", name))
    return [*errors, *rule(value)]


def _param_kind(value: Object) -> Errors:
    errors: list[FieldError] = []
    version, kind = value.get("apiVersion") or "", value.get("kind") or ""
    group, _, number = version.rpartition("/")
    if not version:
        errors.append(required("apiVersion"))
    elif version.count("/") > 1:
        errors.append(invalid("apiVersion", version, f"unexpected GroupVersion string: {version}"))
    else:
        if group and (wrong := subdomain(group)):
            errors.append(invalid("apiVersion", group, ",".join(wrong)))
        if not number:
            errors.append(invalid("apiVersion", version, "version must be specified"))
        elif wrong := label_1035(number):
            errors.append(invalid("apiVersion", number, ",".join(wrong)))
    if not kind:
        errors.append(required("kind"))
    elif wrong := label_1035(kind.lower()):
        told = f"may have mixed case, but should otherwise match: {','.join(wrong)}"
        errors.append(invalid("kind", kind, told))
    return errors


def _variable(value: Object, scope: Scope) -> Errors:
    errors: list[FieldError] = []
    name = value.get("name") or ""
    if not name.strip():
        errors.append(required("name", "name is not specified"))
    elif c_identifier(name):
        errors.append(invalid("name", name, "name is not a valid CEL identifier"))
    text, told = value.get("expression") or "", "expression is not specified"
    errors += at("expression", expression(text, admission.VARIABLE, scope, told))
    return errors


def _validation(value: Object, scope: Scope) -> Errors:
    text = value.get("expression") or ""
    errors = [*at("expression", expression(text, admission.VALIDATION, scope, "expression is not specified"))]
    told, computed = value.get("message") or "", value.get("messageExpression") or ""
    if computed and not computed.strip():
        errors.append(invalid("messageExpression", computed, "must be non-empty if specified"))
    elif computed:
        errors += at("messageExpression", expression(computed, admission.MESSAGE, scope))
    if told and not told.strip():
        errors.append(invalid("message", told, "message must be non-empty if specified"))
    elif "\n" in told.strip():
        errors.append(invalid("message", told, "message must not contain line breaks"))
    return [*errors, *enum("reason", value, REASONS)]


def _policy(spec: Object, scope: Scope) -> Errors:
    errors: list[FieldError] = []
    if spec.get("failurePolicy") is None:
        errors.append(required("failurePolicy"))
    errors += enum("failurePolicy", spec, FAILURE_POLICIES)
    if (kind := spec.get("paramKind")) is not None:
        errors += at("paramKind", _param_kind(kind))
    constraints = spec.get("matchConstraints")
    if constraints is None:
        errors.append(required("matchConstraints"))
    else:
        errors += at("matchConstraints", _match_resources(constraints))
        if not constraints.get("resourceRules"):
            errors.append(required("matchConstraints.resourceRules"))
    errors += at("matchConditions", conditions(spec.get("matchConditions") or (), scope))
    for index, value in enumerate(spec.get("variables") or ()):
        errors += at(f"variables[{index}]", _variable(value, scope.before(index)))
    return errors


def validating_policy(value: Object) -> Errors:
    spec, name = value.get("spec") or {}, value["metadata"].get("name") or ""
    scope = scope_of(spec)
    errors = [*_policy(spec, scope)]
    validations, audited = spec.get("validations") or (), spec.get("auditAnnotations") or ()
    if not validations and not audited:
        told = "validations or auditAnnotations must contain at least one item"
        errors += [required("validations", told), required("auditAnnotations", told)]
    errors += each("validations", validations, lambda entry: _validation(entry, scope))
    if len(audited) > AUDIT_ANNOTATIONS_MAX:
        told = f"must not have more than {AUDIT_ANNOTATIONS_MAX} auditAnnotations"
        errors.append(invalid("auditAnnotations", list(audited), told))
    keys: list[str] = []
    for index, entry in enumerate(audited):
        key, path = entry.get("key") or "", f"auditAnnotations[{index}]"
        if name:
            full = f"{name}/{key}"
            errors += [invalid(f"{path}.key", full, text) for text in qualified_name(full)]
        elif not key:
            errors.append(required(f"{path}.key"))
        if key in keys:
            errors.append(duplicate(f"{path}.key", key))
        keys.append(key)
        text, told = entry.get("valueExpression") or "", "valueExpression is not specified"
        errors += at(f"{path}.valueExpression", expression(text, admission.AUDIT, scope, told))
    return at("spec", errors)


def mutating_policy(value: Object) -> Errors:
    spec = value.get("spec") or {}
    scope = scope_of(spec)
    errors = [*_policy(spec, scope)]
    if not spec.get("mutations"):
        errors.append(required("mutations", "mutations must contain at least one item"))
    for index, mutation in enumerate(spec.get("mutations") or ()):
        path, kind = f"mutations[{index}]", mutation.get("patchType") or ""
        if kind not in ("ApplyConfiguration", "JSONPatch"):
            wrong = not_supported(f"{path}.patchType", kind, ("ApplyConfiguration", "JSONPatch"))
            errors.append(wrong if kind else required(f"{path}.patchType"))
            continue
        field = "applyConfiguration" if kind == "ApplyConfiguration" else "jsonPatch"
        inner = mutation.get(field)
        if inner is None:
            errors.append(required(f"{path}.{field}", f"must be specified when patchType is {kind}"))
        else:
            text, told = inner.get("expression") or "", "expression is not specified"
            purpose = admission.APPLY if kind == "ApplyConfiguration" else admission.JSON_PATCH
            errors += at(f"{path}.{field}.expression", expression(text, purpose, scope, told))
    if not spec.get("reinvocationPolicy"):
        errors.append(required("reinvocationPolicy"))
    errors += enum("reinvocationPolicy", spec, REINVOCATIONS)
    return at("spec", errors)


def _param_reference(value: Object) -> Errors:
    errors: list[FieldError] = []
    name, selector, action = value.get("name"), value.get("selector"), value.get("parameterNotFoundAction")
    if name:
        errors += [invalid("name", name, text) for text in path_segment(name)]
        if selector is not None:
            told = "name and selector are mutually exclusive"
            errors.append(invalid("name", name, told))
    elif selector is not None:
        errors += at("selector", label_selector(selector))
    else:
        errors.append(required("", "one of name or selector must be specified"))
    if action is None:
        errors.append(required("parameterNotFoundAction"))
    elif action not in NOT_FOUND_ACTIONS:
        errors.append(not_supported("parameterNotFoundAction", action, NOT_FOUND_ACTIONS))
    return errors


def policy_binding(value: Object) -> Errors:
    """A binding of either kind of policy; validationActions apart."""
    spec = value.get("spec") or {}
    errors: list[FieldError] = []
    name = spec.get("policyName")
    if not name:
        errors.append(required("policyName"))
    else:
        errors += [invalid("policyName", name, text) for text in subdomain(name)]
    if (reference := spec.get("paramRef")) is not None:
        errors += at("paramRef", _param_reference(reference))
    if (resources := spec.get("matchResources")) is not None:
        errors += at("matchResources", _match_resources(resources))
    return at("spec", errors)


def validating_binding(value: Object) -> Errors:
    actions = (value.get("spec") or {}).get("validationActions") or []
    errors = [*policy_binding(value)]
    path = "spec.validationActions"
    for index, action in enumerate(actions):
        if action not in ACTIONS:
            errors.append(not_supported(f"{path}[{index}]", action, ACTIONS))
        if action in actions[:index]:
            errors.append(duplicate(f"{path}[{index}]", action))
    if "Deny" in actions and "Warn" in actions:
        told = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API "
            "response and headers serves no purpose)"
        )
        errors.append(invalid(path, actions, told))
    if not actions:
        errors.append(required(path, "at least one validation action is required"))
    return errors
