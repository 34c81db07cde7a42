"""What happened when and because of what, over the control API: the data of the timeline picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.api.control.clock import MOMENTS, refused
from seatrial.api.server.driver import Driver
from seatrial.scenarios.moments import moment_of
from seatrial.sim.cluster import Cluster
from seatrial.sim.store.store import Compacted

if TYPE_CHECKING:
    from fastapi import FastAPI

PATH = "/seatrial/v1/timeline"


def add_to(cluster: Cluster, driver: Driver, app: FastAPI) -> None:
    """Adds the path to the control API's application."""

    @app.get(PATH)
    async def show_timeline(
        since: str = "start",
        until: str = "now",
        kind: str = "",
        name: str = "",
        namespace: str = "default",
        every: bool = False,
        lanes: int = 80,
    ) -> dict[str, Any]:
        """Lanes of objects with what they were and what happened to them, bands of faults, loads and jumps of the
        clock, and the stage of nodes, pods and services, from one moment to another."""
        from seatrial.scenarios.timeline.build import timeline_of

        driver.enter()
        about = None
        try:
            ends = [moment_of(text, cluster).at_us for text in (since, until)]
        except ValueError as problem:
            raise refused(str(problem), MOMENTS, "timeline") from None
        try:
            if kind:
                resource = cluster.resource(kind)
                about = (resource.storage, namespace if resource.namespaced else "", name)
            found = timeline_of(
                cluster.store, cluster.kinds, cluster.journal, cluster.now, ends[0], ends[1], about, every, lanes
            )
        except ValueError as problem:
            raise refused(str(problem), "see which kinds there are: kubectl api-resources", "timeline") from None
        except Compacted:
            why = f"the log no longer reaches back to {since}: it was compacted"
            raise refused(why, "begin later: seatrial timeline --since 10m", "timeline") from None
        if about is not None and not found.lanes:
            raise refused(f"nothing is known of {kind}/{name} in that time", "see: kubectl get", "timeline")
        return found.model_dump(mode="json")
