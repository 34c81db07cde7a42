"""Logged in to a machine: what is there, who can be reached, and that a replay types it all again."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.kernel.journal import Journal

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: nginx, image: nginx}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, clusterIP: 10.96.7.7, ports: [{port: 80, nodePort: 30080}], type: NodePort}
"""


def made(nodes: int = 1) -> Cluster:
    cluster = Cluster(ClusterSpec(nodes=nodes), seed=3)
    cluster.apply(WEB)
    cluster.settle()
    return cluster


@pytest.fixture(scope="module")
def lab() -> Iterator[Cluster]:
    """A cluster that is only looked at."""
    yield made()


LOOKS = [
    ("w1-k8s", "hostname; whoami; pwd", r"w1-k8s\nroot\n/root\n"),
    ("w1-k8s", "systemctl is-active kubelet containerd", r"active\nactive\n"),
    ("w1-k8s", "systemctl status kubelet", r"● kubelet\.service - kubelet: The Kubernetes Node Agent\n"),
    (
        "w1-k8s",
        "systemctl status kubelet | grep Active",
        r"     Active: active \(running\) since Thu 2026-01-01 00:00:00",
    ),
    ("w1-k8s", "systemctl list-units --type=service", r"  containerd\.service loaded active     running "),
    ("w1-k8s", "journalctl -u kubelet --no-pager", r'kubelet\[\d+\]: I0101 00:00:00\.\d{6} +\d+ \S+\.go:\d+\] "'),
    ("w1-k8s", "journalctl -u kubelet -o cat -n 1 | wc -l", r"1\n"),
    ("w1-k8s", "crictl ps", r"CONTAINER       IMAGE           CREATED .* STATE     NAME "),
    ("w1-k8s", "crictl pods --name web -q | wc -l", r"2\n"),
    ("w1-k8s", "crictl images", r"docker\.io/library/nginx +latest +[0-9a-f]{13} +75\.5MB"),
    ("w1-k8s", "crictl exec $(crictl ps -q --name nginx | head -1) hostname", r"web-[0-9a-f]+-\w{5}\n"),
    ("w1-k8s", "crictl inspect $(crictl ps -q --name nginx | head -1)", r'"state": "CONTAINER_RUNNING"'),
    ("w1-k8s", "ip route", r"172\.16\.0\.0/24 via 192\.168\.1\.10 dev eth0"),
    ("w1-k8s", "ip -br addr show eth0", r"eth0 +UP +192\.168\.1\.101/24"),
    ("w1-k8s", "iptables-save -t nat", r"-A KUBE-SERVICES -d 10\.96\.7\.7/32 -p tcp .*default/web cluster IP"),
    ("w1-k8s", "iptables -t nat -L KUBE-NODEPORTS -n", r"/\* default/web \*/ tcp dpt:30080"),
    ("w1-k8s", "ss -lntp", r"LISTEN 0 +4096 +\*:10250 +\*:\* +users:\(\(\"kubelet\",pid=\d+"),
    ("w1-k8s", "curl -s http://10.96.7.7", r"Welcome to nginx!"),
    ("w1-k8s", "curl -s http://localhost:30080", r"Welcome to nginx!"),
    ("w1-k8s", "curl -sk https://192.168.1.10:6443/readyz", r"^ok"),
    ("w1-k8s", "curl -s http://localhost:10248/healthz", r"^ok"),
    ("w1-k8s", "nslookup web.default.svc.cluster.local 10.96.0.10", r"Address: 10\.96\.7\.7\n"),
    ("w1-k8s", "ps aux", r"root +\d+ .* nginx -g daemon off;\n"),
    ("w1-k8s", "pgrep -a kubelet", r"^\d+ /usr/bin/kubelet --bootstrap-kubeconfig"),
    ("w1-k8s", "cat /var/log/containers/web-*.log | head -1", r"^2026-01-01T00:00:\d\d\.\d{9}Z stdout F "),
    ("w1-k8s", "cat /etc/resolv.conf; grep m-k8s /etc/hosts", r"nameserver 10\.0\.2\.3\n192\.168\.1\.10 m-k8s\n"),
    ("w1-k8s", "cat /etc/cni/net.d/*.conflist", r'"subnet": "172\.16\.1\.0/24"'),
    ("w1-k8s", "grep PRETTY /etc/os-release", r"Debian GNU/Linux 13"),
    ("m-k8s", "ls /etc/kubernetes/manifests", r"etcd\.yaml\nkube-apiserver\.yaml\nkube-controller-manager\.yaml\n"),
    ("m-k8s", "head -1 /etc/kubernetes/pki/apiserver.crt", r"-----BEGIN CERTIFICATE-----"),
    ("m-k8s", "grep server: /etc/kubernetes/admin.conf", r"    server: https://192\.168\.1\.10:6443\n"),
    ("192.168.1.101", "hostname", r"w1-k8s\n"),
]


@pytest.mark.parametrize(("node", "command", "said"), LOOKS, ids=[f"{node}: {command}" for node, command, _ in LOOKS])
def test_what_a_machine_says(lab: Cluster, node: str, command: str, said: str) -> None:
    ran = lab.ssh(node, command)
    assert (ran.code, ran.stderr) == (0, "")
    assert re.search(said, ran.stdout), ran.stdout


REFUSALS = [
    ("systemctl status kube-proxy", 4, "Unit kube-proxy.service could not be found.\n"),
    ("systemctl start nothing", 5, "Failed to start nothing.service: Unit nothing.service not found.\n"),
    ("systemctl jump", 1, "Unknown command verb 'jump'.\n"),
    ("crictl stop 123", 1, 'could not find|find container "123": not found'),
    ("crictl pull nope", 1, "pull access denied, repository does not exist"),
    ("iptables -t none -L", 3, "table 'none' does not exist"),
    ("iptables -A INPUT -j DROP", 4, "-L, -S, -F and -X work"),
    ("ip link show eth7", 1, 'Device "eth7" does not exist.\n'),
    ("vi /etc/hosts", 127, "sed -i"),
    ("journalctl --since never", 1, "Failed to parse timestamp: never\n"),
    ("no-such-program", 127, "not found"),
    ("curl -sS http://192.168.1.101:81", 7, "Could not connect to server"),
    ("exit 42", 42, ""),
]


@pytest.mark.parametrize(("command", "code", "said"), REFUSALS, ids=[command for command, _, _ in REFUSALS])
def test_what_a_machine_refuses(lab: Cluster, command: str, code: int, said: str) -> None:
    ran = lab.ssh("w1-k8s", command)
    assert ran.code == code, ran
    assert any(part in ran.stderr for part in said.split("|")), ran.stderr


def test_a_script_comes_in_on_standard_input(lab: Cluster) -> None:
    ran = lab.ssh("w1-k8s", stdin="for n in 1 2; do echo $n; done\nexit 3\n")
    assert (ran.code, ran.stdout) == (3, "1\n2\n")


def test_words_are_quoted_and_a_file_stays(lab: Cluster) -> None:
    lab.ssh("w1-k8s", ["tee", "/tmp/a file"], stdin="kept\n")
    assert lab.ssh("w1-k8s", ["cat", "/tmp/a file"]).stdout == "kept\n"
    assert lab.ssh("m-k8s", ["cat", "/tmp/a file"]).code == 1


def test_a_command_that_does_not_end_is_given_up(lab: Cluster) -> None:
    with pytest.raises(TimeoutError, match="sleep 1000"):
        lab.ssh("w1-k8s", "sleep 1000", timeout="5s")
    assert "sleep" not in lab.ssh("w1-k8s", "ps aux").stdout


class TestReach:
    def test_an_unknown_machine(self, lab: Cluster) -> None:
        ran = lab.ssh("w9-k8s", "true")
        assert ran.code == 255
        assert ran.stderr == "ssh: Could not resolve hostname w9-k8s: Name or service not known\n"

    @pytest.mark.parametrize(
        ("fault", "said"),
        [
            ({"kind": "node-crash", "node": "w1-k8s"}, "No route to host"),
            ({"kind": "node-pause", "node": "w1-k8s"}, "Connection timed out"),
            ({"kind": "partition", "a": ["w1-k8s"], "b": ["lan"]}, "Connection timed out"),
        ],
    )
    def test_a_machine_that_is_away(self, fault: dict[str, object], said: str) -> None:
        cluster = made()
        name = cluster.add_fault(fault)
        ran = cluster.ssh("w1-k8s", "true")
        assert (ran.code, ran.stderr) == (255, f"ssh: connect to host 192.168.1.101 port 22: {said}\n")
        cluster.remove_fault(name)
        assert cluster.ssh("w1-k8s", "true").code == 0

    def test_a_session_ends_with_its_machine(self) -> None:
        cluster = made()
        cluster.add_fault({"kind": "node-crash", "node": "w1-k8s"}, after="2s")
        ran = cluster.ssh("w1-k8s", "echo begun; sleep 60; echo never")
        assert (ran.code, ran.stdout) == (255, "begun\n")
        assert ran.stderr == "Connection to 192.168.1.101 closed by remote host.\n"

    def test_a_cluster_without_machines(self) -> None:
        cluster = Cluster(ClusterSpec(nodes=0, controllers="none"))
        with pytest.raises(LookupError):
            cluster.ssh("m-k8s", "true")


def test_a_replay_types_everything_again() -> None:
    cluster = made()
    cluster.ssh("w1-k8s", "systemctl stop kubelet", stdin="x")
    cluster.advance("70s")
    cluster.ssh("w1-k8s", "systemctl start kubelet; crictl stop $(crictl ps -q --name nginx)")
    cluster.settle()
    again = Cluster.replay(Journal.load(cluster.journal.dump()))
    assert again.digest() == cluster.digest()
    assert again.shells is not None
    assert cluster.shells is not None
    assert again.shells.machines["w1-k8s"].log.lines == cluster.shells.machines["w1-k8s"].log.lines
