"""Loads on a whole cluster: what they measure, and what they do to it."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.machinery.quantity import parse

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
      annotations: {workload.seatrial.dev/cpu-per-request: 10ms, workload.seatrial.dev/memory-per-request: 1Mi}
    spec:
      containers:
      - name: c
        image: registry.k8s.io/e2e-test-images/agnhost:2.53
        args: [netexec, --http-port=8080]
        ports: [{containerPort: 8080}]
        resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {cpu: 500m, memory: 256Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {nodeName: w1-k8s, containers: [{name: c, image: busybox, command: [sleep, "100000"]}]}
"""
IN_A_POD = "pod/default/client"


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    made = Cluster(ClusterSpec(nodes=2), seed=5)
    made.settle()
    made.apply(MANIFEST)
    made.settle()
    made.advance("5s")
    return made


@pytest.fixture(autouse=True)
def nothing_left(cluster: Cluster) -> None:
    cluster.loads.clear()
    for each in cluster.faults.list():
        cluster.remove_fault(each["name"])
    cluster.advance("20s")


def constant(url: str, level: float = 20, **more: Any) -> dict[str, Any]:
    return {"kind": "constant", "url": url, "level": level, **more}


def total(cluster: Cluster, value: dict[str, Any], lasts: str = "10s") -> dict[str, Any]:
    """What a load comes to that is left alone."""
    name = cluster.add_load(value, lasts=lasts)
    cluster.advance(lasts)
    cluster.advance("15s")
    found = next(each for each in cluster.loads.list() if each["name"] == name)
    assert found["state"] == "ended"
    return dict(found["total"])


def pod_ips(cluster: Cluster) -> list[str]:
    return [each["status"]["podIP"] for each in cluster.list("pods", "default", "app=web")]


def cluster_ip(cluster: Cluster) -> str:
    return str(cluster.get("service", "web")["spec"]["clusterIP"])


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        pytest.param("http://web", IN_A_POD, id="a service's name"),
        pytest.param("http://web.default.svc.cluster.local/hostname", "node/w2-k8s", id="from a node"),
        pytest.param("http://{cluster_ip}", IN_A_POD, id="a cluster address"),
        pytest.param("http://{pod_ip}:8080", IN_A_POD, id="a pod"),
        pytest.param("http://192.168.1.102:30080", "outside", id="a node port from outside"),
        pytest.param("tcp://web:80", IN_A_POD, id="connections alone"),
    ],
)
def test_a_load_reaches_what_a_client_reaches(cluster: Cluster, url: str, origin: str) -> None:
    full = url.format(cluster_ip=cluster_ip(cluster), pod_ip=pod_ips(cluster)[0])
    found = total(cluster, constant(full, origin=origin))
    assert 195 <= found["ok"] <= 200
    assert found["failed"] == 0


@pytest.mark.parametrize(
    ("value", "error"),
    [
        pytest.param(constant("http://nowhere", origin=IN_A_POD), "dns", id="a name that there is not"),
        pytest.param(constant("http://nobody", origin=IN_A_POD), "no-endpoints", id="a service without endpoints"),
        pytest.param(constant("http://web:81", origin=IN_A_POD), "timeout", id="a port that the service has not"),
        pytest.param(constant("http://192.168.1.101:9"), "refused", id="a port on which nothing listens"),
        pytest.param(constant("http://192.168.1.77"), "timeout", id="an address that nobody has"),
        pytest.param(constant("http://web/echo?code=503", origin=IN_A_POD), "5xx", id="a server's error"),
        pytest.param(constant("http://web", origin="pod/default/gone"), "no-origin", id="from a pod that is gone"),
    ],
)
def test_errors_are_told_apart(cluster: Cluster, value: dict[str, Any], error: str) -> None:
    found = total(cluster, value)
    assert list(found["errors"]) == [error]
    assert found["ok"] == 0


def test_requests_spread_over_the_endpoints_and_cost_them_cpu(cluster: Cluster) -> None:
    cluster.add_load(constant("http://web", 40, origin=IN_A_POD))
    cluster.advance("2m")
    items = metrics(cluster)
    used = [parse(item["containers"][0]["usage"]["cpu"]).milli_value() for item in items]
    assert sum(used) == pytest.approx(400, rel=0.1)
    assert min(used) > 120


def metrics(cluster: Cluster) -> list[Any]:
    from seatrial.sim.apiserver.request import Request

    path = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods"
    answer = cluster.request(Request("GET", path, {"labelSelector": ("app=web",)}))
    body: Any = answer.body
    if isinstance(body, bytes):
        import orjson

        body = orjson.loads(body)
    return list(body["items"])


def test_an_open_loop_beyond_the_capacity_piles_up(cluster: Cluster) -> None:
    """Two containers of half a core do 100 of these per second."""
    found = total(cluster, constant("http://web", 130, origin=IN_A_POD), "20s")
    assert found["latencyMs"]["p99"] > 2000
    assert found["ok"] > 1800


def test_a_closed_loop_slows_down_with_the_server(cluster: Cluster) -> None:
    found = total(cluster, constant("http://web", 30, origin=IN_A_POD, loop="closed"), "20s")
    assert found["rate"] * found["seconds"] / 20 == pytest.approx(100, rel=0.15)
    assert found["latencyMs"]["mean"] == pytest.approx(300, rel=0.3)
    assert found["failed"] == 0


def test_users_think(cluster: Cluster) -> None:
    value = constant("http://web", 10, origin=IN_A_POD, loop="closed", think_ms=1000)
    assert total(cluster, value, "20s")["sent"] == pytest.approx(195, rel=0.1)


def test_too_much_of_it_costs_a_container_its_life(cluster: Cluster) -> None:
    """What waits takes memory: 1 MiB each, of which the limit leaves room for some two hundred."""
    cluster.add_load(constant("http://web", 400, origin=IN_A_POD), name="storm")
    cluster.advance("20s")
    statuses = [each["status"]["containerStatuses"][0] for each in cluster.list("pods", "default", "app=web")]
    assert any(each["lastState"].get("terminated", {}).get("reason") == "OOMKilled" for each in statuses)
    errors = cluster.loads.show("storm")["total"]["errors"]
    assert errors["reset"] > 0
    cluster.remove_load("storm")
    cluster.advance("5m")


def test_a_pod_that_dies_cuts_its_answers_off(cluster: Cluster) -> None:
    cluster.add_load(constant("http://web", 90, origin=IN_A_POD), name="steady")
    cluster.advance("10s")
    cluster.add_fault({"kind": "container-kill", "selector": "app=web"})
    cluster.advance("10s")
    errors = cluster.loads.show("steady")["total"]["errors"]
    assert errors.get("reset", 0) + errors.get("refused", 0) > 10


@pytest.mark.parametrize(
    ("value", "levels"),
    [
        ({"kind": "ramp", "begin": 0, "end": 40, "over_s": 40}, [5, 15, 25, 35, 40]),
        ({"kind": "step", "begin": 10, "end": 30, "steps": 2, "every_s": 10}, [10, 20, 30, 30, 30]),
        ({"kind": "sine", "mean": 20, "amplitude": 10, "period_s": 20}, [26.4, 13.6, 26.4, 13.6, 26.4]),
        ({"kind": "trace", "points": [[0, 10], [20, 30], [40, 10]]}, [15, 25, 25, 15, 10]),
        ({"kind": "trace", "points": [[0, 10], [20, 30]], "between": "hold", "repeat": True}, [10, 10, 10, 10, 10]),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_shapes(cluster: Cluster, value: dict[str, Any], levels: list[float]) -> None:
    url = {"url": "http://web", "origin": IN_A_POD, "interval_s": 10}
    name = cluster.add_load({**value, **url})
    cluster.advance("50s")
    rates = [row["rate"] for row in cluster.loads.show(name)["series"]]
    assert rates[:5] == pytest.approx(levels, abs=1.5)


def test_a_load_begins_later_and_ends(cluster: Cluster) -> None:
    name = cluster.add_load(constant("http://web", 10, origin=IN_A_POD), after="10s", lasts="20s")
    assert cluster.loads.show(name)["state"] == "waiting"
    cluster.advance("15s")
    assert cluster.loads.show(name)["state"] == "running"
    cluster.advance("1m")
    found = cluster.loads.show(name)
    assert found["state"] == "ended"
    assert found["total"]["sent"] == pytest.approx(200, abs=3)


def test_a_long_load_keeps_a_bounded_number_of_rows(cluster: Cluster) -> None:
    name = cluster.add_load(constant("http://web", 10, origin=IN_A_POD, interval_s=1))
    cluster.advance("40m")
    rows = cluster.loads.show(name)["series"]
    assert 1000 <= len(rows) <= 2000
    assert {row["seconds"] for row in rows[:-1]} == {2.0}
    assert sum(row["sent"] for row in rows) == cluster.loads.show(name)["total"]["sent"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"kind": "rampe", "url": "http://web"}, "did you mean 'ramp'"),
        ({"kind": "constant", "url": "http://web", "rate": 3}, "there is no parameter 'rate'"),
        ({"kind": "constant", "url": "http://web"}, "level is missing: Requests per second, or users."),
        ({"kind": "constant", "url": "gopher://web", "level": 3}, "no URL that the cluster's network carries"),
        ({"kind": "constant", "url": "http://web", "level": 3, "origin": "mars"}, "nobody is at 'mars'"),
        ({"kind": "trace", "url": "http://web", "points": [[5, 1], [2, 1]]}, "not in order"),
    ],
)
def test_what_is_wrong_is_said(cluster: Cluster, value: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        cluster.add_load(value)


def test_names_are_taken_once(cluster: Cluster) -> None:
    cluster.add_load(constant("http://web"), name="mine")
    with pytest.raises(ValueError, match="already"):
        cluster.add_load(constant("http://web"), name="mine")
    cluster.remove_load("mine")
    with pytest.raises(KeyError):
        cluster.remove_load("mine")


def test_a_replay_sends_the_same() -> None:
    first = Cluster(ClusterSpec(nodes=1), seed=2)
    first.settle()
    first.apply(MANIFEST)
    first.settle()
    first.add_load({"kind": "ramp", "url": "http://web", "origin": IN_A_POD, "end": 80, "over_s": 30}, after="5s")
    first.advance("1m")
    first.remove_load("ramp-1")
    first.add_load(constant("http://web", 50, loop="closed", origin=IN_A_POD), lasts="20s")
    first.advance("1m")
    again = Cluster.replay(first.journal)
    assert again.loads.list() == first.loads.list()
    assert again.digest() == first.digest()


def test_a_cluster_without_machines_has_nothing_to_ask() -> None:
    bare = Cluster(ClusterSpec(nodes=0, controllers="none"))
    with pytest.raises(ValueError, match="no network"):
        bare.add_load(constant("http://web"))
