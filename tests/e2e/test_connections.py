"""Connections into pods with the real kubectl: exec, attach, logs, cp and port-forward."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from tests.e2e.conftest import DEADLINE_S, Machine, beside, heard, wait_for

pytestmark = pytest.mark.e2e
POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
  - name: nginx
    image: nginx:1.27
    ports:
    - containerPort: 80
"""


@pytest.mark.parametrize("websockets", ["true", "false"])
def test_connections_into_a_pod(machine: Machine, websockets: str) -> None:
    """Once as kubectl does today, once as it did before it knew WebSocket."""
    machine.environment["KUBECTL_REMOTE_COMMAND_WEBSOCKETS"] = websockets
    machine.environment["KUBECTL_PORT_FORWARD_WEBSOCKETS"] = websockets
    machine.must("seatrial", "up", "--nodes", "1")
    machine.kubectl("apply", "-f", "-", stdin=POD)
    machine.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=240s")

    assert machine.kubectl("exec", "web", "--", "sh", "-c", "echo out; echo err >&2") == "out\n"
    assert machine.kubectl("exec", "-i", "web", "--", "cat", stdin="through stdin\n") == "through stdin\n"
    assert machine.type("kubectl", "exec", "web", "--", "sh", "-c", "exit 7").returncode == 7
    assert "no-such-program" in machine.refused("kubectl", "exec", "web", "--", "no-such-program")
    wait_for("the server's line", lambda: "ready for start up" in machine.kubectl("logs", "web"))

    with beside(machine, "kubectl", "port-forward", "pod/web", ":80") as forward:
        address = heard(forward, "Forwarding from 127.0.0.1").split()[2]
        for _ in range(3):
            with urllib.request.urlopen(f"http://{address}/", timeout=DEADLINE_S) as answer:
                assert b"Welcome to nginx" in answer.read()
        with pytest.raises(urllib.error.HTTPError, match="404") as missing:
            urllib.request.urlopen(f"http://{address}/missing", timeout=DEADLINE_S)
        missing.value.close()
