"""Real clients in front of a real server: the installed command and kubectl, in a state directory of the test's own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

BIN = Path(sys.executable).parent
DEADLINE_S = 240.0
"""Wall time that anything may take, on a machine that is several times slower than is usual."""


class Machine:
    """A user's machine: their environment, and what they type."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.kubeconfig = root / "kubeconfig"
        self.environment = {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(root),
            "XDG_STATE_HOME": str(root / "state"),
            "XDG_RUNTIME_DIR": str(root / "runtime"),
            "KUBECONFIG": str(self.kubeconfig),
            "TMPDIR": str(root),
        }

    def type(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Runs a command as typed; whatever comes of it."""
        return subprocess.run(
            command,
            env=self.environment,
            cwd=self.root,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )

    def must(self, *command: str, stdin: str = "") -> str:
        """Runs a command that has to work; what it printed."""
        done = self.type(*command, stdin=stdin)
        assert done.returncode == 0, f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def refused(self, *command: str, stdin: str = "") -> str:
        """Runs a command that has to fail with exit code 1 and without a traceback; what it said."""
        done = self.type(*command, stdin=stdin)
        assert done.returncode == 1, f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stdout + done.stderr
        return done.stderr

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        return self.must("kubectl", *arguments, stdin=stdin)

    def read(self, *arguments: str) -> Any:
        """What ``kubectl get … -o json`` says."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def pid(self, name: str = "seatrial") -> int:
        """The process of a running cluster."""
        return int(json.loads(self.must("seatrial", "status", name, "-o", "json"))["pid"])


def wait_for(what: str, holds: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Looks again and again; a real clock passes while real programs run."""
    until = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < until, f"{what}: not within {deadline_s:g} s"
        time.sleep(0.1)


@contextmanager
def beside(machine: Machine, *command: str) -> Iterator[subprocess.Popen[str]]:
    """A program that runs beside the test and ends with it, or with the deadline: nobody reads from it for ever."""
    process = subprocess.Popen(
        command,
        env=machine.environment,
        cwd=machine.root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watchdog = threading.Timer(DEADLINE_S, process.kill)
    watchdog.start()
    try:
        with process:
            try:
                yield process
            finally:
                process.terminate()
    finally:
        watchdog.cancel()


def heard(process: subprocess.Popen[str], text: str) -> str:
    """Reads what a program prints up to the first line with a text in it; that line."""
    assert process.stdout is not None
    lines = []
    while line := process.stdout.readline():
        lines.append(line)
        if text in line:
            return line
    raise AssertionError(f"{text!r} was not printed, but {''.join(lines)!r}")


@contextmanager
def clean(root: Path) -> Iterator[Machine]:
    """A machine whose clusters end with it."""
    made = Machine(root)
    try:
        yield made
    finally:
        made.kubeconfig.unlink(missing_ok=True)
        for entry in json.loads(made.type("seatrial", "list", "-o", "json").stdout or "[]"):
            made.type("seatrial", "destroy", entry["name"], "--yes")
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def usual_port() -> Iterator[None]:
    """Nobody gets the API server's usual port: while a cluster was halted, another one that starts would take it."""
    with socket.socket() as taken:
        with suppress(OSError):  # another worker has it
            taken.bind(("127.0.0.1", 6443))
            taken.listen()
        yield


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with clean(tmp_path) as made:
        yield made


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with a whole cluster that several tests share; what a test makes there, it names after itself."""
    with clean(tmp_path_factory.mktemp("lab")) as made:
        made.must("seatrial", "up", "lab", "--nodes", "2", "--ephemeral")
        made.kubectl("wait", "--for=condition=Ready", "nodes", "--all", f"--timeout={DEADLINE_S:g}s")
        yield made
