"""What one does on a machine is what the fault of that name does, and is healed there too."""

from __future__ import annotations

import re

from seatrial.sim.cluster import Cluster
from tests.sim.nodeshell.test_shells import made


def ready(cluster: Cluster, node: str = "w1-k8s") -> str:
    conditions = cluster.get("node", node)["status"]["conditions"]
    return next(str(each["status"]) for each in conditions if each["type"] == "Ready")


def kinds(cluster: Cluster) -> list[str]:
    return [each["fault"]["kind"] for each in cluster.faults.list()]


class TestKubelet:
    def test_stopping_it_is_the_fault_and_starting_it_heals(self) -> None:
        cluster = made()
        assert cluster.ssh("w1-k8s", "systemctl stop kubelet").code == 0
        assert kinds(cluster) == ["kubelet-stop"]
        status = cluster.ssh("w1-k8s", "systemctl status kubelet")
        assert status.code == 3
        assert "○ kubelet.service" in status.stdout
        assert "Active: inactive (dead) since" in status.stdout
        assert "Stopped kubelet.service - kubelet: The Kubernetes Node Agent." in status.stdout
        assert cluster.ssh("w1-k8s", "curl -sS http://localhost:10248/healthz").code == 7
        cluster.advance("70s")
        assert ready(cluster) == "Unknown"
        assert cluster.ssh("w1-k8s", "systemctl start kubelet").code == 0
        cluster.settle()
        assert (ready(cluster), kinds(cluster)) == ("True", [])

    def test_a_fault_from_outside_is_healed_there_too(self) -> None:
        cluster = made()
        name = cluster.add_fault({"kind": "kubelet-stop", "selector": "kubernetes.io/os=linux"})
        assert cluster.ssh("w1-k8s", "systemctl is-active kubelet").stdout == "inactive\n"
        cluster.ssh("w1-k8s", "systemctl restart kubelet")
        assert cluster.ssh("w1-k8s", "systemctl is-active kubelet").stdout == "active\n"
        assert cluster.ssh("m-k8s", "systemctl is-active kubelet").stdout == "inactive\n"
        cluster.remove_fault(name)
        assert cluster.ssh("m-k8s", "systemctl is-active kubelet").stdout == "active\n"

    def test_killed_it_is_started_again_after_ten_seconds(self) -> None:
        cluster = made()
        cluster.ssh("w1-k8s", "kill -9 $(pidof kubelet)")
        waiting = cluster.ssh("w1-k8s", "systemctl status kubelet")
        assert "Active: activating (auto-restart) (Result: signal)" in waiting.stdout
        cluster.advance("11s")
        logged = cluster.ssh("w1-k8s", "systemctl is-active kubelet; journalctl -u kubelet").stdout
        assert logged.startswith("active\n")
        assert "Scheduled restart job, restart counter is at 1." in logged
        assert kinds(cluster) == []

    def test_disabled_it_does_not_come_back_with_the_machine(self) -> None:
        cluster = made()
        said = cluster.ssh("w1-k8s", "systemctl disable kubelet; systemctl is-enabled kubelet")
        assert (said.code, said.stdout) == (1, "disabled\n")
        cluster.ssh("w1-k8s", "reboot")
        cluster.advance("60s")
        assert cluster.ssh("w1-k8s", "systemctl is-active kubelet").stdout == "inactive\n"
        cluster.ssh("w1-k8s", "systemctl enable --now kubelet")
        cluster.settle()
        assert ready(cluster) == "True"

    def test_stopped_it_comes_back_with_the_machine(self) -> None:
        cluster = made()
        cluster.ssh("w1-k8s", "systemctl stop kubelet")
        cluster.advance("70s")
        cluster.ssh("w1-k8s", "reboot")
        cluster.advance("60s")
        assert cluster.ssh("w1-k8s", "systemctl is-active kubelet").stdout == "active\n"
        cluster.settle()
        assert (ready(cluster), kinds(cluster)) == ("True", [])

    def test_its_journal_tells_of_an_api_server_that_is_away(self) -> None:
        cluster = made()
        cluster.add_fault({"kind": "apiserver-down"}, name="down")
        cluster.advance("40s")
        logged = cluster.ssh("w1-k8s", "journalctl -u kubelet --since '1 min ago'").stdout
        assert re.search(r'E0101 .*"Failed to update lease" err="Put .*https://192\.168\.1\.10:6443/apis/coord', logged)
        assert "dial tcp 192.168.1.10:6443: connect: connection refused" in logged

    def test_a_followed_journal_shows_what_happens(self) -> None:
        cluster = made()
        heard: list[bytes] = []
        assert cluster.shells is not None
        opened = cluster.shells.open(
            "w1-k8s", "journalctl -u kubelet -f -n 0", lambda _, data: heard.append(data), lambda _: None
        )
        cluster.advance("1s")
        assert heard == []
        cluster.ssh("w1-k8s", "systemctl stop kubelet")
        assert b"Stopped kubelet.service" in b"".join(heard)
        opened.close()


class TestPower:
    def test_a_reboot_boots_again(self) -> None:
        cluster = made()
        before = cluster.get("node", "w1-k8s")["status"]["nodeInfo"]["bootID"]
        assert cluster.ssh("w1-k8s", "reboot").code == 0
        cluster.advance("2s")
        assert "No route to host" in cluster.ssh("w1-k8s", "true").stderr
        cluster.advance("60s")
        assert cluster.ssh("w1-k8s", "uptime").stdout.find(" up 0 min") > 0
        cluster.settle()
        assert cluster.get("node", "w1-k8s")["status"]["nodeInfo"]["bootID"] != before

    def test_a_machine_that_is_switched_off_stays_off(self) -> None:
        cluster = made()
        cluster.ssh("w1-k8s", "shutdown -h now")
        cluster.advance("60s")
        assert kinds(cluster) == ["node-shutdown"]
        assert cluster.ssh("w1-k8s", "true").code == 255
        cluster.remove_fault(cluster.faults.list()[0]["name"])
        assert cluster.ssh("w1-k8s", "true").code == 0


class TestRuntime:
    def test_the_kubelet_starts_again_what_crictl_stopped(self) -> None:
        cluster = made()
        cluster.ssh("w1-k8s", "crictl stop $(crictl ps -q --name nginx | head -1)")
        cluster.settle()
        assert [pod["status"]["containerStatuses"][0]["restartCount"] for pod in cluster.list("pod", "default")].count(
            1
        )
        shown = cluster.ssh("w1-k8s", "crictl ps -a --name nginx").stdout
        assert len(re.findall(r"Running +nginx", shown)) == 2
        assert len(re.findall(r"Exited +nginx +0", shown)) == 1
        cluster.ssh("w1-k8s", "crictl rm $(crictl ps -a -q --state exited)")
        assert "Exited" not in cluster.ssh("w1-k8s", "crictl ps -a").stdout

    def test_killing_a_container_from_the_machine(self) -> None:
        cluster = made()
        cluster.ssh("w1-k8s", "kill -9 $(pidof nginx | cut -d' ' -f1)")
        cluster.settle()
        restarted = [pod["status"]["containerStatuses"][0] for pod in cluster.list("pod", "default")]
        assert [each["lastState"].get("terminated", {}).get("exitCode") for each in restarted].count(137) == 1


class TestPacketFilter:
    def test_flushed_rules_lead_nowhere_until_kube_proxy_writes_them_again(self) -> None:
        cluster = made()
        cluster.advance("2m")
        assert cluster.ssh("w1-k8s", "curl -s -m 2 http://10.96.7.7").code == 0
        assert cluster.ssh("w1-k8s", "iptables -t nat -F").code == 0
        assert cluster.ssh("w1-k8s", "curl -s -m 2 http://10.96.7.7").code == 28
        cluster.advance("40s")
        assert cluster.ssh("w1-k8s", "curl -s -m 2 http://10.96.7.7").code == 28, "nobody notices rules that are gone"
        cluster.ssh("w1-k8s", "iptables -t nat -X")
        cluster.advance("40s")
        assert cluster.ssh("w1-k8s", "curl -s -m 2 http://10.96.7.7").code == 0, "the canary chain was missed"
