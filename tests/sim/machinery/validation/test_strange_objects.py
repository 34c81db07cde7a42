"""Whatever decodes can be judged: as a new object, as a change of another one, and in what it is unwise."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import pytest
from conformance.creations import BUILTIN

from seatrial.sim.machinery import conversion, decode, defaults
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.machinery.schema import Field, Type
from seatrial.sim.machinery.validation import validate_create, validate_update, warnings

KINDS = [resource for resource in BUILTIN if not resource.virtual and resource.type is not None]
OBJECTS = 12
"""Pairs of objects per kind."""
DEPTH = 7
TEXTS = (
    "", "a", "Bad Value!", "a.b", "example.com/a", "10.0.0.1", "10.0.0.0/24", "::1", "*", "1", "-1", "/a", "../x",
    "http", "TCP", "$(A)", "x" * 300, "50%", "150%", "None", "Always", "Never", "é\n",
)  # fmt: skip
KEYS = (*TEXTS, "cpu", "memory", "storage", "hugepages-2Mi", "example.com/gpu")
NUMBERS = (0, 1, -1, 7, 80, 443, 65536, 2147483647, -2147483648)
VALUES: Mapping[str, Sequence[Any]] = {
    "string": TEXTS,
    "boolean": (True, False),
    "int32": NUMBERS,
    "int64": NUMBERS,
    "double": (0, 1.5, -1),
    "bytes": ("", "dg==", "e30="),
    "quantity": ("1", "0", "-1", "100m", "1Gi", "1.5", "2e3", "1500m"),
    "time": ("2026-01-01T00:00:00Z",),
    "microtime": ("2026-01-01T00:00:00.000000Z",),
    "int-or-string": (*TEXTS, *NUMBERS),
    "any": ({}, {"a": 1}, {"apiVersion": "v1", "kind": "Pod"}),
    "schema-or-array": ({}, {"type": "string"}, [{}]),
    "schema-or-bool": (True, False, {"type": "object"}),
    "schema-or-strings": (["a"], {"type": "string"}),
}


def anything(random: Random, field: Field, depth: int) -> Any:
    """A value of a field's kind."""
    if field.kind == "struct":
        return struct(random, field.type, depth) if field.type is not None else {}
    if field.kind == "list":
        assert field.element is not None
        return [anything(random, field.element, depth - 1) for _ in range(random.choice((0, 1, 1, 2, 3)))]
    if field.kind == "map":
        element = field.element
        assert element is not None
        return {random.choice(KEYS): anything(random, element, depth - 1) for _ in range(random.choice((0, 1, 2)))}
    return random.choice(VALUES[field.kind])


def struct(random: Random, type: Type, depth: int) -> dict[str, Any]:
    if depth < 0:
        return {}
    share = min(0.9, random.choice((4, 8, 15)) / max(1, len(type.fields)))
    return {name: anything(random, field, depth - 1) for name, field in type.fields.items() if random.random() < share}


def stored(random: Random, resource: Resource) -> Any:
    """A strange object as the registry would validate it."""
    assert resource.type is not None
    obj = struct(random, resource.type, DEPTH)
    given = obj.get("metadata") or {} if random.random() < 0.3 else {}
    place = {"namespace": "n"} if resource.namespaced else {}
    obj |= {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {**given, "name": "a", **place}}
    decoded, _ = decode.decode(resource, json.dumps(obj).encode(), "application/json", "Ignore")
    return conversion.to_storage(defaults.default(resource, decoded), resource)


def judgements(resource: Resource, new: Any, old: Any) -> Sequence[Callable[[], Sequence[Any]]]:
    return [
        lambda: validate_create(resource, new),
        lambda: warnings(resource, new, None),
        lambda: warnings(resource, new, old),
        *(
            lambda part=part: validate_update(resource, new, old, part)  # type: ignore[misc]
            for part in ("", "status", *resource.subresources)
        ),
    ]


@pytest.mark.parametrize("resource", KINDS, ids=lambda resource: f"{resource.version}-{resource.storage}")
def test_nothing_is_too_strange(resource: Resource) -> None:
    random = Random(resource.storage)
    for _ in range(OBJECTS):
        try:
            new, old = stored(random, resource), stored(random, resource)
        except ApiError:
            continue
        for judge in judgements(resource, new, old):
            for found in judge():
                assert isinstance(found, str) or (isinstance(found, FieldError) and found.kind and found.message)
