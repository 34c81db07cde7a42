"""Why, over the control API and as the command prints it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import httpx
import pytest

from seatrial.api.cli.why import table
from seatrial.api.control import why
from seatrial.api.control.app import make_app
from seatrial.api.server.driver import Driver
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p"},
    "spec": {"containers": [{"name": "c", "image": "x"}]},
}


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    cluster = Cluster(ClusterSpec(nodes=1))
    cluster.advance("6s")
    cluster.apply(POD)
    cluster.advance("1s")
    return cluster


def ask(cluster: Cluster, **query: str) -> httpx.Response:
    app = make_app(Driver(cluster.clock), dict, lambda: None, partial(why.add_to, cluster, Driver(cluster.clock)))

    async def main() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://seatrial") as client:
            return await client.get(why.PATH, params=query)

    return asyncio.run(main())


def test_the_steps_name_their_authors_and_causes(cluster: Cluster) -> None:
    steps = ask(cluster, kind="po", name="p").json()["steps"]
    created, bound = steps[:2]
    assert (created["by"], created["what"], created["because"]) == ("user, with kubectl", "created", None)
    assert bound["by"] == "kube-scheduler"
    assert bound["what"].startswith("bound to w1-k8s")
    assert bound["because"] == created["revision"]
    assert bound["afterSeconds"] > 0


@pytest.mark.parametrize(
    ("query", "said"),
    [({"kind": "po", "name": "q"}, "nothing is known of po/q"), ({"kind": "poodle", "name": "p"}, "poodle")],
)
def test_what_nobody_knows_is_refused(cluster: Cluster, query: dict[str, str], said: str) -> None:
    answer = ask(cluster, **query)
    assert answer.status_code == 404
    assert said in answer.json()["detail"]


def test_the_table_numbers_its_lines() -> None:
    first: dict[str, Any] = {"at": "2026-01-01T00:00:05.010000Z", "revision": 475, "by": "user", "because": None}
    first |= {"kind": "Deployment", "name": "web", "what": "created", "afterSeconds": 0.0}
    second = {**first, "revision": 476, "by": "deployment-controller", "because": 475, "kind": "ReplicaSet"}
    lines = table([first, second])
    assert lines[0].split() == ["#", "FROM", "TIME", "AFTER", "WHO", "OBJECT", "WHAT"]
    assert lines[2].split()[:3] == ["2", "1", "00:00:05.010"]
