"""How server-side apply and managedFields see a schema."""

from __future__ import annotations

from seatrial.sim.machinery.custom.schema import Node
from seatrial.sim.machinery.custom.types import root_type, type_of

KEYED = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port"]}
PORT = {"type": "object", "properties": {"port": {"type": "integer"}, "proto": {"type": "string", "default": "TCP"}}}
NODE = Node(
    {
        "type": "object",
        "properties": {
            "metadata": {"type": "object"},
            "ports": {"type": "array", "items": PORT, **KEYED},
            "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            "args": {"type": "array", "items": {"type": "string"}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "ref": {"type": "object", "properties": {"a": {"type": "string"}}, "x-kubernetes-map-type": "atomic"},
            "any": {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "x-kubernetes-preserve-unknown-fields": True,
            },
            "either": {"x-kubernetes-int-or-string": True},
            "template": {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": PORT}},
        },
    }
)


def test_every_schema_has_its_field() -> None:
    fields = root_type(NODE, "Thing").fields
    assert {name: field.kind for name, field in fields.items()} == {
        "ports": "list",
        "tags": "list",
        "args": "list",
        "labels": "map",
        "ref": "struct",
        "any": "struct",
        "either": "int-or-string",
        "template": "struct",
    }
    assert (fields["ports"].list_type, fields["ports"].list_keys) == ("map", ("port",))
    assert (fields["tags"].list_type, fields["args"].list_type) == ("set", "")
    assert fields["ref"].map_type == "atomic"
    ports = fields["ports"].element
    assert ports is not None
    assert ports.type is not None
    assert ports.type.fields["proto"].default == "TCP"


def test_what_keeps_unknown_fields_is_open() -> None:
    fields = root_type(NODE, "Thing").fields
    kept, embedded = fields["any"].type, fields["template"].type
    assert kept is not None
    assert embedded is not None
    assert (kept.open, embedded.open) == (True, False)
    assert list(embedded.fields) == ["spec", "apiVersion", "kind", "metadata"]
    assert not type_of(NODE).open
