"""Names of properties as expressions write them: ``self.a__dash__b`` for ``a-b``, ``self.__namespace__``.

Source: k8s.io/apiserver/pkg/cel (escaping.go, types.go).
"""

from __future__ import annotations

import re

from seatrial.sim.machinery.cel.parser import RESERVED
from seatrial.sim.machinery.cel.types import Type

ESCAPES = {"__underscores__": "__", "__dot__": ".", "__dash__": "-", "__slash__": "/"}
ESCAPED = re.compile("|".join(ESCAPES))
SPECIAL = {symbol: name for name, symbol in ESCAPES.items()}
NAMEABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.\-/]*", re.ASCII)


def escaped(name: str) -> str | None:
    """None for a property that no expression can name."""
    if name in RESERVED:
        return f"__{name}__"
    if not NAMEABLE.fullmatch(name):
        return None
    return re.sub(r"__|[./-]", lambda match: SPECIAL[match[0]], name)


def unescaped(name: str) -> str:
    if "__" not in name:
        return name
    if name.startswith("__") and name.endswith("__") and name[2:-2] in RESERVED:
        return name[2:-2]
    return ESCAPED.sub(lambda match: ESCAPES[match[0]], name)


def field_of(object_type: Type, name: str) -> Type | None:
    """The type of a field as an expression names it; a reserved word may stand for itself."""
    found = object_type.fields.get(name)
    return object_type.fields.get(f"__{name}__") if found is None and name in RESERVED else found
