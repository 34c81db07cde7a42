"""The type of a custom kind: its schema as server-side apply and managedFields see fields.

Source: k8s.io/apimachinery/pkg/util/managedfields (NewTypeConverter over the published OpenAPI),
k8s.io/kube-openapi/pkg/schemaconv.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.sim.machinery.custom.schema import META, Node
from seatrial.sim.machinery.schema import Field, Type, type_named

SCALARS: Mapping[str, str] = {"string": "string", "boolean": "boolean", "integer": "int64", "number": "double"}
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
ANY = Field("", "any")


class SchemaField(Field):
    """A field whose struct is built when it is first asked for."""

    __slots__ = ("_node",)

    def __init__(self, name: str, kind: str, node: Node, **rest: Any) -> None:
        super().__init__(name, kind, **rest)
        self._node = node

    @property
    def type(self) -> Type | None:
        if self._type is None and self.kind == "struct":
            self._type = type_of(self._node, self.name)
        return self._type


def type_of(node: Node, name: str = "") -> Type:
    """The struct that an object schema describes."""
    fields = {key: _field(key, inner) for key in node.names if (inner := node.field(key)) is not None}
    if node.embedded:
        identity = {"apiVersion": Field("apiVersion", "string"), "kind": Field("kind", "string")}
        fields.update(identity, metadata=Field("metadata", "struct", type=type_named(OBJECT_META)))
    map_type = "atomic" if node.map_type == "atomic" else ""
    return Type(name, fields, map_type, open=node.preserves or node.takes_any)


def root_type(node: Node, kind: str) -> Type:
    """The type of a kind's objects; what all objects have in common is not part of it."""
    type = type_of(node, kind)
    type.fields = {name: field for name, field in type.fields.items() if name not in META}
    return type


def _field(name: str, node: Node) -> Field:
    if node.int_or_string:
        return SchemaField(name, "int-or-string", node, default=node.default)
    if node.type == "object":
        return _object(name, node)
    if node.type == "array":
        element = ANY if node.items is None else _field("", node.items)
        return SchemaField(
            name,
            "list",
            node,
            element=element,
            list_type=node.list_type,
            list_keys=node.list_keys,
            default=node.default,
        )
    return SchemaField(name, SCALARS.get(node.type, "any"), node, default=node.default)


def _object(name: str, node: Node) -> Field:
    atomic = "atomic" if node.map_type == "atomic" else ""
    if node.names or node.embedded:
        return SchemaField(name, "struct", node, map_type=atomic, default=node.default)
    if node.values is not None:
        element = _field("", node.values)
        return SchemaField(name, "map", node, element=element, map_type=atomic, default=node.default)
    return SchemaField(name, "map", node, element=ANY, map_type=atomic, default=node.default)
