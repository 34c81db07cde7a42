"""What the table of kinds knows of a custom kind beyond its names: schema, columns, paths, conversion.

Between versions the apiVersion changes, or whatever the definition's webhook says, then the schema of the version that
is asked for prunes and defaults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from seatrial.sim.machinery.custom.converter import Converter
from seatrial.sim.machinery.custom.pruning import default, prune
from seatrial.sim.machinery.custom.schema import Node
from seatrial.sim.machinery.custom.types import root_type
from seatrial.sim.machinery.schema import Type

Object = Mapping[str, Any]
SHOWN_MAX = 4096
"""Stored objects of which a kind remembers how they look under its schema."""

ScalePaths = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]


@dataclass(eq=False)
class Custom:
    """One version of a definition. It never changes: a changed definition gets a new one."""

    kind: str = ""
    node: Node | None = None
    """The schema; None where nothing is known of the fields."""
    given_type: Type | None = None
    """The type, where it does not come from the schema."""
    printer_columns: Sequence[Mapping[str, Any]] = ()
    selectable_fields: Sequence[str] = ()
    """Paths without the leading dot."""
    scale_paths: ScalePaths | None = None
    """Where wanted replicas, present replicas and the selector lie, without an entry for what the kind does not say."""
    preserves: bool = False
    """spec.preserveUnknownFields: nothing is pruned."""
    since: int = 0
    """The revision of the definition: what was written later was written under this schema, if ``alone``."""
    alone: bool = True
    """Whether objects are written through this version only."""
    deprecation: str = ""
    """What every request for the version is warned of."""
    converter: Converter | None = None
    """Of a definition with ``strategy: Webhook`` and several versions."""
    terminating: bool = False
    """The definition is being deleted: nothing new is created."""
    _shown: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)

    @cached_property
    def type(self) -> Type | None:
        """The type of the objects, for server-side apply."""
        if self.given_type is not None or self.node is None or self.preserves:
            return self.given_type
        return None if self.node.preserves and not self.node.names else root_type(self.node, self.kind)

    @property
    def has_rules(self) -> bool:
        """Whether the schema holds validation rules."""
        return self.node is not None and self.node.has_rules

    def pruned(self, obj: Object) -> tuple[Any, list[str]]:
        """An object without unknown fields, and their paths."""
        if self.node is None or self.preserves:
            return obj, []
        return prune(obj, self.node)

    def defaulted(self, obj: Object) -> Object:
        """An object with the schema's defaults."""
        filled: Object = default(obj, self.node)
        return filled

    def shown(self, stored: Object, api_version: str) -> Object:
        """A stored object as this version shows it: pruned and defaulted by the schema of today.

        What was written under this very schema is returned as it is, and so is what is yet to be written. Raises
        Unconverted for what the definition's webhook has to be asked first.
        """
        if self.converter is not None and stored.get("apiVersion") != api_version:
            return self.defaulted(self.pruned(self.converter.converted(stored, api_version))[0])
        metadata = stored["metadata"]
        revision = metadata.get("resourceVersion", "")
        renamed = stored if stored.get("apiVersion") == api_version else {**stored, "apiVersion": api_version}
        if self.node is None or not revision.isdigit() or (self.alone and int(revision) > self.since):
            return renamed
        key = (metadata.get("uid", ""), revision)
        found = self._shown.get(key)
        if found is None or found[0] is not stored:
            found = (stored, self.defaulted(self.pruned(renamed)[0]))
            if len(self._shown) >= SHOWN_MAX:
                self._shown.clear()
            self._shown[key] = found
        result: Object = found[1]
        return result
