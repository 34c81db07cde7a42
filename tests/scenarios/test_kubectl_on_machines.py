"""kubectl typed on a cluster's machines."""

from __future__ import annotations

import pytest

from seatrial.scenarios.kubectl.onmachine import with_kubectl
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.kernel.journal import Journal

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: u}\n"


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    made = with_kubectl(Cluster(ClusterSpec(nodes=1), seed=3))
    made.settle()
    return made


def test_the_administrator_has_it_on_the_control_plane(cluster: Cluster) -> None:
    shown = cluster.ssh("m-k8s", "kubectl get nodes --no-headers | awk '{print $1, $2}'").stdout
    assert shown == "m-k8s Ready\nw1-k8s Ready\n"


def test_files_and_standard_input_are_the_machines(cluster: Cluster) -> None:
    cluster.ssh("m-k8s", "tee /root/a.yaml", stdin=MAP)
    assert cluster.ssh("m-k8s", "kubectl apply -f a.yaml").stdout == "configmap/a created\n"
    assert cluster.ssh("m-k8s", "sed 's/x: u/x: z/' a.yaml | kubectl apply -f -").stdout == "configmap/a configured\n"
    assert cluster.get("configmap", "a")["data"] == {"x": "z"}


def test_a_static_pods_description_has_the_events_of_what_runs(cluster: Cluster) -> None:
    manifest = "/etc/kubernetes/manifests/kube-scheduler.yaml"
    cluster.ssh("m-k8s", f"sed -i 's/scheduler:v1/scheduler:vl/' {manifest}; sleep 5")
    described = cluster.ssh("m-k8s", "kubectl describe pod -n kube-system kube-scheduler-m-k8s").stdout
    cluster.ssh("m-k8s", f"sed -i 's/scheduler:vl/scheduler:v1/' {manifest}; sleep 5")
    assert "Error: ErrImagePull" in described


def test_a_worker_has_no_kubeconfig(cluster: Cluster) -> None:
    ran = cluster.ssh("w1-k8s", "kubectl get nodes")
    assert ran.code == 1
    assert "The connection to the server localhost:8080 was refused" in ran.stderr


def test_a_replay_with_it_gives_the_same_history(cluster: Cluster) -> None:
    journal = Journal.load(cluster.journal.dump())
    again = with_kubectl(Cluster.begin(journal))
    again.follow(journal)
    assert again.digest() == cluster.digest()
