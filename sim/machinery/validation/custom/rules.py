"""Validation rules of custom resources: the seam to the expression language.

Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel (validation.go).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seatrial.sim.machinery.cel import rules
from seatrial.sim.machinery.custom.schema import Node
from seatrial.sim.machinery.fields import FieldError


def check(node: Node, new: Any, old: Any = None) -> Sequence[FieldError]:
    """What the rules under a schema say of an object and of what it replaces (None for a new one).

    The rules are compiled with the first object. The root of an object is called ``<nil>``, as upstream prints a path
    without parts.
    """
    validator = node.compiled(rules.validator)
    found = rules.validate(validator, new, old).errors
    return [error if error.path else error._replace(path="<nil>") for error in found]
