"""Each fault: its symptom shows in the API or to a client, and goes away with its opposite."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import orjson
import pytest

from seatrial.sim.apiserver.context import ExternalCall
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.faults.catalogue import CATALOGUE, fault_of, value_of
from seatrial.sim.kernel.journal import Journal
from seatrial.sim.machinery.errors import ApiError
from tests.sim.faults.cases import (
    CASES,
    CONFIG_MAP,
    ELSEWHERE,
    MAPS,
    ONCE,
    PRESSURES,
    fresh,
    pods,
    refuses,
    scaled,
    well,
)


@pytest.fixture
def cluster() -> Cluster:
    return fresh()


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
    scaled(2)(cluster)
    cluster.advance("10s")
    assert well(cluster)


@pytest.mark.parametrize("kind", PRESSURES)
def test_a_pressure_evicts_pods_and_heals(cluster: Cluster, kind: str) -> None:
    case = PRESSURES[kind]
    name = cluster.add_fault({"kind": kind, **case.value})
    case.before(cluster)
    cluster.advance(case.after)
    assert case.shows(cluster)
    cluster.remove_fault(name)
    cluster.advance(case.heals)
    assert not case.shows(cluster)
    running = [each for each in pods(cluster, "app=web") if each["status"]["phase"] == "Running"]
    assert len(running) == 2


@pytest.mark.parametrize("kind", ONCE)
def test_what_happens_once_is_over_by_itself(cluster: Cluster, kind: str) -> None:
    case = ONCE[kind]
    before = case.seen(cluster)
    cluster.add_fault({"kind": kind, **case.value})
    assert not cluster.faults.list()
    cluster.advance(case.after)
    assert case.seen(cluster) != before
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


def test_a_component_that_hangs_goes_on_with_what_it_missed(cluster: Cluster) -> None:
    name = cluster.add_fault({"kind": "component-hang", "component": "kube-controller-manager"})
    scaled(4)(cluster)
    cluster.advance("30s")
    assert len(pods(cluster, "app=web")) == 2
    cluster.remove_fault(name)
    cluster.advance("40s")
    assert len(pods(cluster, "app=web")) == 4


def test_a_disk_that_is_full_takes_no_file(cluster: Cluster) -> None:
    node = cluster.get("pod", "client")["spec"]["nodeName"]
    cluster.add_fault({"kind": "disk-full", "node": node})
    world = cluster.networking.world if cluster.networking is not None else None
    assert world is not None
    sandbox = world.sandbox_named("default", "client")
    live = next(each for each in cluster.nodes[node].runtime.live.values() if each.config.sandbox is sandbox)
    said: list[bytes] = []
    assert live.process is not None
    live.process.exec(["sh", "-c", "echo x > /tmp/f"], lambda stream, data: said.append(data), lambda code: None)
    cluster.advance("1s")
    assert b"No space left on device" in b"".join(said)


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
    cluster.add_fault({"kind": "container-hang", "pod": "new"})
    cluster.advance("30s")
    status = cluster.get("pod", "new")["status"]["containerStatuses"][0]
    assert status["restartCount"] == 1
    assert status["lastState"]["terminated"]["exitCode"] == 137
    messages = [each.get("message", "") for each in cluster.list("events", "default")]
    assert any(
        "context deadline exceeded (Client.Timeout exceeded while awaiting headers)" in each for each in messages
    )


def test_a_leak_ends_at_the_limit(cluster: Cluster) -> None:
    limits = {"resources": {"limits": {"memory": "64Mi"}}}
    container = {"name": "c", "image": "busybox", "command": ["sleep", "100000"], **limits}
    spec = {"containers": [container]}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "new"}, "spec": spec})
    cluster.advance("20s")
    cluster.add_fault({"kind": "container-leak", "pod": "new", "mb_per_s": 10})
    cluster.advance("20s")
    status = cluster.get("pod", "new")["status"]["containerStatuses"][0]
    assert status["lastState"]["terminated"]["reason"] == "OOMKilled"


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
