"""Defaulting of the built-in kinds: every type's rules, applied wherever the type occurs.

Source: k8s.io/kubernetes/pkg/apis/*/v*/zz_generated.defaults.go. A type is compiled once: its own rules, the defaults
that its schema names, and the fields below which there is anything to default; the rest of an object is shared.

Not modelled: defaults that need the clock (a DeviceTaint's timeAdded).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from seatrial.sim.machinery.default_rules import RULES
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.machinery.quantity import MICRO_SCALE, Quantity, parse
from seatrial.sim.machinery.schema import Field, Type

Defaulter = Callable[[Any], Any]


def default(resource: Resource, obj: Any) -> Any:
    """The object with its defaults filled in; the object itself when there is nothing to fill in."""
    if resource.custom or resource.type is None:
        return obj
    defaulter = compiled(resource.type)
    return obj if defaulter is None else defaulter(obj)


def rules_of(type: Type) -> tuple[list[tuple[str, Any, bool]], list[Defaulter]]:
    """A type's rules: (field, value, whether an explicit zero counts as set), and functions, which come first."""
    plain, functions = [], []
    named = [(field.name, field.default) for field in type.fields.values() if field.default is not None]
    for rule in (*named, *RULES.get(".".join(type.name.rsplit(".", 3)[-3:]), ())):
        if callable(rule):
            functions.append(rule)
        else:
            plain.append((*rule, type.fields[rule[0]].pointer))
    return plain, functions


@cache
def reaches(type: Type) -> bool:
    """Whether there is anything to default in the type or below it."""
    return _reaches(type, set())


def _reaches(type: Type, seen: set[str]) -> bool:
    if type.name in seen:
        return False
    seen.add(type.name)
    if any(rules_of(type)):
        return True
    return any(_element_reaches(field, seen) for field in type.fields.values())


def _element_reaches(field: Field, seen: set[str]) -> bool:
    while field.element is not None:
        if field.kind == "map" and field.element.kind == "quantity":
            return True
        field = field.element
    return field.type is not None and _reaches(field.type, seen)


@cache
def compiled(type: Type) -> Defaulter | None:
    """The defaulter of a type; None where there is nothing to do."""
    if not reaches(type):
        return None
    plain, functions = rules_of(type)
    below = [(field.name, child) for field in type.fields.values() if (child := _child(field)) is not None]
    order = tuple(type.fields)

    def run(obj: Any) -> Any:
        new = obj
        for function in functions:
            new = function(new)
        fresh: dict[str, Any] | None = None
        for name, value, explicit in plain:
            if name not in new if explicit else not new.get(name):
                if fresh is None:
                    fresh = new = dict(new)
                fresh[name] = value
        for name, child in below:
            value = new.get(name)
            if value is not None:
                defaulted = child(value)
                if defaulted is not value:
                    if fresh is None:
                        fresh = new = dict(new)
                    fresh[name] = defaulted
        if new is obj:
            return obj
        return {name: new[name] for name in order if name in new}

    return run


def _child(field: Field) -> Defaulter | None:
    """What defaults a field's value, found when first needed."""
    if field.kind == "map" and field.element is not None and field.element.kind == "quantity":
        return rounded
    if not _element_reaches(field, set()):
        return None
    if field.kind == "struct":
        return _struct(field)
    assert field.element is not None
    inner = _child(field.element)
    if inner is None:
        return None
    return _items(inner) if field.kind == "list" else _values(inner)


def _struct(field: Field) -> Defaulter:
    ready: list[Defaulter | None] = []

    def run(value: Any) -> Any:
        if not ready:
            assert field.type is not None
            ready.append(compiled(field.type))
        defaulter = ready[0]
        return value if defaulter is None else defaulter(value)

    return run


def _items(inner: Defaulter) -> Defaulter:
    def run(value: Any) -> Any:
        out = [inner(item) for item in value]
        return out if any(new is not old for new, old in zip(out, value, strict=True)) else value

    return run


def _values(inner: Defaulter) -> Defaulter:
    def run(value: Any) -> Any:
        out = {key: inner(item) for key, item in value.items()}
        return out if any(new is not value[key] for key, new in out.items()) else value

    return run


def rounded(amounts: Any) -> Any:
    """A resource list in thousandths: nothing finer is kept (SetDefaults_ResourceList)."""
    if not any(text[-1:] in "nu" or "e-" in text for text in amounts.values()):
        return amounts
    return {name: str(_milli(parse(text))) for name, text in amounts.items()}


def _milli(amount: Quantity) -> Quantity:
    return Quantity(amount.milli_value() * MICRO_SCALE, amount.format)
