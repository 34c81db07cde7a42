"""What the server warns of without refusing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.sim.machinery.kinds import Resource

Object = Mapping[str, Any]


def warnings(resource: Resource, new: Object, old: Object | None) -> list[str]:
    return []
