"""What the scheduler makes of a pod, over the control API and as the command prints it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import httpx
import pytest

from seatrial.api.cli.explain import lines
from seatrial.api.control import explain
from seatrial.api.control.app import make_app
from seatrial.api.server.assembly import Live
from seatrial.api.server.driver import Driver
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec


def pod(name: str, cpu: str = "100m", **spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "x", "resources": {"requests": {"cpu": cpu}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container], **spec},
    }


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    cluster = Cluster(ClusterSpec(nodes=2))
    cluster.advance("8s")
    cluster.apply([pod("placed"), pod("huge", cpu="50"), pod("gated", schedulingGates=[{"name": "example.com/wait"}])])
    cluster.advance("2s")
    return cluster


def ask(cluster: Cluster, method: str = "GET", body: Any = None, **query: str) -> httpx.Response:
    driver = Driver(cluster.clock)
    driver.pause()
    app = make_app(driver, dict, lambda: None, partial(explain.add_to, Live(cluster, None, 0), driver))

    async def main() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://seatrial") as client:
            return await client.request(method, explain.PATH, params=query, json=body)

    return asyncio.run(main())


def text(cluster: Cluster, name: str) -> str:
    return "\n".join(lines(ask(cluster, name=name).json()))


def test_a_bound_pod_is_decided_as_if_it_were_not_there(cluster: Cluster) -> None:
    found = ask(cluster, name="placed").json()
    bound = cluster.get("pod", "placed")["spec"]["nodeName"]
    assert found["bound"] == bound and bound in found["best"]
    verdicts = {entry["node"]: (entry["verdict"], entry.get("plugin")) for entry in found["nodes"]}
    assert verdicts == {
        "m-k8s": ("UnschedulableAndUnresolvable", "TaintToleration"),
        "w1-k8s": ("Success", None),
        "w2-k8s": ("Success", None),
    }
    assert all("NodeResourcesFit" in entry["scores"] for entry in found["nodes"] if entry["verdict"] == "Success")
    assert f"default/placed is on {bound}. Were it placed now:" in text(cluster, "placed")


def test_a_waiting_pod_tells_what_it_waits_for(cluster: Cluster) -> None:
    found = ask(cluster, name="huge").json()
    assert found["node"] is None and found["best"] == []
    assert found["waiting"]["queue"] == "unschedulable" and found["waiting"]["attempts"] == 1
    said = text(cluster, "huge")
    assert cluster.get("pod", "huge")["status"]["conditions"][0]["message"] in said
    assert "matters to NodeResourcesFit or TaintToleration" in said or "TaintToleration or NodeResourcesFit" in said
    assert "held back by its gates: example.com/wait" in text(cluster, "gated")


def test_what_if_creates_nothing(cluster: Cluster) -> None:
    revision = cluster.store.revision
    answer = ask(cluster, "POST", pod("maybe", nodeSelector={"kubernetes.io/hostname": "w2-k8s"}))
    assert answer.json()["best"] == ["w2-k8s"]
    assert "bound" not in answer.json() and "waiting" not in answer.json()
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod("web")["spec"]}
    workload = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    found = ask(cluster, "POST", {**workload, "spec": {"replicas": 3, "template": template}}).json()
    assert found["pod"] == {"namespace": "default", "name": "web"} and found["nodesFeasible"] == 2
    assert cluster.store.revision == revision


def test_victims_are_named(cluster: Cluster) -> None:
    urgent = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "urgent"}}
    cluster.apply([{**urgent, "value": 1000}, pod("filler-1", cpu="1500m"), pod("filler-2", cpu="1500m")])
    cluster.advance("2s")
    found = ask(cluster, "POST", pod("urgent", cpu="1500m", priorityClassName="urgent")).json()
    (victim,) = found["preemption"]["victims"]
    assert victim["name"].startswith("filler-") and victim["priority"] == 0
    assert any(f"evicting default/{victim['name']}" in line for line in lines(found))


@pytest.mark.parametrize(
    ("method", "body", "query", "code", "why"),
    [
        ("GET", None, {"name": "nobody"}, 404, 'pods "nobody" not found'),
        ("POST", {"kind": "ConfigMap", "metadata": {"name": "c"}}, {}, 422, "a ConfigMap has no pod in it"),
        ("POST", pod("p", schedulerName="other"), {}, 409, "no profile is responsible for schedulerName 'other'"),
        ("POST", pod("p"), {"namespace": "nowhere"}, 404, 'namespaces "nowhere" not found'),
        ("POST", pod("P"), {}, 422, 'Pod "P" is invalid'),
    ],
)
def test_a_refusal_names_the_thing_the_reason_and_the_mend(
    cluster: Cluster, method: str, body: Any, query: dict[str, str], code: int, why: str
) -> None:
    answer = ask(cluster, method, body, **query)
    detail = answer.json()["detail"]
    assert answer.status_code == code
    assert why in detail["why"] and detail["what"].startswith("pod ") and detail["mend"]


def test_a_cluster_without_a_scheduler_has_nobody_to_ask() -> None:
    bare = Cluster(ClusterSpec(nodes=0, controllers="none"))
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    bare.apply([account, pod("web")])
    detail = ask(bare, name="web").json()["detail"]
    assert detail["why"] == "this cluster has no scheduler" and "--controllers none" in detail["mend"]
