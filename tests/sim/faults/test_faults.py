"""Each fault: its symptom shows in the API or to a client, and goes away with its opposite."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple

import orjson
import pytest

from seatrial.sim.apiserver.context import ExternalCall
from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.faults.catalogue import CATALOGUE, fault_of, value_of
from seatrial.sim.kernel.clock import parse_stamp
from seatrial.sim.kernel.journal import Journal
from seatrial.sim.machinery.errors import ApiError
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


def restarted(cluster: Cluster) -> bool:
    statuses = [each for found in pods(cluster, "app=web") for each in found["status"]["containerStatuses"]]
    return any(each["restartCount"] for each in statuses)


def out_of_memory(cluster: Cluster) -> bool:
    statuses = [each for found in pods(cluster, "app=web") for each in found["status"]["containerStatuses"]]
    return any(each["lastState"].get("terminated", {}).get("reason") == "OOMKilled" for each in statuses)


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


def holder_changed(cluster: Cluster) -> bool:
    lease = cluster.get("lease", "kube-controller-manager", "kube-system")["spec"]
    return int(lease["leaseTransitions"]) > 0


def exited(code: int) -> Check:
    def shows(cluster: Cluster) -> bool:
        statuses = [each for found in pods(cluster, "app=web") for each in found["status"]["containerStatuses"]]
        return any(each["lastState"].get("terminated", {}).get("exitCode") == code for each in statuses)

    return shows


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
    "apiserver-down": Case({}, "65s", lambda cluster: not cluster.endpoint.up, "90s"),
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
"""Pods are evicted: each has a cluster of its own."""
ONCE = {
    "container-exit": Case({"selector": "app=web", "code": 7}, "15s", exited(7), ""),
    "node-reboot": Case({"node": "w2-k8s"}, "60s", restarted, ""),
    "container-kill": Case({"selector": "app=web"}, "10s", restarted, ""),
    "container-oom": Case({"selector": "app=web"}, "60s", out_of_memory, ""),
    "etcd-compact": Case({}, "1s", refuses("GET", MAPS, resourceVersion="9", resourceVersionMatch="Exact"), ""),
    "watch-drop": Case({}, "1s", lambda cluster: True, ""),
    "leader-failover": Case({}, "60s", holder_changed, ""),
    "component-restart": Case({"component": "kube-scheduler"}, "1m", lambda cluster: True, ""),
}
ELSEWHERE = ("volume-detach-stuck", "watch-duplicate", "webhook-down", "component-cut", "stale-views")
"""With tests of their own, here, in test_processes.py and in test_volumes.py."""


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    """One cluster for all: a fault that leaves something behind would spoil the tests that follow."""
    return fresh()


def fresh() -> Cluster:
    made = Cluster(ClusterSpec(nodes=2), seed=11)
    made.settle()
    label = {"metadata": {"labels": {"topology.kubernetes.io/zone": "a"}}}
    made.apply({"apiVersion": "v1", "kind": "Node", **label | {"metadata": {"name": "w2-k8s", **label["metadata"]}}})
    made.apply(MANIFEST)
    made.settle()
    made.advance("5s")
    return made


@pytest.fixture(autouse=True)
def nothing_left(cluster: Cluster) -> Iterator[None]:
    yield
    for each in cluster.faults.list():
        cluster.remove_fault(each["name"])


def well(cluster: Cluster) -> bool:
    nodes = all(ready(name)(cluster) == "True" for name in ("m-k8s", "w1-k8s", "w2-k8s"))
    found = pods(cluster, "app=web")
    served = not found or outcome(cluster, "http://web").startswith("HTTP")
    return nodes and served and cluster.endpoint.up


def test_every_kind_has_a_test() -> None:
    assert set(CATALOGUE) == {*CASES, *PRESSURES, *ONCE, *ELSEWHERE}


@pytest.mark.parametrize("kind", CASES)
def test_a_fault_shows_and_heals(cluster: Cluster, kind: str) -> None:
    case = CASES[kind]
    assert well(cluster)
    name = cluster.add_fault({"kind": kind, **case.value})
    case.before(cluster)
    cluster.advance(case.after)
    assert case.shows(cluster)
    cluster.remove_fault(name)
    cluster.advance(case.heals)
    assert not case.shows(cluster)
    restore(cluster)
    assert well(cluster)


@pytest.mark.parametrize("kind", PRESSURES)
def test_a_pressure_evicts_pods_and_heals(kind: str) -> None:
    case, made = PRESSURES[kind], fresh()
    name = made.add_fault({"kind": kind, **case.value})
    case.before(made)
    made.advance(case.after)
    assert case.shows(made)
    made.remove_fault(name)
    made.advance(case.heals)
    assert not case.shows(made)
    running = [each for each in pods(made, "app=web") if each["status"]["phase"] == "Running"]
    assert len(running) == 2


def restore(cluster: Cluster) -> None:
    """Takes back what a test did beside its fault."""
    scaled(2)(cluster)
    if cluster.request(Request("DELETE", "/api/v1/namespaces/default/pods/new")).code < 400:
        cluster.advance("40s")
    cluster.advance("10s")


@pytest.mark.parametrize("kind", ONCE)
def test_what_happens_once_is_over_by_itself(cluster: Cluster, kind: str) -> None:
    case = ONCE[kind]
    cluster.add_fault({"kind": kind, **case.value})
    assert not cluster.faults.list()
    cluster.advance(case.after)
    assert case.shows(cluster)
    cluster.advance("1m")
    assert well(cluster)


def test_what_is_heard_twice_is_done_once(cluster: Cluster) -> None:
    def created() -> int:
        events = cluster.list("events", "default")
        return sum(each.get("count") or 1 for each in events if each["reason"] == "SuccessfulCreate")

    before, last = created(), cluster.store.revision
    name = cluster.add_fault({"kind": "watch-duplicate"})
    scaled(5)(cluster)
    cluster.advance("20s")
    assert len(pods(cluster, "app=web")) == 5
    assert created() - before == 3
    cluster.remove_fault(name)
    assert cluster.wiring.twice is None
    assert cluster.store.revision > last
    restore(cluster)


def test_a_component_that_hangs_goes_on_with_what_it_missed(cluster: Cluster) -> None:
    name = cluster.add_fault({"kind": "component-hang", "component": "kube-controller-manager"})
    scaled(4)(cluster)
    cluster.advance("30s")
    assert len(pods(cluster, "app=web")) == 2
    cluster.remove_fault(name)
    cluster.advance("40s")
    assert len(pods(cluster, "app=web")) == 4
    restore(cluster)


def test_a_disk_that_is_full_takes_no_file(cluster: Cluster) -> None:
    node = cluster.get("pod", "client")["spec"]["nodeName"]
    name = cluster.add_fault({"kind": "disk-full", "node": node})
    world = cluster.networking.world if cluster.networking is not None else None
    assert world is not None
    sandbox = world.sandbox_named("default", "client")
    live = next(each for each in cluster.nodes[node].runtime.live.values() if each.config.sandbox is sandbox)
    said: list[bytes] = []
    assert live.process is not None
    live.process.exec(["sh", "-c", "echo x > /tmp/f"], lambda stream, data: said.append(data), lambda code: None)
    cluster.advance("1s")
    assert b"No space left on device" in b"".join(said)
    cluster.remove_fault(name)
    cluster.advance("20s")


def test_a_pod_that_hangs_is_restarted_by_its_liveness_probe(cluster: Cluster) -> None:
    container = {
        "name": "c",
        "image": "registry.k8s.io/e2e-test-images/agnhost:2.53",
        "args": ["netexec", "--http-port=8080"],
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 2},
    }
    spec = {"containers": [container], "terminationGracePeriodSeconds": 3}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "new"}, "spec": spec})
    cluster.advance("20s")
    name = cluster.add_fault({"kind": "container-hang", "pod": "new"})
    cluster.advance("30s")
    status = cluster.get("pod", "new")["status"]["containerStatuses"][0]
    assert status["restartCount"] == 1
    assert status["lastState"]["terminated"]["exitCode"] == 137
    messages = [each["message"] for each in cluster.list("events", "default")]
    assert any(
        "context deadline exceeded (Client.Timeout exceeded while awaiting headers)" in each for each in messages
    )
    cluster.remove_fault(name)
    restore(cluster)


def test_a_leak_ends_at_the_limit(cluster: Cluster) -> None:
    limits = {"resources": {"limits": {"memory": "64Mi"}}}
    container = {"name": "c", "image": "busybox", "command": ["sleep", "100000"], **limits}
    spec = {"containers": [container]}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "new"}, "spec": spec})
    cluster.advance("20s")
    name = cluster.add_fault({"kind": "container-leak", "pod": "new", "mb_per_s": 10})
    cluster.advance("20s")
    status = cluster.get("pod", "new")["status"]["containerStatuses"][0]
    assert status["lastState"]["terminated"]["reason"] == "OOMKilled"
    cluster.remove_fault(name)
    restore(cluster)


def test_faults_on_one_thing_end_with_the_last_of_them(cluster: Cluster) -> None:
    first = cluster.add_fault({"kind": "partition", "a": ["w1-k8s"], "b": ["m-k8s"]})
    second = cluster.add_fault({"kind": "partition", "a": ["m-k8s"], "b": ["w1-k8s"]})
    cluster.remove_fault(first)
    assert cluster.topology.latency("w1-k8s", "m-k8s") is None
    cluster.remove_fault(second)
    assert cluster.topology.latency("w1-k8s", "m-k8s") is not None


def test_pods_get_addresses_after_two_failures_of_the_network_plugin(cluster: Cluster) -> None:
    names = [cluster.add_fault({"kind": "cni-broken", "node": "w1-k8s"}) for _ in range(2)]
    for name in names:
        cluster.remove_fault(name)
    container = {"name": "c", "image": "busybox", "command": ["sleep", "1000"]}
    spec = {"nodeName": "w1-k8s", "containers": [container]}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "late"}, "spec": spec})
    cluster.advance("30s")
    late = cluster.get("pod", "late")
    cluster.delete("pod", "late")
    cluster.settle()
    assert late is not None and late["status"].get("podIP")


def test_a_fault_may_begin_later_and_end_by_itself(cluster: Cluster) -> None:
    cluster.add_fault({"kind": "apiserver-down"}, after="10s", lasts="5s")
    assert [each["started"] for each in cluster.faults.list()] == [False]
    cluster.advance("12s")
    assert not cluster.endpoint.up
    cluster.advance("5s")
    assert cluster.endpoint.up
    assert not cluster.faults.list()


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"kind": "boredom"}, "there is no fault 'boredom'"),
        ({"kind": "node-crash", "node": "w9"}, "no machine 'w9'"),
        ({"kind": "node-crash", "colour": "red"}, "node-crash: there is no parameter 'colour'"),
        ({"kind": "zone-outage"}, "zone-outage: zone is missing"),
        ({"kind": "component-stop", "component": "kube-nothing"}, "no component 'kube-nothing'"),
        ({"kind": "container-kill", "pod": "nobody"}, "no running container matches"),
    ],
)
def test_what_cannot_break_is_refused(cluster: Cluster, value: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        cluster.add_fault(value)
    assert not cluster.faults.list()


def test_a_replay_has_the_same_faults(cluster: Cluster) -> None:
    cluster.add_fault({"kind": "node-crash", "node": "w1-k8s"}, lasts="2m")
    cluster.advance("1m")
    name = cluster.add_fault({"kind": "api-fault", "resource": "pods", "code": 500, "share": 0.5})
    cluster.advance("1m")
    cluster.remove_fault(name)
    cluster.advance("3m")
    again = Cluster.replay(Journal.load(cluster.journal.dump()))
    assert (again.digest(), again.now) == (cluster.digest(), cluster.now)


def allowed(call: ExternalCall) -> Generator[Any, Any, tuple[int, bytes]]:
    """A webhook that lets everything pass."""
    review = orjson.loads(call.body)
    answer = {"uid": review["request"]["uid"], "allowed": True}
    return 200, orjson.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer})
    yield


def test_a_webhook_that_is_down_refuses_what_it_judges() -> None:
    cluster = Cluster(ClusterSpec(nodes=0, controllers="none"))
    cluster.connect(allowed)
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    hook = {
        "name": "maps.example.com",
        "clientConfig": {"url": "https://hooks.example.com/maps"},
        "rules": [rule],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Fail",
    }
    kind = "ValidatingWebhookConfiguration"
    group = "admissionregistration.k8s.io/v1"
    cluster.apply({"apiVersion": group, "kind": kind, "metadata": {"name": "maps"}, "webhooks": [hook]})
    create = refuses("POST", MAPS, CONFIG_MAP)
    assert not create(cluster)
    other = cluster.add_fault({"kind": "webhook-down", "url": "elsewhere.example.com"})
    assert not create(cluster)
    name = cluster.add_fault({"kind": "webhook-down", "url": "hooks.example.com"})
    assert create(cluster)
    cluster.remove_fault(other)
    assert create(cluster)
    cluster.remove_fault(name)
    assert not create(cluster)


def test_values_are_read_as_they_are_written() -> None:
    fault = fault_of({"kind": "partition", "a": ["x"], "one_way": True})
    assert fault_of(value_of(fault)) == fault


def test_refusals_reach_only_those_whom_they_concern(cluster: Cluster) -> None:
    cluster.add_fault({"kind": "api-fault", "verb": "create", "resource": "configmaps", "code": 429})
    with pytest.raises(ApiError) as caught:
        cluster.apply({**CONFIG_MAP, "metadata": {"generateName": "b-"}})
    assert caught.value.code == 429
    assert cluster.get("pod", "client")["metadata"]["name"] == "client"
