"""How endpoints are spread over slices with the fewest writes: pure functions.

Source: k8s.io/endpointslice/reconciler.go (reconcileByPortMapping, finalize).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from seatrial.sim.apiserver.request import Object

Endpoint = Mapping[str, Any]


class Changes(NamedTuple):
    """Endpoint lists: of new slices, of existing slices by name, and names of slices that have none left."""

    create: list[list[Endpoint]]
    update: dict[str, list[Endpoint]]
    delete: list[str]


def identity(endpoint: Endpoint) -> tuple[Any, ...]:
    """What makes two endpoints the same one, whatever state they are in (hashEndpoint)."""
    ref = endpoint.get("targetRef") or {}
    return (tuple(sorted(endpoint["addresses"])), ref.get("namespace"), ref.get("name"), ref.get("uid"))


def fill(
    existing: Sequence[Object], desired: Sequence[Endpoint], size_max: int, relabelled: Mapping[str, bool]
) -> Changes:
    """Changes that turn ``existing`` slices of one port list into ``desired`` endpoints.

    ``relabelled`` names the slices that have to be written anyway.
    """
    wanted = {identity(endpoint): endpoint for endpoint in desired}
    update: dict[str, list[Endpoint]] = {}
    unchanged: dict[str, list[Endpoint]] = {}
    delete: list[str] = []
    for each in existing:
        name, before = each["metadata"]["name"], each.get("endpoints") or []
        kept = [wanted.pop(key) for endpoint in before if (key := identity(endpoint)) in wanted]
        if kept != before:
            if kept:
                update[name] = kept
            else:
                delete.append(name)
        elif relabelled.get(name):
            update[name] = kept
        else:
            unchanged[name] = kept
    left = list(wanted.values())
    for name in sorted(update, key=lambda name: -len(update[name])):
        room = size_max - len(update[name])
        update[name], left = update[name] + left[:room], left[room:]
    create = []
    while left:
        name = _to_fill(unchanged, len(left), size_max) if len(left) < size_max else ""
        if name:
            room = size_max - len(unchanged[name])
            update[name] = unchanged.pop(name) + left[:room]
            left = left[room:]
        else:
            create.append(left[:size_max])
            left = left[size_max:]
    return Changes(create, update, delete)


def _to_fill(unchanged: Mapping[str, list[Endpoint]], count: int, size_max: int) -> str:
    """The fullest slice that has room for all; empty when none has (getSliceToFill)."""
    fitting = [name for name, found in unchanged.items() if len(found) + count <= size_max]
    return max(fitting, key=lambda name: len(unchanged[name]), default="")
