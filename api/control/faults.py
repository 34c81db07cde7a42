"""Faults over the control API."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from seatrial.api.control import scheduled
from seatrial.api.server.assembly import Live
from seatrial.api.server.driver import Driver
from seatrial.sim.faults.catalogue import CATALOGUE, described, fault_of

if TYPE_CHECKING:
    from fastapi import FastAPI


def kinds() -> list[dict[str, Any]]:
    """All kinds, each with what happens, what is seen, and its parameters."""
    return [described(each) for each in CATALOGUE.values()]


def add_to(live: Live, driver: Driver, app: FastAPI) -> None:
    """Adds the paths to the control API's application."""
    cluster = live.cluster

    def show(name: str) -> dict[str, Any]:
        found = next((each for each in cluster.faults.list() if each["name"] == name), None)
        if found is None:
            raise KeyError(name)
        return {**found, "about": described(CATALOGUE[found["fault"]["kind"]])}

    things = scheduled.Things(
        "fault",
        cluster.add_fault,
        cluster.remove_fault,
        cluster.faults.list,
        show,
        fault_of,
        kinds,
        partial(list, cluster.faults.problems),
        live.keep,
    )
    scheduled.add_to(things, driver, app)
