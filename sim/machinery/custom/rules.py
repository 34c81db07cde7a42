"""Validation rules of custom resources: the seam to CEL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seatrial.sim.machinery.custom.schema import Node
from seatrial.sim.machinery.fields import FieldError


def check(node: Node, new: Any, old: Any = None) -> Sequence[FieldError]:
    """What the rules under a schema say of an object and of what it replaces (None for a new one)."""
    return ()
