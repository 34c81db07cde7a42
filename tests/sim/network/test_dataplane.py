"""Connections in whole clusters: from pods, machines and outside to services, pods and the world."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.network.requests import Requests, Trace, origin_of

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
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: web}}}
      containers:
      - name: c
        image: registry.k8s.io/e2e-test-images/agnhost:2.53
        args: [netexec, --http-port=8080]
        ports: [{containerPort: 8080, name: http}]
        readinessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 2}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: http, nodePort: 30080}]}
---
apiVersion: v1
kind: Service
metadata: {name: local}
spec:
  type: NodePort
  externalTrafficPolicy: Local
  selector: {app: web}
  ports: [{port: 80, targetPort: http, nodePort: 30081}]
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: all}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 8080, name: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: alias}
spec: {type: ExternalName, externalName: web.default.svc.cluster.local}
---
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {role: client}}
spec: {nodeName: w1-k8s, containers: [{name: c, image: busybox, command: [sleep, "100000"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: other, labels: {role: client}}
spec: {nodeName: w2-k8s, containers: [{name: c, image: busybox, command: [sleep, "100000"]}]}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster(ClusterSpec(nodes=2), seed=5)
    made.settle()
    made.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other", "labels": {"team": "blue"}}})
    made.advance("1s")
    made.apply(MANIFEST)
    made.settle()
    made.advance("5s")
    yield made


def requests(cluster: Cluster) -> Requests:
    assert cluster.networking is not None
    return cluster.networking.requests


def trace(cluster: Cluster, origin: str, url: str) -> Trace:
    found = requests(cluster)
    return found.trace(origin_of(found.plane, origin), url)


def outcome(cluster: Cluster, origin: str, url: str) -> str:
    return trace(cluster, origin, url).outcome


def body(cluster: Cluster, origin: str, url: str) -> str:
    found = requests(cluster)
    answers: list[bytes] = []
    found.call(origin_of(found.plane, origin), url, lambda answer, problem: answers.append(answer.body))
    cluster.advance("1s")
    return answers[0].decode()


def pod_of(cluster: Cluster, node: str) -> dict:
    found = next(pod for pod in cluster.list("pods", "default", "app=web") if pod["spec"]["nodeName"] == node)
    return dict(found)


CLIENT, OTHER = "pod/default/client", "pod/other/client"


@pytest.mark.parametrize(
    ("origin", "url", "expected"),
    [
        (CLIENT, "http://web", "HTTP 200"),
        (CLIENT, "http://web.default", "HTTP 200"),
        (CLIENT, "http://web.default.svc.cluster.local", "HTTP 200"),
        (CLIENT, "http://web.default.svc.cluster.local.", "HTTP 200"),
        (CLIENT, "http://all:8080", "HTTP 200"),
        (CLIENT, "http://alias", "HTTP 200"),
        (CLIENT, "http://web:81", "Connection timed out"),
        (CLIENT, "http://nobody", "Connection refused"),
        (CLIENT, "http://all", "Connection refused"),
        (CLIENT, "http://nowhere", "Name or service not known"),
        (CLIENT, "http://192.168.1.102:30080", "HTTP 200"),
        (CLIENT, "http://172.16.1.250", "No route to host"),
        (CLIENT, "http://example.com", "HTTP 200"),
        (CLIENT, "http://kubernetes.default:443/healthz", "HTTP 200"),
        (OTHER, "http://web", "Name or service not known"),
        (OTHER, "http://web.default", "HTTP 200"),
        ("node/w1-k8s", "http://web.default.svc.cluster.local", "HTTP 200"),
        ("node/m-k8s", "http://127.0.0.1:30080", "HTTP 200"),
        ("outside", "http://192.168.1.101:30080", "HTTP 200"),
        ("outside", "http://192.168.1.10:30080", "HTTP 200"),
        ("outside", "http://192.168.1.11", "HTTP 200"),
        ("outside", "http://192.168.1.11:8080", "Connection timed out"),
        ("outside", "http://192.168.1.101:30081", "HTTP 200"),
        ("outside", "http://192.168.1.10:30081", "Connection timed out"),
        ("outside", "http://192.168.1.101:31000", "Connection refused"),
        ("outside", "http://172.16.1.2:8080", "Connection timed out"),
        ("outside", "http://192.168.1.77", "Connection timed out"),
    ],
)
def test_what_a_client_sees(cluster: Cluster, origin: str, url: str, expected: str) -> None:
    assert outcome(cluster, origin, url) == expected


def test_the_listener_sees_the_address_that_the_packets_bear(cluster: Cluster) -> None:
    address = cluster.get("pod", "client")["status"]["podIP"]
    assert body(cluster, CLIENT, "http://web/clientip").startswith(f"{address}:")
    assert body(cluster, "outside/192.168.1.1", "http://192.168.1.101:30081/clientip").startswith("192.168.1.1:")
    assert body(cluster, "outside/192.168.1.1", "http://192.168.1.101:30080/clientip").startswith("192.168.1.101:")


def test_both_pods_get_their_share(cluster: Cluster) -> None:
    names = {body(cluster, CLIENT, "http://web/hostname") for _ in range(16)}
    assert names == {pod["metadata"]["name"] for pod in cluster.list("pods", "default", "app=web")}


def test_a_walk_is_told_step_by_step(cluster: Cluster) -> None:
    walk = trace(cluster, CLIENT, "http://web/hostname")
    text = "\n".join(f"{step.where}: {step.what}" for step in walk.steps)
    assert "resolver: name server 10.96.0.10: web.default.svc.cluster.local A NOERROR" in text
    assert "w1-k8s: nat: -A KUBE-SERVICES -d " in text
    assert "-j DNAT --to-destination 172.16." in text
    assert walk.steps[-1].where.startswith("pod default/web-")


def test_a_cut_link_ends_in_a_time_out(cluster: Cluster) -> None:
    pod = pod_of(cluster, "w2-k8s")
    url = f"http://{pod['status']['podIP']}:8080"
    assert outcome(cluster, CLIENT, url) == "HTTP 200"
    cluster.topology.cut("w1-k8s", "w2-k8s", one_way=True)
    assert outcome(cluster, CLIENT, url) == "Connection timed out"
    cluster.topology.mend("w1-k8s", "w2-k8s", one_way=True)
    assert outcome(cluster, CLIENT, url) == "HTTP 200"


DENY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}
"""
ALLOW_BLUE = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: blue}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
  - from: [{namespaceSelector: {matchLabels: {team: blue}}, podSelector: {matchLabels: {role: client}}}]
    ports: [{port: http}]
"""
NO_WAY_OUT = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: out}
spec:
  podSelector: {matchLabels: {role: client}}
  policyTypes: [Egress]
  egress:
  - to: [{namespaceSelector: {}}]
    ports: [{port: 53, protocol: UDP}, {port: 8080}]
"""


def test_policies_decide_who_passes(cluster: Cluster) -> None:
    web, pod = "http://web.default", pod_of(cluster, "w1-k8s")
    cluster.apply(DENY)
    cluster.advance("1s")
    assert outcome(cluster, CLIENT, web) == outcome(cluster, OTHER, web) == "Connection timed out"
    assert outcome(cluster, "node/w1-k8s", f"http://{pod['status']['podIP']}:8080") == "HTTP 200"
    cluster.advance("1m")
    assert cluster.get("pod", pod["metadata"]["name"])["status"]["conditions"][0]["status"] == "True"
    cluster.apply(ALLOW_BLUE)
    cluster.advance("1s")
    assert (outcome(cluster, CLIENT, web), outcome(cluster, OTHER, web)) == ("Connection timed out", "HTTP 200")
    cluster.delete("netpol", "deny")
    cluster.delete("netpol", "blue")
    cluster.apply(NO_WAY_OUT)
    cluster.advance("1s")
    assert outcome(cluster, CLIENT, web) == "HTTP 200"
    assert outcome(cluster, CLIENT, "http://example.com") == "Connection timed out"
    cluster.delete("netpol", "out")
    cluster.advance("1s")
    assert outcome(cluster, CLIENT, "http://example.com") == "HTTP 200"
