"""The cluster's addresses on this machine, with the real curl: twins, proxy, and what they meet when things break."""

from __future__ import annotations

import http.client
import http.server
import json
import shutil
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from seatrial.api.server import pki
from tests.e2e.conftest import DEADLINE_S, Machine, clean, wait_for
from tests.sim.network.test_dnswire import query

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("addresses")]
INGRESS = (Path(__file__).parents[1] / "data" / "network" / "ingress.yaml").read_text()
WEB = """
apiVersion: v1
kind: Service
metadata: {name: front}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
"""
GRACE_S, LINGER_S = 60, 30
"""How long a pod may take to end, and how long a careful one goes on serving those who have just found it."""
CAREFUL = {
    "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
    "lifecycle": {"preStop": {"sleep": {"seconds": LINGER_S}}},
}
NODES = ("m-k8s", "w1-k8s", "w2-k8s")
PATIENT, SILENT = ("-m", f"{DEADLINE_S:g}"), ("-m", "2")
"""How long curl waits for an answer, and for none."""


def served(name: str, node_port: int, grace_s: int = 1, **container: Any) -> str:
    """A Deployment of one pod and its service."""
    image = {"name": "c", "image": "registry.k8s.io/e2e-test-images/agnhost:2.53", "args": ["netexec"]}
    pod = {"terminationGracePeriodSeconds": grace_s, "containers": [{**image, **container}]}
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod}
    ports = [{"port": 80, "targetPort": 8080, "nodePort": node_port}]
    items = [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"type": "NodePort", "selector": labels, "ports": ports},
        },
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


SECURE_HOST = "safe.example.com"
WAIT = f"--timeout={DEADLINE_S:g}s"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with clean(tmp_path_factory.mktemp("reach")) as made:
        made.must("seatrial", "up", "reach", "--nodes", "2", "--ephemeral")
        made.kubectl("wait", "--for=condition=Ready", "nodes", "--all", WAIT)
        made.kubectl("create", "namespace", "ingress-nginx")
        make_certificate(made)
        made.kubectl("apply", "-f", "-", stdin=INGRESS + "---" + WEB)
        made.kubectl("patch", "ingress", "web", "--type=json", "-p", json.dumps(WITH_SECRET))
        for where in (("deployment/web",), ("deployment/ingress-nginx-controller", "-n", "ingress-nginx")):
            made.kubectl("rollout", "status", *where, WAIT)
        urls = [f"http://{twin(made, name, 30080)}/" for name in NODES] + [f"http://{twin(made, 'default/front', 80)}/"]
        wait_for("the services", lambda: all(status(made, *SILENT, url) == "200" for url in urls))
        asked = (*SILENT, "-H", f"Host: {SECURE_HOST}", f"http://{twin(made, SECURE_HOST, 80)}/")
        wait_for("the ingress", lambda: status(made, *asked) == "308")
        yield made


WITH_SECRET = [{"op": "replace", "path": "/spec/tls", "value": [{"hosts": [SECURE_HOST], "secretName": "safe"}]}]


DATAGRAMS = {"name": "datagrams", "port": 81, "targetPort": 8081, "protocol": "UDP"}
WITH_DATAGRAMS = [
    {"op": "add", "path": "/spec/ports/0/name", "value": "http"},
    {"op": "add", "path": "/spec/ports/-", "value": DATAGRAMS},
]
ANYWHERE = [{"op": "remove", "path": "/spec/template/spec/nodeSelector/nowhere"}]


def make_certificate(machine: Machine) -> None:
    """A Secret with a certificate for the secure host, whose authority curl is told to trust."""
    made = pki.make()
    pair = pki.issue(made.authority, SECURE_HOST, (), [x509.DNSName(SECURE_HOST)])
    (machine.root / "ca.crt").write_bytes(made.authority.certificate)
    (machine.root / "tls.crt").write_bytes(pair.certificate)
    (machine.root / "tls.key").write_bytes(pair.key)
    machine.kubectl("create", "secret", "tls", "safe", "--cert=tls.crt", "--key=tls.key")


def view(machine: Machine) -> Any:
    return json.loads(machine.must("seatrial", "addresses", "reach", "-o", "json"))


def table(machine: Machine) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = view(machine)["addresses"]
    return rows


def twin(machine: Machine, name: str, port: int) -> str:
    """HOST:PORT on this machine."""
    found: list[str] = []

    def there() -> bool:
        found.extend(row["twin"] for row in table(machine) if _is(row, name, port))
        return bool(found)

    wait_for(f"a twin of {name}:{port}", there)
    return found[0]


def _is(row: dict[str, Any], name: str, port: int) -> bool:
    return bool(row["name"] == name and row["port"] == port and row["twin"])


def datagram(where: str, data: bytes) -> bytes:
    """What comes back for a datagram; empty without an answer within a second."""
    host, _, port = where.partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.settimeout(1)
        sending.sendto(data, (host, int(port)))
        try:
            return sending.recv(4096)
        except TimeoutError:
            return b""


def status(machine: Machine, *arguments: str) -> str:
    """The status that curl sees, 000 without an answer."""
    done = machine.type("curl", "-s", *PATIENT, "-o", "/dev/null", "-w", "%{http_code}", *arguments)
    return done.stdout


def ready_pods(machine: Machine, app: str) -> dict[str, str]:
    """The workload's pods that are ready and there to stay: name → node."""
    found = {}
    for pod in machine.read("pods", "-l", f"app={app}")["items"]:
        conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions") or ()}
        if conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]:
            found[pod["metadata"]["name"]] = pod["spec"]["nodeName"]
    return found


@pytest.mark.parametrize("node", NODES)
def test_a_node_port_of_every_node(machine: Machine, node: str) -> None:
    text = machine.must("curl", "-sSf", *PATIENT, f"http://{twin(machine, node, 30080)}/hostname")
    assert text.startswith("web-")


def test_a_load_balancers_address(machine: Machine) -> None:
    assert status(machine, f"http://{twin(machine, 'default/front', 80)}/hostname") == "200"


def test_datagrams_and_names(machine: Machine) -> None:
    machine.kubectl("patch", "service", "front", "--type=json", "-p", json.dumps(WITH_DATAGRAMS))
    where = twin(machine, "default/front", 81)
    wait_for("its pods answer", lambda: datagram(where, b"hostname").startswith(b"web-"))
    name_server = twin(machine, "kube-system/kube-dns", 53)
    address = machine.kubectl("get", "service", "front", "-o", "jsonpath={.spec.clusterIP}")
    packed = bytes(int(part) for part in address.split("."))
    name = query("front.default.svc.cluster.local")
    wait_for("its name is known", lambda: datagram(name_server, name).endswith(packed))
    if shutil.which("dig") is not None:
        host, _, port = name_server.partition(":")
        for more in ((), ("+tcp",)):
            asked = (
                "dig",
                f"@{host}",
                "-p",
                port,
                "+short",
                f"+time={DEADLINE_S:g}",
                *more,
                "front.default.svc.cluster.local",
            )
            assert machine.must(*asked).split() == [address]


def test_an_ingress_host_with_and_without_tls(machine: Machine) -> None:
    plain, secure = twin(machine, SECURE_HOST, 80), twin(machine, SECURE_HOST, 443)
    assert status(machine, "-H", f"Host: {SECURE_HOST}", f"http://{plain}/hostname") == "308"
    host, _, port = secure.partition(":")
    url = f"https://{SECURE_HOST}:{port}/hostname"
    resolved = ("--resolve", f"{SECURE_HOST}:{port}:{host}")
    assert machine.must("curl", "-sSf", *PATIENT, "--cacert", "ca.crt", *resolved, url).startswith("web-")
    assert machine.type("curl", "-s", *PATIENT, *resolved, url).returncode == 60, "nobody else trusts the certificate"
    assert status(machine, "-k", f"https://{secure}/hostname") == "404", "the controller's own certificate, no host"


def test_the_proxy_knows_every_name_and_address(machine: Machine) -> None:
    proxy = view(machine)["proxy"]
    address = machine.kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
    pod = machine.kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[0].status.podIP}")
    hosts = ("web", "web.default", "web.default.svc.cluster.local", address, f"{pod}:8080", "w1-k8s:30080")
    for host in hosts:
        assert status(machine, "-x", proxy, f"http://{host}/hostname") == "200", host
        assert status(machine, "-x", proxy, "-p", f"http://{host}/hostname") == "200", host
    trusting = ("--cacert", "ca.crt")
    assert status(machine, "-x", proxy, *trusting, f"https://{SECURE_HOST}/hostname") == "200"
    assert status(machine, "-x", proxy, "-k", "https://kubernetes.default/livez") == "200"
    assert status(machine, "-x", proxy, "http://nobody.default.svc/") == "502"
    assert status(machine, "-x", proxy, "http://w1-k8s:31999/") == "502"
    exported = machine.must("seatrial", "addresses", "reach", "--env")
    machine.must(
        "bash", "-c", f"{exported}\ncurl -sSf {' '.join(PATIENT)} http://web.default/hostname http://web/hostname"
    )


def test_the_proxy_lets_everything_else_pass(machine: Machine) -> None:
    class Here(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(201)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Here)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/"
        proxy = view(machine)["proxy"]
        assert machine.must("curl", "-sS", *PATIENT, "-x", proxy, "-d", "as it is", url) == "as it is"
        assert machine.must("curl", "-sS", *PATIENT, "-x", proxy, "-p", "-d", "as it is", url) == "as it is"
    finally:
        server.shutdown()
        server.server_close()


def test_the_table_follows_the_cluster(machine: Machine) -> None:
    machine.kubectl("create", "service", "nodeport", "brief", "--tcp=80:8080", "--node-port=30100")
    where = twin(machine, "w1-k8s", 30100)
    assert status(machine, f"http://{where}/") == "000", "no endpoints: refused"
    machine.kubectl("delete", "service", "brief")
    wait_for("its twin is closed", lambda: machine.type("curl", "-s", *SILENT, f"http://{where}/").returncode == 7)
    assert not [row for row in table(machine) if row["port"] == 30100]


def test_without_kube_proxy_what_stays_the_same_goes_on_and_what_changes_does_not(machine: Machine) -> None:
    machine.kubectl("apply", "-f", "-", stdin=served("alone", 30090))
    machine.kubectl("rollout", "status", "deployment/alone", WAIT)
    where = twin(machine, "w1-k8s", 30090)
    wait_for("the service answers", lambda: status(machine, *SILENT, f"http://{where}/") == "200")
    before = ready_pods(machine, "alone").keys()
    proxies = ("-n", "kube-system", "daemonset/kube-proxy")
    selector = '{"spec":{"template":{"spec":{"nodeSelector":{"nowhere":"true"}}}}}'
    machine.kubectl("patch", *proxies, "-p", selector)
    pods = ("pods", "-n", "kube-system", "-l", "k8s-app=kube-proxy")
    wait_for("no proxy runs", lambda: not [pod for pod in machine.read(*pods)["items"] if pod["spec"].get("nodeName")])
    kept = http.client.HTTPConnection(where, timeout=DEADLINE_S)
    kept.request("GET", "/hostname")
    first = kept.getresponse().read()
    assert status(machine, f"http://{where}/") == "200"
    machine.kubectl("delete", "pods", "-l", "app=alone")
    wait_for("another pod", lambda: bool(ready_pods(machine, "alone").keys() - before))
    assert status(machine, *SILENT, f"http://{where}/") == "000", "the rules point to the pod that is gone"
    with pytest.raises((http.client.HTTPException, OSError)):
        kept.request("GET", "/hostname")
        kept.getresponse()
    assert first.startswith(b"alone-")
    assert status(machine, f"http://{twin(machine, 'w1-k8s', 30080)}/") == "200", "unchanged endpoints"
    machine.kubectl("patch", *proxies, "--type=json", "-p", json.dumps(ANYWHERE))
    machine.kubectl("rollout", "status", *proxies, WAIT)
    wait_for("the service answers again", lambda: status(machine, *SILENT, f"http://{where}/") == "200")


@contextmanager
def load(url: str, patience_s: float) -> Iterator[dict[str, int]]:
    """Requests without a pause; how many went well and how many failed so far."""
    stopping, counts = threading.Event(), {"well": 0, "failed": 0}

    def ask() -> None:
        while not stopping.is_set():
            try:
                with urllib.request.urlopen(url, timeout=patience_s):
                    counts["well"] += 1
            except OSError:
                counts["failed"] += 1
                time.sleep(0.01)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield counts
    finally:
        stopping.set()
        thread.join()


def roll(machine: Machine, name: str) -> None:
    """A Deployment of one pod goes over to another, until the old one is gone."""
    machine.kubectl("rollout", "restart", f"deployment/{name}")
    machine.kubectl("rollout", "status", f"deployment/{name}", WAIT)
    machine.must("seatrial", "clock", "advance", f"{LINGER_S}s", "--cluster", "reach")
    wait_for("the old pods are gone", lambda: len(machine.read("pods", "-l", f"app={name}")["items"]) == 1)


@pytest.mark.parametrize("careful", [False, True])
def test_a_rolling_update_under_load(machine: Machine, careful: bool) -> None:
    """Of a careful one nobody notices anything; without care a request fails, sooner or later."""
    name, port = f"rolling-{str(careful).lower()}", 30110 + careful
    machine.kubectl("apply", "-f", "-", stdin=served(name, port, GRACE_S, **(CAREFUL if careful else {})))
    machine.kubectl("rollout", "status", f"deployment/{name}", WAIT)
    url = f"http://{twin(machine, 'w1-k8s', port)}/hostname"
    wait_for("the service answers", lambda: status(machine, *SILENT, url) == "200")
    with load(url, DEADLINE_S if careful else 2) as counts:

        def has_failed() -> bool:
            roll(machine, name)
            return counts["failed"] > 0

        if careful:
            wait_for("requests", lambda: counts["well"] > 0)
            assert not has_failed(), counts
        else:
            wait_for("a request that fails", has_failed)
    assert counts["well"] > 0
    assert (counts["failed"] == 0) is careful, counts
