"""kubeadm: certificates, tokens, and a worker that leaves and joins again."""

from __future__ import annotations

import re

import pytest

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster(ClusterSpec(nodes=1), seed=3)
    made.settle()
    return made


class TestCertificates:
    def test_they_end_after_a_year_and_the_authorities_after_ten(self, cluster: Cluster) -> None:
        shown = cluster.ssh("m-k8s", "kubeadm certs check-expiration").stdout
        assert re.search(r"^apiserver +Jan 01, 2027 00:00 UTC   364d +ca +no$", shown, re.M)
        assert re.search(r"^etcd-ca +Dec 30, 2035 00:00 UTC   9y +no$", shown, re.M)

    def test_a_certificate_says_whose_it_is(self, cluster: Cluster) -> None:
        shown = cluster.ssh("m-k8s", "openssl x509 -in /etc/kubernetes/pki/apiserver.crt -noout -subject -issuer -text")
        assert "subject=CN = kube-apiserver\nissuer=CN = kubernetes\n" in shown.stdout
        assert "DNS:kubernetes.default.svc" in shown.stdout
        assert "IP Address:192.168.1.10" in shown.stdout

    def test_renewed_they_end_later(self, cluster: Cluster) -> None:
        end = "openssl x509 -in /etc/kubernetes/pki/apiserver.crt -noout -enddate"
        before = cluster.ssh("m-k8s", end).stdout
        cluster.advance("2m")
        assert (
            "certificate for serving the Kubernetes API renewed\n"
            in cluster.ssh("m-k8s", "kubeadm certs renew all").stdout
        )
        assert cluster.ssh("m-k8s", end).stdout != before
        assert cluster.ssh("m-k8s", "openssl x509 -in /etc/kubernetes/pki/ca.crt -noout -checkend 86400").code == 0

    def test_one_that_is_missing_is_named(self, cluster: Cluster) -> None:
        cluster.ssh("m-k8s", "mv /etc/kubernetes/pki/front-proxy-client.crt /tmp/")
        assert "!MISSING! front-proxy-client\n" in cluster.ssh("m-k8s", "kubeadm certs check-expiration").stdout
        cluster.ssh("m-k8s", "mv /tmp/front-proxy-client.crt /etc/kubernetes/pki/")


class TestTokens:
    def test_one_is_made_listed_and_deleted(self, cluster: Cluster) -> None:
        token = cluster.ssh("m-k8s", "kubeadm token create --ttl 2h --description practice").stdout.strip()
        assert re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", token)
        secret = cluster.get("secret", f"bootstrap-token-{token[:6]}", "kube-system")
        assert secret["type"] == "bootstrap.kubernetes.io/token"
        listed = cluster.ssh("m-k8s", "kubeadm token list").stdout
        assert re.search(rf"^{re.escape(token)}   1h +\S+Z   authentication,signing   practice", listed, re.M)
        assert "deleted" in cluster.ssh("m-k8s", f"kubeadm token delete {token[:6]}").stdout
        assert token not in cluster.ssh("m-k8s", "kubeadm token list").stdout

    def test_a_worker_has_no_administrator(self, cluster: Cluster) -> None:
        ran = cluster.ssh("w1-k8s", "kubeadm token list")
        assert (ran.code, ran.stderr.split("\n")[0]) == (
            1,
            "failed to load admin kubeconfig: open /root/.kube/config: no such file or directory",
        )


class TestJoining:
    def test_a_worker_that_was_reset_joins_again(self) -> None:
        cluster = Cluster(ClusterSpec(nodes=1), seed=3)
        cluster.settle()
        command = cluster.ssh("m-k8s", "kubeadm token create --print-join-command").stdout.strip()
        refused = cluster.ssh("w1-k8s", command)
        assert refused.code == 1
        assert "[ERROR FileAvailable--etc-kubernetes-kubelet.conf]" in refused.stderr
        assert "[ERROR Port-10250]: Port 10250 is in use" in refused.stderr
        assert cluster.ssh("w1-k8s", "kubeadm reset", stdin="n\n").code == 1
        assert cluster.ssh("w1-k8s", "kubeadm reset -f").code == 0
        assert cluster.ssh("w1-k8s", "crictl ps -a -q; ls /var/lib/kubelet").stdout == ""
        cluster.delete("node", "w1-k8s")
        assert cluster.ssh("w1-k8s", "systemctl start kubelet; sleep 1; systemctl is-active kubelet").code == 3
        for wrong, said in WRONG:
            ran = cluster.ssh("w1-k8s", wrong(command), timeout="20m")
            assert ran.code == 1
            assert said in ran.stderr, ran.stderr
        joined = cluster.ssh("w1-k8s", command)
        assert (joined.code, "This node has joined the cluster:" in joined.stdout) == (0, True)
        cluster.settle()
        conditions = cluster.get("node", "w1-k8s")["status"]["conditions"]
        assert [each["status"] for each in conditions if each["type"] == "Ready"] == ["True"]
        assert cluster.faults.list() == []

    def test_the_only_control_plane_is_not_reset(self, cluster: Cluster) -> None:
        ran = cluster.ssh("m-k8s", "kubeadm reset -f")
        assert (ran.code, "seatrial destroy" in ran.stderr) == (1, True)


WRONG = [
    (lambda line: line[:-4] + "0000", "none of the public keys"),
    (lambda line: re.sub(r"--token \w{6}", "--token abcdef", line), "could not find a JWS signature"),
    (lambda line: re.sub(r"(--token \w{6}\.)\w{16}", r"\g<1>0123456789abcdef", line), "failed to verify JWS"),
    (lambda line: re.sub(r"--token \S+", "--token short", line), "the bootstrap token is invalid"),
    (lambda line: line.partition(" --discovery")[0], "token-based discovery without caCertHashes can be unsafe"),
    (lambda line: line.replace(":6443", ":6553"), "dial tcp 192.168.1.10:6553: connect: connection refused"),
]
"""What is changed of a join command, and what kubeadm says to that."""
