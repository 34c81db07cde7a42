"""What mutating policies build: Object{…} to apply, JSONPatch{…} operations.

Source: k8s.io/apiserver/pkg/cel/mutation (typeresolver.go, dynamic/objects.go, jsonpatch.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.sim.machinery.cel.declarations import functions, overload, traversal
from seatrial.sim.machinery.cel.environment import BASE, Environment
from seatrial.sim.machinery.cel.errors import EvaluationError
from seatrial.sim.machinery.cel.types import DYN, STRING, Type, object_of
from seatrial.sim.machinery.cel.values import Opaque, Optional

ROOT = "Object"
TYPE_FIELD = "@type"
"""Where a built object keeps its type until it is checked against the place it stands in."""


class _AnyField(Mapping[str, Type]):
    """Every field there could be: nothing is known of it."""

    def __getitem__(self, key: str) -> Type:
        return DYN

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0

    def get(self, key: str, default: Any = None) -> Any:
        return DYN


PATCH_FIELDS = {"op": STRING, "path": STRING, "from": STRING, "value": DYN}
PATCH = object_of("JSONPatch", PATCH_FIELDS)


class Built(dict[str, Any]):
    """An object that an expression wrote out, with the name of its type."""

    __slots__ = ("type_name",)

    def __init__(self, name: str, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.type_name = name


def structure(name: str) -> Type | None:
    if name == "JSONPatch":
        return PATCH
    if name == ROOT or name.startswith(f"{ROOT}."):
        return object_of(name, _AnyField())
    return None


def build(name: str, fields: dict[str, Any]) -> Built:
    for field, value in fields.items():
        if isinstance(value, Built) and name != "JSONPatch" and value.type_name != f"{name}.{field}":
            wanted = f"{name}.{field}"
            told = f'unexpected type name "{value.type_name}", expected "{wanted}"'
            raise EvaluationError(f"{told}, which matches field name path from root Object type")
    return Built(name, fields)


def plain(value: Any) -> Any:
    """A built value as JSON. Raises EvaluationError for what JSON cannot hold."""
    if isinstance(value, dict):
        return {key: plain(held) for key, held in value.items()}
    if isinstance(value, list):
        return [plain(held) for held in value]
    if isinstance(value, Optional):
        return plain(value.value)
    if isinstance(value, Opaque | bytes):
        raise EvaluationError(f"unsupported type in patch value: {type(value).__name__}")
    return value


LIBRARY = (
    overload(
        "jsonpatch.escapeKey",
        "jsonpatch_escapeKey_string",
        "(string): string",
        lambda key: key.replace("~", "~0").replace("/", "~1"),
        traversal,
    ),
)
FUNCTIONS = functions((entry for entries in BASE.values() for entry in entries), LIBRARY)


def environment(variables: Mapping[str, Type]) -> Environment:
    return Environment(variables, FUNCTIONS, structure, build)
