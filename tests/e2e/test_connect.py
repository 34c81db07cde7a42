"""Processes on this machine behind Services: who reaches them, and what is said of those that nobody serves."""

from __future__ import annotations

import http.server
import json
import signal
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from seatrial.api.server import pki
from tests.e2e.conftest import DEADLINE_S, Machine, beside, clean, heard, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("connect")]
WAIT = f"--timeout={DEADLINE_S:g}s"
HOOK_HOST = "gate.default.svc"


class Process(http.server.BaseHTTPRequestHandler):
    """Says what it was asked; as a webhook it refuses ConfigMaps called ``bad``."""

    def do_GET(self) -> None:
        self._say(f"here: {self.path}\n".encode(), "text/plain")

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review["request"]
        allowed = request["name"] != "bad"
        response = {"uid": request["uid"], "allowed": allowed, "status": {"message": "it is bad"}}
        self._say(json.dumps({**review, "response": response}).encode(), "application/json")

    def _say(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def process(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server of this machine; its port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Process)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with clean(tmp_path_factory.mktemp("connect")) as made:
        made.must("seatrial", "up", "connect", "--nodes", "1", "--ephemeral")
        made.kubectl("wait", "--for=condition=Ready", "nodes", "--all", WAIT)
        made.kubectl("create", "deployment", "cart", "--image=nginx")
        made.kubectl("expose", "deployment", "cart", "--port=80")
        made.kubectl("run", "client", "--image=curlimages/curl", "--command", "--", "sleep", "1d")
        made.kubectl("wait", "--for=condition=Ready", "pod/client", WAIT)
        made.kubectl("rollout", "status", "deployment/cart", WAIT)
        yield made


def asked(machine: Machine) -> str:
    proxy = json.loads(machine.must("seatrial", "addresses", "connect", "-o", "json"))["proxy"]
    return machine.type("curl", "-s", "-m", "30", "-x", proxy, "http://cart.default/x").stdout


def test_a_process_stands_behind_a_service_until_it_is_disconnected(machine: Machine) -> None:
    cluster = ("--cluster", "connect")
    assert "nothing is connected" in machine.refused("seatrial", "disconnect", "svc/cart", *cluster)
    assert "none of that name" in machine.refused("seatrial", "connect", "svc/nope", "--to", "1", *cluster)
    assert "no port" in machine.refused("seatrial", "connect", "svc/cart", "--to", "localhost", *cluster)
    wait_for("nginx answers", lambda: "nginx" in asked(machine))
    with process() as port:
        machine.must("seatrial", "connect", "svc/cart", "--to", str(port), "--detach", *cluster)
        wait_for("the process answers from outside", lambda: asked(machine) == "here: /x\n")
        inside = ("kubectl", "exec", "client", "--", "curl", "-s", "http://cart/y")
        wait_for("it answers from inside", lambda: machine.type(*inside).stdout == "here: /y\n")
        assert f"127.0.0.1:{port}" in machine.type("seatrial", "doctor").stdout.replace("localhost", "127.0.0.1")
        slices = machine.read("endpointslices", "-l", "kubernetes.io/service-name=cart")["items"]
        assert [each["endpoints"][0]["addresses"] for each in slices] == [["192.168.1.1"]]
        machine.must("seatrial", "disconnect", "svc/cart", *cluster)
        wait_for("nginx answers again", lambda: "nginx" in asked(machine))
    assert machine.read("service", "cart")["spec"]["selector"] == {"app": "cart"}


def test_in_the_foreground_it_lasts_until_ctrl_c(machine: Machine) -> None:
    with process() as port:
        command = ("seatrial", "connect", "svc/cart", "--to", f"localhost:{port}", "--cluster", "connect")
        with beside(machine, *command) as connected:
            heard(connected, "is served by")
            wait_for("the process answers", lambda: asked(machine) == "here: /x\n")
            connected.send_signal(signal.SIGINT)
            heard(connected, "its pods' again")
            assert connected.wait(DEADLINE_S) == 0
    wait_for("nginx answers again", lambda: "nginx" in asked(machine))


def test_a_webhook_under_development(machine: Machine) -> None:
    made = pki.make()
    pair = pki.issue(made.authority, HOOK_HOST, (), [x509.DNSName(HOOK_HOST)])
    file = Path(machine.root) / "hook.pem"
    file.write_bytes(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    machine.kubectl("create", "service", "clusterip", "gate", "--tcp=443:9443")
    client = {"service": {"namespace": "default", "name": "gate", "path": "/"}}
    hook = {
        "name": "gate.example.com",
        "clientConfig": {**client, "caBundle": b64encode(made.authority.certificate).decode()},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    configuration = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "gate"},
        "webhooks": [hook],
    }
    machine.kubectl("apply", "-f", "-", stdin=json.dumps(configuration))
    told = machine.type("seatrial", "doctor")
    assert told.returncode == 1 and "nobody serves default/gate" in told.stdout
    assert "gate.example.com" in machine.refused("kubectl", "create", "configmap", "fine")
    with process(context) as port:
        machine.must("seatrial", "connect", "svc/gate", "--to", str(port), "-d", "--cluster", "connect")
        assert "nobody serves" not in machine.type("seatrial", "doctor").stdout
        machine.kubectl("create", "configmap", "fine")
        assert "it is bad" in machine.refused("kubectl", "create", "configmap", "bad")
        machine.must("seatrial", "disconnect", "svc/gate", "--cluster", "connect")
    machine.kubectl("delete", "validatingwebhookconfiguration", "gate")
