"""``seatrial ssh`` as typed: a command, a script on standard input, and a terminal."""

from __future__ import annotations

import os
import pty
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.conftest import BIN, DEADLINE_S, Machine, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("lab")]


class Terminal:
    """A session at a pseudo-terminal."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self._pid, self._descriptor = pid, descriptor

    def until(self, text: str) -> str:
        """What appears, up to a text."""
        seen, end = b"", time.monotonic() + DEADLINE_S
        while text.encode() not in seen:
            assert time.monotonic() < end, seen
            if select.select([self._descriptor], [], [], 1.0)[0]:
                seen += os.read(self._descriptor, 65536)
        return seen.decode()

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def code(self) -> int:
        """The exit code, at the end."""
        try:
            while os.read(self._descriptor, 65536):
                pass
        except OSError:
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


@contextmanager
def terminal(machine: Machine, *arguments: str) -> Iterator[Terminal]:
    pid, descriptor = pty.fork()
    if pid == 0:
        os.execve(str(BIN / "seatrial"), ["seatrial", *arguments], {**machine.environment, "TERM": "xterm"})
    yield Terminal(pid, descriptor)
    os.close(descriptor)


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
    with terminal(lab, "ssh", "--cluster", "lab", "w2-k8s") as session:
        session.until("root@w2-k8s:~# ")
        session.type("cd /etc/kubernetes && ls\r")
        assert "kubelet.conf\r\nmanifests\r\npki\r\n" in session.until("root@w2-k8s:/etc/kubernetes# ")
        session.type("cat <<EOF\r")
        session.until("> ")
        session.type("two words\rEOF\r")
        assert "> two words\r\n" in session.until("/etc/kubernetes# ")
        session.type("sleep 1000\r")
        session.until("sleep 1000\r\n")
        session.type("\x03")
        session.until("# ")
        session.type("exit 5\r")
        assert session.code() == 5


def test_a_stopped_kubelet_is_seen_by_kubectl(lab: Machine) -> None:
    def ready() -> str:
        conditions = lab.read("node", "w2-k8s")["status"]["conditions"]
        return next(str(each["status"]) for each in conditions if each["type"] == "Ready")

    lab.must("seatrial", "ssh", "--cluster", "lab", "w2-k8s", "systemctl", "stop", "kubelet")
    lab.must("seatrial", "clock", "advance", "70s", "--cluster", "lab")
    assert ready() == "Unknown"
    lab.must("seatrial", "ssh", "--cluster", "lab", "w2-k8s", "systemctl", "start", "kubelet")
    wait_for("the node", lambda: ready() == "True")
