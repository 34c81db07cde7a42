"""The walk of a request as ``Cluster.trace_route`` tells it: where it ended, and why."""

from __future__ import annotations

import pytest

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

MANIFEST = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  nodeName: w2-k8s
  containers:
  - {name: c, image: "registry.k8s.io/e2e-test-images/agnhost:2.53", args: [netexec, --http-port=8080]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: empty}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec: {nodeName: w1-k8s, containers: [{name: c, image: busybox, command: [sleep, "100000"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: closed, labels: {app: closed}}
spec:
  nodeName: w2-k8s
  containers:
  - {name: c, image: "registry.k8s.io/e2e-test-images/agnhost:2.53", args: [netexec, --http-port=8080]}
---
apiVersion: v1
kind: Service
metadata: {name: closed}
spec: {selector: {app: closed}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {matchLabels: {app: closed}}, policyTypes: [Ingress]}
"""


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    made = Cluster(ClusterSpec(nodes=2), seed=4)
    made.settle()
    made.apply(MANIFEST)
    made.settle()
    made.advance("5s")
    return made


@pytest.mark.parametrize(
    ("origin", "url", "outcome", "last"),
    [
        ("client", "http://web", "HTTP 200", "answers"),
        ("default/client", "tcp://web:80", "connected", "answers"),
        ("w1-k8s", "http://web.default.svc.cluster.local", "HTTP 200", "answers"),
        ("client", "http://empty", "Connection refused", "rejected: connection refused"),
        ("client", "http://closed", "Connection timed out", "Ingress by deny: dropped: time-out"),
        ("client", "http://nowhere", "Name or service not known", "nowhere A NXDOMAIN"),
        ("client", "http://192.168.1.102:9", "Connection refused", "nothing listens on 9: connection refused"),
    ],
)
def test_a_walk_says_how_it_ended(cluster: Cluster, origin: str, url: str, outcome: str, last: str) -> None:
    walk = cluster.trace_route(origin, url)
    assert walk.outcome == outcome
    assert walk.steps[-1].what.endswith(last)


def test_a_walk_shows_names_rules_and_translation(cluster: Cluster) -> None:
    steps = cluster.trace_route("client", "http://web").steps
    text = "\n".join(step.what for step in steps)
    for part in ("web.default.svc.cluster.local A NOERROR", "KUBE-SERVICES", "DNAT --to-destination", "is on w2-k8s"):
        assert part in text


def test_a_question_that_is_lost_says_where(cluster: Cluster) -> None:
    name = cluster.add_fault({"kind": "kube-proxy-flushed", "node": "w1-k8s"})
    walk = cluster.trace_route("client", "http://web")
    cluster.remove_fault(name)
    cluster.advance("2s")
    assert walk.outcome == "Temporary failure in name resolution"
    assert any("nobody takes 10.96.0.10" in step.what for step in walk.steps)


def test_who_does_not_exist_is_told(cluster: Cluster) -> None:
    with pytest.raises(ValueError, match="nobody is at 'mars'"):
        cluster.trace_route("mars", "http://web")
    with pytest.raises(LookupError, match="no network"):
        Cluster(ClusterSpec(nodes=0, controllers="none")).trace_route("outside", "http://web")


def test_a_replay_takes_the_same_walk() -> None:
    first = Cluster(ClusterSpec(nodes=1), seed=6)
    first.settle()
    first.trace_route("w1-k8s", "http://10.96.0.1:443/healthz")
    first.add_load({"kind": "constant", "url": "http://10.96.0.1:443/healthz", "origin": "node/w1-k8s", "level": 3})
    first.advance("20s")
    again = Cluster.replay(first.journal)
    assert again.loads.list() == first.loads.list()
    assert again.digest() == first.digest()
