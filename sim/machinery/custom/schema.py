"""Structural schemas: an openAPIV3Schema as nodes, each made when something below it is first asked for.

A definition of an operator has thousands of fields and most objects use a few dozen of them, so nothing is compiled
before an object needs it. A node never changes.

Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema (Structural, NewStructural).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

T = TypeVar("T")

PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"
INT_OR_STRING = "x-kubernetes-int-or-string"
LIST_TYPE, LIST_KEYS, MAP_TYPE = "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"
RULES = "x-kubernetes-validations"
META = ("apiVersion", "kind", "metadata")
"""What every object has, whether or not its schema says so."""


class Node:
    """One schema: of a whole object, a property, the items of a list or the values of a map."""

    def __init__(self, raw: Mapping[str, Any], marks: dict[int, int] | None = None) -> None:
        self.raw = raw
        self._marks: dict[int, int] = {} if marks is None else marks
        """The schema as it was written."""
        self.type: str = raw.get("type") or ""
        self.nullable: bool = bool(raw.get("nullable"))
        self.preserves: bool = bool(raw.get(PRESERVE))
        """Fields that the schema does not name are kept."""
        self.embedded: bool = bool(raw.get(EMBEDDED))
        """The value is a whole object of its own, with kind, apiVersion and metadata."""
        self.int_or_string: bool = bool(raw.get(INT_OR_STRING))
        self.list_type: str = raw.get(LIST_TYPE) or ""
        self.list_keys: tuple[str, ...] = tuple(raw.get(LIST_KEYS) or ())
        self.map_type: str = raw.get(MAP_TYPE) or ""
        self.default: Any = raw.get("default")
        self._named: Mapping[str, Any] = raw.get("properties") or {}
        self._properties: dict[str, Node] = {}
        self._compiled: dict[Callable[..., Any], Any] = {}

    def __repr__(self) -> str:
        return f"Node({self.type or 'any'!r})"

    @property
    def names(self) -> Mapping[str, Any]:
        """The properties by name, as they were written."""
        return self._named

    def field(self, name: str) -> Node | None:
        """The schema of a property; None for one that is not declared."""
        node = self._properties.get(name)
        if node is None:
            raw = self._named.get(name)
            if raw is None:
                return None
            node = self._properties[name] = Node(raw, self._marks)
        return node

    @cached_property
    def takes_any(self) -> bool:
        """Whether additional properties are allowed without saying what they hold."""
        return self.raw.get("additionalProperties") is True

    @cached_property
    def values(self) -> Node | None:
        """What a map holds: the schema under additionalProperties."""
        raw = self.raw.get("additionalProperties")
        return Node(raw, self._marks) if isinstance(raw, Mapping) else None

    @cached_property
    def items(self) -> Node | None:
        """What a list holds."""
        raw = self.raw.get("items")
        return Node(raw, self._marks) if isinstance(raw, Mapping) else None

    def below(self, name: str) -> Node | None:
        """The schema of a member of an object, declared or additional."""
        return self.field(name) or self.values

    @cached_property
    def defaults(self) -> tuple[tuple[str, Any], ...]:
        """The properties that have a default, with it."""
        return tuple((name, raw["default"]) for name, raw in self._named.items() if raw.get("default") is not None)

    def compiled(self, compile: Callable[[Mapping[str, Any]], T]) -> T:
        """What something makes of the whole schema, made once."""
        if compile not in self._compiled:
            self._compiled[compile] = compile(self.raw)
        result: T = self._compiled[compile]
        return result

    def alternatives(self, quantifier: str) -> tuple[Node, ...]:
        """The schemas under allOf, anyOf or oneOf."""
        return tuple(Node(raw) for raw in self.raw.get(quantifier) or ())

    @cached_property
    def opposite(self) -> Node | None:
        """The schema under not."""
        raw = self.raw.get("not")
        return Node(raw) if isinstance(raw, Mapping) else None

    @cached_property
    def _mark(self) -> int:
        """Which of the keywords stand here or anywhere below. The whole schema is looked through once."""
        if not self._marks:
            _mark(self.raw, self._marks)
        return self._marks[id(self.raw)]

    @property
    def has_rules(self) -> bool:
        """Whether there are validation rules here or anywhere below."""
        return bool(self._mark & MARKS[RULES])

    @property
    def has_defaults(self) -> bool:
        """Whether there are defaults here or anywhere below."""
        return bool(self._mark & MARKS["default"])

    @property
    def has_keyed_lists(self) -> bool:
        """Whether there are sets or lists with keys here or anywhere below."""
        return bool(self._mark & MARKS[LIST_TYPE])

    @property
    def has_embedded(self) -> bool:
        """Whether there are whole objects here or anywhere below."""
        return bool(self._mark & MARKS[EMBEDDED])


MARKS: Mapping[str, int] = {RULES: 1, "default": 2, LIST_TYPE: 4, EMBEDDED: 8}
"""Keywords that decide whether a walk through a value has anything to find."""


def _mark(raw: Mapping[str, Any], marks: dict[int, int]) -> int:
    """Notes for every schema, by identity, which keywords it and those below it carry."""
    found = 0
    for keyword, bit in MARKS.items():
        if raw.get(keyword) is not None:
            found |= bit
    properties = raw.get("properties")
    if properties:
        for inner in properties.values():
            found |= _mark(inner, marks)
    for name in ("items", "additionalProperties"):
        inner = raw.get(name)
        if isinstance(inner, Mapping):
            found |= _mark(inner, marks)
    marks[id(raw)] = found
    return found
