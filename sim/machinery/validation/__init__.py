"""What objects must hold beyond their types: names, references between fields, what may never change.

``validate_create`` and ``validate_update`` give every error that upstream would, as field errors; ``warnings`` what it
merely warns of. Objects come decoded, with defaults, in the storage version. The rules lie in one module per topic and
are put together per kind in ``rows``.

Source: k8s.io/kubernetes/pkg/apis/*/validation, pkg/registry/*/strategy.go and k8s.io/apimachinery/pkg/api/validation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seatrial.sim.machinery.conversion import convert
from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.machinery.validation import custom
from seatrial.sim.machinery.validation.metadata import metadata, metadata_update
from seatrial.sim.machinery.validation.problems import at
from seatrial.sim.machinery.validation.rows import CUSTOM, DEFAULT, ROWS, STRICT_EVENTS, Row
from seatrial.sim.machinery.validation.warning_rows import warnings

Object = Mapping[str, Any]

__all__ = ["validate_create", "validate_update", "warnings"]


def _row(resource: Resource) -> Row:
    if resource.group == "events.k8s.io":
        return STRICT_EVENTS
    return ROWS.get(resource.storage) or (CUSTOM if resource.custom else DEFAULT)


def validate_create(resource: Resource, obj: Object, known: bool = False) -> list[FieldError]:
    """Everything that is wrong with a new object; empty when it may be stored. ``known``: all but its metadata was
    found right before."""
    row = _row(resource)
    found = metadata(obj["metadata"], resource.namespaced, row.name, row.legacy_finalizers)
    errors = [*at("metadata", found)] if found else []
    if resource.custom is not None:
        return custom.create(resource.custom, convert(obj, resource), errors)
    if not known and (found := row.check(obj)):
        errors += found
    return _once(errors) if errors else errors


def validate_update(resource: Resource, new: Object, old: Object, subresource: str = "") -> list[FieldError]:
    """Everything that is wrong with a change; parts that are the old ones themselves are not looked at again."""
    row = _row(resource)
    errors: list[FieldError] = []
    after, before = new["metadata"], old["metadata"]
    if found := metadata_update(after, before, row.legacy_finalizers):
        errors += at("metadata", found)
        if row.metadata_twice:
            errors += at("metadata", found)
    if resource.custom is not None:
        change = custom.status if subresource == "status" else custom.update
        return change(resource.custom, convert(new, resource), convert(old, resource), errors)
    narrow = row.status if subresource == "status" else row.subresources.get(subresource)
    if narrow is not None:
        errors += narrow(new, old)
    else:
        errors += row.update(new, old)
        check = row.check if row.recheck is None else row.recheck
        if _touched(new, old):
            errors += check(new)
    return errors if not errors or row.metadata_twice else _once(errors)


def _once(errors: Sequence[FieldError]) -> list[FieldError]:
    """What several rules say in the same words is said once."""
    return list(dict.fromkeys(errors))


def _touched(new: Object, old: Object) -> bool:
    """Whether anything but metadata and status is another value than before."""
    return len(new) != len(old) or any(
        value is not old.get(key) and value != old.get(key)
        for key, value in new.items()
        if key not in ("metadata", "status")
    )
