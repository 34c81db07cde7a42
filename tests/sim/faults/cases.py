"""What each fault shows, in the API or to a client: the table that the tests of faults go through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.kernel.clock import parse_stamp
from seatrial.sim.machinery.quantity import parse
from seatrial.sim.network.requests import origin_of

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
          preferredDuringSchedulingIgnoredDuringExecution:
          - weight: 1
            podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: web}}}
      containers:
      - name: c
        image: registry.k8s.io/e2e-test-images/agnhost:2.53
        args: [netexec, --http-port=8080]
        ports: [{containerPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {nodeName: w1-k8s, containers: [{name: c, image: busybox, command: [sleep, "100000"]}]}
"""
Check = Callable[[Cluster], bool]


class Case(NamedTuple):
    """A fault, the time after which its symptom shows, the symptom, and the time in which it heals."""

    value: dict[str, Any]
    after: str
    shows: Check
    heals: str
    before: Callable[[Cluster], Any] = lambda cluster: None
    """What is done once the fault is there."""


def ready(name: str) -> Callable[[Cluster], str]:
    def status(cluster: Cluster) -> str:
        conditions = cluster.get("node", name)["status"]["conditions"]
        return str(next(each["status"] for each in conditions if each["type"] == "Ready"))

    return status


def condition(name: str, kind: str) -> Check:
    def shows(cluster: Cluster) -> bool:
        conditions = cluster.get("node", name)["status"]["conditions"]
        return any(each["type"] == kind and each["status"] == "True" for each in conditions)

    return shows


def not_ready(name: str) -> Check:
    return lambda cluster: ready(name)(cluster) != "True"


def outcome(cluster: Cluster, url: str, origin: str = "pod/default/client") -> str:
    assert cluster.networking is not None
    requests = cluster.networking.requests
    return requests.trace(origin_of(requests.plane, origin), url).outcome


def fails(url: str, origin: str = "pod/default/client") -> Check:
    return lambda cluster: not outcome(cluster, url, origin).startswith("HTTP")


def pods(cluster: Cluster, selector: str) -> list[Any]:
    return list(cluster.list("pods", "default", selector))


def pod(name: str, image: str = "busybox") -> Callable[[Cluster], Any]:
    container = {"name": "c", "image": image, "command": ["sleep", "100000"]}
    spec = {"containers": [container], "nodeName": "w2-k8s"}
    value = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    return lambda cluster: cluster.apply(value)


def waiting(name: str, *reasons: str) -> Check:
    def shows(cluster: Cluster) -> bool:
        status = cluster.get("pod", name)["status"]
        states = [each["state"].get("waiting", {}) for each in status.get("containerStatuses", ())]
        return any(state.get("reason") in reasons for state in states)

    return shows


def evicted(name: str) -> Check:
    return lambda cluster: cluster.get("pod", name)["status"].get("reason") == "Evicted"


def pending(name: str) -> Check:
    return lambda cluster: cluster.get("pod", name)["status"]["phase"] == "Pending"


def scaled(replicas: int) -> Callable[[Cluster], Any]:
    path, body = "/apis/apps/v1/namespaces/default/deployments/web/scale", {"spec": {"replicas": replicas}}
    return lambda cluster: cluster.request(Request("PATCH", path, {}, body, "application/merge-patch+json"))


def refuses(method: str, path: str, body: Any = None, **query: str) -> Check:
    def shows(cluster: Cluster) -> bool:
        values = {name: (value,) for name, value in query.items()}
        return cluster.request(Request(method, path, values, body)).code >= 400

    return shows


def slow(path: str, us: int) -> Check:
    def shows(cluster: Cluster) -> bool:
        before = cluster.now
        cluster.request(Request("GET", path))
        return cluster.now - before >= us

    return shows


def says(command: str, what: str) -> Check:
    """What somebody who is logged in to the control plane's machine reads."""

    def shows(cluster: Cluster) -> bool:
        ran = cluster.ssh("m-k8s", command)
        return what in ran.stdout + ran.stderr

    return shows


CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "a-"}}
MAPS = "/api/v1/namespaces/default/configmaps"


def slow_request(cluster: Cluster) -> bool:
    """A request from a pod takes longer than links do."""
    assert cluster.networking is not None
    requests, ended, began = cluster.networking.requests, [], cluster.now
    origin = origin_of(requests.plane, "pod/default/client")
    address = next(each["status"]["podIP"] for each in pods(cluster, "app=web") if each["spec"]["nodeName"] != "w1-k8s")
    requests.call(origin, f"http://{address}:8080", lambda answer, problem: ended.append(cluster.now))
    cluster.advance("1m")
    return bool(ended) and ended[0] - began > 300_000


def ill(cluster: Cluster) -> bool:
    """The API server says that etcd is not there, and takes nothing."""
    path = "/readyz"
    return cluster.request(Request("GET", path)).code == 500 and refuses("POST", MAPS, CONFIG_MAP)(cluster)


def both(*checks: Check) -> Check:
    return lambda cluster: all(check(cluster) for check in checks)


def unscheduled(cluster: Cluster) -> bool:
    return any("nodeName" not in each["spec"] for each in pods(cluster, "app=web"))


def behind(node: str, seconds: int) -> Check:
    """The node's lease is renewed in the past."""

    def shows(cluster: Cluster) -> bool:
        renewed = parse_stamp(cluster.get("lease", node, "kube-node-lease")["spec"]["renewTime"])
        return cluster.now - renewed > (seconds - 60) * 1_000_000

    return shows


def uses_memory(mebibytes: int) -> Check:
    def shows(cluster: Cluster) -> bool:
        path = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods"
        answer = cluster.request(Request("GET", path, {"labelSelector": ("app=web",)})).body
        items = (answer if isinstance(answer, dict) else orjson.loads(answer))["items"]
        used = [parse(item["containers"][0]["usage"]["memory"]).value() for item in items]
        return min(used) > mebibytes * 1024 * 1024

    return shows


ASKS = "curl -k https://192.168.1.10:6443/livez"
NO_IMAGE = ("ErrImagePull", "ImagePullBackOff")
CASES = {
    "node-crash": Case({"node": "w1-k8s"}, "65s", not_ready("w1-k8s"), "30s"),
    "node-shutdown": Case({"node": "w1-k8s"}, "65s", not_ready("w1-k8s"), "30s"),
    "node-pause": Case({"node": "w1-k8s"}, "65s", not_ready("w1-k8s"), "60s"),
    "zone-outage": Case({"zone": "a"}, "65s", not_ready("w2-k8s"), "30s"),
    "node-flapping": Case({"node": "w1-k8s", "up_s": 20, "down_s": 120}, "65s", not_ready("w1-k8s"), "2m"),
    "kubelet-stop": Case({"node": "w1-k8s"}, "65s", not_ready("w1-k8s"), "30s"),
    "kube-proxy-stop": Case(
        {"node": "w1-k8s"},
        "40s",
        lambda cluster: outcome(cluster, "http://web") != "Connection refused",
        "10s",
        scaled(0),
    ),
    "kube-proxy-flushed": Case({"node": "w1-k8s"}, "1s", fails("http://web"), "5s"),
    "cni-broken": Case({"node": "w1-k8s"}, "20s", not_ready("w1-k8s"), "20s"),
    "runtime-stop": Case(
        {"node": "w2-k8s"}, "60s", both(not_ready("w2-k8s"), pending("new")), "90s", pod("new")
    ),
    "runtime-hang": Case(
        {"node": "w2-k8s"}, "60s", both(not_ready("w2-k8s"), pending("new")), "90s", pod("new")
    ),
    "clock-skew": Case({"node": "w1-k8s", "by_s": -3600}, "15s", behind("w1-k8s", 3600), "20s"),
    "etcd-down": Case({}, "1s", ill, "90s"),
    "certificate-expiry": Case({"user": "system:node:w1-k8s"}, "65s", not_ready("w1-k8s"), "60s"),
    "component-hang": Case({"component": "kube-scheduler"}, "10s", unscheduled, "40s", scaled(4)),
    "watch-stall": Case({"component": "kube-scheduler"}, "10s", unscheduled, "30s", scaled(6)),
    "dns-slow": Case({"delay_ms": 6000}, "1s", fails("http://web"), "1s"),
    "container-hang": Case({"selector": "app=web"}, "1s", fails("http://web"), "1s"),
    "container-leak": Case({"selector": "app=web", "mb_per_s": 1}, "90s", uses_memory(60), "60s"),
    "component-stop": Case({"component": "kube-scheduler"}, "10s", lambda cluster: len(
        [each for each in pods(cluster, "app=web") if "nodeName" not in each["spec"]]) > 0, "25s", scaled(4)),
    "apiserver-down": Case({}, "65s", says(ASKS, "Could not connect to server"), "90s"),
    "etcd-no-quorum": Case({}, "1s", refuses("POST", MAPS, CONFIG_MAP), "60s"),
    "etcd-slow": Case({"delay_ms": 900}, "1s", slow(MAPS, 900_000), "60s"),
    "etcd-full": Case({}, "1s", refuses("POST", MAPS, CONFIG_MAP), "60s"),
    "api-fault": Case({"verb": "create", "code": 503}, "1s", refuses("POST", MAPS, CONFIG_MAP), "1s"),
    "partition": Case({"a": ("w1-k8s",)}, "65s", not_ready("w1-k8s"), "2m"),
    "link-quality": Case({"node": "w2-k8s", "delay_ms": 400}, "1s", slow_request, "1s"),
    "dns-stop": Case({}, "1s", fails("http://web"), "1s"),
    "upstream-dns-down": Case({}, "1s", fails("http://example.com"), "1s"),
    "outside-unreachable": Case({}, "1s", fails("http://198.18.0.1"), "1s"),
    "registry-down": Case({}, "30s", waiting("new", *NO_IMAGE), "5m", pod("new", "httpd")),
    "image-missing": Case({"image": "memcached"}, "30s", waiting("new", *NO_IMAGE), "5m", pod("new", "memcached")),
    "slow-pull": Case({"node": "w2-k8s"}, "60s", pending("new"), "5m", pod("new", "redis")),
}  # fmt: skip
PRESSURES = {
    "disk-full": Case(
        {"node": "w2-k8s"},
        "30s",
        both(condition("w2-k8s", "DiskPressure"), evicted("new")),
        "330s",
        pod("new", "mongo"),
    ),
    "node-pressure": Case(
        {"node": "w1-k8s"}, "90s", both(condition("w1-k8s", "DiskPressure"), evicted("client")), "330s"
    ),
}
"""Pods are evicted."""


class Once(NamedTuple):
    """A fault that is over by itself: the time after which something can be seen that was not there before."""

    value: dict[str, Any]
    after: str
    seen: Callable[[Cluster], Any]


def ended(**how: Any) -> Callable[[Cluster], list[str]]:
    """The containers of the workload that ended in a way, by their identifiers."""

    def found(cluster: Cluster) -> list[str]:
        states = [
            each["lastState"].get("terminated") or {}
            for pod in pods(cluster, "app=web")
            for each in pod["status"]["containerStatuses"]
        ]
        return sorted(each["containerID"] for each in states if how.items() <= each.items())

    return found


def holder(name: str) -> Callable[[Cluster], str]:
    return lambda cluster: str(cluster.get("lease", name, "kube-system")["spec"]["holderIdentity"])


def boot(name: str) -> Callable[[Cluster], str]:
    return lambda cluster: str(cluster.get("node", name)["status"]["nodeInfo"]["bootID"])


def code_of(path: str, **query: str) -> Callable[[Cluster], int]:
    values = {name: (value,) for name, value in query.items()}
    return lambda cluster: cluster.request(Request("GET", path, values)).code


def watches_begun(cluster: Cluster) -> float:
    """How many watches of pods the API server has ever answered."""
    page = cluster.request(Request("GET", "/metrics")).body.decode()
    lines = [line for line in page.splitlines() if line.startswith("apiserver_request_total")]
    return sum(float(line.rpartition(" ")[2]) for line in lines if 'resource="pods"' in line and '"WATCH"' in line)


ONCE = {
    "container-exit": Once({"selector": "app=web", "code": 7}, "15s", ended(exitCode=7, reason="Error")),
    "node-reboot": Once({"node": "w2-k8s"}, "60s", boot("w2-k8s")),
    "container-kill": Once({"selector": "app=web"}, "15s", ended(exitCode=137, reason="Error")),
    "container-oom": Once({"selector": "app=web"}, "60s", ended(exitCode=137, reason="OOMKilled")),
    "etcd-compact": Once({}, "1s", code_of(MAPS, resourceVersion="9", resourceVersionMatch="Exact")),
    "watch-drop": Once({}, "5s", watches_begun),
    "leader-failover": Once({}, "60s", holder("kube-controller-manager")),
    "component-restart": Once({"component": "kube-scheduler"}, "1m", holder("kube-scheduler")),
}
ELSEWHERE = ("volume-detach-stuck", "watch-duplicate", "webhook-down", "component-cut", "stale-views")
"""With tests of their own, here, in test_processes.py and in test_volumes.py."""


def fresh() -> Cluster:
    made = Cluster(ClusterSpec(nodes=2), seed=11)
    made.settle()
    label = {"metadata": {"labels": {"topology.kubernetes.io/zone": "a"}}}
    made.apply({"apiVersion": "v1", "kind": "Node", **label | {"metadata": {"name": "w2-k8s", **label["metadata"]}}})
    made.apply(MANIFEST)
    made.settle()
    made.advance("5s")
    return made


def well(cluster: Cluster) -> bool:
    nodes = all(ready(name)(cluster) == "True" for name in ("m-k8s", "w1-k8s", "w2-k8s"))
    found = pods(cluster, "app=web")
    served = not found or outcome(cluster, "http://web").startswith("HTTP")
    return nodes and served and cluster.endpoint.up
