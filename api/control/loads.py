"""Loads over the control API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.api.control import scheduled
from seatrial.api.server.assembly import Live
from seatrial.api.server.driver import Driver
from seatrial.sim.loads.document import described
from seatrial.sim.loads.load import KINDS, load_of

if TYPE_CHECKING:
    from fastapi import FastAPI


def kinds() -> list[dict[str, Any]]:
    """All kinds, each with its shape and its parameters."""
    return [described(each) for each in KINDS.values()]


def add_to(live: Live, driver: Driver, app: FastAPI) -> None:
    """Adds the paths to the control API's application."""
    cluster = live.cluster
    things = scheduled.Things(
        "load",
        cluster.add_load,
        cluster.remove_load,
        cluster.loads.list,
        cluster.loads.show,
        load_of,
        kinds,
        list,
        live.keep,
    )
    scheduled.add_to(things, driver, app)
