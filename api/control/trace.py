"""The walk of a request through the cluster's network, over the control API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.api.control.scheduled import told
from seatrial.api.server.driver import Driver
from seatrial.sim.cluster import Cluster

if TYPE_CHECKING:
    from fastapi import FastAPI

PATH = "/seatrial/v1/trace-route"


def add_to(cluster: Cluster, driver: Driver, app: FastAPI) -> None:
    """Adds the path to the control API's application."""

    @app.post(PATH)
    async def trace_route(origin: str, url: str, method: str = "GET") -> dict[str, Any]:
        """Makes one request and tells how it went: each step with where it happened and what, and how it ended."""
        driver.enter()
        try:
            trace = cluster.trace_route(origin, url, method)
        except ValueError as problem:
            mend = "for example: seatrial trace-route outside http://192.168.1.101:30080"
            raise told(422, "trace-route", str(problem), mend) from None
        except LookupError as problem:
            raise told(409, "trace-route", str(problem), "make a cluster with nodes: seatrial up lab") from None
        finally:
            driver.wake()
        return {
            "origin": origin,
            "url": url,
            "steps": [step._asdict() for step in trace.steps],
            "outcome": trace.outcome,
            "code": trace.code,
            "address": trace.address,
            "latencyMs": trace.latency_us / 1000,
        }
