"""What a write loses on its way into the store: fields of features that are off, and lists without an item.

Source: the DropDisabledFields functions of k8s.io/kubernetes/pkg/registry, and the protobuf form in which objects are
stored, which cannot tell an empty list from none. A type is compiled once to the fields below which there is anything
to lose; the rest of an object is shared.

Not modelled: a feature that is on. No gate can be set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.machinery.schema import Field, Type, type_of_kind

Change = Callable[..., Any]
NOTHING: Mapping[str, Any] = {}


def drop(resource: Resource, obj: Any, known: Mapping[str, Any] = NOTHING) -> Any:
    """The object as the store gives it back; itself when there is nothing to lose.

    ``known`` is what the store gave back before: members that are its own are left alone.
    """
    if resource.custom:
        return obj
    group, _, version = str(obj.get("apiVersion", resource.api_version)).rpartition("/")
    type = type_of_kind(group, version, resource.kind)
    change = None if type is None else compiled(type)
    return obj if change is None else change(obj, known)


@cache
def own(type: Type) -> Change | None:
    """The change to a struct itself: disabled fields go, empty lists become null. None where there is none."""
    disabled = frozenset(field.name for field in type.fields.values() if field.disabled)
    lists = [field.name for field in type.fields.values() if field.present and field.kind in ("list", "map")]
    if not disabled and not lists:
        return None

    def change(obj: Any) -> Any:
        if not disabled.isdisjoint(obj):
            obj = {key: value for key, value in obj.items() if key not in disabled}
        for name in lists:
            value = obj.get(name)
            if value is not None and not value:
                obj = {**obj, name: None}
        return obj

    return change


@cache
def compiled(type: Type) -> Change | None:
    """The change to a struct and everything below it; None where there is nothing to change."""
    if not _reaches(type, set()):
        return None
    here = own(type)
    below: dict[str, Change] = {}
    ready = False

    def change(obj: Any, known: Mapping[str, Any] = NOTHING) -> Any:
        nonlocal ready
        if not ready:
            below.update(_below(type))
            ready = True
        new = obj if here is None else here(obj)
        out = new
        for name, value in new.items():
            if value and name in below and known.get(name) is not value:
                kept = below[name](value)
                if kept is not value:
                    out = {**out, name: kept}
        return out

    return change


def _reaches(type: Type, seen: set[str]) -> bool:
    if type.name in seen:
        return False
    seen.add(type.name)
    if own(type) is not None:
        return True
    structs = (_struct(field) for field in type.fields.values())
    return any(struct is not None and _reaches(struct, seen) for struct in structs)


def _struct(field: Field) -> Type | None:
    """The struct that a field is, or a list or map of."""
    while field.element is not None:
        field = field.element
    return field.type


def _below(type: Type) -> dict[str, Change]:
    found = {}
    for name, field in type.fields.items():
        inner = _inner(field)
        if inner is not None:
            found[name] = inner
    return found


def _inner(field: Field) -> Change | None:
    if field.element is None:
        return None if field.type is None else compiled(field.type)
    inner = _inner(field.element)
    if inner is None:
        return None
    return _items(inner) if field.kind == "list" else _values(inner)


def _items(inner: Change) -> Change:
    def change(value: Any) -> Any:
        out, lost = [], False
        for item in value:
            new = inner(item)
            lost = lost or new is not item
            out.append(new)
        return out if lost else value

    return change


def _values(inner: Change) -> Change:
    def change(value: Any) -> Any:
        out = {key: inner(item) for key, item in value.items()}
        return out if any(new is not value[key] for key, new in out.items()) else value

    return change
