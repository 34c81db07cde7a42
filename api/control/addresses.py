"""Where the cluster's addresses are on this machine, over the control API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.api.addresses.served import Served
from seatrial.api.server.state import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

PATH = "/seatrial/v1/addresses"


def add_to(served: Served | None, settings: Settings, app: FastAPI) -> None:
    """Adds the paths to the control API's application; ``served`` is None where there are no addresses."""
    from fastapi import HTTPException

    name = settings.spec.name
    if settings.addresses:
        why = "it has no machines, so nothing is reachable but its API server"
        mend = f"kubectl reaches it; for machines: seatrial destroy {name}, then seatrial up {name} --nodes 3"
    else:
        why = "it was started with --no-addresses"
        mend = f"start it with them: seatrial halt {name}, then seatrial up {name} --addresses"

    @app.get(PATH)
    async def show_addresses() -> dict[str, Any]:
        """What is reachable from outside, where it is on this machine, and how to try it; the forward proxy."""
        if served is None:
            raise HTTPException(409, {"what": f"cluster {name}", "why": why, "mend": mend})
        return served.view()
