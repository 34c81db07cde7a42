"""A cluster's history over the control API: its journal, and going back to an earlier moment of it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from pydantic import Field

from seatrial.api.control.bodies import Body
from seatrial.api.control.clock import MOMENTS, refused
from seatrial.api.problem import Problem
from seatrial.api.server.driver import Driver
from seatrial.api.server.histories import Histories
from seatrial.scenarios.moments import moment_of
from seatrial.sim.cluster import Cluster

if TYPE_CHECKING:
    from fastapi import FastAPI, Response

BASE = "/seatrial/v1"


class Rewind(Body):
    """Where to go back to."""

    to: str = Field(description="how long ago, a revision, a time of the cluster's calendar, or start")
    keep: str = Field(default="", description="the name of the snapshot of what was; empty: it is dropped")


class Restore(Body):
    """Which snapshot to go on from."""

    snapshot: str
    keep: str = Field(default="", description="the name of the snapshot of what was; empty: it is dropped")


def add_to(histories: Histories, cluster: Cluster, driver: Driver, app: FastAPI) -> None:
    """Adds the paths to the control API's application."""
    from fastapi import HTTPException
    from fastapi import Response as Answer

    async def made(what: Awaitable[dict[str, Any]]) -> dict[str, Any]:
        try:
            return await what
        except Problem as problem:
            raise HTTPException(409, {"what": problem.what, "why": problem.why, "mend": problem.mend}) from None

    @app.get(f"{BASE}/journal")
    async def show_journal() -> Response:
        """The journal of this boot up to now: JSON lines that `seatrial replay` takes."""
        driver.enter()
        try:
            return Answer(histories.journal().dump(), media_type="application/jsonl")
        except Problem as problem:
            raise HTTPException(409, {"what": problem.what, "why": problem.why, "mend": problem.mend}) from None

    @app.get(f"{BASE}/progress")
    async def show_progress() -> dict[str, Any]:
        """How much of a replay is done, while one is going on."""
        return {"share": histories.share}

    @app.post(f"{BASE}/clock/rewind")
    async def rewind(body: Rewind) -> dict[str, Any]:
        """Goes back to an earlier moment of this boot. The cluster answers anew soon after the answer: `history` in
        `/seatrial/v1/status` is another one then."""
        driver.enter()
        try:
            moment = moment_of(body.to, cluster)
        except ValueError as problem:
            raise refused(str(problem), MOMENTS, "clock rewind") from None
        return await made(histories.rewind(moment, body.keep))

    @app.post(f"{BASE}/restore")
    async def restore(body: Restore) -> dict[str, Any]:
        """Goes on from a snapshot, as `rewind` does."""
        driver.enter()
        return await made(histories.restore(body.snapshot, body.keep))
