"""Heartbeats that are not executed are those that would have been: eager and lazy clusters have the same history."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, S

LEASES = "leases.coordination.k8s.io"
SPEC = ClusterSpec(nodes=2, addons=False)
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      tolerations:
      - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 20}
      containers: [{name: c, image: nginx}]
"""


def plain(value: Any) -> Any:
    """An object without the numbers of revisions, and without what only numbers of revisions name."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items() if key != "resourceVersion"}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def unbeaten(storage: str, obj: Any) -> Any:
    """What of an object a heartbeat does not touch."""
    if storage == LEASES:
        metadata = {key: each for key, each in obj["metadata"].items() if key != "managedFields"}
        return plain({**obj, "metadata": metadata, "spec": {**obj["spec"], "renewTime": ""}})
    if storage == "nodes":
        metadata = {key: each for key, each in obj["metadata"].items() if key != "managedFields"}
        conditions = [{**each, "lastHeartbeatTime": ""} for each in obj["status"].get("conditions") or ()]
        return plain({**obj, "metadata": metadata, "status": {**obj["status"], "conditions": conditions}})
    return plain(obj)


def history(cluster: Cluster) -> list[Any]:
    """Every change but heartbeats, with its time."""
    found = []
    for revision in range(2, cluster.store.revision + 1):
        change = cluster.store.change(revision)
        assert change is not None
        new = unbeaten(change.storage, change.obj)
        if change.old is None or change.verb != "MODIFIED" or unbeaten(change.storage, change.old) != new:
            found.append((change.at_us, change.verb, change.storage, new))
    # What happens in one instant has no order that anybody could see, but for one object.
    return sorted(found, key=lambda each: (each[0], each[2], str(each[3]["metadata"])))


def everything(cluster: Cluster) -> dict[str, list[Any]]:
    """All objects as they are now."""
    kinds = ("nodes", LEASES, "pods", "events", "deployments.apps", "replicasets.apps")
    return {kind: [plain(each) for each in cluster.store.list(kind)] for kind in kinds}


def both(play: Callable[[Cluster], Any]) -> Cluster:
    """Plays the same on an eager and a lazy cluster, compares the histories, returns the lazy one."""
    eager, lazy = Cluster(SPEC, lazy=False), Cluster(SPEC)
    assert play(eager) == play(lazy)
    assert everything(eager) == everything(lazy)
    assert history(eager) == history(lazy)
    return lazy


def faults() -> st.SearchStrategy[dict[str, Any]]:
    node = st.sampled_from(["w1-k8s", "w2-k8s"])
    return st.one_of(
        *(
            st.fixed_dictionaries({"kind": st.just(kind), "node": node})
            for kind in ("kubelet-stop", "node-crash", "node-pause", "cni-broken")
        ),
        st.fixed_dictionaries(
            {"kind": st.just("partition"), "a": node.map(lambda name: [name]), "one_way": st.booleans()}
        ),
        st.fixed_dictionaries({"kind": st.just("link-quality"), "node": node, "delay_ms": st.integers(1, 300)}),
        st.fixed_dictionaries({"kind": st.just("etcd-slow"), "delay_ms": st.integers(50, 3000)}),
        st.fixed_dictionaries({"kind": st.just("clock-skew"), "node": node, "by_s": st.sampled_from([-90, 90])}),
        st.just({"kind": "component-hang", "component": "kube-controller-manager"}),
        st.just({"kind": "watch-stall", "component": "kube-controller-manager"}),
        st.just({"kind": "apiserver-down"}),
        st.just({"kind": "etcd-no-quorum"}),
        st.just({"kind": "api-fault", "code": 500, "resource": "leases"}),
        st.just({"kind": "component-restart", "component": "kube-controller-manager"}),
        st.just(
            {"kind": "stale-views", "component": "kube-controller-manager", "delay_ms": 70_000, "resource": "leases"}
        ),
    )


TIMES = st.integers(1, 200_000_000)


@settings(max_examples=6)
@given(st.lists(st.tuples(faults(), TIMES, TIMES), max_size=3), st.lists(TIMES, max_size=4), st.integers(0, 3))
def test_faults_find_the_same_cluster(broken: list[Any], looks: list[int], web: int) -> None:
    def play(cluster: Cluster) -> list[Any]:
        cluster.run(web * 7 * S)
        cluster.apply(WEB)
        began, seen = cluster.now, []
        for fault, after, lasts in broken:
            cluster.add_fault(fault, after=after, lasts=lasts)
        for at in sorted(looks):
            cluster.run_until(max(began + at, cluster.now))
            seen.append(everything(cluster))
        cluster.run_until(began + 500 * S)
        return seen

    both(play)


@pytest.mark.parametrize("stop_s", range(20, 40, 2))
def test_a_silent_node_is_noticed_at_the_same_moment(stop_s: int) -> None:
    """Whatever part of the rhythms of kubelet and monitor it falls into."""

    def play(cluster: Cluster) -> None:
        cluster.run(stop_s * S + Random(stop_s).randrange(S))
        cluster.add_fault({"kind": "kubelet-stop", "node": "w1-k8s"})
        cluster.run(80 * S)

    lazy = both(play)
    ready = {each["type"]: each["status"] for each in lazy.get("node", "w1-k8s")["status"]["conditions"]}
    assert ready["Ready"] == "Unknown"


@pytest.mark.parametrize(
    "first",
    [
        {"kind": "clock-skew", "node": "w1-k8s", "by_s": -90},
        {"kind": "link-quality", "node": "w1-k8s", "delay_ms": 100},
        {"kind": "api-fault", "code": 500, "resource": "configmaps"},
    ],
    ids=lambda fault: str(fault["kind"]),
)
def test_a_second_disturbance_soon_after_a_first(first: dict[str, Any]) -> None:
    """The watches that the first one disturbed are not at rest yet."""

    def play(cluster: Cluster) -> None:
        cluster.run(100 * S)
        cluster.add_fault(first, lasts=5 * S)
        cluster.run(150 * S)
        cluster.add_fault({"kind": "apiserver-down"}, lasts=5 * S)
        cluster.run(100 * S)

    lazy = both(play)
    assert not [each for each in lazy.list("events", "default") if each["reason"] == "NodeNotReady"]


def test_an_idle_cluster_writes_nothing_until_somebody_looks() -> None:
    cluster = Cluster(SPEC)
    cluster.run(700 * S)
    cluster.list(LEASES)
    before = cluster.server.store.revision
    cluster.run(2000 * S)
    assert cluster.server.store.revision == before
    for lease in cluster.list(LEASES):
        assert lease["spec"]["renewTime"][:19] > cluster.clock.stamp(cluster.now - 11 * S)[:19]
    assert cluster.server.store.revision > before


def test_whoever_watches_sees_every_beat() -> None:
    def play(cluster: Cluster) -> list[Any]:
        cluster.run(100 * S)
        query = {"watch": ("1",)}
        streams = [
            cluster.request(Request("GET", path, query)).body
            for path in ("/api/v1/nodes", "/apis/coordination.k8s.io/v1/leases")
        ]
        seen = []
        for _ in range(4):
            cluster.run(100 * S)
            seen.append([(frame.type, plain(frame.object)) for stream in streams for frame in stream.read(10_000)])
        for stream in streams:
            stream.close()
        cluster.run(1000 * S)
        return seen

    lazy = both(play)
    assert lazy.server.standing.parked


@pytest.mark.parametrize(
    "write",
    [
        lambda c: c.delete(LEASES, "w1-k8s", "kube-node-lease"),
        lambda c: c.patch(LEASES, "w1-k8s", {"spec": {"holderIdentity": "me"}}, "kube-node-lease"),
        lambda c: c.patch("node", "w1-k8s", {"metadata": {"labels": {"a": "b"}}}),
        lambda c: c.patch("node", "w1-k8s", {"spec": {"unschedulable": True}}),
        lambda c: c.delete("node", "w1-k8s"),
        lambda c: c.delete("clusterrolebinding", "system:node"),
        lambda c: c.delete(LEASES, "kube-scheduler", "kube-system"),
    ],
)
def test_somebody_elses_write(write: Callable[[Cluster], Any]) -> None:
    def play(cluster: Cluster) -> None:
        cluster.run(1234 * S + 567_891)
        write(cluster)
        cluster.run(900 * S)

    both(play)


def test_a_replay_knows_who_looked() -> None:
    cluster = Cluster(SPEC)
    cluster.run(100 * S)
    cluster.list("nodes")
    cluster.run(400 * S)
    watch = cluster.store.watch("nodes", cluster.store.revision)
    cluster.run(700 * S)
    watch.close()
    cluster.run(700 * S)
    assert Cluster.replay(cluster.journal).digest() == cluster.digest()


PROBED = """
apiVersion: v1
kind: Pod
metadata: {name: probed}
spec:
  containers:
  - name: web
    image: nginx
    startupProbe: {tcpSocket: {port: 80}, periodSeconds: 2}
    readinessProbe: {httpGet: {path: /ready, port: 80}, periodSeconds: 3, failureThreshold: 2}
    livenessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 4}
    lifecycle: {postStart: {exec: {command: [sh, -c, touch /usr/share/nginx/html/ready]}}}
  - name: port
    image: redis
    readinessProbe: {tcpSocket: {port: 6379}, periodSeconds: 7}
    livenessProbe: {tcpSocket: {port: 6379}, periodSeconds: 7}
"""


def shown(cluster: Cluster) -> list[Any]:
    """What probes leave behind: lines in the log, work that was done, counters of the kubelet."""
    kubelets = [node.kubelet for node in cluster.nodes.values()]
    pages = [kubelet.meters.text({}, ["prober_probe_total"]) for kubelet in kubelets if settled(kubelet)]
    lives = [live for kubelet in kubelets for live in kubelet.runtime.live.values() if live.process is not None]
    return [pages, [(live.process.cpu_total_ns(), sorted(live.log.lines), live.log.size) for live in lives]]  # type: ignore[union-attr]


def settled(kubelet: Any) -> bool:
    for worker in kubelet.workers.values():
        worker.probes.settle()
    return True


def tell(command: str) -> Callable[[Cluster], None]:
    """Runs a line of shell in the web container."""

    def act(cluster: Cluster) -> None:
        for node in cluster.nodes.values():
            for live in list(node.kubelet.runtime.live.values()):
                if live.config.name == "web" and live.process is not None and live.ended is not None:
                    live.process.exec(["sh", "-c", command], lambda *_: None, lambda _: None)

    return act


def signalled(name: str) -> Callable[[Cluster], None]:
    def act(cluster: Cluster) -> None:
        for node in cluster.nodes.values():
            for live in list(node.kubelet.runtime.live.values()):
                if live.config.name == "web" and live.process is not None:
                    live.process.stop_all(name == "STOP")  # type: ignore[attr-defined]

    return act


def events() -> st.SearchStrategy[Callable[[Cluster], Any]]:
    return st.sampled_from(
        [
            shown,
            tell("rm -f /usr/share/nginx/html/ready"),
            tell("touch /usr/share/nginx/html/ready"),
            tell("echo more > /usr/share/nginx/html/index.html"),
            tell("kill 1"),
            signalled("STOP"),
            signalled("CONT"),
            lambda cluster: cluster.add_fault({"kind": "cni-broken", "node": "w1-k8s"}, lasts=9 * S),
            lambda cluster: cluster.add_fault({"kind": "kubelet-stop", "node": "w1-k8s"}, lasts=9 * S),
            lambda cluster: plain(cluster.apply(WEB)),
        ]
    )


@settings(max_examples=8)
@given(st.lists(st.tuples(events(), st.integers(1, 60_000_000)), min_size=1, max_size=5))
def test_probes_find_what_the_container_does(acts: list[Any]) -> None:
    def play(cluster: Cluster) -> list[Any]:
        cluster.run(10 * S)
        cluster.apply(PROBED)
        cluster.run(40 * S)
        seen = []
        for act, after in acts:
            cluster.run(after)
            seen.append(act(cluster))
        cluster.run(100 * S)
        return [*seen, shown(cluster)]

    both(play)


def test_passing_probes_are_not_made() -> None:
    cluster = Cluster(SPEC)
    cluster.run(10 * S)
    cluster.apply(PROBED)
    cluster.run(60 * S)
    kubelets = [node.kubelet for node in cluster.nodes.values()]
    probes = [
        probe
        for kubelet in kubelets
        for worker in kubelet.workers.values()
        for kinds in worker.probes.by_container.values()
        for probe in kinds.values()
    ]
    assert [probe.kind for probe in probes] == ["startup", "liveness", "readiness", "liveness", "readiness"]
    made: list[int] = []
    world = kubelets[0].runtime.workloads
    world.http_get = lambda *_: made.append(cluster.now)  # type: ignore[method-assign]
    cluster.run(600 * S)
    assert not made
