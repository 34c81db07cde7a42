"""etcdctl on the control plane's machine, and what needs etcd's certificates."""

from __future__ import annotations

import re

import pytest

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

PKI = "/etc/kubernetes/pki/etcd"
SECURED = f"--endpoints=https://127.0.0.1:2379 --cacert={PKI}/ca.crt --cert={PKI}/server.crt --key={PKI}/server.key"


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    """With a snapshot of its first minute in /opt/first.db."""
    made = Cluster(ClusterSpec(nodes=1), seed=3)
    made.settle()
    assert made.ssh("m-k8s", f"etcdctl {SECURED} snapshot save /opt/first.db").code == 0
    return made


def test_a_snapshot_holds_every_object(cluster: Cluster) -> None:
    saved = cluster.ssh("m-k8s", f"etcdctl {SECURED} snapshot save /opt/snap.db")
    assert (saved.code, saved.stdout) == (0, "Snapshot saved at /opt/snap.db\nServer version 3.6.0\n")
    shown = cluster.ssh("m-k8s", "etcdutl snapshot status /opt/snap.db").stdout
    hash_, revision, keys, _ = shown.strip().split(", ")
    assert re.fullmatch("[0-9a-f]+", hash_)
    assert 0 < int(revision) <= cluster.store.revision
    assert int(keys) == sum(cluster.store.count(kind) for kind in cluster.store.storages())


SAYS = [
    (f"etcdctl {SECURED} endpoint health", 0, "https://127.0.0.1:2379 is healthy"),
    (f"etcdctl {SECURED} member list", 0, "started, m-k8s, https://192.168.1.10:2380"),
    (f"etcdctl {SECURED} endpoint status -w table", 0, "| RAFT TERM |"),
    ("etcdctl member list", 1, "context deadline exceeded"),
    (f"etcdctl {SECURED.replace('2379', '2399')} member list", 1, "connection refused"),
    (f"etcdctl {SECURED.replace('server.crt', 'none.crt')} member list", 1, f"open {PKI}/none.crt: no such file"),
    ("etcdutl snapshot status /etc/hosts", 1, "integrity check failed"),
    ("etcdutl snapshot restore /opt/first.db --data-dir /var/lib/etcd", 1, 'data-dir "/var/lib/etcd" not empty'),
    ("etcdutl snapshot restore /etc/hosts --data-dir /var/lib/etcd-2", 1, "integrity check failed"),
]


@pytest.mark.parametrize(("command", "code", "said"), SAYS, ids=[command for command, _, _ in SAYS])
def test_what_it_says(cluster: Cluster, command: str, code: int, said: str) -> None:
    ran = cluster.ssh("m-k8s", command)
    assert ran.code == code
    assert said in ran.stdout + ran.stderr


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: busybox, command: [sleep, "100000"]}]}
"""


def running(cluster: Cluster) -> dict[str, str]:
    """The pods that run, by name."""
    found = cluster.list("pods", "default")
    return {each["metadata"]["name"]: each["metadata"]["uid"] for each in found if each["status"]["phase"] == "Running"}


def names(cluster: Cluster, kind: str) -> list[str]:
    return [each["metadata"]["name"] for each in cluster.list(kind, "default")]


def in_directory(cluster: Cluster, directory: str) -> None:
    """Lets etcd run in another directory of the machine while nothing of the control plane runs, as the manual says."""
    stopped = cluster.ssh("m-k8s", "mv /etc/kubernetes/manifests/*.yaml /etc/kubernetes/")
    assert stopped.code == 0
    cluster.advance("20s")
    edit = f"sed -i 's#path: /\\(var/lib\\|srv\\)/etcd.*#path: {directory}#' /etc/kubernetes/etcd.yaml"
    assert cluster.ssh("m-k8s", f"{edit} && mv /etc/kubernetes/*.yaml /etc/kubernetes/manifests/").code == 0
    cluster.advance("3m")


def test_a_snapshot_is_put_back_as_the_data_directory_of_the_manifest() -> None:
    cluster = Cluster(ClusterSpec(nodes=1), seed=3)
    cluster.settle()
    cluster.apply(DEPLOYMENT)
    cluster.settle()
    before = running(cluster)
    assert cluster.ssh("m-k8s", f"ETCDCTL_API=3 etcdctl {SECURED} snapshot save /opt/snap.db").code == 0
    cluster.delete("deploy", "web")
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "later"}})
    cluster.advance("1m")
    assert not running(cluster)

    restored = cluster.ssh("m-k8s", "etcdutl snapshot restore /opt/snap.db --data-dir /var/lib/etcd-restored")
    assert (restored.code, "restored snapshot" in restored.stderr) == (0, True)
    in_directory(cluster, "/var/lib/etcd-restored")
    assert names(cluster, "deploy") == ["web"]
    assert "later" not in names(cluster, "configmaps")
    assert running(cluster) == before
    nodes = {each["metadata"]["name"]: each for each in cluster.list("nodes")}
    assert all(
        {"type": "Ready", "status": "True"}.items() <= nodes[name]["status"]["conditions"][-1].items()
        for name in ("m-k8s", "w1-k8s")
    )
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}})
    assert Cluster.replay(cluster.journal).digest() == cluster.digest()

    in_directory(cluster, "/var/lib/etcd")
    assert names(cluster, "deploy") == []
    assert {"later"} <= set(names(cluster, "configmaps")) and "new" not in names(cluster, "configmaps")
    assert not running(cluster)


def test_etcd_without_its_data_is_an_empty_cluster_where_kubelets_register_when_they_start() -> None:
    cluster = Cluster(ClusterSpec(nodes=1), seed=3)
    cluster.settle()
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "gone"}})
    in_directory(cluster, "/var/lib/etcd-empty")
    assert "gone" not in names(cluster, "configmaps")
    assert "system:node" in [each["metadata"]["name"] for each in cluster.list("clusterroles")]
    assert not cluster.list("nodes")
    assert cluster.ssh("w1-k8s", "systemctl restart kubelet").code == 0
    cluster.advance("20s")
    assert [each["metadata"]["name"] for each in cluster.list("nodes")] == ["w1-k8s"]


def test_etcd_does_not_start_with_what_is_no_database() -> None:
    cluster = Cluster(ClusterSpec(nodes=1), seed=3)
    cluster.settle()
    cluster.ssh("m-k8s", "mkdir -p /srv/etcd/member/snap && echo nonsense > /srv/etcd/member/snap/db")
    in_directory(cluster, "/srv/etcd")
    shown = cluster.ssh("m-k8s", "crictl logs $(crictl ps -a --name etcd -q | head -1)")
    assert "failed to open database" in shown.stdout + shown.stderr
    in_directory(cluster, "/var/lib/etcd")
    assert cluster.list("nodes")


def test_a_stopped_runtime_is_the_fault_and_is_healed_by_starting_it() -> None:
    cluster = Cluster(ClusterSpec(nodes=1), seed=3)
    cluster.settle()
    stopped = cluster.ssh("w1-k8s", "systemctl stop containerd; systemctl is-active containerd; crictl ps")
    assert (stopped.code, stopped.stdout) == (1, "inactive\n")
    assert "validate service connection" in stopped.stderr
    assert [each["fault"]["kind"] for each in cluster.faults.list()] == ["runtime-stop"]
    cluster.advance("60s")
    ready = next(each for each in cluster.get("node", "w1-k8s")["status"]["conditions"] if each["type"] == "Ready")
    assert (ready["status"], "container runtime is down" in ready["message"]) == ("False", True)
    assert cluster.ssh("w1-k8s", "systemctl start containerd; crictl ps").code == 0
    assert cluster.faults.list() == []
