"""What the scheduler makes of a pod, over the control API: of one that is there, or of one that might be."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from seatrial.api.server.assembly import Live
from seatrial.api.server.driver import Driver
from seatrial.sim.apiserver.client import error_of
from seatrial.sim.apiserver.request import Request, Response
from seatrial.sim.cluster import ADMIN
from seatrial.sim.machinery.errors import ApiError

if TYPE_CHECKING:
    from fastapi import FastAPI, HTTPException

PATH = "/seatrial/v1/explain"


def add_to(live: Live, driver: Driver, app: FastAPI) -> None:
    """Adds the paths to the control API's application."""
    cluster = live.cluster

    @app.get(PATH)
    async def explain_pod(name: str, namespace: str = "default") -> dict[str, Any]:
        """Every plug-in's verdict and score per node for a pod that is there, whether it has its node or not."""
        driver.enter()
        try:
            return dict(cluster.explain(name, namespace))
        except (ApiError, LookupError) as problem:
            raise refused(problem, f"pod {namespace}/{name}", f"kubectl get pods -n {namespace}") from None

    @app.post(PATH)
    async def explain_manifest(manifest: dict[str, Any], namespace: str = "default") -> dict[str, Any]:
        """The same for a pod that is not there; of a workload, for the first pod that it would make."""
        driver.enter()
        name = (manifest.get("metadata") or {}).get("name") or "without a name"
        try:
            request = cluster.dry_run(manifest, namespace)
            response = await answer(live, driver, request)
            if response.code >= 400:
                raise error_of(response)
            return dict(cluster.explain_found(response.body))
        except (ApiError, LookupError, ValueError) as problem:
            raise refused(problem, f"pod {name}", "kubectl apply --dry-run=server -f FILE") from None


async def answer(live: Live, driver: Driver, request: Request) -> Response:
    """The API server's answer to the administrator, who may have to wait for webhooks."""
    request.user = ADMIN
    came: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()
    live.submit(request, came.set_result)
    driver.look()
    later = await came
    if later is None:
        raise LookupError("the API server failed at the pod; its log says more")
    return later


def refused(problem: Exception, what: str, look: str) -> HTTPException:
    """A refusal with the thing, the reason and the mend."""
    from fastapi import HTTPException

    if isinstance(problem, ApiError):
        code, mend = problem.code, f"see what there is: {look}" if problem.code == 404 else f"try it with: {look}"
    elif isinstance(problem, LookupError):
        code = 409
        mend = "start one: a cluster made with --controllers none has no scheduler, one that was stopped does not run"
        if "profile" in str(problem):
            mend = "set the pod's schedulerName to one that runs, or give the scheduler a profile of that name"
    else:
        code, mend = 422, "give a Pod, or something that makes pods, such as a Deployment or a Job"
    why = problem.message if isinstance(problem, ApiError) else str(problem)
    return HTTPException(code, {"what": what, "why": why, "mend": mend})
