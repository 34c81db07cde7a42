"""One twin: a value."""

from __future__ import annotations

from typing import NamedTuple


class Twin(NamedTuple):
    """Where an address of the cluster is on this machine."""

    host: str
    port: int
    """0 when it is nowhere."""
    why: str = ""
    """Why it is not the same port, or is not there at all."""
