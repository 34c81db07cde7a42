"""What must hold for objects of each kind, case by case."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from conformance.creations import BUILTIN

from seatrial.sim.machinery import conversion, decode, defaults
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.machinery.validation import validate_create, validate_update, warnings

DATA = Path(__file__).resolve().parents[3] / "data" / "validation"
BASES = yaml.safe_load((DATA / "bases.yaml").read_text())
CASES = yaml.safe_load((DATA / "cases.yaml").read_text())
ANY = "*"
"""A message that prints a whole structure."""


def changed(base: Any, changes: Mapping[str, Any]) -> Any:
    """A copy with values at dotted paths; null takes a field away."""
    copy = json.loads(json.dumps(base))
    for path, value in changes.items():
        at = copy
        *steps, last = path.split(".")
        for step in steps:
            at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
        if value is None:
            del at[last]
        else:
            at[last] = value
    return copy


def stored(obj: Mapping[str, Any]) -> tuple[Resource, Any]:
    """The object as the registry validates it."""
    group, _, version = obj["apiVersion"].rpartition("/")
    resource = BUILTIN.by_kind(group, version, obj["kind"])
    assert resource is not None
    decoded, unknown = decode.decode(resource, json.dumps(obj).encode(), "application/json", "Strict")
    assert not unknown
    return resource, conversion.to_storage(defaults.default(resource, decoded), resource)


def pair(case: Mapping[str, Any]) -> tuple[Resource, Any, Any]:
    """Kind, new object and old one."""
    base = BASES[case["kind"]]
    changes = {**case.get("set", {}), **dict.fromkeys(case.get("drop", ()))}
    if "from" not in case:
        return (*stored(changed(base, changes)), None)
    version = {"metadata.resourceVersion": "1"}
    before = changed(base, {**case["from"], **version})
    resource, old = stored(before)
    return resource, stored(changed(before, changes))[1], old


def title(case: Mapping[str, Any]) -> str:
    return f"{case['kind']}: {case.get('title', 'as it should be')}"


@pytest.mark.parametrize("case", CASES, ids=title)
def test_everything_that_is_wrong_is_said(case: Mapping[str, Any]) -> None:
    resource, new, old = pair(case)
    subresource = case.get("subresource", "")
    errors = validate_create(resource, new) if old is None else validate_update(resource, new, old, subresource)
    wanted = {path: told if isinstance(told, list) else [told] for path, told in case.get("errors", {}).items()}
    found: dict[str, list[str]] = {}
    for error in errors:
        found.setdefault(error.path, []).append(ANY if wanted.get(error.path) == [ANY] else error.message)
    assert found == wanted


@pytest.mark.parametrize("case", CASES, ids=title)
def test_what_is_unwise_is_warned_of(case: Mapping[str, Any]) -> None:
    resource, new, old = pair(case)
    if "errors" not in case:
        assert warnings(resource, new, old, case.get("subresource", "")) == case.get("warnings", [])


@pytest.mark.parametrize("kind", BASES)
def test_an_unchanged_object_may_always_be_written(kind: str) -> None:
    resource, new = stored(changed(BASES[kind], {"metadata.resourceVersion": "1"}))
    assert validate_update(resource, new, new) == []
    again = stored(changed(BASES[kind], {"metadata.resourceVersion": "1"}))[1]
    assert validate_update(resource, again, new) == []
    assert validate_update(resource, again, new, "status") == []
