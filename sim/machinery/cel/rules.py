"""The rules of a custom kind's schema: x-kubernetes-validations, compiled once and evaluated over objects.

Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel (compilation.go, validation.go). A rule whose part of
the object did not change warns instead of refusing, as upstream's ratcheting has it. *Not modelled*: ratcheting of the
nearest ancestor that can be correlated for parts that cannot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seatrial.sim.machinery.cel import costs, schemas, types
from seatrial.sim.machinery.cel.environment import Environment
from seatrial.sim.machinery.cel.errors import CelError, CostExceeded, EvaluationError
from seatrial.sim.machinery.cel.program import Program
from seatrial.sim.machinery.cel.syntax import Ident
from seatrial.sim.machinery.cel.types import Type
from seatrial.sim.machinery.cel.values import NONE, Optional
from seatrial.sim.machinery.fields import FieldError, quoted

Schema = Mapping[str, Any]

OBJECT_BUDGET = 10_000_000
"""What all rules of one object may cost (celconfig.RuntimeCELCostBudget)."""
MESSAGE_BYTES_MAX = 5 * 1024
NO_MORE = "no further validation rules will be run"
OUT_OF_BUDGET = f"validation failed due to running out of cost budget, {NO_MORE}"


@dataclass(slots=True)
class Rule:
    """One rule of one node. ``error`` and ``message_error`` say why it, or its messageExpression, has no program."""

    spec: Mapping[str, Any]
    program: Program | None = None
    error: str = ""
    missing: bool = False
    """Whether the error is that there is no expression."""
    uses_old_self: bool = False
    message: Program | None = None
    message_error: str = ""
    cost: int = 0
    """The most it is estimated to cost for one value."""
    message_cost: int = 0


def compile_rules(schema: Schema, root: bool = False) -> list[Rule]:
    """The rules of one node, without those of the nodes below. ``root``: the node is a whole object."""
    listed = schema.get("x-kubernetes-validations") or ()
    if not listed:
        return []
    kind = schemas.type_of(schema, root)
    return [_rule(spec, kind) for spec in listed]


def _rule(spec: Mapping[str, Any], kind: Type | None) -> Rule:
    rule = Rule(spec)
    text = spec.get("rule") or ""
    if not text.strip():
        rule.error, rule.missing = "rule is not specified", True
        return rule
    own = kind if kind is not None else types.DYN
    old = types.optional_of(own) if spec.get("optionalOldSelf") else own
    environment = Environment({"self": own, "oldSelf": old})
    try:
        rule.program = environment.compile(text)
    except CelError as error:
        rule.error = f"compilation failed: {error}"
        return rule
    if rule.program.result != types.BOOL:
        rule.program, rule.error = None, "cel expression must evaluate to a bool"
        return rule
    rule.uses_old_self = any(isinstance(node, Ident) and node.name == "oldSelf" for node in rule.program.checked.types)
    rule.cost = costs.estimate(rule.program.checked)
    _compile_message(rule, environment)
    return rule


def _compile_message(rule: Rule, environment: Environment) -> None:
    text = rule.spec.get("messageExpression") or ""
    if not text:
        return
    if not text.strip():
        rule.message_error = "messageExpression must be non-empty if specified"
        return
    try:
        program = environment.compile(text)
    except CelError as error:
        rule.message_error = f"messageExpression compilation failed: {error}"
        return
    if program.result != types.STRING:
        rule.message_error = "messageExpression must evaluate to a string"
        return
    rule.message = program
    rule.message_cost = costs.estimate(program.checked)


@dataclass(slots=True)
class Validator:
    """The rules of a schema, node by node; only nodes with rules at or below them."""

    schema: Schema
    rules: list[Rule]
    convert: schemas.Convert | None
    root: bool = False
    items: Validator | None = None
    properties: dict[str, Validator] = field(default_factory=dict)
    values: Validator | None = None
    all_of: list[Validator] = field(default_factory=list)


def validator(schema: Schema, root: bool = True) -> Validator | None:
    """All rules of a schema; None when it has none. ``root``: it is the schema of whole objects."""
    rules = compile_rules(schema, root)
    found = Validator(schema, rules, schemas.converter(schema, root) if rules else None, root)
    if isinstance(items := schema.get("items"), Mapping):
        found.items = validator(items, bool(items.get("x-kubernetes-embedded-resource")))
    if isinstance(values := schema.get("additionalProperties"), Mapping):
        found.values = validator(values, bool(values.get("x-kubernetes-embedded-resource")))
    for key, inner in (schema.get("properties") or {}).items():
        below = validator(inner, bool(inner.get("x-kubernetes-embedded-resource")))
        if below is not None:
            found.properties[key] = below
    for inner in schema.get("allOf") or ():
        nested = validator(_grounded(inner, schema), root)
        if nested is not None:
            found.all_of.append(nested)
    nested_rules = (found.items, found.values, found.properties, found.all_of)
    return found if rules or any(nested_rules) else None


def _grounded(inner: Schema, schema: Schema) -> Schema:
    """A branch of allOf over the types of the node that it stands in."""
    bare = {key: value for key, value in schema.items() if key not in ("x-kubernetes-validations", "allOf")}
    grounded = {**bare, "x-kubernetes-validations": inner.get("x-kubernetes-validations") or ()}
    properties = schema.get("properties") or {}
    if properties:
        within = inner.get("properties") or {}
        grounded["properties"] = {
            key: _grounded(within.get(key) or {}, node) if isinstance(node, Mapping) else node
            for key, node in properties.items()
        }
    if isinstance(schema.get("items"), Mapping):
        grounded["items"] = _grounded(inner.get("items") or {}, schema["items"])
    return grounded


@dataclass(slots=True)
class Validation:
    """What came of an object's rules."""

    errors: list[FieldError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """What would have been refused, had that part not been so before."""
    budget: int = OBJECT_BUDGET
    """What is left of it; below zero no more rules are run."""


def validate(
    node: Validator | None, value: Any, old: Any = None, path: str = "", budget: int = OBJECT_BUDGET
) -> Validation:
    """Evaluates all rules over a value. ``old``: what it was before; None for a new object."""
    result = Validation(budget=budget)
    if node is not None:
        _validate(node, value, old, path, result)
    return result


def _validate(node: Validator, value: Any, old: Any, path: str, result: Validation) -> None:
    if value is None or result.budget < 0:
        return
    if node.rules:
        _evaluate(node, value, old, path, result)
    for branch in node.all_of:
        if result.budget >= 0:
            _validate(branch, value, old, path, result)
    if isinstance(value, list) and node.items is not None:
        _validate_items(node, node.items, value, old, path, result)
    elif isinstance(value, dict):
        before = old if isinstance(old, dict) and node.schema.get("x-kubernetes-map-type") != "atomic" else {}
        for key, held in value.items():
            if node.values is not None:
                _validate(node.values, held, before.get(key), f"{path}[{key}]", result)
            if (below := node.properties.get(key)) is not None:
                _validate(below, held, before.get(key), f"{path}.{key}" if path else key, result)


def _validate_items(
    node: Validator, items: Validator, value: list[Any], old: Any, path: str, result: Validation
) -> None:
    keys = node.schema.get("x-kubernetes-list-map-keys") or ()
    before: dict[Any, Any] = {}
    if node.schema.get("x-kubernetes-list-type") == "map" and isinstance(old, list):
        before = {tuple(element.get(key) for key in keys): element for element in old}
    for index, element in enumerate(value):
        known = before.get(tuple(element.get(key) for key in keys)) if before else None
        _validate(items, element, known, f"{path}[{index}]", result)


def _evaluate(node: Validator, value: Any, old: Any, path: str, result: Validation) -> None:
    """The rules of one node over one value."""
    if result.budget <= 0:
        result.errors.append(_broken(node, path, OUT_OF_BUDGET))
        result.budget = -1
        return
    convert = node.convert
    own = value if convert is None else convert(value)
    before = old if convert is None or old is None else convert(old)
    for rule in node.rules:
        if rule.error:
            result.errors.append(_broken(node, path, f"rule compile error: {rule.error}"))
            continue
        optional = bool(rule.spec.get("optionalOldSelf"))
        if rule.uses_old_self and old is None and not optional:
            continue
        bindings = {"self": own}
        if optional:
            bindings["oldSelf"] = NONE if old is None else Optional((before,))
        elif old is not None:
            bindings["oldSelf"] = before
        if not _passed(node, rule, bindings, (value, old), path, result):
            return


def _passed(
    node: Validator, rule: Rule, bindings: dict[str, Any], values: tuple[Any, Any], path: str, result: Validation
) -> bool:
    """Runs one rule; false when no further ones are to run."""
    assert rule.program is not None
    failure: EvaluationError | None = None
    holds: Any = None
    try:
        holds, cost = rule.program.measured(bindings)
    except EvaluationError as error:
        failure, cost = error, error.cost
    if cost > result.budget:
        result.errors.append(_broken(node, path, OUT_OF_BUDGET))
        result.budget = -1
        return False
    result.budget -= cost
    if failure is not None:
        result.errors.append(_broken(node, path, _failed(failure, rule)))
        if isinstance(failure, CostExceeded):
            result.budget = -1
        return not isinstance(failure, CostExceeded)
    if holds is True:
        return True
    detail = _message(rule, bindings, result)
    if result.budget < 0:
        result.errors.append(_broken(node, _field_path(path, rule.spec.get("fieldPath") or ""), detail))
        return False
    problem = _refused(values[0], rule, path, detail if detail else _told(rule))
    if not rule.uses_old_self and values[1] is not None and values[0] == values[1]:
        result.warnings.append(str(problem))
    else:
        result.errors.append(problem)
    return True


def _shown(rule: Rule) -> str:
    return (rule.spec.get("message") or rule.spec["rule"]).strip()  # type: ignore[no-any-return]


def _told(rule: Rule) -> str:
    told = rule.spec.get("message")
    return told.strip() if told else f"failed rule: {_shown(rule)}"


def _failed(failure: EvaluationError, rule: Rule) -> str:
    text, shown = str(failure), _shown(rule)
    if text.startswith("no such overload"):
        told = "call arguments did not match a supported operator, function or macro signature for rule"
        return f"'{text}': {told}: {shown}"
    if isinstance(failure, CostExceeded):
        return f"'{text}': no further validation rules will be run due to call cost exceeds limit for rule: {shown}"
    return f"{text} evaluating rule: {shown}"


def _message(rule: Rule, bindings: dict[str, Any], result: Validation) -> str:
    """What the messageExpression says; empty when it says nothing that can be shown.

    When there is no budget left for it, that is said instead, and the budget is below zero.
    """
    if rule.message is None:
        return ""
    text: Any = ""
    try:
        text, cost = rule.message.measured(bindings)
    except CostExceeded:
        result.budget = -1
        why = "no further validation rules will be run due to call cost exceeds limit for messageExpression"
        return f"{why}: {quoted(rule.spec['messageExpression'])}"
    except EvaluationError as error:
        cost = error.cost
    if cost > result.budget:
        result.budget = -1
        return f"messageExpression evaluation failed due to running out of cost budget, {NO_MORE}"
    result.budget -= cost
    told = text.strip() if isinstance(text, str) else ""
    return "" if "\n" in told or len(told.encode()) > MESSAGE_BYTES_MAX else told


def _bad(value: Any) -> str:
    """How an error shows the value: objects and lists are left out."""
    return "" if isinstance(value, dict | list) else f": {quoted(value)}"


def _invalid(value: Any, path: str, detail: str) -> FieldError:
    return FieldError("FieldValueInvalid", path, f"Invalid value{_bad(value)}: {detail}")


def _broken(node: Validator, path: str, detail: str) -> FieldError:
    """A rule could not be evaluated: the value's type stands for the value."""
    return FieldError("FieldValueInvalid", path, f"Invalid value: {quoted(node.schema.get('type', ''))}: {detail}")


def _refused(value: Any, rule: Rule, path: str, detail: str) -> FieldError:
    at = _field_path(path, rule.spec.get("fieldPath") or "")
    reason = rule.spec.get("reason") or "FieldValueInvalid"
    if reason == "FieldValueForbidden":
        return FieldError(reason, at, f"Forbidden: {detail}")
    if reason == "FieldValueRequired":
        return FieldError(reason, at, f"Required value: {detail}")
    if reason == "FieldValueDuplicate":
        return FieldError(reason, at, f"Duplicate value{_bad(value)}")
    return _invalid(value, at, detail)


def _field_path(path: str, extra: str) -> str:
    """The rule's own path below the node's: ``.a['b-c']`` becomes ``a.b-c``."""
    parts = extra.replace("['", ".").replace("']", "").lstrip(".")
    if not parts:
        return path
    return f"{path}.{parts}" if path else parts


def transition_rules(rules: Sequence[Rule]) -> list[int]:
    """The positions of rules that name oldSelf, which not every part of a schema allows."""
    return [index for index, rule in enumerate(rules) if rule.uses_old_self]
