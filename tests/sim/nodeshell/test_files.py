"""Files that mean something: static pods, and what the kubelet reads when it starts."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.machinery.errors import ApiError

POD = """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: nginx, image: nginx}]}
"""
MANIFESTS = "/etc/kubernetes/manifests"


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster(ClusterSpec(nodes=1), seed=3)
    made.settle()
    return made


def names(cluster: Cluster, namespace: str = "kube-system") -> list[str]:
    return [pod["metadata"]["name"] for pod in cluster.list("pod", namespace)]


class TestStaticPods:
    def test_a_file_becomes_a_pod_and_ends_with_the_file(self, cluster: Cluster) -> None:
        cluster.ssh("w1-k8s", f"tee {MANIFESTS}/web.yaml", stdin=POD)
        cluster.settle()
        pod = cluster.get("pod", "web-w1-k8s")
        assert pod["status"]["phase"] == "Running"
        assert pod["metadata"]["annotations"]["kubernetes.io/config.source"] == "file"
        cluster.ssh("w1-k8s", f"sed -i 's/image: nginx/image: httpd/' {MANIFESTS}/web.yaml")
        cluster.settle()
        assert cluster.get("pod", "web-w1-k8s")["spec"]["containers"][0]["image"] == "httpd"
        cluster.ssh("w1-k8s", f"rm {MANIFESTS}/web.yaml")
        cluster.settle()
        assert names(cluster, "default") == []

    def test_what_is_no_pod_is_said_in_the_journal(self, cluster: Cluster) -> None:
        ran = cluster.ssh("w1-k8s", f"echo 'a: [' > {MANIFESTS}/bad.yaml; sleep 1; journalctl -u kubelet -n 1")
        assert (
            '"Could not process manifest file" err="/etc/kubernetes/manifests/bad.yaml: couldn\'t parse' in ran.stdout
        )

    def test_without_its_manifest_the_scheduler_schedules_nothing(self, cluster: Cluster) -> None:
        uid = cluster.get("pod", "kube-scheduler-m-k8s", "kube-system")["metadata"]["annotations"]
        cluster.ssh("m-k8s", f"mv {MANIFESTS}/kube-scheduler.yaml /tmp/")
        cluster.settle()
        assert "kube-scheduler-m-k8s" not in names(cluster)
        assert cluster.get("lease", "kube-scheduler", "kube-system")["spec"]["holderIdentity"] == ""
        cluster.apply(POD)
        cluster.advance("30s")
        assert cluster.get("pod", "web")["spec"].get("nodeName") is None
        cluster.ssh("m-k8s", f"mv /tmp/kube-scheduler.yaml {MANIFESTS}/")
        cluster.settle()
        assert cluster.get("pod", "web")["spec"]["nodeName"] == "w1-k8s"
        again = cluster.get("pod", "kube-scheduler-m-k8s", "kube-system")["metadata"]["annotations"]
        assert again["kubernetes.io/config.hash"] == uid["kubernetes.io/config.hash"]

    def test_without_its_manifest_the_api_server_is_gone_and_the_kubelet_brings_it_back(self, cluster: Cluster) -> None:
        cluster.ssh("m-k8s", f"mv {MANIFESTS}/kube-apiserver.yaml /tmp/; sleep 35")
        assert not cluster.endpoint.up
        assert cluster.ssh("m-k8s", "curl -sk https://127.0.0.1:6443/livez").code == 7
        assert "kube-apiserver" not in cluster.ssh("m-k8s", "crictl ps").stdout
        assert cluster.ssh("m-k8s", "systemctl restart kubelet").code == 0
        cluster.ssh("m-k8s", f"mv /tmp/kube-apiserver.yaml {MANIFESTS}/; sleep 5")
        assert cluster.endpoint.up
        cluster.settle()
        assert "kube-apiserver-m-k8s" in names(cluster)

    def test_the_control_plane_boots_by_itself(self, cluster: Cluster) -> None:
        cluster.ssh("m-k8s", "reboot")
        cluster.advance("5s")
        assert not cluster.endpoint.up
        cluster.advance("60s")
        assert cluster.endpoint.up
        cluster.settle()
        assert {pod["status"]["phase"] for pod in cluster.list("pod", "kube-system")} == {"Running"}

    def test_without_etcd_nothing_is_stored(self, cluster: Cluster) -> None:
        cluster.ssh("m-k8s", f"mv {MANIFESTS}/etcd.yaml /tmp/; sleep 35")
        with pytest.raises(ApiError, match="etcdserver"):
            cluster.apply(POD)
        cluster.ssh("m-k8s", f"mv /tmp/etcd.yaml {MANIFESTS}/; sleep 5")
        cluster.apply(POD)
        cluster.settle()
        assert cluster.get("pod", "web")["status"]["phase"] == "Running"


CONFIG, CONF = "/var/lib/kubelet/config.yaml", "/etc/kubernetes/kubelet.conf"
DROP_IN = "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf"
MISTAKES = [
    (f"sed -i s/clusterDomain/clusterDomian/ {CONFIG}", 1, 'strict decoding error: unknown field \\"clusterDomian\\"'),
    (f"echo 'a: [' >> {CONFIG}", 1, "failed to decode: couldn't get version/kind; json parse error: yaml: line"),
    (f"sed -i 's/healthzPort: 10248/healthzPort: many/' {CONFIG}", 1, "cannot unmarshal string into Go struct field"),
    (f"sed -i 's/v1beta1/v1beta9/' {CONFIG}", 1, "no kind"),
    (f"sed -i 's,pki/ca.crt,pki/CA.crt,' {CONFIG}", 1, "unable to load client CA file /etc/kubernetes/pki/CA.crt"),
    (f"rm {CONFIG}", 1, f"open {CONFIG}: no such file or directory"),
    (f"mv {CONF} /tmp/", 1, "unable to load bootstrap kubeconfig: stat /etc/kubernetes/bootstrap-kubelet.conf"),
    (f"sed -i 's,bin/kubelet ,local/bin/kubelet ,' {DROP_IN}", 203, "Failed at step EXEC spawning /usr/local/bin/kube"),
]


@pytest.mark.parametrize(("change", "status", "said"), MISTAKES, ids=[change for change, _, _ in MISTAKES])
def test_a_mistake_keeps_the_kubelet_from_starting(cluster: Cluster, change: str, status: int, said: str) -> None:
    cluster.ssh("w1-k8s", "mkdir /root/kept; cp -r /etc/kubernetes /var/lib/kubelet /usr/lib/systemd /root/kept/")
    cluster.ssh("w1-k8s", f"{change}; systemctl daemon-reload; systemctl restart kubelet; sleep 1")
    shown = cluster.ssh("w1-k8s", "systemctl status kubelet").stdout
    assert "Active: activating (auto-restart) (Result: exit-code)" in shown
    assert f"code=exited, status={status}/" in shown
    assert said in cluster.ssh("w1-k8s", "journalctl -u kubelet").stdout
    cluster.ssh("w1-k8s", "cd /root/kept; cp -r kubernetes /etc/; cp -r kubelet /var/lib/; cp -r systemd /usr/lib/")
    cluster.ssh("w1-k8s", "systemctl daemon-reload; sleep 11")
    assert cluster.ssh("w1-k8s", "systemctl is-active kubelet").stdout == "active\n"


def capacity(cluster: Cluster) -> Any:
    return cluster.get("node", "w1-k8s")["status"]


def test_what_is_configured_takes_effect_at_the_next_start(cluster: Cluster) -> None:
    before = capacity(cluster)["allocatable"]["memory"]
    change = f"printf 'maxPods: 5\\nevictionHard: {{memory.available: 500Mi}}\\n' >> {CONFIG}"
    cluster.ssh("w1-k8s", change)
    cluster.advance("30s")
    assert capacity(cluster)["capacity"]["pods"] == "110"
    cluster.ssh("w1-k8s", "systemctl restart kubelet")
    cluster.advance("30s")
    assert capacity(cluster)["capacity"]["pods"] == "5"
    assert int(before[:-2]) - int(capacity(cluster)["allocatable"]["memory"][:-2]) == 400


def test_a_kubelet_with_a_wrong_server_finds_nobody(cluster: Cluster) -> None:
    cluster.ssh("w1-k8s", f"sed -i s/6443/6553/ {CONF}; systemctl restart kubelet")
    cluster.advance("70s")
    logged = cluster.ssh("w1-k8s", "systemctl is-active kubelet; journalctl -u kubelet -n 3").stdout
    assert logged.startswith("active\n")
    assert "dial tcp 192.168.1.10:6553: connect: connection refused" in logged
    conditions = capacity(cluster)["conditions"]
    assert [each["status"] for each in conditions if each["type"] == "Ready"] == ["Unknown"]
    cluster.ssh("w1-k8s", f"sed -i s/6553/6443/ {CONF}; systemctl restart kubelet")
    cluster.settle()
    assert [each["status"] for each in capacity(cluster)["conditions"] if each["type"] == "Ready"] == ["True"]


def test_a_changed_unit_waits_for_a_reload(cluster: Cluster) -> None:
    ran = cluster.ssh("w1-k8s", f"sed -i 's,bin/kubelet ,none/kubelet ,' {DROP_IN}; systemctl restart kubelet")
    assert "Run 'systemctl daemon-reload' to reload units." in ran.stderr
    assert cluster.ssh("w1-k8s", "systemctl is-active kubelet").stdout == "active\n"
