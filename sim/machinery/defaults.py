"""Defaulting of the built-in kinds."""

from __future__ import annotations

from typing import Any

from seatrial.sim.machinery.kinds import Resource


def default(resource: Resource, obj: Any) -> Any:
    """The object with its defaults filled in."""
    return obj
