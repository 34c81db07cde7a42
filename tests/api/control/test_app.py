"""The control API: what it does to the clock, and for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import httpx
import pytest

from seatrial.api.control import clock
from seatrial.api.control.app import Control, Front, make_app
from seatrial.api.server import pki
from seatrial.api.server.driver import Driver, wall_us
from seatrial.api.server.message import Answer, Incoming, Outgoing
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from tests.api.server.harness import client_context, edge, keys, story


def talk(
    run: Callable[[httpx.AsyncClient, Driver, list[str]], Coroutine[Any, Any, None]], pair: pki.Pair | None
) -> None:
    def kubernetes(incoming: Incoming, answer: Answer) -> None:
        answer(Outgoing(200, [], b"kubernetes"))

    async def main() -> None:
        cluster = Cluster(ClusterSpec(nodes=0, controllers="none"), now=wall_us())
        driver = Driver(cluster.clock)
        driver.start(asyncio.get_running_loop())
        stopped: list[str] = []
        control = Control(
            cluster.server,
            lambda: make_app(
                driver, lambda: {"name": "lab"}, lambda: stopped.append("stop"), partial(clock.add_to, cluster, driver)
            ),
        )
        async with (
            edge(Front(kubernetes, control), secure=True) as listener,
            httpx.AsyncClient(
                base_url=f"https://127.0.0.1:{listener.port}", verify=client_context(pair), timeout=30
            ) as client,
        ):
            await run(client, driver, stopped)
        driver.stop()

    story(main)


def test_the_administrator_turns_the_clock() -> None:
    async def run(client: httpx.AsyncClient, driver: Driver, stopped: list[str]) -> None:
        base = "/seatrial/v1/clock"
        assert (await client.get("/seatrial/v1/status")).json()["clock"]["speed"] == 1
        assert (await client.post(f"{base}/pause")).json()["paused"] is True
        assert (await client.post(f"{base}/resume")).json()["paused"] is False
        assert (await client.put(f"{base}/speed", json={"speed": 60})).json()["speed"] == 60
        await client.put(f"{base}/speed", json={"speed": 1})
        moved = (await client.post(f"{base}/advance", json={"duration": "1h"})).json()
        assert moved["offsetMicroseconds"] <= -3600 * 1_000_000
        assert "skipped" in (await client.post(f"{base}/next")).json()
        assert (await client.post("/seatrial/v1/stop")).status_code == 202
        assert stopped == ["stop"]
        assert (await client.get("/api")).text == "kubernetes"
        paths = (await client.get("/seatrial/v1/openapi.json")).json()["paths"]
        assert f"{base}/advance" in paths

    talk(run, keys().admin)


@pytest.mark.parametrize(
    ("method", "path", "body", "reason"),
    [
        ("PUT", "speed", {"speed": 0}, "greater than 0"),
        ("PUT", "speed", {"speed": 10_001}, "less than or equal to 10000"),
        ("PUT", "speed", {"pace": 1}, "Field required"),
        ("POST", "advance", {"duration": "soon"}, "write it like 90s"),
        ("POST", "advance", {"duration": "1m", "more": 1}, "Extra inputs"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(method: str, path: str, body: dict[str, Any], reason: str) -> None:
    async def run(client: httpx.AsyncClient, driver: Driver, stopped: list[str]) -> None:
        answer = await client.request(method, f"/seatrial/v1/clock/{path}", json=body)
        assert answer.status_code == 422
        assert reason in answer.text
        assert (driver.speed, driver.paused, driver.offset_us) == (1, False, 0)

    talk(run, keys().admin)


@pytest.mark.parametrize("known", [True, False])
def test_nobody_else_gets_in(known: bool) -> None:
    pair = pki.issue(keys().authority, "jane", ("devs",)) if known else None

    async def run(client: httpx.AsyncClient, driver: Driver, stopped: list[str]) -> None:
        for method, path in (("GET", "/seatrial/v1/status"), ("POST", "/seatrial/v1/stop"), ("GET", "/seatrial/v2/x")):
            answer = await client.request(method, path)
            assert answer.status_code == 403
            assert answer.json()["reason"] == "Forbidden"
        assert stopped == []

    talk(run, pair)
