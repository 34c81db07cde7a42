"""The scheduler in a cluster: what users see of it, through the API alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from seatrial.sim.apiserver.client import Verdict
from seatrial.sim.apiserver.request import Request, Response
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.machinery import errors
from seatrial.sim.scheduler.config import SchedulerConfig, read_config
from seatrial.sim.scheduler.scheduler import Scheduler
from seatrial.sim.scheduler.whatif import what_if

S = 1_000_000
MERGE = "application/merge-patch+json"


class Stage:
    """A cluster of bare nodes with nothing but an API server and a scheduler."""

    def __init__(self, nodes: int = 3, config: SchedulerConfig | None = None, seed: int = 1) -> None:
        self.cluster = Cluster(ClusterSpec(controllers="none", nodes=0), seed=seed)
        self.scheduler = Scheduler(self.cluster.wiring, "m-k8s", config)
        self.scheduler.start()
        self.cluster.components.append(self.scheduler)
        for number in range(nodes):
            self.add_node(f"w{number + 1}")
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        self.post("/api/v1/namespaces/default/serviceaccounts", account)
        self.cluster.settle()

    def send(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        response = self.cluster.request(Request(method, path, body=body, content_type=content_type))
        assert response.code < 300, response.body
        return response.body

    def post(self, path: str, body: Any) -> Any:
        return self.send("POST", path, body)

    def add_node(self, name: str, cpu: str = "2") -> None:
        figures = {"cpu": cpu, "memory": "4Gi", "pods": "110"}
        self.post(
            "/api/v1/nodes",
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
                "status": {
                    "capacity": figures,
                    "allocatable": figures,
                    "conditions": [{"type": "Ready", "status": "True"}],
                },
            },
        )
        self.patch_node(name, {"spec": {"taints": None}})

    def patch_node(self, name: str, patch: Any) -> None:
        self.send("PATCH", f"/api/v1/nodes/{name}", patch, MERGE)

    def add_pod(self, name: str, cpu: str = "100m", **spec: Any) -> None:
        container = {"name": "c", "image": "nginx:1", "resources": {"requests": {"cpu": cpu}}}
        meta = {"name": name, "labels": spec.pop("labels", {})}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container], **spec}}
        self.post("/api/v1/namespaces/default/pods", body)

    def delete_pod(self, name: str) -> None:
        now = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
        self.send("DELETE", f"/api/v1/namespaces/default/pods/{name}", now)

    def settle(self) -> None:
        self.cluster.settle()

    def pod(self, name: str) -> Any:
        return self.cluster.get("pod", name)

    def node_of(self, name: str) -> str | None:
        node: str | None = self.pod(name)["spec"].get("nodeName")
        return node

    def condition(self, name: str) -> Any:
        return next(c for c in self.pod(name)["status"]["conditions"] if c["type"] == "PodScheduled")

    def events(self, name: str) -> list[Any]:
        found = [e for e in self.cluster.store.list("events") if e["involvedObject"]["name"] == name]
        return sorted(found, key=lambda event: event["eventTime"])

    def told(self, name: str) -> list[tuple[str, str]]:
        return [(event["reason"], event["message"]) for event in self.events(name)]


@pytest.fixture
def stage() -> Iterator[Stage]:
    yield Stage()


def test_a_pod_is_bound_and_told(stage: Stage) -> None:
    stage.add_pod("web")
    stage.settle()
    node = stage.node_of("web")
    assert node in ("w1", "w2", "w3")
    assert stage.condition("web")["status"] == "True"
    (event,) = stage.events("web")
    assert event["message"] == f"Successfully assigned default/web to {node}"
    assert (event["type"], event["action"], event["reason"]) == ("Normal", "Binding", "Scheduled")
    assert (event["reportingComponent"], event["source"]) == ("default-scheduler", {})
    assert event["firstTimestamp"] is None and event["eventTime"]


REFUSED = [
    ({"cpu": "100"}, "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: "
                     "3 Preemption is not helpful for scheduling."),
    ({"nodeSelector": {"disk": "ssd"}}, "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. "
                     "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."),
    ({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "missing"}}]},
     '0/3 nodes are available: persistentvolumeclaim "missing" not found. not found'),
]  # fmt: skip


@pytest.mark.parametrize(("wish", "message"), REFUSED)
def test_a_pod_that_fits_nowhere_learns_why(stage: Stage, wish: dict[str, Any], message: str) -> None:
    stage.add_pod("stuck", **wish)
    stage.settle()
    condition = stage.condition("stuck")
    assert (condition["status"], condition["reason"], condition["message"]) == ("False", "Unschedulable", message)
    assert condition["observedGeneration"] == 1
    (event,) = stage.events("stuck")
    assert (event["type"], event["action"], event["reason"]) == ("Warning", "Scheduling", "FailedScheduling")
    assert event["message"] == message


@pytest.mark.parametrize(
    ("spoil", "wish", "mend"),
    [
        ({}, {"nodeSelector": {"disk": "ssd"}}, {"metadata": {"labels": {"disk": "ssd"}}}),
        ({"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}, {}, {"spec": {"taints": None}}),
        ({"spec": {"unschedulable": True}}, {}, {"spec": {"unschedulable": None}}),
    ],
    ids=["a label", "a taint", "a cordon"],
)
def test_a_change_of_a_node_brings_the_pod_another_try(spoil: Any, wish: dict[str, Any], mend: Any) -> None:
    stage = Stage(nodes=1)
    stage.patch_node("w1", spoil)
    stage.add_pod("web", **wish)
    stage.settle()
    assert stage.node_of("web") is None
    stage.patch_node("w1", mend)
    stage.settle()
    assert stage.node_of("web") == "w1"
    assert [reason for reason, _ in stage.told("web")] == ["FailedScheduling", "Scheduled"]


def test_an_event_that_cannot_help_brings_no_other_try(stage: Stage) -> None:
    stage.add_pod("picky", nodeSelector={"disk": "ssd"})
    stage.settle()
    stage.add_pod("other")
    stage.patch_node("w1", {"metadata": {"labels": {"rack": "1"}}})
    stage.settle()
    stage.delete_pod("other")
    stage.settle()
    assert len(stage.events("picky")) == 1


def test_a_pod_that_waited_five_minutes_is_tried_again(stage: Stage) -> None:
    stage.add_pod("big", cpu="100")
    stage.settle()
    stage.cluster.advance("6m")
    assert len(stage.events("big")) == 2


def test_gates_keep_a_pod_out_until_the_last_is_gone(stage: Stage) -> None:
    stage.add_pod("gated", schedulingGates=[{"name": "example.com/wait"}])
    stage.settle()
    assert stage.condition("gated")["reason"] == "SchedulingGated"
    assert stage.events("gated") == []
    stage.send("PATCH", "/api/v1/namespaces/default/pods/gated", {"spec": {"schedulingGates": None}}, MERGE)
    stage.settle()
    assert stage.node_of("gated") is not None


def test_more_important_pods_go_first() -> None:
    stage = Stage(nodes=0)
    group = "/apis/scheduling.k8s.io/v1/priorityclasses"
    meta = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}}
    stage.post(group, {**meta, "value": 1000})
    stage.add_pod("low", cpu="2")
    stage.add_pod("high", cpu="2", priorityClassName="high")
    stage.settle()
    assert {text for _, text in stage.told("low")} == {"no nodes available to schedule pods"}
    stage.add_node("w1")
    stage.cluster.run(11 * S)
    assert (stage.node_of("high"), stage.node_of("low")) == ("w1", None)


def test_a_victim_makes_room_and_says_for_whom() -> None:
    stage = Stage(nodes=1)
    meta = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}}
    stage.post("/apis/scheduling.k8s.io/v1/priorityclasses", {**meta, "value": 1000})
    stage.add_pod("victim", cpu="2")
    stage.settle()
    stage.add_pod("high", cpu="2", priorityClassName="high")
    stage.cluster.run(2 * S)
    victim, high = stage.pod("victim"), stage.pod("high")
    assert high["status"]["nominatedNodeName"] == "w1" and not high["spec"].get("nodeName")
    assert victim["metadata"]["deletionTimestamp"]
    target = next(c for c in victim["status"]["conditions"] if c["type"] == "DisruptionTarget")
    assert target["reason"] == "PreemptionByScheduler"
    assert target["message"] == "default-scheduler: preempting to accommodate a higher priority pod"
    assert stage.told("victim")[-1] == ("Preempted", f"Preempted by pod {high['metadata']['uid']} on node w1")
    assert stage.events("victim")[-1]["related"]["name"] == "high"
    stage.add_pod("low", cpu="1")
    stage.delete_pod("victim")
    stage.cluster.run(15 * S)
    assert stage.node_of("high") == "w1" and stage.node_of("low") is None
    assert "nominatedNodeName" not in stage.pod("high")["status"]


def test_a_binding_that_is_refused_is_tried_again_after_a_while(stage: Stage) -> None:
    refused = []

    def judge(request: Request) -> Verdict | None:
        if request.path.endswith("/binding") and not refused:
            refused.append(request.path)
            error = errors.internal("storage is full")
            return Verdict(response=Response(error.code, error.status()))
        return None

    stage.cluster.endpoint.judge = judge
    stage.add_pod("web")
    stage.cluster.run(300_000)
    assert stage.node_of("web") is None
    assert stage.condition("web")["reason"] == "SchedulerError"
    assert stage.told("web")[0][1].startswith('running Bind plugin "DefaultBinder": ')
    stage.cluster.run(3 * S)
    assert stage.node_of("web") is not None


def test_a_scheduler_that_was_killed_goes_on_where_the_cluster_is(stage: Stage) -> None:
    for number in range(10):
        stage.add_pod(f"web-{number}")
    stage.cluster.run(700)
    stage.scheduler.stop()
    stage.cluster.run(1 * S)
    unbound = [number for number in range(10) if stage.node_of(f"web-{number}") is None]
    assert unbound
    stage.scheduler.start()
    stage.settle()
    assert all(stage.node_of(f"web-{number}") for number in range(10))


def test_repeated_failures_become_a_series() -> None:
    stage = Stage(nodes=1)
    stage.add_pod("filler", cpu="2")
    stage.add_pod("other", cpu="100m", nodeName="w1")
    stage.add_pod("another", cpu="100m", nodeName="w1")
    stage.settle()
    stage.add_pod("stuck", cpu="2")
    stage.settle()
    for name in ("other", "another"):
        stage.delete_pod(name)
        stage.cluster.run(20 * S)
    series = [(event.get("series") or {}).get("count") for event in stage.events("stuck")]
    assert series == [None, 2]


def test_every_profile_takes_care_of_its_own_pods() -> None:
    text = """
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: default-scheduler
- schedulerName: packer
  pluginConfig:
  - name: NodeResourcesFit
    args:
      scoringStrategy:
        type: MostAllocated
        resources: [{name: cpu, weight: 1}]
  plugins:
    score:
      disabled: [{name: "*"}]
      enabled: [{name: NodeResourcesFit}]
"""
    stage = Stage(config=read_config(text))
    stage.add_pod("first", cpu="500m")
    stage.settle()
    for number in range(3):
        stage.add_pod(f"packed-{number}", cpu="500m", schedulerName="packer")
        stage.settle()
    stage.add_pod("nobodys", schedulerName="somebody-else")
    stage.settle()
    assert {stage.node_of(f"packed-{number}") for number in range(3)} == {stage.node_of("first")}
    assert stage.node_of("nobodys") is None and stage.events("nobodys") == []


def test_claims_are_bound_where_the_pod_goes() -> None:
    stage = Stage(nodes=2)
    storage_class = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "local"}}
    storage_class |= {"provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"}
    stage.post("/apis/storage.k8s.io/v1/storageclasses", storage_class)
    hostname = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["w2"]}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "disk"},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "local",
            "local": {"path": "/disk"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [hostname]}]}},
        },
    }
    stage.post("/api/v1/persistentvolumes", volume)
    claim: dict[str, Any] = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}}
    claim["spec"] = {"accessModes": ["ReadWriteOnce"], "storageClassName": "local"}
    claim["spec"]["resources"] = {"requests": {"storage": "1Gi"}}
    stage.send("PATCH", "/api/v1/persistentvolumes/disk/status", {"status": {"phase": "Available"}}, MERGE)
    stage.post("/api/v1/namespaces/default/persistentvolumeclaims", claim)
    stage.add_pod("db", volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}])
    stage.cluster.run(3 * S)
    reference = stage.cluster.get("persistentvolume", "disk", "")["spec"]["claimRef"]
    assert (reference["namespace"], reference["name"]) == ("default", "data")
    assert stage.node_of("db") is None
    bound = {
        "metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
        "spec": {"volumeName": "disk"},
    }
    stage.send("PATCH", "/api/v1/namespaces/default/persistentvolumeclaims/data", bound, MERGE)
    stage.cluster.run(3 * S)
    assert stage.node_of("db") == "w2"


def test_asking_what_would_happen_changes_nothing(stage: Stage) -> None:
    stage.add_pod("web", cpu="1")
    stage.settle()
    revision = stage.cluster.store.revision
    start = stage.scheduler.cache.next_start
    spec = {key: value for key, value in stage.pod("web")["spec"].items() if key != "nodeName"}
    pod = {"metadata": {"name": "copy", "namespace": "default", "uid": "copy"}, "spec": spec}
    first, *others = [what_if(stage.scheduler, pod) for _ in range(3)]
    assert others == [first, first]
    assert sorted(entry["node"] for entry in first["nodes"] if entry["verdict"] == "Success") == ["w1", "w2", "w3"]
    assert len(first["best"]) == 2 and stage.node_of("web") not in first["best"]
    assert (stage.cluster.store.revision, stage.scheduler.cache.next_start) == (revision, start)
    with pytest.raises(LookupError):
        what_if(stage.scheduler, {**pod, "spec": {**spec, "schedulerName": "nobody"}})


def test_one_seed_gives_one_history() -> None:
    def history(seed: int) -> list[str | None]:
        stage = Stage(nodes=5, seed=seed)
        for number in range(20):
            stage.add_pod(f"web-{number}")
        stage.settle()
        return [stage.node_of(f"web-{number}") for number in range(20)]

    assert history(7) == history(7) != history(8)
