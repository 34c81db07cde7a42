"""Conditions on objects, written as ``kubectl wait --for`` takes them.

``condition=NAME[=STATUS]``, ``jsonpath=EXPRESSION[=VALUE]``, ``delete`` and ``create``. Source:
k8s.io/kubectl/pkg/cmd/wait. Unlike there, an object that is not there yet is waited for: what is to come is what one
jumps to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from seatrial.sim.machinery.fields import printed
from seatrial.sim.machinery.printers.custom import found, is_path

Object = Mapping[str, Any]
FORMS = "condition=NAME[=STATUS], jsonpath='{.path}'[=VALUE], delete or create"
EXPRESSION = re.compile(r"""['"]?(\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})['"]?""")


class Condition(NamedTuple):
    """What has to hold of an object, which may not be there (None)."""

    text: str
    holds: Callable[[Object | None], bool]
    of_absence: bool = False
    """Whether it can hold of what is not there."""


def condition_of(text: str) -> Condition:
    """The condition that a text means. Raises ValueError with a sentence for the user."""
    word, _, rest = text.partition("=")
    lower = word.lower()
    if lower == "delete" and not rest:
        return Condition("deleted", lambda obj: obj is None, of_absence=True)
    if lower == "create" and not rest:
        return Condition("created", lambda obj: obj is not None)
    if lower == "condition" and rest:
        name, _, status = rest.partition("=")
        return Condition(f"{name} {status or 'True'}", _has_condition(name, status or "True"))
    if lower == "jsonpath" and rest:
        return _by_path(rest)
    raise ValueError(f"--for={text} is not understood; give {FORMS}")


def _has_condition(name: str, status: str) -> Callable[[Object | None], bool]:
    def holds(obj: Object | None) -> bool:
        state = (obj or {}).get("status") or {}
        generation = ((obj or {}).get("metadata") or {}).get("generation")
        for each in state.get("conditions") or ():
            if str(each.get("type", "")).lower() == name.lower():
                observed = each.get("observedGeneration", state.get("observedGeneration"))
                if observed is not None and generation is not None and observed < generation:
                    return False
                return str(each.get("status", "")).lower() == status.lower()
        return False

    return holds


def _by_path(text: str) -> Condition:
    shape = EXPRESSION.match(text)
    path, rest = (shape[1], text[shape.end() :]) if shape else text.partition("=")[::2]
    has_value = bool(shape and rest.startswith("=")) or (shape is None and bool(rest))
    value = rest.removeprefix("=").strip("'\"")
    if not path or (shape and rest and not rest.startswith("=")) or not is_path(path):
        raise ValueError(f"jsonpath={text} is not understood; for example: jsonpath='{{.status.phase}}'=Running")

    def holds(obj: Object | None) -> bool:
        values = found(path, obj) if obj is not None else []
        return any(printed(each) == value for each in values) if has_value else bool(values)

    return Condition(f"{path}={value}" if has_value else path, holds)
