"""Why an object is as it is, over the control API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.api.server.driver import Driver
from seatrial.sim.causes import shown
from seatrial.sim.cluster import Cluster

if TYPE_CHECKING:
    from fastapi import FastAPI

PATH = "/seatrial/v1/why"


def add_to(cluster: Cluster, driver: Driver, app: FastAPI) -> None:
    """Adds the path to the control API's application."""
    from fastapi import HTTPException

    @app.get(PATH)
    async def show_why(kind: str, name: str, namespace: str = "default") -> dict[str, Any]:
        """What led to an object and what happened to it, each step with its time, its author and its cause."""
        try:
            story = cluster.why(kind, name, namespace)
        except ValueError as problem:
            raise HTTPException(404, str(problem)) from None
        if not story:
            raise HTTPException(404, f"nothing is known of {kind}/{name}: it never was, or it is too long ago")
        return {"kind": kind, "name": name, "namespace": namespace, "steps": shown(story, driver.offset_us)}
