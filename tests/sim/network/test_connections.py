"""Connections from outside: what they meet, what keeps them, what ends them, and that a replay repeats them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from seatrial.sim.apiserver.sessions import Held
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from tests.sim.network.test_dnswire import query

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: c
        image: registry.k8s.io/e2e-test-images/agnhost:2.53
        args: [netexec, --http-port=8080]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: 8080, nodePort: 30080}
  - {name: datagrams, port: 81, targetPort: 8081, nodePort: 30081, protocol: UDP}
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {type: NodePort, selector: {app: nobody}, ports: [{port: 80, nodePort: 30082}]}
"""
GET = b"GET /hostname HTTP/1.1\r\nHost: web\r\n\r\n"
NODE = "192.168.1.101"


class Program:
    """A program outside that keeps what it sees."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.text = b""
        self.connection: Held | None = None

    def connected(self, listener: Any) -> None:
        self.seen.append("connected")

    def data(self, data: bytes) -> None:
        self.text += data

    def ended(self) -> None:
        self.seen.append("ended")

    def failed(self, problem: OSError) -> None:
        refused = isinstance(problem, ConnectionRefusedError)
        self.seen.append("refused" if refused else type(problem).__name__)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster(ClusterSpec(nodes=2), seed=3, verify=True)
    made.apply(MANIFEST)
    made.settle()
    yield made
    replayed = Cluster.replay(made.journal)
    replayed.run_until(made.now)
    assert replayed.digest() == made.digest()


def dial(cluster: Cluster, host: str, port: int, wait: str = "1s") -> tuple[Program, Held]:
    assert cluster.networking is not None
    program = Program()
    connection = cluster.networking.connections.open(host, port, program)
    cluster.advance(wait)
    return program, connection


@pytest.mark.parametrize(
    ("host", "port", "wait", "outcome"),
    [
        (NODE, 30080, "1s", "connected"),
        ("w2-k8s", 30080, "1s", "connected"),
        ("web", 80, "1s", "connected"),
        ("web.default", 80, "1s", "connected"),
        ("web.default.svc.cluster.local", 80, "1s", "connected"),
        (NODE, 30082, "1s", "refused"),
        (NODE, 31000, "1s", "refused"),
        ("192.168.1.77", 80, "131s", "TimeoutError"),
        ("nothing.default", 80, "1s", "FileNotFoundError"),
    ],
)
def test_what_a_connection_meets(cluster: Cluster, host: str, port: int, wait: str, outcome: str) -> None:
    assert dial(cluster, host, port, wait)[0].seen == [outcome]


def test_several_requests_on_one_connection(cluster: Cluster) -> None:
    program, connection = dial(cluster, NODE, 30080)
    connection.write(GET[:20])
    connection.write(GET[20:] + GET)
    cluster.advance("1s")
    assert program.text.count(b"HTTP/1.1 200 OK") == 2 and b"web-" in program.text
    connection.write(
        b"POST /echo?msg=hi HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    )
    cluster.advance("1s")
    assert program.text.endswith(b"\r\n\r\nhi") and program.seen == ["connected", "ended"]


def test_bytes_that_are_no_request(cluster: Cluster) -> None:
    program, connection = dial(cluster, NODE, 30080)
    connection.write(b"nonsense\r\n\r\n")
    cluster.advance("1s")
    assert program.text.startswith(b"HTTP/1.1 400 ") and program.seen[-1] == "ended"


def test_a_connection_ends_with_its_pod_and_not_with_its_rules(cluster: Cluster) -> None:
    program, connection = dial(cluster, NODE, 30080)
    name = cluster.add_fault({"kind": "kube-proxy-flushed", "node": "w1-k8s"})
    connection.write(GET)
    cluster.advance("1s")
    assert b"200 OK" in program.text and program.seen == ["connected"]
    assert dial(cluster, NODE, 30080)[0].seen == ["refused"]
    cluster.remove_fault(name)
    for pod in cluster.list("pods", "default"):
        cluster.delete("pod", pod["metadata"]["name"], options={"gracePeriodSeconds": 0})
    cluster.advance("5s")
    assert program.seen == ["connected", "ended"]


def test_what_is_sent_while_the_way_is_cut_arrives_later(cluster: Cluster) -> None:
    program, connection = dial(cluster, NODE, 30080)
    name = cluster.add_fault({"kind": "partition", "a": ["w1-k8s"], "b": ["lan"]})
    connection.write(GET)
    cluster.advance("5s")
    assert program.text == b""
    assert dial(cluster, NODE, 30080, "10s")[0].seen == []
    cluster.remove_fault(name)
    cluster.advance("20s")
    assert b"200 OK" in program.text and program.seen == ["connected"]


def test_a_hung_up_program_hears_nothing(cluster: Cluster) -> None:
    program, connection = dial(cluster, NODE, 30080)
    connection.write(GET)
    connection.close()
    cluster.advance("1s")
    assert program.text == b"" and program.seen == ["connected"]


def datagrams(cluster: Cluster, host: str, port: int, *sent: bytes, wait: str = "1s") -> Program:
    """Sends from one socket; what came back is the program's text."""
    assert cluster.networking is not None
    program = Program()
    connection = cluster.networking.connections.open(host, port, program, "UDP")
    cluster.advance("1ms")
    for each in sent:
        connection.write(each)
    cluster.advance(wait)
    connection.close()
    return program


def test_datagrams_are_answered_one_by_one(cluster: Cluster) -> None:
    assert datagrams(cluster, NODE, 30081, b"echo ONE", b"echo two").text == b"onetwo"
    assert datagrams(cluster, NODE, 30080, b"echo ONE").text == b"", "TCP is another port"


def test_a_datagram_over_a_cut_link_is_lost(cluster: Cluster) -> None:
    assert cluster.networking is not None
    program = Program()
    connection = cluster.networking.connections.open(NODE, 30081, program, "UDP")
    cluster.advance("1ms")
    name = cluster.add_fault({"kind": "node-pause", "node": "w1-k8s"}, lasts="5s")
    connection.write(b"echo lost")
    cluster.advance("10s")
    assert name not in [each["name"] for each in cluster.faults.list()]
    connection.write(b"echo found")
    cluster.advance("1s")
    assert program.text == b"found"
    connection.close()


def test_the_clusters_name_server_answers_in_its_own_time(cluster: Cluster) -> None:
    address = cluster.get("service", "web")["spec"]["clusterIP"]
    packed = bytes(int(part) for part in address.split("."))
    asked = query("web.default.svc.cluster.local")
    assert datagrams(cluster, "10.96.0.10", 53, asked).text.endswith(packed)
    name = cluster.add_fault({"kind": "dns-slow", "delay_ms": 3000})
    assert datagrams(cluster, "10.96.0.10", 53, asked).text == b""
    assert datagrams(cluster, "10.96.0.10", 53, asked, wait="4s").text.endswith(packed)
    cluster.remove_fault(name)
    name = cluster.add_fault({"kind": "dns-stop"})
    assert datagrams(cluster, "10.96.0.10", 53, asked, wait="10s").text == b""
    cluster.remove_fault(name)
