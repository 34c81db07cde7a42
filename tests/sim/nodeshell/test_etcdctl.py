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
    made = Cluster(ClusterSpec(nodes=1), seed=3)
    made.settle()
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
    ("etcdutl snapshot restore /opt/snap.db --data-dir /var/lib/etcd-2", 1, "seatrial clock rewind"),
]


@pytest.mark.parametrize(("command", "code", "said"), SAYS, ids=[command for command, _, _ in SAYS])
def test_what_it_says(cluster: Cluster, command: str, code: int, said: str) -> None:
    ran = cluster.ssh("m-k8s", command)
    assert ran.code == code
    assert said in ran.stdout + ran.stderr


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
