"""The API server as a proxy: to pods, services and kubelets, over the same network as everybody's requests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seatrial.sim.apiserver.proxying import rewritten, with_links
from seatrial.sim.apiserver.request import Request, Response
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, S

BEFORE = "/api/v1/namespaces/default/pods/a/proxy"


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    cluster = Cluster(ClusterSpec(nodes=1, addons=False))
    cluster.run(2 * S)
    porter = {
        "name": "c",
        "image": "registry.k8s.io/e2e-test-images/agnhost:2.56",
        "args": ["porter", "--json-response"],
        "env": [{"name": "SERVE_PORT_80", "value": "foo"}, {"name": "SERVE_PORT_1080", "value": "bar"}],
        "ports": [{"containerPort": 80, "name": "web"}, {"containerPort": 1080, "name": "other"}],
    }
    cluster.apply(
        [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "a", "labels": {"app": "a"}},
                "spec": {"containers": [porter]},
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "s"},
                "spec": {"selector": {"app": "a"}, "ports": [{"name": "p", "port": 8080, "targetPort": "other"}]},
            },
        ]
    )
    cluster.settle()
    return cluster


def ask(cluster: Cluster, path: str, method: str = "GET", body: Any = None) -> Response:
    return cluster.request(Request(method, f"/api/v1{path}", {}, body))


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
@pytest.mark.parametrize(
    "path", ["/pods/a/proxy/some/path", "/pods/a:80/proxy/x", "/services/s/proxy/", "/services/s:p/proxy/a/"]
)
def test_every_method_gets_through(cluster: Cluster, method: str, path: str) -> None:
    answer = ask(cluster, f"/namespaces/default{path}", method, b"{}" if method in ("POST", "PUT", "PATCH") else None)
    assert answer.code == 200, answer.body
    said = json.loads(answer.body)
    assert (said["Method"], said["Body"]) == (method, "foo" if "/pods/" in path else "bar")


def test_a_path_without_a_slash_is_sent_to_the_one_with_it(cluster: Cluster) -> None:
    assert ask(cluster, "/namespaces/default/pods/a/proxy", "POST", b"{}").code == 200
    answer = ask(cluster, "/namespaces/default/pods/a/proxy")
    assert (answer.code, answer.headers["Location"]) == (301, f"{BEFORE}/")


def test_a_kubelet_has_no_part_in_it(cluster: Cluster) -> None:
    fault = cluster.add_fault({"kind": "kubelet-stop", "node": "w1-k8s"})
    assert ask(cluster, "/namespaces/default/pods/a/proxy/").code == 200
    assert ask(cluster, "/nodes/w1-k8s/proxy/healthz").code == 503
    cluster.remove_fault(fault)
    cluster.run(5 * S)
    assert ask(cluster, "/nodes/w1-k8s/proxy/healthz").body == b"ok"


@pytest.mark.parametrize(
    ("subresource", "query", "told"),
    [
        ("log", {}, 'Get "https://192.168.1.101:10250/containerLogs/default/a/c": {refused}'),
        ("exec", {"command": ["ls"]}, "error dialing backend: {refused}"),
        ("portforward", {"ports": ["80"]}, "error dialing backend: {refused}"),
    ],
)
def test_a_stopped_kubelet_is_told_of_without_a_reason(
    cluster: Cluster, subresource: str, query: dict[str, list[str]], told: str
) -> None:
    fault = cluster.add_fault({"kind": "kubelet-stop", "node": "w1-k8s"})
    answer = cluster.request(Request("GET", f"/api/v1/namespaces/default/pods/a/{subresource}", query))
    cluster.remove_fault(fault)
    message = told.format(refused="dial tcp 192.168.1.101:10250: connect: connection refused")
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "code": 500,
    }
    assert answer.body == status


@pytest.mark.parametrize(
    ("path", "code", "told"),
    [
        ("/pods/a:81/proxy/", 503, "error trying to reach service: dial tcp {ip}:81: connect: connection refused"),
        ("/pods/gone/proxy/", 404, 'pods "gone" not found'),
        ("/services/s:nope/proxy/", 503, 'no service port "nope" found for service "s"'),
    ],
)
def test_what_cannot_be_reached_is_told(cluster: Cluster, path: str, code: int, told: str) -> None:
    answer = ask(cluster, f"/namespaces/default{path}")
    ip = cluster.get("pods", "a")["status"]["podIP"]
    assert (answer.code, answer.body["message"]) == (code, told.format(ip=ip))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/x", f"{BEFORE}/x"),
        ("/x/?q=1#f", f"{BEFORE}/x/?q=1#f"),
        ("x", "x"),
        ("https://me/x", f"{BEFORE}/x"),
        ("https://other/x", "https://other/x"),
        (f"{BEFORE}/x", f"{BEFORE}/x"),
    ],
)
def test_links_lead_through_the_proxy_again(url: str, expected: str) -> None:
    assert rewritten(url, BEFORE, "me") == expected


def test_a_page_keeps_everything_but_its_links() -> None:
    page = b"<p title='/x'>a < b <a class=k href=\"/rewriteme\">/x</a><img src=/y><a name='href=/z'>"
    seen = b"<p title='/x'>a < b <a class=k href=\"%s/rewriteme\">/x</a><img src=\"%s/y\"><a name='href=/z'>"
    assert with_links(page, BEFORE, "me") == seen % (BEFORE.encode(), BEFORE.encode())
