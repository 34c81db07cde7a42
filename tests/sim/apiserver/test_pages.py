"""Lists in pages that take so long that etcd has forgotten what they began with."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.apiserver.listing import Pages
from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

S = 1_000_000


@pytest.mark.parametrize(
    ("begun_s", "now_s", "over"),
    [(10, 290, False), (10, 599, False), (10, 600, True), (310, 899, False), (310, 900, True), (10, 5000, True)],
)
def test_a_list_goes_on_until_the_second_tick_after_it_began(begun_s: int, now_s: int, over: bool) -> None:
    pages = Pages(0, 300 * S)
    pages.begin(7, begun_s * S)
    assert pages.is_over(7, now_s * S) is over
    assert pages.is_over(6, now_s * S) is over
    assert not pages.is_over(8, now_s * S)


def test_who_comes_too_late_goes_on_with_what_is_there() -> None:
    cluster = Cluster(ClusterSpec(nodes=1), seed=8)
    cluster.settle()
    config = {"apiVersion": "v1", "kind": "ConfigMap"}
    cluster.apply([{**config, "metadata": {"name": f"c{number}"}} for number in range(4)])

    def page(token: str = "") -> tuple[int, Any]:
        query = {"limit": ("2",), "fieldSelector": ("metadata.name!=kube-root-ca.crt",)}
        asked = {**query, "continue": (token,)} if token else query
        answer = cluster.request(Request("GET", "/api/v1/namespaces/default/configmaps", asked))
        return answer.code, answer.body

    _, first = page()
    token = first["metadata"]["continue"]
    cluster.advance("4m")
    assert page(token)[0] == 200
    cluster.delete("configmaps", "c2")
    cluster.advance("7m")
    code, refused = page(token)
    assert (code, refused["reason"]) == (410, "Expired")
    code, rest = page(refused["metadata"]["continue"])
    assert (code, [each["metadata"]["name"] for each in rest["items"]]) == (200, ["c3"])
    assert rest["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
