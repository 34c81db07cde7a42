"""The types of the built-in kinds: fields, lists, merge keys, and what an empty value looks like on the wire.

Source: the API server's OpenAPI v3 documents (k8s.io/kube-openapi), compiled by ``data/compile.py``; a type is built
when it is first asked for.

Not modelled: OpenAPI's descriptions and enums are not here but in the documents that ``openapi`` serves.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import cache, cached_property, lru_cache
from importlib import resources
from typing import Any

import orjson

from seatrial.sim.machinery import legacy_types


def data_bytes(name: str) -> bytes:
    """A compiled data file as it is on the disk."""
    return resources.files("seatrial.sim.machinery.data").joinpath(name).read_bytes()


@cache
def data(name: str) -> Any:
    """The value in a compiled data file, by its name without ``.json.gz``."""
    return orjson.loads(gzip.decompress(data_bytes(f"{name}.json.gz")))


SCALAR_ZEROS: Mapping[str, Any] = {
    "string": "",
    "boolean": False,
    "int32": 0,
    "int64": 0,
    "double": 0,
    "quantity": "0",
    "int-or-string": 0,
}
"""What Go writes for an empty field without ``omitempty``; everything that is not listed is null."""


class Field:
    """A property of a type, or what a list or map holds.

    ``kind`` is one of string, boolean, int32, int64, double, bytes, quantity, time, microtime, int-or-string, any,
    struct, list, map, schema-or-array, schema-or-bool, schema-or-strings. ``element`` describes the items of a list
    and the values of a map, ``type`` the struct.
    """

    __slots__ = (
        "_type",
        "default",
        "disabled",
        "element",
        "index",
        "keeps_empty",
        "kind",
        "list_keys",
        "list_type",
        "map_type",
        "merge_key",
        "name",
        "optional",
        "patch_strategy",
        "pointer",
        "present",
        "ref",
    )

    def __init__(
        self,
        name: str,
        kind: str,
        *,
        ref: str = "",
        type: Type | None = None,
        element: Field | None = None,
        list_type: str = "",
        list_keys: tuple[str, ...] = (),
        map_type: str = "",
        merge_key: str = "",
        patch_strategy: tuple[str, ...] = (),
        optional: bool = True,
        pointer: bool = False,
        present: bool = False,
        default: Any = None,
        disabled: bool = False,
        index: int = 0,
    ) -> None:
        self.name = name
        self.kind = kind
        self.ref = ref
        self._type = type
        self.element = element
        self.list_type = list_type
        """atomic, set, map, or empty where nothing is said (then atomic for apply)."""
        self.list_keys = list_keys
        self.map_type = map_type
        """atomic, granular, or empty."""
        self.merge_key = merge_key
        self.patch_strategy = patch_strategy
        """merge, retainKeys, replace: x-kubernetes-patch-strategy taken apart."""
        self.optional = optional
        self.pointer = pointer
        self.present = present
        """Whether the field is on the wire even when empty: it has no ``omitempty``, or is a struct by value."""
        self.keeps_empty = present or pointer or kind == "any"
        """Whether an empty value that was given stays; raw JSON stays as it is."""
        self.default = default
        """The default that the schema itself names, zeros included; it also completes the keys of a list map."""
        self.disabled = disabled
        """Whether the field's feature gate is off: its value is read and validated, and never stored."""
        self.index = index

    def __repr__(self) -> str:
        return f"Field({self.name!r}, {self.kind!r})"

    @property
    def type(self) -> Type | None:
        """The struct; None for anything else."""
        if self._type is None and self.ref:
            self._type = type_named(self.ref)
        return self._type

    @property
    def zero(self) -> Any:
        """The value on the wire of an empty field that is present."""
        if self.pointer:
            return None
        if self.kind == "struct":
            return self.type.zero if self.type is not None else None
        return SCALAR_ZEROS.get(self.kind)

    @property
    def go_type(self) -> str:
        """The Go type in the words of encoding/json."""
        if self.kind == "list":
            return f"[]{self.element.go_type if self.element else ''}"
        if self.kind == "map":
            return f"map[string]{self.element.go_type if self.element else ''}"
        if self.kind == "struct" and self.type is not None:
            return self.type.go_name
        return GO_TYPES.get(self.kind, self.kind)


GO_TYPES: Mapping[str, str] = {
    "boolean": "bool",
    "double": "float64",
    "bytes": "[]uint8",
    "quantity": "resource.Quantity",
    "time": "v1.Time",
    "microtime": "v1.MicroTime",
    "int-or-string": "intstr.IntOrString",
    "any": "runtime.RawExtension",
}


class Type:
    """A struct: its fields by JSON name, in the order in which Go writes them."""

    def __init__(self, name: str, fields: Mapping[str, Field], map_type: str = "", open: bool = False) -> None:
        self.name = name
        self.fields = fields
        self.map_type = map_type
        """atomic where server-side apply owns the whole struct at once."""
        self.open = open
        """Whether fields that the type does not name are allowed: in custom kinds that keep unknown fields."""

    def __repr__(self) -> str:
        return f"Type({self.name!r})"

    @property
    def kind(self) -> str:
        """The struct's own name, e.g. PodSpec."""
        return self.name.rpartition(".")[2]

    @property
    def go_name(self) -> str:
        """Package and name in Go, e.g. v1.PodSpec."""
        return ".".join(self.name.rsplit(".", 2)[-2:])

    @cached_property
    def zeros(self) -> tuple[tuple[str, Any], ...]:
        """The fields that are always on the wire, with their empty values."""
        return tuple((field.name, field.zero) for field in self.fields.values() if field.present)

    @cached_property
    def zero(self) -> dict[str, Any]:
        """The struct when nothing is set. Shared: not to be changed."""
        return dict(self.zeros)


def _field(name: str, row: Mapping[str, Any], index: int) -> Field:
    element = row.get("e")
    return Field(
        name,
        row["t"],
        ref=row.get("r", ""),
        element=None if element is None else _field("", element, 0),
        list_type=row.get("lt", ""),
        list_keys=tuple(row.get("lk", ())),
        map_type=row.get("mt", ""),
        merge_key=row.get("mk", ""),
        patch_strategy=tuple(row["ps"].split(",")) if "ps" in row else (),
        optional="q" not in row,
        pointer="p" in row,
        present="z" in row,
        default=row.get("d"),
        disabled="x" in row,
        index=index,
    )


@cache
def type_named(name: str) -> Type:
    """A type by the name of its OpenAPI definition, e.g. io.k8s.api.core.v1.Pod. Raises KeyError."""
    older = legacy_types.TYPES.get(name)
    row: Mapping[str, Any] = {"f": older} if older is not None else data("types")["types"][name]
    fields = {key: _field(key, value, index) for index, (key, value) in enumerate(row["f"].items())}
    return Type(name, fields, row.get("mt", ""))


@lru_cache(maxsize=1 << 12)
def type_of_kind(group: str, version: str, kind: str) -> Type | None:
    """The type behind a group, version and kind; None for kinds that the server does not know."""
    name = data("types")["kinds"].get(f"{group}/{version}/{kind}")
    return None if name is None else type_named(name)
