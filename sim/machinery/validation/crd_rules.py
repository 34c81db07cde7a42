"""Validation rules in schemas of custom resources: whether they compile, and what they may cost.

Source: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation (ValidateCustomResourceDefinitionOpenAPISchema,
CELSchemaContext) and pkg/apiserver/schema/cel (compilation.go).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from seatrial.sim.machinery.cel import schemas
from seatrial.sim.machinery.cel.rules import Rule, compile_rules
from seatrial.sim.machinery.custom.schema import Node
from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.problems import Object, forbidden, invalid, required

RULES = "x-kubernetes-validations"
RULE_COST_MAX = 10_000_000
"""Of one rule over all values that it may meet in an object (StaticEstimatedCostLimit)."""
SCHEMA_COST_MAX = 100_000_000
"""Of all rules of a schema (StaticEstimatedCRDCostLimit)."""
DEAREST = 4
"""Rules that are named when the whole schema costs too much."""
CONTRIBUTED = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
ADVICE = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are "
    "declared)"
)
TOTAL = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
GO_FIELDS = ("Rule", "Message", "MessageExpression", "Reason", "FieldPath", "OptionalOldSelf")
STEP = re.compile(r"\.([A-Za-z_$][\w$-]*)|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands, as far as its rules care."""

    count: int | None = 1
    """How often it may occur in an object; None where nothing bounds it."""
    uncorrelatable: str = ""
    """The part of the schema within which old and new values cannot be told to belong together."""


@dataclass(slots=True)
class Total:
    """What the rules of a schema cost together."""

    costs: list[tuple[int, str]] = field(default_factory=list)


def rules(schema: Object, path: str) -> Iterator[FieldError]:
    """What is wrong with the rules of a schema that is right in every other way."""
    if not Node(schema).has_rules:
        return
    total = Total()
    yield from _node(schema, path, Place(), True, total)
    spent = sum(cost for cost, _ in total.costs)
    if spent > SCHEMA_COST_MAX:
        for _, where in sorted(total.costs, reverse=True)[:DEAREST]:
            yield forbidden(where, CONTRIBUTED)
        yield forbidden(path, _too_dear(TOTAL, spent, SCHEMA_COST_MAX))


def _node(schema: Object, path: str, place: Place, root: bool, total: Total) -> Iterator[FieldError]:
    for index, rule in enumerate(compile_rules(schema, root) if schema.get(RULES) else ()):
        yield from _rule(schema, rule, f"{path}.{RULES}[{index}]", place, total)
    is_atomic = schema.get("x-kubernetes-map-type") == "atomic"
    within = replace(place, uncorrelatable=place.uncorrelatable or path) if is_atomic else place
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        below = replace(within, count=_times(place.count, schema.get("maxProperties")))
        yield from _node(more, f"{path}.additionalProperties", below, _embeds(more), total)
    for name, inner in sorted((schema.get("properties") or {}).items()):
        yield from _node(inner, f"{path}.properties[{name}]", within, _embeds(inner), total)
    items = schema.get("items")
    if isinstance(items, dict):
        blurred = "" if schema.get("x-kubernetes-list-type") == "map" else path
        below = Place(_times(place.count, schema.get("maxItems")), place.uncorrelatable or blurred)
        yield from _node(items, f"{path}.items", below, _embeds(items), total)


def _embeds(schema: Object) -> bool:
    return bool(schema.get("x-kubernetes-embedded-resource"))


def _times(count: int | None, most: int | None) -> int | None:
    return None if count is None or most is None else count * most


def _rule(schema: Object, rule: Rule, path: str, place: Place, total: Total) -> Iterator[FieldError]:
    count = place.count if place.count is not None else _fitting(schema)
    cost = rule.cost * count
    if cost > RULE_COST_MAX:
        yield forbidden(f"{path}.rule", _too_dear("estimated rule cost", cost, RULE_COST_MAX))
    total.costs.append((cost, f"{path}.rule"))
    if rule.error:
        here = f"{path}.rule"
        yield required(here, rule.error) if rule.missing else invalid(here, _printed(rule.spec), rule.error)
    if rule.message_error:
        yield invalid(f"{path}.messageExpression", _printed(rule.spec), rule.message_error)
    elif (message_cost := rule.message_cost * count) > RULE_COST_MAX:
        told = _too_dear("estimated messageExpression cost", message_cost, RULE_COST_MAX)
        yield forbidden(f"{path}.messageExpression", told)
    if rule.uses_old_self and place.uncorrelatable:
        told = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {place.uncorrelatable}"
        yield invalid(f"{path}.rule", rule.spec["rule"], told)
    given = rule.spec.get("fieldPath") or ""
    if given and (wrong := _wrong_path(schema, given)):
        yield invalid(f"{path}.fieldPath", given, f"fieldPath must be a valid path: {wrong}")


def _fitting(schema: Object) -> int:
    """How many values of a schema a request can carry."""
    return schemas.REQUEST_BYTES_MAX // (schemas.smallest(schema) + 1)


def _too_dear(what: str, cost: int, limit: int) -> str:
    factor = cost / limit
    shown = "more than 100x" if factor > 100 else f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    return f"{what} exceeds budget by factor of {shown} {ADVICE}"


def _printed(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A rule as its internal type prints."""
    empty = {"Reason": None, "OptionalOldSelf": None}
    return {name: spec.get(name[0].lower() + name[1:], empty.get(name, "")) for name in GO_FIELDS}


def _wrong_path(schema: Object, text: str) -> str:
    """Why a path leads nowhere in a schema; empty when it does not."""
    at, node = 0, schema
    while at < len(text):
        step = STEP.match(text, at)
        if step is None:
            return f"expected [ or . but got: {text[at : at + 1]}"
        name = next(part for part in step.groups() if part is not None)
        inner = (node.get("properties") or {}).get(name)
        if inner is None and isinstance(node.get("additionalProperties"), Mapping) and step[1] is None:
            inner = node["additionalProperties"]
        if inner is None:
            return "does not refer to a valid field"
        at, node = step.end(), inner
    return ""
