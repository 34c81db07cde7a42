"""Conversion between the served versions of a kind and the one it is stored in."""

from __future__ import annotations

from typing import Any

from seatrial.sim.machinery.kinds import Resource


def convert(stored: Any, resource: Resource) -> Any:
    """A stored object in the version of a resource."""
    return stored


def to_storage(obj: Any, resource: Resource) -> Any:
    """An object in its storage version."""
    return obj


def converts(resource: Resource) -> bool:
    """Whether the served version is not the stored one."""
    return resource.api_version != resource.storage_version
