"""Ingresses: which backend a request goes to, and a whole controller in a cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.network.ingress_routes import routes
from seatrial.sim.network.requests import origin_of

PREFIX = "nginx.ingress.kubernetes.io/"


def ingress(name: str, *paths: str, host: str = "", annotations: dict[str, str] | None = None, **spec: Any) -> Any:
    """Paths are written ``TYPE PATH SERVICE``."""
    rows = []
    for text in paths:
        kind, path, service = text.split()
        rows.append({"path": path, "pathType": kind, "backend": {"service": {"name": service, "port": {"number": 80}}}})
    rule = {"http": {"paths": rows}, **({"host": host} if host else {})}
    given = {f"{PREFIX}{key}": value for key, value in (annotations or {}).items()}
    metadata = {"name": name, "namespace": "default", "annotations": given}
    return {"metadata": metadata, "spec": {**({"rules": [rule]} if rows else {}), **spec}}


SHOP = ingress("shop", "Prefix / front", "Prefix /api api", "Exact /api/v1 exact", host="shop.example.com")
ANY = ingress("any", "Prefix /static files")
WILD = ingress("wild", "ImplementationSpecific / tenants", host="*.example.com")


@pytest.mark.parametrize(
    ("host", "path", "service"),
    [
        ("shop.example.com", "/", "front"),
        ("shop.example.com", "/cart", "front"),
        ("shop.example.com", "/api", "api"),
        ("shop.example.com", "/api/", "api"),
        ("shop.example.com", "/apiary", "front"),
        ("shop.example.com", "/api/v1", "exact"),
        ("shop.example.com", "/api/v1/x", "api"),
        ("a.example.com", "/anything", "tenants"),
        ("elsewhere.org", "/static/a.css", "files"),
        ("elsewhere.org", "/other", None),
    ],
)
def test_hosts_and_paths(host: str, path: str, service: str | None) -> None:
    _, location = routes([SHOP, ANY, WILD]).locate(host, path)
    assert (location.backend.service if location else None) == service


@pytest.mark.parametrize(
    ("path", "target", "asked", "seen"),
    [
        ("/app", "/", "/app/page", "/"),
        ("/app(/|$)(.*)", "/$2", "/app/page", "/page"),
        ("/app(/|$)(.*)", "/$2", "/app", "/"),
        ("/v(\\d)/(.*)", "/$2/$1", "/v3/items", "/items/3"),
    ],
)
def test_rewrites(path: str, target: str, asked: str, seen: str) -> None:
    made = routes([ingress("app", f"ImplementationSpecific {path} app", annotations={"rewrite-target": target})])
    _, location = made.locate("x", asked)
    assert location is not None
    assert location.rewritten(asked) == seen


def canary_share(annotations: dict[str, str], headers: dict[str, str]) -> float:
    made = routes(
        [
            ingress("main", "Prefix / old", host="a.org"),
            ingress("new", "Prefix / new", host="a.org", annotations={"canary": "true", **annotations}),
        ]
    )
    _, location = made.locate("a.org", "/")
    assert location is not None
    rng = Random(1)
    return sum(location.canaries[0].takes(headers, lambda share: rng.random() < share) for _ in range(1000)) / 1000


def test_canaries() -> None:
    assert 0.15 < canary_share({"canary-weight": "20"}, {}) < 0.25
    by_header = {"canary-by-header": "X-New", "canary-weight": "0"}
    assert canary_share(by_header, {"x-new": "always"}) == 1
    assert canary_share(by_header, {"x-new": "never"}) == canary_share(by_header, {}) == 0
    assert canary_share({**by_header, "canary-by-header-value": "yes"}, {"x-new": "yes"}) == 1
    assert canary_share({"canary-by-cookie": "new"}, {"cookie": "a=b; new=always"}) == 1


CONTROLLER = (Path(__file__).parents[2] / "data" / "network" / "ingress.yaml").read_text()
ADDRESS = "192.168.1.11"
CANARY = {"canary": "true", "canary-weight": "20"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster(ClusterSpec(nodes=2), seed=5)
    made.settle()
    made.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ingress-nginx"}})
    made.advance("1s")
    made.apply(CONTROLLER)
    made.advance("40s")
    yield made


def code(cluster: Cluster, host: str, path: str = "/hostname", scheme: str = "http") -> int:
    assert cluster.networking is not None
    requests = cluster.networking.requests
    origin = origin_of(requests.plane, "outside")
    return requests.trace(origin, f"{scheme}://{ADDRESS}{path}", headers={"Host": host}).code


@pytest.mark.parametrize(
    ("host", "scheme", "expected"),
    [
        ("web.example.com", "http", 200),
        ("web.example.com", "https", 200),
        ("safe.example.com", "http", 308),
        ("safe.example.com", "https", 200),
        ("gone.example.com", "http", 503),
        ("foreign.example.com", "http", 404),
        ("nobody.example.com", "http", 404),
    ],
)
def test_a_controller_answers_at_the_balancers_address(cluster: Cluster, host: str, scheme: str, expected: int) -> None:
    assert code(cluster, host, scheme=scheme) == expected


def test_the_ingress_says_where_it_is_served(cluster: Cluster) -> None:
    assert cluster.get("ingress", "web")["status"] == {"loadBalancer": {"ingress": [{"ip": ADDRESS}]}}
    assert cluster.get("ingress", "foreign")["status"] == {"loadBalancer": {}}


def test_ingress_of_the_controllers_class_has_an_event_of_each_change(cluster: Cluster) -> None:
    told = [each for each in cluster.list("events") if each["involvedObject"]["kind"] == "Ingress"]
    found = {each["involvedObject"]["name"]: (each["reason"], each["message"], each["count"]) for each in told}
    assert found["web"] == ("Sync", "Scheduled for sync", 2), "made, and given its address"
    assert "foreign" not in found
    assert {each["source"]["component"] for each in told} == {"nginx-ingress-controller"}


def test_whoever_announces_a_balancers_address_says_so(cluster: Cluster) -> None:
    told = [each for each in cluster.list("events") if each["reason"] == "nodeAssigned"]
    (text,) = {each["message"] for each in told}
    assert re.fullmatch(r'announcing from node "w[12]-k8s" with protocol "layer2"', text)
    assert {each["source"]["component"] for each in told} == {"metallb-speaker"}


def test_changes_are_taken_up_with_the_queues_lag(cluster: Cluster) -> None:
    row = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}
    spec = {"ingressClassName": "nginx", "rules": [{"host": "late.example.com", "http": {"paths": [row]}}]}
    value = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "late"}, "spec": spec}
    cluster.apply(value)
    cluster.advance("10ms")
    assert code(cluster, "late.example.com") == 404
    cluster.advance("4s")
    assert code(cluster, "late.example.com") == 200


def test_service_that_is_another_name_leads_where_that_name_does(cluster: Cluster) -> None:
    named = {"type": "ExternalName", "externalName": "web.default.svc.cluster.local"}
    cluster.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "alias"}, "spec": named})
    row = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "alias", "port": {"number": 80}}}}
    spec = {"ingressClassName": "nginx", "rules": [{"host": "alias.example.com", "http": {"paths": [row]}}]}
    value = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "alias"}, "spec": spec}
    cluster.apply(value)
    cluster.advance("4s")
    assert code(cluster, "alias.example.com") == 200


def test_a_load_on_a_host_spreads_over_the_pods_and_the_canary(cluster: Cluster) -> None:
    """Somebody outside knows the host as from a hosts file; a fifth of the requests goes where nobody is."""
    annotations = {f"nginx.ingress.kubernetes.io/{key}": each for key, each in CANARY.items()}
    row = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "gone", "port": {"number": 80}}}}
    spec = {"ingressClassName": "nginx", "rules": [{"host": "web.example.com", "http": {"paths": [row]}}]}
    metadata = {"name": "canary", "annotations": annotations}
    cluster.apply({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec})
    cluster.advance("5s")
    name = cluster.add_load({"kind": "constant", "url": "http://web.example.com", "level": 500}, lasts="20s")
    cluster.advance("21s")
    total = cluster.loads.show(name)["total"]
    assert total["errors"]["5xx"] == pytest.approx(2000, rel=0.1)
    assert total["ok"] == pytest.approx(8000, rel=0.05)
    cluster.delete("ingress", "canary")
    assert cluster.networking is not None
    served = [
        each.processes[1].container.requests
        for node in cluster.nodes.values()
        for live in node.runtime.live.values()
        if (each := live.process) is not None and each.sandbox.name.startswith("web-")
    ]
    assert max(served) - min(served) <= 10


def test_a_walk_goes_on_behind_the_controller(cluster: Cluster) -> None:
    cluster.advance("5s")
    walk = cluster.trace_route("outside", "http://web.example.com/hostname")
    assert walk.outcome == "HTTP 200"
    pods = [step.where for step in walk.steps if step.where.startswith("pod ")]
    assert pods[0].startswith("pod ingress-nginx/") and pods[-1].startswith("pod default/web-")
