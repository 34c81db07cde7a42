"""Defaulting of the built-in kinds: every type's rules, applied wherever the type occurs.

Source: k8s.io/kubernetes/pkg/apis/*/v*/zz_generated.defaults.go. A type is compiled once: its own rules, the defaults
that its schema names, and the fields below which there is anything to default; the rest of an object is shared.

Not modelled: defaults that need the clock (a DeviceTaint's timeAdded).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from seatrial.sim.machinery.default_rules import RULES
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.machinery.quantity import MICRO_SCALE, Quantity, parse
from seatrial.sim.machinery.schema import Field, Type

Defaulter = Callable[..., Any]
"""From a value to the value with its defaults; that of a struct also takes a known value."""
Object = Mapping[str, Any]
NOTHING: Object = {}


def default(resource: Resource, obj: Object, known: Object = NOTHING) -> Object:
    """The object with its defaults filled in; the object itself when there is nothing to fill in.

    ``known`` is an object that has its defaults already: members that are its own are left alone.
    """
    if resource.custom is not None:
        return resource.custom.defaulted(obj)
    if resource.type is None:
        return obj
    if resource.legacy is not None:
        obj = resource.legacy.prefilled(obj)
    defaulter = compiled(resource.type)
    if defaulter is None:
        return obj
    defaulted: Object = defaulter(obj, known)
    return defaulted


def rules_of(type: Type) -> tuple[list[tuple[str, Any, bool]], list[Defaulter]]:
    """A type's rules: (field, value, whether an explicit zero counts as set), and functions, which come first."""
    plain, functions = [], []
    named = [
        (field.name, field.default)
        for field in type.fields.values()
        if field.default or (field.pointer and field.default is not None)
    ]
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
    """The defaulter of a type; None where there is nothing to do. Its fields are looked up at the first object."""
    if not reaches(type):
        return None
    plain, functions = rules_of(type)
    below: dict[str, Defaulter] = {}
    order = tuple(type.fields)

    def run(obj: Any, known: Mapping[str, Any] = NOTHING) -> Any:
        if not below:
            below.update(_below(type))
        new = obj
        if not (known and _same_but_status(obj, known)):
            for function in functions:
                new = function(new)
        changed = {
            name: value for name, value, explicit in plain if (name not in new if explicit else not new.get(name))
        }
        for name, child in below.items():
            value = changed[name] if name in changed else new.get(name)
            if value is not None and known.get(name) is not value:
                defaulted = child(value)
                if defaulted is not value:
                    changed[name] = defaulted
        if changed:
            new = {**new, **changed}
        return obj if new is obj else {name: new[name] for name in order if name in new}

    return run


def _same_but_status(obj: Object, known: Object) -> bool:
    """Whether all that a kind's own rules look at is what has its defaults already: no rule of a kind looks at the
    status as a whole."""
    if len(obj) != len(known):
        return False
    for name, value in obj.items():
        if value is not known.get(name) and name != "status" and value != known.get(name):
            return False
    return True


def _below(type: Type) -> dict[str, Defaulter]:
    """What defaults each field's value, where there is anything to default; never empty."""
    found = {name: child for name, field in type.fields.items() if (child := _child(field)) is not None}
    return found or {"": _same}


def _same(value: Any) -> Any:
    return value


def _child(field: Field) -> Defaulter | None:
    """What defaults a field's value; None where there is nothing to default."""
    if field.kind == "map" and field.element is not None and field.element.kind == "quantity":
        return rounded
    if field.kind == "struct":
        return None if field.type is None else compiled(field.type)
    inner = None if field.element is None else _child(field.element)
    if inner is None:
        return None
    return _items(inner) if field.kind == "list" else _values(inner)


def _items(inner: Defaulter) -> Defaulter:
    def run(value: Any) -> Any:
        out, changed = [], False
        for item in value:
            new = inner(item)
            changed = changed or new is not item
            out.append(new)
        return out if changed else value

    return run


def _values(inner: Defaulter) -> Defaulter:
    def run(value: Any) -> Any:
        out = {key: inner(item) for key, item in value.items()}
        return out if any(new is not value[key] for key, new in out.items()) else value

    return run


def rounded(amounts: Any) -> Any:
    """A resource list in thousandths: nothing finer is kept (SetDefaults_ResourceList)."""
    for text in amounts.values():
        if text[-1] in "nu" or "e-" in text:
            return {name: str(_milli(parse(each))) for name, each in amounts.items()}
    return amounts


def _milli(amount: Quantity) -> Quantity:
    return Quantity(amount.milli_value() * MICRO_SCALE, amount.format)
