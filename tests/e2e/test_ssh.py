"""``seatrial ssh`` as typed: a command, a script on standard input, and a terminal."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Machine, wait_for
from tests.e2e.keyboards import terminal

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("lab")]


def test_commands_and_scripts(lab: Machine) -> None:
    assert lab.must("seatrial", "ssh", "--cluster", "lab", "w1-k8s", "hostname") == "w1-k8s\n"
    done = lab.type("seatrial", "ssh", "--cluster", "lab", "w1-k8s", "--", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")
    done = lab.type("seatrial", "ssh", "--cluster", "lab", "w1-k8s", stdin="cd /etc\npwd\nexit 3\n")
    assert (done.returncode, done.stdout) == (3, "/etc\n")
    lab.must("seatrial", "ssh", "--cluster", "lab", "root@w1-k8s", "tee", "/tmp/kept", stdin="from here\n")
    assert lab.must("seatrial", "ssh", "--cluster", "lab", "192.168.1.101", "cat", "/tmp/kept") == "from here\n"


def test_what_cannot_be_reached(lab: Machine) -> None:
    done = lab.type("seatrial", "ssh", "--cluster", "lab", "w9-k8s", "true")
    assert (done.returncode, done.stderr) == (
        255,
        "ssh: Could not resolve hostname w9-k8s: Name or service not known\n",
    )
    assert "none of that name" in lab.refused("seatrial", "ssh", "--cluster", "nowhere", "w1-k8s", "true")


def test_at_a_terminal(lab: Machine) -> None:
    with terminal(lab, "seatrial", "ssh", "--cluster", "lab", "w2-k8s") as session:
        session.until("root@w2-k8s:~# ")
        session.type("cd /etc/kubernetes && ls\r")
        assert "kubelet.conf\nmanifests\npki\n" in session.until("root@w2-k8s:/etc/kubernetes# ")
        session.type("cat <<EOF\r")
        session.until("> ")
        session.type("two words\rEOF\r")
        assert "> two words\n" in session.until("/etc/kubernetes# ")
        session.type("sleep 1000\r")
        session.until("sleep 1000\n")
        session.type("\x03")
        session.until("# ")
        session.type("exit 5\r")
        assert session.code() == 5


def test_a_stopped_kubelet_is_seen_by_kubectl(lab: Machine) -> None:
    def shown() -> str:
        """Its STATUS and its taints."""
        columns = 'STATUS:.status.conditions[?(@.type=="Ready")].status,TAINTS:.spec.taints[*].key'
        return " ".join(lab.kubectl("get", "node", "w2-k8s", "--no-headers", "-o", f"custom-columns={columns}").split())

    lab.must("seatrial", "ssh", "--cluster", "lab", "w2-k8s", "systemctl", "stop", "kubelet")
    lab.must("seatrial", "clock", "advance", "70s", "--cluster", "lab")
    assert shown().startswith("Unknown node.kubernetes.io/unreachable")
    lab.must("seatrial", "ssh", "--cluster", "lab", "w2-k8s", "systemctl", "start", "kubelet")
    wait_for("the node", lambda: shown() == "True <none>")
