"""Everything that may be wrong with a custom resource, in the order in which the server says it.

Source: k8s.io/apiextensions-apiserver/pkg/registry/customresource (strategy.go, status_strategy.go, validator.go).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seatrial.sim.machinery.custom.kind import Custom
from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.custom import rules, structure, values
from seatrial.sim.machinery.validation.custom.values import MISSING

Object = Mapping[str, Any]

BLOCKING = frozenset(
    {"FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"}
)
"""What must be right before rules are tried."""
UNCHECKED = FieldError(
    "FieldValueInvalid",
    "<nil>",
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing "
    "errors to complete validation",
)
SPEC, STATUS, SELECTOR = range(3)


def create(custom: Custom, obj: Object, found: Sequence[FieldError]) -> list[FieldError]:
    """What is wrong with a new object, after what was ``found`` wrong with its metadata."""
    errors = [*found]
    node = custom.node
    if node is not None:
        errors += values.problems(node, obj)
    if custom.scale_paths is not None:
        errors += structure.scale(obj, custom.scale_paths, (SPEC, STATUS, SELECTOR))
    if node is not None:
        errors += structure.embedded(node, obj)
        errors += structure.duplicates(node, obj)
    return _with_rules(custom, obj, None, errors)


def update(custom: Custom, new: Object, old: Object, found: Sequence[FieldError]) -> list[FieldError]:
    """The same for a change of anything but the status."""
    errors = [*found]
    node = custom.node
    if node is not None:
        errors += values.problems(node, new, old)
    if custom.scale_paths is not None:
        errors += structure.scale(new, custom.scale_paths, (SPEC, STATUS, SELECTOR))
    if node is not None:
        errors += structure.embedded(node, new)
        errors += _new_duplicates(custom, new, old)
    return _with_rules(custom, new, old, errors)


def status(custom: Custom, new: Object, old: Object, found: Sequence[FieldError]) -> list[FieldError]:
    """The same for a change through the status subresource: only the status is looked at."""
    errors = [*found]
    inner = None if custom.node is None else custom.node.field("status")
    if inner is not None and "status" in new:
        errors += values.problems(inner, new["status"], old.get("status", MISSING), "status")
    if custom.scale_paths is not None:
        errors += structure.scale(new, custom.scale_paths, (STATUS, SELECTOR))
    errors += _new_duplicates(custom, new, old)
    return _with_rules(custom, new, old, errors)


def _new_duplicates(custom: Custom, new: Object, old: Object) -> list[FieldError]:
    """Duplicates, unless there were some before."""
    if custom.node is None:
        return []
    found = list(structure.duplicates(custom.node, new))
    return [] if found and any(structure.duplicates(custom.node, old)) else found


def _with_rules(custom: Custom, new: Object, old: Object | None, errors: list[FieldError]) -> list[FieldError]:
    if custom.node is None or not custom.has_rules:
        return errors
    if any(error.kind in BLOCKING for error in errors):
        return [*errors, UNCHECKED]
    return [*errors, *rules.check(custom.node, new, old)]


def finalizer_warnings(new: Object, old: Object | None) -> list[str]:
    """What is said of added finalizers whose names may clash (validateKubeFinalizerName)."""
    before = () if old is None else old["metadata"].get("finalizers") or ()
    why = "prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other"
    return [
        f'metadata.finalizers: "{name}": {why} finalizer writers'
        for name in sorted(dict.fromkeys(new["metadata"].get("finalizers") or ()))
        if name not in before and "/" not in name and name not in STANDARD_FINALIZERS
    ]


STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
