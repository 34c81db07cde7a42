"""Values as the server's internal Go types marshal them.

Some errors print a whole structure. Upstream's internal types carry no JSON tags, so the fields are called as in Go,
stand in the order of the source and are printed even when they are empty.

Source: k8s.io/kubernetes/pkg/apis/*/types.go. *Not modelled*: sources of volumes that no driver serves any more; they
are printed as on the wire.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

ZEROES: Mapping[str, Any] = {"string": "", "int": 0, "bool": False, "quantity": "0", "=": None}
OMIT = "omit"


@cache
def _types() -> Mapping[str, Mapping[str, tuple[tuple[str, ...], str]]]:
    """Go type -> Go field -> (where its value lies on the wire, Go type).

    A type is a name, ``*`` of one, ``[]`` of one, ``=`` (as on the wire, null when absent) or ``omit`` (left out when
    absent); the path ``.`` is the value itself: fields that Go keeps in a structure of their own.
    """
    text = resources.files("seatrial.sim.machinery.validation").joinpath("golang.json").read_text()
    loaded: Mapping[str, Mapping[str, str]] = json.loads(text)
    return {name: {field: _place(told) for field, told in fields.items()} for name, fields in loaded.items()}


def _place(described: str) -> tuple[tuple[str, ...], str]:
    path, _, kind = described.partition(":")
    return tuple(path.split(".")), kind


def internal_form(value: Any, type_name: str) -> Any:
    """The value as its internal type prints; ``type_name`` as in golang.json."""
    if type_name in ZEROES:
        return ZEROES[type_name] if value is None else value
    if type_name[0] == "*":
        return None if value is None else internal_form(value, type_name[1:])
    if type_name[:2] == "[]":
        return None if value is None else [internal_form(item, type_name[2:]) for item in value]
    printed: dict[str, Any] = {}
    for name, (path, kind) in _types()[type_name].items():
        inner = value
        if path != ("", ""):
            for key in path:
                inner = (inner or {}).get(key)
        if kind != OMIT:
            printed[name] = internal_form(inner, kind)
        elif inner is not None:
            printed[name] = inner
    return printed
